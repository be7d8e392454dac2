"""Why not: what led to nothing, seen by deciding a person's past again (retrace.py), told with the values of then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from triggerfish import decisions
from triggerfish.clock import Instant, to_datetime, to_iso
from triggerfish.conditions import View, explain, findings, first_failed
from triggerfish.errors import Busy
from triggerfish.gates import Gate, free_from, gates_of
from triggerfish.ingest import Event
from triggerfish.log import Entry, EventLog
from triggerfish.misses import holds_from, join, nearest
from triggerfish.reads import EventLine, Past, Reads, SegmentLine
from triggerfish.retrace import Refusal, Retraced, Sighting, had_it_matched, positions, retrace
from triggerfish.rules import Rule, Rulebook
from triggerfish.why import Again, GateStory, MessageStory, Missed, Now, Occasion, RuleStory, WhyView, tell_why

LINES = 20_000
"""Lines of a timeline, and so events of a person, that are decided again at most."""
_CHUNK = 1_000
_LATELY = 500


def tell_why_not(
    reads: Reads,
    log: EventLog,
    rulebooks: Callable[[str], Rulebook | None],
    identity: str,
    *,
    now: Instant,
    template: str = "",
    rule: str = "",
    is_late: Callable[[], bool] = lambda: False,
) -> WhyView:
    """What `tell_why` tells, and what was decided to no effect besides; of one template or rule, if given.

    `rulebooks` gives the rulebook of a version, if it is kept; it may raise Busy. `is_late` ends the deciding when it
    takes too long. In both cases the answer says so, and is what was written down. Raises NotFound.
    """
    why = tell_why(reads, identity, template=template, rule=rule)
    version = reads.rulebook().version
    try:
        present = rulebooks(version) if version else None
        if present is None:
            sentence = f"the files of the live rulebook, {version}, are not kept" if version else "no rulebook is live"
            return replace(why, again=Again(is_same=False, doubt=sentence))
        return _with_more(why, reads, log, present, rulebooks, now, is_late)
    except Busy as busy:
        return replace(why, again=Again(is_same=False, doubt=busy.sentence))


def _with_more(
    why: WhyView,
    reads: Reads,
    log: EventLog,
    present: Rulebook,
    rulebooks: Callable[[str], Rulebook | None],
    now: Instant,
    is_late: Callable[[], bool],
) -> WhyView:
    past = reads.past(why.profile.id, LINES)
    keys = [(story.ruleset, story.rule) for story in why.rules if present.rule(story.ruleset, story.rule) is not None]
    retraced = retrace(past, _entries(log, past), rulebooks, present, keys, is_late=is_late)
    stories = [_closer(story, retraced) for story in why.rules]
    stories = [
        story if story.occasions or story.missed or not story.is_live else _with_now(story, reads, past, present, now)
        for story in stories
    ]
    since = to_iso(retraced.doubtful_from) if retraced.doubtful_from else ""
    again = Again(not retraced.doubt, retraced.doubt, since, list(retraced.lacking))
    return replace(why, rules=stories, again=again)


def _entries(log: EventLog, past: Past) -> list[Entry]:
    wanted = positions(past)
    return [entry for at in range(0, len(wanted), _CHUNK) for entry in log.at(wanted[at : at + _CHUNK])]


def _closer(story: RuleStory, retraced: Retraced) -> RuleStory:
    """The story with what deciding again saw of its rule."""
    seen = retraced.sightings.get((story.ruleset, story.rule), ())
    missed = [_missed(sighting) for sighting in reversed(seen)]
    count = retraced.counts.get((story.ruleset, story.rule), 0) if missed else 0
    occasions = [_with_free(occasion, retraced) for occasion in story.occasions]
    sentence = story.sentence
    if missed and not occasions:
        often = "once" if count == 1 else f"{count} times"
        sentence = f"never fired: {missed[0].event} came in vain {often}, last at {missed[0].at}: {missed[0].sentence}"
    return replace(story, occasions=occasions, missed=missed, missed_count=count, sentence=sentence)


# --- the times that nothing came of it --------------------------------------------------------------------------------


def _missed(sighting: Sighting) -> Missed:
    rule, view = sighting.rule, sighting.view
    finding = None if rule.when is None else explain(rule.when.root, view)
    held = finding is None or finding.holds
    failed = "" if finding is None or held else first_failed(finding)
    near = [] if rule.when is None or held else nearest(rule.when, view)
    later = None
    if rule.when is not None and not held:
        later = holds_from(rule.when, view, sighting.rulebook.segments, sighting.rulebook.zones)
    zone = sighting.rulebook.zones.of(view.profile.time_zone)
    return Missed(
        at=to_iso(view.now),
        event=sighting.event.name,
        properties=sighting.event.properties,
        because=None if finding is None else findings(finding),
        failed=failed,
        winner=sighting.winner,
        gates=_gates(sighting, held),
        otherwise=_otherwise(sighting),
        nearest=near,
        holds_from="" if later is None else to_iso(later),
        rulebook=sighting.rulebook.version,
        reigned=sighting.reigned,
        sentence=_sentence(sighting, failed, near, later, zone),
    )


def _sentence(sighting: Sighting, failed: str, near: Sequence[str], later: Instant | None, zone: ZoneInfo) -> str:
    if sighting.winner:
        return f"it matched, but {sighting.winner}, which comes before it in {sighting.rule.ruleset}, was taken"
    said = [f"it did not match: {failed}"]
    if near:
        said.append(join(near))
    if later is not None:
        said.append(f"with the same event it would have matched from {say_instant(later, zone)} on")
    return "; ".join(said)


def _gates(sighting: Sighting, held: bool) -> list[GateStory]:
    """All that the rule's event had to pass, in order. What a wait puts off is told as it was then."""
    rule, view, rulebook = sighting.rule, sighting.view, sighting.rulebook
    is_young = view.now - sighting.event.timestamp <= rule.max_age
    found = [Gate("condition", held), Gate("age of the event", is_young)]
    if rulebook.ruleset(rule.ruleset).mode == "first":
        said = f"{sighting.winner} was taken" if sighting.winner else ""
        found.append(Gate("first of its set", not sighting.winner, said))
    for send in rule.sends[:3]:
        own = gates_of(rule, send, rulebook.policy, view, rulebook.zones, sighting.scene.loaded.hours)
        found += [each for each in own if each not in found]
    zone = rulebook.zones.of(view.profile.time_zone)
    return [
        GateStory(each.gate, each.passed, each.said, "" if each.until is None else say_instant(each.until, zone))
        for each in found
    ]


