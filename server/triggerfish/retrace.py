"""A person's past, decided again: the same engine over their own events of the log, under the rulebooks that reigned.

What comes of it is held against what was written down at the time and against what is known of the person now. Only
where all of that agrees is it an account of what happened; where it does not, it says since when and in what.

The engine is not changed for this: it is given a matcher that looks on. So what a rule's condition saw, when its event
came and nothing was written down, is seen by the very code that decided.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from triggerfish import refit
from triggerfish.clock import Instant, to_iso
from triggerfish.conditions import View
from triggerfish.engine import Arrival, Moment, Outcome, decide
from triggerfish.health import Reign
from triggerfish.ingest import Event
from triggerfish.log import Entry, Position
from triggerfish.people import Loaded
from triggerfish.profile import MERGE_LIMIT, Claim, Profile
from triggerfish.reads import Noted, Past
from triggerfish.rules import Fitting, Rule, Rulebook

SIGHTINGS_KEPT = 20
"""Of each rule the newest so many are kept; of many rules FEW_KEPT."""
FEW_KEPT = 3
FEW_RULES = 5

_TOO_LONG = "deciding all of it again would take too long"

Key = tuple[str, str]
"""Rule set and rule."""
Told = tuple[Instant, str, Any]
"""A line of a timeline as it is compared: instant, kind, and what it says without the rulebook's version."""


class Scene(Struct, frozen=True):
    """What one step of deciding again was given."""

    arrivals: tuple[Arrival, ...]
    loaded: Loaded
    now: Instant


class Sighting(Struct, frozen=True):
    """A rule's event came, and nothing was written down: its condition did not hold, or another rule of its set came
    first (`winner`). `view` is what the condition saw. `rulebook` is what it was looked at with; `reigned` says whether
    that is known to be the one that was live.
    """

    rule: Rule
    view: View
    event: Event
    winner: str
    rulebook: Rulebook
    reigned: bool
    scene: Scene


class Refusal(Struct, frozen=True):
    """A message was not let go; `view` is how the person was right after."""

    rule: Rule
    template: str
    reason: str
    view: View
    rulebook: Rulebook


class Retraced(Struct, frozen=True):
    """What deciding again saw. `doubt` says why it is no account of what happened, or not from `doubtful_from` on;
    empty when all agrees. `sightings` are the newest of each rule, oldest first, `counts` how many there were in all;
    `refusals` are known by the send's id. `lacking` are versions of the rulebook that are not kept.
    """

    sightings: Mapping[Key, Sequence[Sighting]] = {}
    counts: Mapping[Key, int] = {}
    refusals: Mapping[str, Refusal] = {}
    lacking: Sequence[str] = ()
    doubt: str = ""
    doubtful_from: Instant = 0


def retrace(
    past: Past,
    entries: Sequence[Entry],
    rulebooks: Callable[[str], Rulebook | None],
    present: Rulebook,
    rules: Collection[Key],
    *,
    is_late: Callable[[], bool] = lambda: False,
) -> Retraced:
    """Decide a person's past again and look at these rules.

    `entries` are the log's at the positions that `past` names. `rulebooks` gives one of an earlier version, if it is
    kept; where it is not, `present` takes its place. `is_late` is asked between events.
    """
    doubt = _unfit(past, entries)
    if doubt:
        return Retraced(doubt=doubt)
    again = _Again(rules, past.hours)
    reigns = deque(past.reigns or [Reign(0, 0, "")])
    if reigns[0].position:
        reigns.appendleft(Reign(0, 0, ""))
    at_of = {line.position: line.at for line in past.lines if line.position}
    lacking: dict[str, None] = {}

    def change(reign: Reign, rulebook: Rulebook | None) -> None:
        if rulebook is None and reign.version:
            lacking[reign.version] = None
        behind = [entry for entry in entries if entry.position <= reign.position]
        again.begin(rulebook or present, rulebook is not None, behind, reign)

    def rulebook_of(reign: Reign) -> Rulebook | None:
        return present if reign.version == present.version else rulebooks(reign.version) if reign.version else None

    for entry in entries:
        while reigns and reigns[0].position < entry.position and not is_late():
            reign = reigns.popleft()
            change(reign, rulebook_of(reign))
        if is_late():
            return Retraced(doubt=_TOO_LONG)
        again.arrive(Arrival(entry.position, at_of[entry.position], entry.event))
    for reign in reigns:
        if is_late():
            return Retraced(doubt=_TOO_LONG)
        change(reign, rulebook_of(reign))
    again.pass_time(past.until)
    return again.judge(past, list(lacking))


def _unfit(past: Past, entries: Sequence[Entry]) -> str:
    """Why there is no deciding again, if so."""
    if not past.is_whole:
        return f"more than {len(past.lines)} lines are written down, too many to decide again"
    wanted = {line.position for line in past.lines if line.position}
    gone = len(wanted) - len(entries)
    if gone:
        return f"the log does not hold {gone} of the {len(wanted)} events any more"
    if len(past.profile.merges) >= MERGE_LIMIT:
        return "more profiles became part of this one than it remembers"
    return ""


