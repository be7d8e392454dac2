"""A StateStore in memory: for trials, backtests and tests. Nothing is written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec.structs import replace

from triggerfish.blast import WATCHED, Alarm, Alarmed, Traffic
from triggerfish.clock import DAY, HOUR, Instant
from triggerfish.deliver import OPEN
from triggerfish.engine import Moment, Outcome, Withdrawal, resolve
from triggerfish.instructions import (
    Allow,
    Given,
    Held,
    Hold,
    Release,
    Resolve,
    Suppress,
    Suppression,
    as_listed,
    listed_as,
)
from triggerfish.log import Position
from triggerfish.measure import NAMES, PROOFS
from triggerfish.people import Loaded
from triggerfish.profile import Claim, Profile, Sent
from triggerfish.rules import Fitting
from triggerfish.schedule import Due

_PENDING = frozenset({"scheduled", "due", "retrying", "sending"})


def _place(due: Due) -> tuple[Instant, int]:
    return due.due_at, -due.priority


class MemoryStateStore:
    """A StateStore of plain dicts, which tests may look into. It grows with what it is given."""

    def __init__(self) -> None:
        self.profiles: dict[str, Profile] = {}
        self.owners: dict[Claim, str] = {}
        self.memberships: dict[tuple[str, str], Instant] = {}
        self.sends: dict[str, Due] = {}
        self.hours: Counter[int] = Counter()
        self.moments: list[Moment] = []
        self.suppressions: dict[tuple[str, str], Suppression] = {}
        self.held: dict[tuple[str, str], Held] = {}
        self.handed: list[tuple[str, Instant, Due]] = []
        self.heard: list[tuple[str, str, Instant]] = []
        self.alarms: dict[tuple[str, str, str], Alarmed] = {}
        self.dead_letters: dict[Position, tuple[Instant, str]] = {}
        self._attempts: dict[Position, int] = {}
        self._struck: set[str] = set()
        self._fitted: Fitting = frozenset()
        self._position: Position = 0
        self._until: Instant = 0

    def close(self) -> None:
        """Nothing is open."""

    trouble = ""

    def position(self) -> tuple[Position, Instant]:
        return self._position, self._until

    def attempt(self, position: Position) -> int:
        self._attempts[position] = self._attempts.get(position, 0) + 1
        return self._attempts[position]

    def bury(self, position: Position, cause: str, at: Instant) -> None:
        self.dead_letters[position] = (at, cause)
        self._go_on(position, 0)

    def strike(self, moment: Moment) -> None:
        self._struck.add(moment.profile)
        self.moments.append(moment)
        self._go_on(self._position, 0)

    def load(self, claims: Sequence[Claim], ids: Sequence[str]) -> Loaded:
        owners = self.owners_of(claims)
        unowned = [claim.value for claim in claims if claim.kind == "profile" and claim not in owners]
        wanted = dict.fromkeys([*ids, *owners.values(), *unowned])
        hours = tuple(self.hours.get(hour, 0) for hour in range(24)) if self.hours else ()
        return Loaded({each: self.profiles[each] for each in wanted if each in self.profiles}, owners, hours)

    def owners_of(self, claims: Sequence[Claim]) -> dict[Claim, str]:
        owners: dict[Claim, str] = {}
        for claim in claims:
            owner = self.owners.get(claim)
            while claim.kind == "profile" and owner is not None and Claim("profile", owner) in self.owners:
                owner = self.owners[Claim("profile", owner)]
            if owner is not None:
                owners[claim] = owner
        return owners

    def agenda(self, until: Instant, limit: int) -> list[tuple[Instant, str]]:
        return sorted((at, profile) for at, profile in self._wakes() if at <= until)[:limit]

    def next_due(self) -> Instant | None:
        return min((at for at, _ in self._wakes()), default=None)

    def _wakes(self) -> Iterator[tuple[Instant, str]]:
        for each in self.profiles.values():
            if each.id not in self._struck and (at := each.wake_at) is not None:
                yield at, each.id

    def commit(self, outcome: Outcome, position: Position, until: Instant) -> None:
        self._go_on(position, until)
        for gone, into in outcome.merged.items():
            self._take_in(gone, into)
        self.profiles.update(outcome.profiles)
        self._struck -= outcome.profiles.keys()
        for claim, owner in outcome.owners.items():
            if owner is None:
                self.owners.pop(claim, None)
            else:
                self.owners[claim] = owner
        for change in outcome.memberships:
            if change.since is None:
                self.memberships.pop((change.segment, change.profile), None)
            else:
                self.memberships[change.segment, change.profile] = change.since
        self.hours.update(outcome.hours)
        for due in outcome.sends:
            self._put(due)
        self.moments += outcome.told(self._stop)
        for moment in outcome.moments:
            if moment.kind == "event":
                self._hear(moment)
        for given in outcome.instructions:
            self._carry_out(given)

    def _hear(self, moment: Moment) -> None:
        send, name = moment.body.get("send", ""), moment.body["event"]
        if send in self.sends and all((send, name) != told[:2] for told in self.heard):
            self.heard.append((send, name, moment.at))
        known = self.sends.get(send)
        if name in PROOFS and known is not None and known.status == "uncertain":
            known.status, known.reason = "sent", f"shown by {moment.body['event']}"

    def _carry_out(self, given: Given) -> None:
        match given.instruction:
            case Suppress(address=address, purpose=purpose, reason=reason, note=note):
                key = (as_listed(address), purpose)
                known = self.suppressions.get(key)
                if known is None or known.reason != "hard bounce" or reason == "hard bounce":
                    self.suppressions[key] = Suppression(*key, reason, note, given.by, given.at)
            case Allow(address=address, purpose=purpose):
                self.suppressions.pop((as_listed(address), purpose), None)
            case Hold(ruleset=ruleset, rule=rule, reason=reason):
                self.held.setdefault((ruleset, rule), Held(ruleset, rule, reason, given.by, given.at))
            case Release(ruleset=ruleset, rule=rule):
                self.held.pop((ruleset, rule), None)
            case Resolve(send=send) as asked:
                due = self.sends.get(send)
                moment = None if due is None else resolve(asked, due, given)
                if moment is not None:
                    self.moments.append(moment)

    def suppressed(self, addresses: Collection[str]) -> dict[str, list[Suppression]]:
        found = {
            address: [line for line in self.suppressions.values() if line.address in listed_as(address)]
            for address in addresses
        }
        return {address: lines for address, lines in found.items() if lines}

    def holds(self) -> list[Held]:
        return sorted(self.held.values(), key=lambda held: (held.at, held.ruleset, held.rule))

    def _stop(self, withdrawal: Withdrawal) -> bool:
        known = self.sends.get(withdrawal.send)
        if known is None or known.status not in ("scheduled", "due", "retrying"):
            return False
        known.status, known.profile = "skipped", withdrawal.profile
        known.reason, known.due_at = withdrawal.reason, withdrawal.at
        return True

    def everybody(self, after: str, limit: int) -> list[Profile]:
        return [self.profiles[each] for each in sorted(self.profiles) if each > after][:limit]

    def fitted(self) -> Fitting:
        return self._fitted

    def refit(self, outcome: Outcome) -> None:
        self.commit(outcome, self._position, self._until)

    def note_fitted(self, fitting: Fitting) -> None:
        self._fitted = fitting

    def lanes(self) -> dict[str, Instant]:
        found: dict[str, Instant] = {}
        for due in self.sends.values():
            if due.status in OPEN and not due.call:
                found[due.lane] = min(due.due_at, found.get(due.lane, due.due_at))
        return found

    def to_send(self, now: Instant, limit: int, lanes: Mapping[str, int | None] | None = None) -> list[Due]:
        left = dict.fromkeys(self.lanes()) if lanes is None else dict(lanes)
        found: list[Due] = []
        for due in sorted(self._outgoing(now), key=_place):
            most = left.get(due.lane, 0)
            if due.call or most == 0 or len(found) == limit:
                continue
            left[due.lane] = None if most is None else most - 1
            found.append(replace(due))
        return found

    def handed_over(self, profiles: Collection[str], since: Instant) -> dict[str, list[Sent]]:
        found: dict[str, list[Sent]] = {profile: [] for profile in profiles}
        for due in self.sends.values():
            at = due.handed_at
            is_out = due.status in ("sent", "sending", "uncertain")
            if due.profile in found and at is not None and at > since and is_out:
                is_marketing = due.class_ == "marketing"
                sent = Sent(at, due.ruleset, due.rule, is_marketing, due.purpose, due.channel, due.id)
                found[due.profile].append(sent)
        return {profile: sorted(sent, key=lambda each: each.at) for profile, sent in found.items()}

    def handed_on(self, channel: str, day: int) -> int:
        return sum(1 for way, at, _ in self.handed if way == channel and at // DAY == day)

    def traffic(self, ruleset: str, rule: str, at: Instant) -> Traffic:
        hours = Counter(
            when // HOUR for _, when, due in self.handed
            if (due.ruleset, due.rule, due.class_) == (ruleset, rule, "marketing")
        )  # fmt: skip
        alarms = {kind: alarm for (*of, kind), alarm in self.alarms.items() if tuple(of) == (ruleset, rule)}

        def rate(kind: str, name: str) -> tuple[int, int]:
            since = max(at - WATCHED, alarms[kind].at if kind in alarms else 0) // HOUR
            heard = [self.sends[send] for send, told, when in self.heard if told == name and when // HOUR > since]
            of_rule = [due for due in heard if (due.ruleset, due.rule, due.class_) == (ruleset, rule, "marketing")]
            return sum(count for hour, count in hours.items() if hour > since), len(of_rule)

        now = at // HOUR
        busiest = max((count for hour, count in hours.items() if hour < now), default=0)
        return Traffic(
            hours[now], busiest, rate("complaints", NAMES["complained"]), rate("bounces", NAMES["bounced"]), alarms
        )

    def waiting(self, ruleset: str, rule: str, since: Instant, most: int) -> int:
        of_rule = (due for due in self._outgoing(since + HOUR - 1) if (due.ruleset, due.rule) == (ruleset, rule))
        return min(most, sum(1 for due in of_rule if not due.call and due.due_at >= since))

    def alarm(self, held: Held, cause: Alarm) -> None:
        self.held.setdefault((held.ruleset, held.rule), held)
        self.alarms[held.ruleset, held.rule, cause.kind] = Alarmed(cause.size, held.at)

    def calls_due(self, now: Instant) -> list[str]:
        return sorted({due.call for due in self._outgoing(now) if due.call})

    def to_call(self, action: str, now: Instant, limit: int) -> list[Due]:
        outgoing = [due for due in self._outgoing(now) if due.call == action]
        return [replace(due) for due in sorted(outgoing, key=_place)[:limit]]

    def _outgoing(self, now: Instant) -> Iterator[Due]:
        return (due for due in self.sends.values() if due.status in OPEN and due.due_at <= now)

    def next_send(self) -> Instant | None:
        return min((due.due_at for due in self.sends.values() if due.status in OPEN), default=None)

    def next_call(self) -> Instant | None:
        return min((due.due_at for due in self.sends.values() if due.status in OPEN and due.call), default=None)

    def mark(self, sends: Sequence[Due], moments: Sequence[Moment], given: Sequence[Given] = ()) -> None:
        for due in sends:
            known = self.sends.get(due.id)
            if known is not None:
                self.sends[due.id] = replace(
                    known, channel=due.channel, status=due.status, reason=due.reason, due_at=due.due_at,
                    sent_at=due.sent_at, attempt=due.attempt, address=due.address, lane=due.lane,
                    handed_at=due.handed_at, is_tied=due.is_tied,
                )  # fmt: skip
                if due.status == "sending" and not due.call:
                    self.handed.append((due.channel, due.due_at if due.handed_at is None else due.handed_at, known))
        self.moments += moments
        for each in given:
            self._carry_out(each)

    def in_flight(self) -> list[Due]:
        return [replace(due) for due in self.sends.values() if due.status == "sending"]

    def _go_on(self, position: Position, until: Instant) -> None:
        self._position, self._until = position, max(self._until, until)
        self._attempts = {place: tries for place, tries in self._attempts.items() if place > position}

    def _take_in(self, gone: str, into: str) -> None:
        former = self.profiles.pop(gone, None)
        if former is not None:
            for segment in former.memberships:
                self.memberships.pop((segment, gone), None)
        for due in self.sends.values():
            if due.profile == gone and due.status in _PENDING:
                due.profile = into

    def _put(self, due: Due) -> None:
        known = self.sends.get(due.id)
        if known is None:
            self.sends[due.id] = replace(due)
        elif known.status == "scheduled":
            says_what = due if due.template else known
            self.sends[due.id] = replace(
                due, template=says_what.template, class_=says_what.class_, purpose=says_what.purpose,
                channel=says_what.channel,
            )  # fmt: skip
