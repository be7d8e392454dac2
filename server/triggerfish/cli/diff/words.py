"""A diff as lines for a terminal, and as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator

import click

from triggerfish.cli.backtest.words import named, people
from triggerfish.rulefile.report import Count, DiffReport, EffectReport, Report, SegmentEffect, say_number

_COLOURS = {"added": "green", "removed": "red", "changed": "yellow"}


def tell_diff(found: DiffReport) -> Iterator[str]:
    """The definitions first, then what they do."""
    yield f"From {found.old} to {found.new}:"
    for change in found.changes:
        place = f"  ({change.place})" if change.place else ""
        yield "  " + click.style(change.sentence, fg=_COLOURS[change.change]) + place
        for detail in change.details:
            yield f"      {detail}"
    yield from _rest(found)
    effect, before, after = found.effect, found.before, found.after
    if effect is None or before is None or after is None:
        return
    yield ""
    yield f"{_period(after)}:"
    yield click.style(effect.summary, bold=True)
    yield from _tables(effect, before, after)


def _tables(effect: EffectReport, before: Report, after: Report) -> Iterator[str]:
    width = max((len(each.segment) for each in effect.segments), default=0)
    if effect.segments:
        yield ""
        yield f"{'segment, at the end':{max(width, 19)}}  {'before':>8}  {'after':>8}"
    for segment in effect.segments:
        yield (
            f"{segment.segment:{max(width, 19)}}  {segment.before:8,}  {segment.after:8,}  {_turn(segment)}".rstrip()
        )
        yield from (f"    {told}" for told in _who(segment))
    width = max((len(each.name) for each in effect.rules), default=0)
    yield ""
    yield f"{'messages':{max(width, 12)}}  {'before':>8}  {'after':>8}  {'a week':>8}"
    for rule in effect.rules:
        yield f"{rule.name:{max(width, 12)}}  {rule.before:8,}  {rule.after:8,}  {_signed(rule.a_week):>8}"
    yield f"{'all':{max(width, 12)}}  {before.sent:8,}  {after.sent:8,}  {_signed(effect.a_week):>8}"
    yield ""
    yield from _people_lines(effect, before, after)


def tell_markdown(found: DiffReport) -> Iterator[str]:
    """For the description or a comment of a pull request."""
    yield f"### Rules: {_escaped(found.old)} → {_escaped(found.new)}"
    yield ""
    effect, before, after = found.effect, found.before, found.after
    if effect is not None:
        yield f"**{_escaped(effect.summary)}**"
        yield ""
    for change in found.changes:
        place = f" (`{change.place}`)" if change.place else ""
        yield f"- {_escaped(change.sentence)}{place}"
        for detail in change.details:
            yield f"  - {_escaped(detail)}"
    for line in _rest(found):
        yield f"- {_escaped(line)}"
    if effect is None or before is None or after is None:
        return
    yield ""
    yield f"{_period(after)}:"
    if effect.segments:
        yield ""
        yield "| segment, at the end | before | after | enter | leave | for example |"
        yield "| --- | --: | --: | --: | --: | --- |"
    for segment in effect.segments:
        yield (
            f"| {_escaped(segment.segment)} | {segment.before:,} | {segment.after:,} | {segment.entered.people:,} | "
            f"{segment.left.people:,} | {_escaped(named((*segment.entered.examples, *segment.left.examples)))} |"
        )
    yield ""
    yield "| messages | before | after | a week |"
    yield "| --- | --: | --: | --: |"
    for rule in effect.rules:
        yield f"| {_escaped(rule.name)} | {rule.before:,} | {rule.after:,} | {_signed(rule.a_week)} |"
    yield f"| all | {before.sent:,} | {after.sent:,} | {_signed(effect.a_week)} |"
    yield ""
    for line in _people_lines(effect, before, after):
        yield f"- {_escaped(line)}"


def _rest(found: DiffReport) -> Iterator[str]:
    if not found.changes:
        yield "The definitions say the same, so nothing was played."
    if found.templates:
        yield f"Other contents, which are not compared here: templates {', '.join(found.templates)}"


def _period(after: Report) -> str:
    earlier = f" and {after.before:,} before" if after.before else ""
    return (
        f"Played from {after.since[:16]} to {after.until[:16]} UTC, {people(after.people)}, {after.events:,} events"
        f"{earlier}"
    )


def _turn(segment: SegmentEffect) -> str:
    entered, left = segment.entered.people, segment.left.people
    return ", ".join([f"+{entered:,} enter"] * bool(entered) + [f"-{left:,} leave"] * bool(left))


def _who(segment: SegmentEffect) -> Iterator[str]:
    for word, count in (("enter", segment.entered), ("leave", segment.left)):
        if count.examples:
            yield f"{word}, e.g. {named(count.examples)}"


def _people_lines(effect: EffectReport, before: Report, after: Report) -> Iterator[str]:
    for word, count in (("more", effect.more), ("fewer", effect.fewer)):
        if count.people:
            yield _line(f"{people(count.people)} would get {word} messages", count)
    crowd = people(effect.crowded.people) if effect.crowded.people else "Nobody"
    yield _line(f"{crowd} would get two in one day who did not before", effect.crowded)
    yield f"Caps hold {after.caps.times:,} messages back; before it was {before.caps.times:,}"


def _line(sentence: str, count: Count) -> str:
    return f"{sentence}: {named(count.examples)}" if count.examples else sentence


def _signed(number: float) -> str:
    return f"{'+' if number > 0 else ''}{say_number(number)}"


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is: names come from rule files and from outside."""
    for mark in "\\`*_{}[]<>|#":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