class _Again:
    """The deciding, event by event, and what it saw."""

    def __init__(self, rules: Collection[Key], hours: Sequence[int]) -> None:
        self.rules = frozenset(rules)
        self.hours = hours
        self.most = SIGHTINGS_KEPT if len(self.rules) <= FEW_RULES else FEW_KEPT
        self.profiles: dict[str, Profile] = {}
        self.owners: dict[Claim, str] = {}
        self.moments: list[Moment] = []
        self.sightings: dict[Key, deque[Sighting]] = {}
        self.counts: dict[Key, int] = {}
        self.refusals: dict[str, Refusal] = {}
        self.fitted: Fitting = frozenset()
        self.until: Instant = 0

    def begin(self, rulebook: Rulebook, reigned: bool, entries: Sequence[Entry], reign: Reign) -> None:
        """Another rulebook takes over; people are fitted to it as the worker does (walk.fit)."""
        if self.profiles:
            self.pass_time(reign.until)
        self.rulebook, self.reigned = rulebook, reigned
        self.watched = _watched(rulebook, self.see)
        gap = refit.gap(rulebook, self.fitted)
        fresh = gap.activities
        if reign.position and fresh:
            self.keep(refit.only(refit.forget(list(self.profiles.values()), fresh)))
            self.keep(refit.only(refit.fill(entries, self.loaded, fresh, reign.until, refit.Seen())))
        if gap.settles:
            self.keep(refit.settle(list(self.profiles.values()), rulebook, reign.until, given=gap))
        self.fitted = rulebook.fitting

    @property
    def loaded(self) -> Loaded:
        return Loaded(dict(self.profiles), dict(self.owners), self.hours)

    def arrive(self, arrival: Arrival) -> None:
        self.play(Scene((arrival,), self.loaded, arrival.at))

    def pass_time(self, until: Instant) -> None:
        self.play(Scene((), self.loaded, until))

    def play(self, scene: Scene) -> None:
        self.scene = scene
        self.keep(decide(scene.arrivals, scene.loaded, self.watched, scene.now))

    def keep(self, outcome: Outcome) -> None:
        for gone in outcome.merged:
            self.profiles.pop(gone, None)
        self.profiles.update(outcome.profiles)
        for claim, owner in outcome.owners.items():
            if owner is None:
                self.owners.pop(claim, None)
            else:
                self.owners[claim] = owner
        self.moments += outcome.moments
        for moment in outcome.moments:
            if moment.kind == "send" and moment.body.get("status") == "skipped":
                self.refuse(moment)

    def see(self, view: View, woken: Sequence[Rule]) -> None:
        """An event is about to wake rules; those that listen and do not wake are what we are here for."""
        event = view.event
        if event is None:
            return
        names = {(rule.ruleset, rule.name) for rule in woken}
        for key in self.rules - names:
            rule = self.rulebook.rule(*key)
            if rule is None or event.name not in rule.on:
                continue
            winner = next((other.name for other in woken if other.ruleset == rule.ruleset), "")
            if rule.when is not None and not rule.when.holds(view):
                winner = ""
            seen = View(
                view.profile.copy(), view.now, self.rulebook.zones, event=event,
                segments=dict(view.segments), segment=view.segment,
            )  # fmt: skip
            sighting = Sighting(rule, seen, event, winner, self.rulebook, self.reigned, self.scene)
            self.sightings.setdefault(key, deque(maxlen=self.most)).append(sighting)
            self.counts[key] = self.counts.get(key, 0) + 1

    def refuse(self, moment: Moment) -> None:
        """Remember how the person was when a message of these rules was not let go."""
        ruleset, _, name = str(moment.body.get("rule", "")).partition(" / ")
        rule = self.rulebook.rule(ruleset, name)
        profile = self.profiles.get(moment.profile)
        if rule is None or profile is None or (ruleset, name) not in self.rules:
            return
        segment = self.rulebook.segments.primary(profile.memberships)
        view = View(profile.copy(), moment.at, self.rulebook.zones, segment=segment)
        self.refusals[str(moment.body["send"])] = Refusal(
            rule, str(moment.body.get("template", "")), str(moment.body.get("reason", "")), view, self.rulebook
        )

    def judge(self, past: Past, lacking: Sequence[str]) -> Retraced:
        """Hold it against what was written down."""
        doubt, since = difference(past.lines, self.moments)
        if not doubt:
            doubt = _other_than(past.profile, self.profiles)
        if doubt and lacking:
            doubt += f"; the rulebook {' and '.join(lacking)}, which was live then, is not kept"
        sure = {
            key: [each for each in seen if not doubt or each.view.now < since] for key, seen in self.sightings.items()
        }
        return Retraced(
            sightings={key: seen for key, seen in sure.items() if seen},
            counts=self.counts,
            refusals={send: each for send, each in self.refusals.items() if not doubt or each.view.now < since},
            lacking=lacking,
            doubt=doubt,
            doubtful_from=since,
        )


