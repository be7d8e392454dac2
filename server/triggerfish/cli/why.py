"""`triggerfish why`: why a person did or did not get a message, from the workspace's own files.

What was decided is told from what was written down then. Of a rule that never fired, the condition is looked at now,
and the answer says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.stored import open_reads
from triggerfish.clock import WallClock, to_iso
from triggerfish.compose import load_workshop
from triggerfish.conditions import View, explain, findings
from triggerfish.config import Settings, load_settings
from triggerfish.errors import NotFound, RulebookBroken
from triggerfish.ingest import Event
from triggerfish.reads import EventLine, ProfileView, Reads, SegmentLine
from triggerfish.render import full_name
from triggerfish.rules import Rule, Rulebook
from triggerfish.why import Occasion, RuleStory, WhyView, is_missing, tell_why

OCCASIONS = 5
"""How many occasions of a rule are printed; --json has all."""
_LINES = 500


class Now(Struct, frozen=True):
    """A rule's condition looked at now. `event` is the event that it was looked at with: the last one that would wake
    the rule (empty: none has happened, so what the condition asks of it is missing). `because` is the tree, None for a
    rule without a condition.
    """

    at: str
    holds: bool
    event: str
    because: dict[str, Any] | None


class Answer(Struct, frozen=True):
    """A rule's story; `now` for one that never fired."""

    story: RuleStory
    now: Now | None = None


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
    why, answers, note = ask(settings, person, what or "")
    if as_json:
        print_json({"profile": why.profile, "is_whole": why.is_whole, "note": note, "rules": _as_data(answers)})
        return
    for line in tell(why, answers, note):
        click.echo(line)


def ask(settings: Settings, person: str, what: str = "") -> tuple[WhyView, list[Answer], str]:
    """The stories of the rules asked for, newest first, those that never fired with their condition as it is now.

    The text says why conditions could not be looked at now, if so. Raises NotFound and SettingsWrong.
    """
    with open_reads(settings) as reads:
        why = _stories(reads, person, what)
        rulebook, note = None, ""
        if any(not story.occasions and story.is_live for story in why.rules):
            try:
                rulebook = load_workshop(settings).rulebook
            except RulebookBroken as broken:
                note = f"conditions are not looked at now, because {broken.sentence}; see: triggerfish check"
        answers = [Answer(story, _look_now(reads, rulebook, person, story)) for story in why.rules]
    return why, answers, note


def _stories(reads: Reads, person: str, what: str) -> WhyView:
    """`what` is a template's name, or else a rule's."""
    if not what:
        return tell_why(reads, person)
    try:
        return tell_why(reads, person, template=what)
    except NotFound as no_template:
        try:
            return tell_why(reads, person, rule=what)
        except NotFound as no_rule:
            if no_template.sentence == no_rule.sentence:
                raise  # it is the person who is not known
            sentence = f'no rule is called "{what}", and none sends a template of that name'
            raise NotFound(sentence, hint=no_rule.hint) from None


def _look_now(reads: Reads, rulebook: Rulebook | None, person: str, story: RuleStory) -> Now | None:
    rule = rulebook.rule(story.ruleset, story.rule) if rulebook is not None else None
    if rulebook is None or rule is None or story.occasions:
        return None
    now = WallClock().now()
    profile = reads.stored(person)
    event = _last_trigger(reads, person, rule)
    primary = rulebook.segments.primary(profile.memberships)
    view = View(profile, now, rulebook.zones, event=event, segment=primary)
    because = None if rule.when is None else findings(explain(rule.when.root, view))
    name = "" if event is None else event.name
    return Now(to_iso(now), because is None or bool(because["holds"]), name, because)


def _last_trigger(reads: Reads, person: str, rule: Rule) -> Event | None:
    """The newest event of the person that would wake the rule, as far as the log still has it."""
    for line in reads.timeline(person, _LINES, kinds=("event", "segment")):
        match line:
            case EventLine() if line.event in rule.on:
                return Event(
                    kind="track", name=line.event, message_id=line.message_id or "", timestamp=0,
                    properties=line.properties, traits=line.traits, context=line.context,
                )  # fmt: skip
            case SegmentLine() if (name := f"segment.{line.change}") in rule.on:
                properties = {"segment": line.segment}
                return Event(kind="derived", name=name, message_id="", timestamp=0, properties=properties)
    return None


# --- in words ---------------------------------------------------------------------------------------------------------


def tell(why: WhyView, answers: list[Answer], note: str = "") -> Iterator[str]:
    """The answer as lines for a terminal."""
    yield from _who(why.profile)
    if not why.is_whole:
        yield "Older decisions are left out."
    if note:
        yield f"Note: {note}."
    for answer in answers:
        story = answer.story
        sends = f"  sends {', '.join(story.sends)}" if story.sends else ""
        yield ""
        yield click.style(f"{story.ruleset} / {story.rule}", bold=True) + sends
        if not story.occasions:
            yield f"  {story.sentence}"
        for occasion in story.occasions[:OCCASIONS]:
            yield from _occasion(occasion)
        if len(story.occasions) > OCCASIONS:
            yield f"  and {len(story.occasions) - OCCASIONS} earlier times (--json has them)"
        if answer.now is not None:
            yield from _now(answer.now, story)


def _who(person: ProfileView) -> Iterator[str]:
    name = full_name(person.traits)
    known = ", ".join(f"{each.kind} {each.value}" for each in person.identities[:5])
    yield (f"{name}  " if name else "") + f"{known}  ({person.id})"
    yield f"in {', '.join(person.segments)}; first of all {person.segment}" if person.segments else "in no segment"


def _occasion(occasion: Occasion) -> Iterator[str]:
    woken = f" on {occasion.event}" if occasion.event else ""
    reason = f": {occasion.reason}" if occasion.reason else ""
    yield f"  {occasion.at}  {occasion.outcome}{woken}{reason}"
    if occasion.because is not None:
        yield from _tree(occasion.because, "    ")
    for message in occasion.messages:
        for change in message.changes:
            reason = f": {change.reason}" if change.reason else ""
            yield f"    {change.at}  {_coloured(change.status)}{reason}"
        yield f"    message {message.send}"


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


def _as_data(answers: list[Answer]) -> list[dict[str, Any]]:
    """Stories as the HTTP API gives them, each with `now`."""
    return [msgspec.to_builtins(answer.story) | {"now": msgspec.to_builtins(answer.now)} for answer in answers]
