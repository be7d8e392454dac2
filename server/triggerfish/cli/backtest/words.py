"""A report as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from triggerfish.rulefile.report import Count, Person, Report, RuleLine, SegmentLine, say_number

SPARKS = "▁▂▃▄▅▆▇█"
WIDEST_SPARK = 40
REASONS = 3
"""Reasons that are printed of a rule; --json has all."""
LONGEST_REASON = 70
_QUIET_OUTCOMES = frozenset({"skipped", "waiting"})


def tell_report(found: Report) -> Iterator[str]:
    """The report, the most telling first."""
    yield (
        f"{found.since[:16]} to {found.until[:16]} UTC, {people(found.people)}, {found.events:,} events"
        + (f" after {found.before:,} earlier ones" if found.before else "")
        + f"; rules of {found.rules_of}."
    )
    to = people(found.busiest.people)
    a_week = say_number(found.a_week)
    yield f"{_messages(found.sent)} to {to}, {a_week} a week; days are those of {found.time_zone}."
    yield ""
    yield from _rules(found.rules)
    yield ""
    yield from _segments(found.segments)
    yield ""
    yield from _counts(found)


def people(count: int) -> str:
    """How many, in words."""
    return "1 person" if count == 1 else f"{count:,} people"


def named(examples: Sequence[Person]) -> str:
    """`user ana (2 messages on 2026-01-31), user bo`."""
    return ", ".join(f"{each.name} ({each.note})" if each.note else each.name for each in examples)


def spark(values: Sequence[int], *, is_size: bool = False) -> str:
    """A small picture of a series, from 0 (▁) to its largest; a long one is shortened to sums, or to the last of each
    stretch when they are sizes.
    """
    step = -(-len(values) // WIDEST_SPARK) or 1
    parts = [values[start : start + step] for start in range(0, len(values), step)]
    shown = [part[-1] if is_size else sum(part) for part in parts]
    top = max(shown, default=0)
    return "".join(SPARKS[(value * (len(SPARKS) - 1) + top - 1) // top if top else 0] for value in shown)


def _rules(rules: Sequence[RuleLine]) -> Iterator[str]:
    telling = [line for line in rules if line.sent or line.skipped or line.outcomes]
    width = max((len(line.name) for line in telling), default=4)
    yield f"{'rule':{width}}  {'sent':>8}  {'a week':>8}  {'people':>8}  by day"
    for line in telling:
        days = spark(line.by_day) if line.sent else ""
        yield (
            f"{click.style(f'{line.name:{width}}', bold=True)}  {line.sent:8,}  {say_number(line.a_week):>8}  "
            f"{line.people:8,}  {days}"
        ).rstrip()
        for told in _of_rule(line):
            yield f"    {told}"
    silent = [line.name for line in rules if line not in telling]
    if silent:
        yield f"Nothing came of: {', '.join(silent)}"


def _of_rule(line: RuleLine) -> Iterator[str]:
    outcomes = [f"{outcome} {count:,}" for outcome, count in line.outcomes.items() if outcome not in _QUIET_OUTCOMES]
    if outcomes and (not line.sent or len(outcomes) > 1):
        yield "; ".join(outcomes)
    if len(line.templates) > 1:
        yield ", ".join(f"{template} {count:,}" for template, count in line.templates.items())
    for skip in line.skipped[:REASONS]:
        reason = skip.reason if len(skip.reason) <= LONGEST_REASON else f"{skip.reason[: LONGEST_REASON - 1]}…"
        yield f"{skip.times:,} not sent, to {people(skip.people)}: {reason}"
    if len(line.skipped) > REASONS:
        rest = sum(skip.times for skip in line.skipped[REASONS:])
        count = len(line.skipped) - REASONS
        yield f"{rest:,} not sent, for {count} more reason{'s' if count > 1 else ''} (--json has all)"
    if line.held:
        yield f"held until they could leave: {line.held:,}"
    if line.waiting:
        yield f"still waiting at the end: {line.waiting:,}"
    if line.examples:
        yield f"e.g. {named(line.examples)}"


def _segments(segments: Sequence[SegmentLine]) -> Iterator[str]:
    width = max((len(line.segment) for line in segments), default=7)
    yield f"{'segment':{width}}  {'start':>8}  {'end':>8}  {'entered':>8}  {'left':>8}  size by day"
    for line in segments:
        yield (
            f"{line.segment:{width}}  {line.start:8,}  {line.end:8,}  {line.entered:8,}  {line.left:8,}  "
            f"{spark(line.by_day, is_size=True)}"
        )


def _counts(found: Report) -> Iterator[str]:
    caps = found.caps
    told = (
        f"Caps hold {_messages(caps.times)} back from {people(caps.people)}" if caps.times else "Caps hold nothing back"
    )
    yield _count(caps, told)
    crowd = people(found.crowded.people) if found.crowded.people else "Nobody"
    yield _count(found.crowded, f"{crowd} would get two messages or more on one day")
    if found.busiest.examples:
        yield f"Most messages: {named(found.busiest.examples)}"


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count:,} messages"


def _count(count: Count, sentence: str) -> str:
    return f"{sentence}: {named(count.examples)}" if count.examples else sentence