def had_it_matched(sighting: Sighting) -> list[Moment]:
    """What the engine would have written down of the rule at that instant, had its condition held and no other rule of
    its set come first; all else as it was.
    """
    rule, match = sighting.rule, sighting.rulebook.match
    is_first_only = sighting.rulebook.ruleset(rule.ruleset).mode == "first"

    def as_if(view: View) -> list[Rule]:
        woken = match(view)
        is_it = view.event is not None and view.event.message_id == sighting.event.message_id
        if not is_it or view.now != sighting.view.now or rule in woken:
            return woken
        return [other for other in woken if not (is_first_only and other.ruleset == rule.ruleset)] + [rule]

    scene = sighting.scene
    outcome = decide(scene.arrivals, scene.loaded, _with_matcher(sighting.rulebook, as_if), scene.now)
    before = {(moment.at, msgspec.json.encode(moment.body)) for moment in _plainly(sighting)}
    return [
        moment
        for moment in outcome.moments
        if moment.at == sighting.view.now
        and moment.body.get("rule") == rule.full_name
        and (moment.at, msgspec.json.encode(moment.body)) not in before
    ]


def _plainly(sighting: Sighting) -> Sequence[Moment]:
    scene = sighting.scene
    return decide(scene.arrivals, scene.loaded, sighting.rulebook, scene.now).moments


def _watched(rulebook: Rulebook, see: Callable[[View, Sequence[Rule]], None]) -> Rulebook:
    """The same rulebook, with somebody looking on."""
    match = rulebook.match

    def look_on(view: View) -> list[Rule]:
        woken = match(view)
        see(view, woken)
        return woken

    return _with_matcher(rulebook, look_on)


class _Matching(Protocol):
    def __call__(self, view: View) -> list[Rule]: ...


def _with_matcher(rulebook: Rulebook, match: _Matching) -> Rulebook:
    changed = copy(rulebook)
    changed.match = match
    return changed


# --- holding it against what was written down -------------------------------------------------------------------------


def difference(lines: Iterable[Noted], moments: Iterable[Moment]) -> tuple[str, Instant]:
    """The first thing in which what was written down and what was decided again are not the same, in words, and its
    instant; ("", 0) if they are.
    """
    ours: dict[str, list[Told]] = {}
    theirs: dict[str, list[Told]] = {}
    for moment in moments:
        _tell(ours, moment.profile, moment.at, moment.kind, msgspec.json.decode(msgspec.json.encode(moment.body)))
    for line in lines:
        _tell(theirs, line.profile, line.at, line.kind, line.body)
    first: tuple[Instant, str] | None = None
    for profile in ours.keys() | theirs.keys():
        mine, noted = ours.get(profile, []), theirs.get(profile, [])
        for place in range(max(len(mine), len(noted))):
            one = mine[place] if place < len(mine) else None
            other = noted[place] if place < len(noted) else None
            if one != other:
                at = min(each[0] for each in (one, other) if each is not None)
                if first is None or at < first[0]:
                    first = (at, f"written down was {_words(other)}; deciding again gives {_words(one)}")
                break
    return ("", 0) if first is None else (first[1], first[0])


_COMPARED = ("decision", "segment", "merge")
"""What the engine alone writes. Of messages the delivery writes too, and the decisions say what comes of them."""


def _tell(told: dict[str, list[Told]], profile: str, at: Instant, kind: str, body: Mapping[str, Any]) -> None:
    if kind in _COMPARED:
        said = {name: value for name, value in body.items() if name != "rulebook"}
        told.setdefault(profile, []).append((at, kind, said))


def _words(told: Told | None) -> str:
    if told is None:
        return "nothing"
    at, kind, body = told
    said = {
        "segment": f"{body.get('change')} segment {body.get('segment')}",
        "merge": f"profile {body.get('profile')} taken in",
    }.get(kind) or f"rule {body.get('rule', '?')}: {body.get('outcome')} on {body.get('event', '?')}"
    reason = f" ({body['reason']})" if body.get("reason") else ""
    return f"{said}{reason} at {to_iso(at)}"


_NOT_COMPARED = frozenset({"id", "identities", "seen", "recheck_at", "alarm_at", "merges"})
"""Names may go over to others, whose events are not decided again; the rest is when to look again, and for repeats."""


def _other_than(known: Profile, profiles: Mapping[str, Profile]) -> str:
    """In what the person is another one now than deciding again makes them; empty if in nothing."""
    ours = profiles.get(known.id)
    if ours is None:
        return "deciding again makes another profile of it"
    for field in known.__struct_fields__:
        is_same = field in _NOT_COMPARED or getattr(known, field) == getattr(ours, field)
        if not is_same:
            return f"what is known of the person now ({field}) is not what deciding again gives"
    return ""


def positions(past: Past) -> list[Position]:
    """Where in the log the person's events are, in order."""
    return sorted({line.position for line in past.lines if line.position})
