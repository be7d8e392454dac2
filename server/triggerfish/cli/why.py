"""`triggerfish why`: why a person did or did not get a message, from the workspace's own files.

What was decided is told from what was written down then. What nothing was written down of is decided again. A rule
whose event never came is looked at now, and the answer says so.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.stored import open_log_and_reads
from triggerfish.clock import WallClock, within
from triggerfish.compose import open_archive, plugins_of
from triggerfish.config import Settings, load_settings
from triggerfish.errors import NotFound
from triggerfish.reads import ProfileView
from triggerfish.render import full_name
from triggerfish.why import Missed, Now, Occasion, RuleStory, WhyView, is_missing
from triggerfish.whynot import tell_why_not

OCCASIONS = 5
"""How many occasions of a rule are printed; --json has all."""
MISSED = 1
"""How many times that nothing came of a rule's event are printed, when more than one rule is told of."""


SECONDS = 60.0
"""How long deciding a past again may take."""


@click.command()
@click.argument("person")
@click.argument("what", required=False, metavar="[TEMPLATE|RULE]")
@workspace_option
@json_option
def command(person: str, what: str | None, workspace: Path, as_json: bool) -> None:
    """Why PERSON (any identity) did or did not get messages; of one template or one rule, if named.

    A rule is named as in its file, or as "rule set / rule". It works on the workspace's files: whether the server runs
    makes no difference.
    """
    settings = load_settings(workspace.resolve(), os.environ)
    why = ask(settings, person, what or "")
    if as_json:
        print_json(why)
        return
    for line in tell(why):
        click.echo(line)


def ask(settings: Settings, person: str, what: str = "") -> WhyView:
    """The stories of the rules asked for, newest first. Raises NotFound and SettingsWrong."""
    with (
        open_log_and_reads(settings) as (log, reads),
        contextlib.closing(open_archive(settings, plugins_of(settings), patience_seconds=SECONDS)) as archive,
    ):

        def tell_of(template: str = "", rule: str = "") -> WhyView:
            return tell_why_not(
                reads, log, archive.rulebook, person,
                now=WallClock().now(), template=template, rule=rule, is_late=within(SECONDS),
            )  # fmt: skip

        if not what:
            return tell_of()
        try:
            return tell_of(template=what)
        except NotFound as no_template:
            try:
                return tell_of(rule=what)
            except NotFound as no_rule:
                if no_template.sentence == no_rule.sentence:
                    raise  # it is the person who is not known
                sentence = f'no rule is called "{what}", and none sends a template of that name'
                raise NotFound(sentence, hint=no_rule.hint) from None


# --- in words ---------------------------------------------------------------------------------------------------------


def tell(why: WhyView) -> Iterator[str]:
    """The answer as lines for a terminal."""
    yield from _who(why.profile)
    if not why.is_whole:
        yield "Older decisions are left out."
    again = why.again
    if again is not None and not again.is_same:
        since = f" from {again.doubtful_from} on" if again.doubtful_from else ""
        yield f"Why rules did not fire cannot be told{since}: {again.doubt}."
    if again is not None and again.lacking:
        yield f"The rulebook {' and '.join(again.lacking)} is not kept; its time was looked at with the present one."
    for story in why.rules:
        sends = f"  sends {', '.join(story.sends)}" if story.sends else ""
        yield ""
        yield click.style(f"{story.ruleset} / {story.rule}", bold=True) + sends
        if not story.occasions:
            yield f"  {'never fired' if story.missed else story.sentence}"
        for occasion in story.occasions[:OCCASIONS]:
            yield from _occasion(occasion, names_templates=len(story.sends) > 1)
        if len(story.occasions) > OCCASIONS:
            yield f"  and {len(story.occasions) - OCCASIONS} earlier times (--json has them)"
        shown = MISSED if len(why.rules) > 1 else OCCASIONS
        for missed in story.missed[:shown]:
            yield from _missed(missed)
        if story.missed_count > shown:
            yield f"  in vain {story.missed_count} times in all"
        if story.now is not None:
            yield from _now(story.now, story)


def _who(person: ProfileView) -> Iterator[str]:
    name = full_name(person.traits)
    known = ", ".join(f"{each.kind} {each.value}" for each in person.identities[:5])
    yield (f"{name}  " if name else "") + f"{known}  ({person.id})"
    yield f"in {', '.join(person.segments)}; first of all {person.segment}" if person.segments else "in no segment"


def _missed(missed: Missed) -> Iterator[str]:
    """A time that nothing came of the rule's event."""
    first, *more = re.split(r"; (?=it would have matched |with the same event )", missed.sentence)
    yield f"  {missed.at}  {missed.event} came in vain: {first}"
    yield from (f"    {part}" for part in more)
    if missed.because is not None:
        yield from _tree(missed.because, "    ")
    for gate in missed.gates[1:]:
        if not gate.passed:
            until = f", until {gate.until}" if gate.until else ""
            yield f"    {click.style('closed', fg='yellow')} {gate.gate}: {gate.said or 'no'}{until}"
    open_gates = [gate.gate for gate in missed.gates[1:] if gate.passed]
    if open_gates:
        yield f"    open: {', '.join(open_gates)}"
    if missed.otherwise:
        yield f"    had it matched: {missed.otherwise}"
    if not missed.reigned:
        yield f"    looked at with the rulebook {missed.rulebook}; the one that was live is not known, or not kept"


def _occasion(occasion: Occasion, *, names_templates: bool) -> Iterator[str]:
    woken = f" on {occasion.event}" if occasion.event else ""
    reason = f": {occasion.reason}" if occasion.reason else ""
    yield f"  {occasion.at}  {occasion.outcome}{woken}{reason}"
    if occasion.because is not None:
        yield from _tree(occasion.because, "    ")
    for message in occasion.messages:
        for change in message.changes:
            reason = f": {change.reason}" if change.reason else ""
            yield f"    {change.at}  {_coloured(change.status)}{reason}"
        if message.free_from:
            yield f"    free again on {message.free_from}, had nothing else happened"
        yield f"    message {message.send}" + (f", {message.template}" if names_templates else "")


def _now(now: Now, story: RuleStory) -> Iterator[str]:
    if now.because is None:
        yield f"  it has no condition besides its event: {', '.join(story.on)}"
        return
    with_event = f"with the last {now.event}" if now.event else "without an event"
    yield f"  looked at NOW ({now.at}, {with_event}), its condition {'holds' if now.holds else 'does not hold'}:"
    yield from _tree(now.because, "    ")


def _tree(node: Mapping[str, Any], indent: str) -> Iterator[str]:
    """A condition's tree (engine.findings), a line a node."""
    mark = click.style("✓", fg="green") if node["holds"] else click.style("✗", fg="red")
    parts = node.get("parts", ())
    if parts:
        saw = ""
    elif "value" in node:
        saw = f"   (it is {msgspec.json.encode(node['value']).decode()})"
    else:
        saw = "   (it is missing)" if is_missing(node) else ""
    yield f"{indent}{mark} {node['condition']}{saw}"
    for part in parts:
        yield from _tree(part, indent + "  ")


_COLOURS = {"sent": "green", "skipped": "yellow", "failed": "red", "uncertain": "magenta"}


def _coloured(status: str) -> str:
    return click.style(status, fg=_COLOURS.get(status))
