"""`triggerfish explain`: a rule or a segment in plain words, from what the engine runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import click
from msgspec import Struct
from msgspec.structs import replace

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.compose import load_workshop
from triggerfish.config import load_settings
from triggerfish.errors import NotFound
from triggerfish.rulefile.problems import nearest
from triggerfish.rules import Rulebook
from triggerfish.saying import say_rule, say_segment


class Said(Struct, frozen=True):
    """A rule (`rule set / rule`) or a segment, and what it says, line by line."""

    kind: Literal["rule", "segment"]
    name: str
    lines: list[str]


@click.command()
@click.argument("what", required=False, metavar="[RULE|SEGMENT]")
@workspace_option
@json_option
def command(what: str | None, workspace: Path, as_json: bool) -> None:
    """Say a rule or a segment in plain words; all of them, if none is named.

    It reads the workspace's files as they are, live or not. A rule is named as in its file, or as "rule set / rule".
    """
    settings = load_settings(workspace.resolve(), os.environ)
    # What is said needs no rule engine; generated Python loads fastest.
    rulebook = load_workshop(replace(settings, engine="compiled")).rulebook
    found = say(rulebook, what or "")
    if as_json:
        print_json(found)
        return
    for place, each in enumerate(found):
        if place:
            click.echo()
        click.echo(click.style(each.name if each.kind == "rule" else f"segment {each.name}", bold=True))
        for line in each.lines:
            click.echo(f"  {line}")


def say(rulebook: Rulebook, what: str = "") -> list[Said]:
    """What is called so, rules first. Raises NotFound with the nearest name."""
    wanted = " / ".join(part.strip() for part in what.split("/", 1))
    rules = [rule for ruleset in rulebook.rulesets for rule in ruleset.rules]
    segments = rulebook.segments.segments
    found = [
        *(
            Said("rule", rule.full_name, say_rule(rule, rulebook))
            for rule in rules
            if wanted in ("", rule.name, rule.full_name)
        ),
        *(
            Said("segment", segment.name, say_segment(segment, rulebook))
            for segment in segments
            if wanted in ("", segment.name)
        ),
    ]
    if not found and what:
        names = [*(rule.name for rule in rules), *(rule.full_name for rule in rules), *(each.name for each in segments)]
        raise NotFound(f'there is no rule and no segment "{what}"', hint=nearest(what, names))
    return found