def _otherwise(sighting: Sighting) -> str:
    """What would have come of it, had it matched: the engine's own answer, in words."""
    moments = had_it_matched(sighting)
    said = []
    for moment in moments:
        body = moment.body
        reason = f": {body['reason']}" if body.get("reason") else ""
        if moment.kind == "decision" and body.get("outcome") in ("waiting", "skipped", "entered", "stopped"):
            said.append(f"{body['outcome']}{reason}")
        elif moment.kind == "send":
            words = {"due": "would have left", "scheduled": "would have been held", "skipped": "would not have left"}
            said.append(f"{body.get('template')} {words.get(str(body.get('status')), str(body.get('status')))}{reason}")
    return "; ".join(said)


# --- messages that were refused ---------------------------------------------------------------------------------------


def _with_free(occasion: Occasion, retraced: Retraced) -> Occasion:
    messages = [_freed(message, retraced.refusals.get(message.send)) for message in occasion.messages]
    return replace(occasion, messages=messages)


def _freed(message: MessageStory, refusal: Refusal | None) -> MessageStory:
    """The message with the instant at which another might have left; only where its gates answer as they did then."""
    if refusal is None or message.status != "skipped" or message.reason != refusal.reason:
        return message
    rule, view, rulebook = refusal.rule, refusal.view, refusal.rulebook
    send = next((each for each in rule.sends if each.template == refusal.template), None)
    if send is None or decisions.weigh(view.profile, rule, send, rulebook.policy, view).reason != refusal.reason:
        return message
    at = free_from(rule, send, rulebook.policy, view, rulebook.zones)
    return (
        message
        if at is None
        else replace(message, free_from=say_instant(at, rulebook.zones.of(view.profile.time_zone)))
    )


# --- what never came --------------------------------------------------------------------------------------------------


def _with_now(story: RuleStory, reads: Reads, past: Past, present: Rulebook, now: Instant) -> RuleStory:
    """The story of a rule whose event never came, with its condition as it is now."""
    rule = present.rule(story.ruleset, story.rule)
    return story if rule is None else replace(story, now=look_now(reads, past, present, rule, now))


def look_now(reads: Reads, past: Past, rulebook: Rulebook, rule: Rule, now: Instant) -> Now:
    """A rule's condition as it is now, with the person's newest event that would wake it."""
    profile = past.profile.copy()
    rulebook.segments.settle(profile, now, rulebook.zones)
    event = _last_trigger(reads, profile.id, rule)
    primary = rulebook.segments.primary(profile.memberships)
    view = View(profile, now, rulebook.zones, event=event, segment=primary)
    because = None if rule.when is None else findings(explain(rule.when.root, view))
    name = "" if event is None else event.name
    return Now(to_iso(now), because is None or bool(because["holds"]), name, because)


def _last_trigger(reads: Reads, profile: str, rule: Rule) -> Event | None:
    """The newest event of the person that would wake the rule, as far as the log still has it."""
    for line in reads.timeline(profile, _LATELY, kinds=("event", "segment")):
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


def say_instant(instant: Instant, zone: ZoneInfo) -> str:
    """`Tuesday 2026-03-03 09:00 (Europe/Berlin)`: the person's own time."""
    return f"{to_datetime(instant).astimezone(zone):%A %Y-%m-%d %H:%M} ({zone.key})"
