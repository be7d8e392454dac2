"""Reads over the state's SQLite file, on a connection that cannot write. In WAL mode readers and the worker do not wait
for one another.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from triggerfish.adapters.outline import OutlineFile
from triggerfish.adapters.sqlite import opened, tallies, timelines
from triggerfish.adapters.sqlite.health import read_days, read_reigns, read_times
from triggerfish.adapters.sqlite.instructions import held_rules, holds
from triggerfish.adapters.sqlite.timelines import Line
from triggerfish.adapters.sqlite.trouble import reports_trouble
from triggerfish.clock import Instant, to_iso
from triggerfish.consent import Consent
from triggerfish.errors import NotFound, SettingsWrong
from triggerfish.health import HoldView, RuleHealth, tell_health
from triggerfish.ingest import Event
from triggerfish.instructions import listed_as
from triggerfish.log import EventLog, Position
from triggerfish.profile import Profile, suppression_of
from triggerfish.reads import (
    LONGEST_PAGE,
    REASONS_OF,
    ConsentView,
    DeadLetterView,
    HappenedView,
    IdentityView,
    Kind,
    MemberView,
    Noted,
    Past,
    ProfileView,
    ReasonView,
    RulebookOutline,
    RuleView,
    SegmentView,
    SendDetails,
    SendView,
    StatusView,
    SuppressionView,
    TimelineLine,
    has_segment,
    primary_segment,
    with_counts,
)
from triggerfish.schedule import Status

_PROFILE = msgspec.msgpack.Decoder(Profile)
_EVENT = msgspec.msgpack.Decoder(Event)

_KINDS = ("profile", "user", "anonymous", "email")
"""In the order in which a name is looked up."""
_SENDS = "SELECT id, profile, ruleset, rule, template, channel, status, reason, due_at, sent_at FROM sends"
_NEWEST = 2**63 - 1
_REASONS = """
    SELECT ruleset, rule, status, said, number FROM (
        SELECT ruleset, rule, status, said, count(*) AS number,
            row_number() OVER (PARTITION BY ruleset, rule ORDER BY count(*) DESC, said) AS place
        FROM (SELECT ruleset, rule, status,
                CASE instr(reason, ' (it is ') WHEN 0 THEN reason
                ELSE substr(reason, 1, instr(reason, ' (it is ') - 1) END AS said
            FROM sends INDEXED BY unsent WHERE status IN ('skipped', 'failed', 'uncertain')
            ORDER BY number DESC LIMIT ?)
        GROUP BY ruleset, rule, status, said)
    WHERE place <= 3 ORDER BY number DESC, said
"""
_KIND_WORDS = {"profile", "user", "anonymous", "email", "userId", "anonymousId"}


@reports_trouble("the state")
class SqliteReads:
    """Reads over the state in the file `path`; events' contents come from `log`, the segments' tree from the file
    `rulebook`, in which the supervisor describes the live rulebook.

    May be called from any thread; calls wait for one another. Raises SettingsWrong (TF412) when the file is no state.
    """

    def __init__(self, path: Path, log: EventLog, rulebook: Path) -> None:
        self._log = log
        self._rulebook = OutlineFile(rulebook)
        self._lock = Lock()
        uri = f"{path.absolute().as_uri()}?mode=ro"
        try:
            self._db = sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None, check_same_thread=False)
            self._db.execute("SELECT position FROM progress")
        except sqlite3.Error as error:
            raise SettingsWrong(f"{path} is no Triggerfish state: {error}", code="TF412") from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # --- people -------------------------------------------------------------------------------------------------------

    def profile(self, identity: str) -> ProfileView:
        with self._snapshot():
            profile = self._find(identity)
        segments = list(profile.memberships)
        return ProfileView(
            id=profile.id,
            identities=[IdentityView(held.kind, held.value) for held in profile.identities],
            traits={name: trait.value for name, trait in profile.traits.items() if trait.value is not None},
            segments=segments,
            segment=primary_segment(self._rulebook(), segments),
            updated_at=to_iso(profile.updated_at),
            consent={purpose: _consent(word) for purpose, word in profile.consent.items()},
            suppressed=suppression_of(profile),
        )

    def stored(self, identity: str) -> Profile:
        with self._snapshot():
            return self._find(identity)

    def timeline(
        self, identity: str, limit: int, before: int | None = None, kinds: Collection[Kind] = ()
    ) -> list[TimelineLine]:
        with self._snapshot():
            ids = _ids_of(self._find(identity))
            lines = timelines.newest(self._db, ids, min(limit, LONGEST_PAGE), before, kinds)
        return self._lines(lines)

    def past(self, identity: str, limit: int) -> Past:
        with self._snapshot():
            profile = self._find(identity)
            found = list(timelines.oldest(self._db, _ids_of(profile), limit + 1))
            position, until = self._all("SELECT position, until FROM progress")[0]
            reigns = read_reigns(self._db)
            hours = opened.hours(self._db)
        lines = [Noted(line.at, line.profile, line.kind, line.position, line.body) for line in found[:limit]]
        return Past(profile, lines, position, until, reigns, is_whole=len(found) <= limit, hours=hours)

    def happened(self, identity: str) -> list[HappenedView]:
        counts: dict[str, tuple[int, Instant]] = {}
        with self._snapshot():
            for line in timelines.oldest(self._db, _ids_of(self._find(identity))):
                if line.kind in ("event", "segment"):
                    body = line.body
                    name = body["event"] if line.kind == "event" else f"segment.{body['change']}"
                    # Put anew, so that what happened last stands last.
                    count, at = counts.pop(name, (0, 0))
                    counts[name] = (count + 1, max(at, line.at))
        last_first = islice(reversed(counts.items()), LONGEST_PAGE)
        return [HappenedView(name, count, to_iso(at)) for name, (count, at) in last_first]

    def recent(self, limit: int) -> list[TimelineLine]:
        with self._snapshot():
            lines = timelines.latest(self._db, min(limit, LONGEST_PAGE))
        return self._lines(lines)

    def _lines(self, lines: Sequence[Line]) -> list[TimelineLine]:
        events = {
            each.position: each.event for each in self._log.at([line.position for line in lines if line.position])
        }
        return [_line(line, events.get(line.position)) for line in lines]

    def _find(self, identity: str) -> Profile:
        """Within a snapshot. A userId may have a colon in it, so the whole text is tried first."""
        found = self._named(identity, _KINDS)
        kind, colon, value = identity.partition(":")
        if not found and colon and kind in _KIND_WORDS:
            found = self._named(value, (kind.removesuffix("Id"),))
        if not found:
            raise NotFound(
                f'nobody is known as "{identity}"', hint="try a userId, an anonymousId, an email or a profile id"
            )
        profile: Profile = _PROFILE.decode(found[0][0])
        return profile

    def _named(self, name: str, kinds: Sequence[str]) -> list[tuple[Any, ...]]:
        found = self._all("SELECT profile FROM profiles WHERE id = ?", name) if "profile" in kinds else []
        for kind in () if found else kinds:
            value = name.strip().lower() if kind == "email" else name
            owners = self._all("SELECT profile FROM identities WHERE kind = ? AND value = ?", kind, value)
            if owners:
                return self._all(_FOLLOWED, owners[0][0])
        return found

    # --- sends --------------------------------------------------------------------------------------------------------

    def sends(
        self,
        *,
        profile: str | None = None,
        status: Status | None = None,
        template: str | None = None,
        rule: str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[SendView]:
        tests, values = ["1"], list[Any]()
        with self._snapshot():
            if profile is not None:
                try:
                    ids = _ids_of(self._find(profile))
                except NotFound:
                    return []
                tests.append(f"profile IN ({_marks(ids)})")
                values += ids
            ruleset, slash, name = (rule or "").partition("/")
            of_rule = (ruleset.strip(), name.strip()) if slash else (None, rule)
            named = (("status", status), ("template", template), ("ruleset", of_rule[0]), ("rule", of_rule[1]))
            for column, value in named:
                if value is not None:
                    tests.append(f"{column} = ?")
                    values.append(value)
            if before is not None:
                known = self._all("SELECT number FROM sends WHERE id = ?", before)
                if not known:
                    raise NotFound(f'there is no send "{before}" to read on from')
                tests.append("number < ?")
                values.append(known[0][0])
            where = " AND ".join(tests)
            rows = self._all(f"{_SENDS} WHERE {where} ORDER BY number DESC LIMIT ?", *values, min(limit, LONGEST_PAGE))
        return [_send(*row) for row in rows]

    def send(self, send_id: str) -> SendDetails:
        with self._snapshot():
            found = self._all(f"{_SENDS} WHERE id = ?", send_id)
            if not found:
                raise NotFound(f'there is no send "{send_id}"')
            more = self._all("SELECT class, purpose, address, attempt, trigger FROM sends WHERE id = ?", send_id)[0]
            try:
                ids = _ids_of(self._find(found[0][1]))
            except NotFound:
                ids = [found[0][1]]
            told = timelines.oldest(self._db, ids)
            history = [line for line in told if line.kind in ("send", "event") and line.body.get("send") == send_id]
        class_, purpose, address, attempt, trigger = more
        event = None if trigger is None else _EVENT.decode(trigger)
        return SendDetails(
            **msgspec.structs.asdict(_send(*found[0])),
            class_=class_,
            purpose=purpose,
            address=address,
            attempt=attempt,
            event=None if event is None else event.name,
            properties={} if event is None else event.properties,
            history=self._lines(history[: -LONGEST_PAGE - 1 : -1]),
        )

    def results(self) -> list[RuleView]:
        with self._snapshot():
            counted = self._all("SELECT ruleset, rule, status, heard, count FROM tallies WHERE count > 0")
            said = self._all(_REASONS, REASONS_OF)
        sends: dict[tuple[str, str], Counter[str]] = {}
        heard: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for ruleset, rule, status, bits, count in counted:
            sends.setdefault((ruleset, rule), Counter())[status] += count
            if status == "sent":
                heard.setdefault((ruleset, rule), []).append((bits, count))
        reasons: dict[tuple[str, str], list[ReasonView]] = {}
        for ruleset, rule, *reason in said:
            reasons.setdefault((ruleset, rule), []).append(ReasonView(*reason))
        return [
            RuleView(*group, dict(counts), tallies.came_to(heard.get(group, ())), reasons.get(group, []))
            for group, counts in sorted(sends.items())
        ]

    # --- the rulebook -------------------------------------------------------------------------------------------------

    def rulebook(self) -> RulebookOutline:
        return self._rulebook()

    # --- the suppression list -----------------------------------------------------------------------------------------

    def suppressions(self, limit: int, after: str | None = None, address: str | None = None) -> list[SuppressionView]:
        named = listed_as(address) if address is not None else ()
        where = f"address IN ({_marks(named)}) AND" if named else ""
        last, _, purpose = (after or "").partition(" ")
        with self._snapshot():
            rows = self._all(
                "SELECT address, purpose, reason, note, given_by, at FROM suppressions "  # noqa: S608
                f"WHERE {where} (address, purpose) > (?, ?) "
                "ORDER BY address, purpose LIMIT ?",
                *named, last, purpose, min(limit, LONGEST_PAGE),
            )  # fmt: skip
        return [
            SuppressionView(address, reason, to_iso(at), purpose, note, by)
            for address, purpose, reason, note, by, at in rows
        ]

    # --- segments -----------------------------------------------------------------------------------------------------

    def segments(self) -> list[SegmentView]:
        with self._snapshot():
            counts = dict(self._all("SELECT segment, count FROM headcounts"))
        return with_counts(self._rulebook().segments, counts)

    def members(self, segment: str, limit: int, after: str | None = None) -> list[MemberView]:
        with self._snapshot():
            rows = self._all(
                "SELECT profile, since FROM memberships WHERE segment = ? AND profile > ? ORDER BY profile LIMIT ?",
                segment, after or "", min(limit, LONGEST_PAGE),
            )  # fmt: skip
        if not rows and not has_segment(self._rulebook(), segment):
            raise NotFound(f'there is no segment "{segment}"')
        return [MemberView(profile, to_iso(since)) for profile, since in rows]

    def health(self) -> list[RuleHealth]:
        said = {(ruleset.name, rule.name): rule.said for ruleset in self._rulebook().rulesets for rule in ruleset.rules}
        with self._snapshot():
            days, times, reigns = read_days(self._db), read_times(self._db), read_reigns(self._db)
            until = self._all("SELECT until FROM progress")[0][0]
            held = {(each.ruleset, each.rule): each.reason or f"by {each.by}" for each in holds(self._db)}
        health = tell_health(said, days, times, reigns, until)
        return [
            msgspec.structs.replace(
                each,
                said=said[each.ruleset, each.rule],
                held=held.get((each.ruleset, each.rule)) or held.get((each.ruleset, ""), ""),
            )
            for each in health
        ]

    def holds(self) -> list[HoldView]:
        with self._snapshot():
            return held_rules(self._db)

    # --- the whole ----------------------------------------------------------------------------------------------------

    def status(self) -> StatusView:
        with self._snapshot():
            position, until = self._all("SELECT position, until FROM progress")[0]
            profiles = self._all("SELECT count FROM headcounts WHERE segment = ''")[0][0]
            dead_letters = self._all("SELECT count(*) FROM dead_letters")[0][0]
            counts = self._all("SELECT status, sum(count) FROM tallies GROUP BY status HAVING sum(count) > 0")
        # The log is asked after the state, so that the lag is never less than none.
        head, _ = self._log.head()
        return StatusView(
            events=head,
            lag=head - position,
            decided_until=to_iso(until),
            profiles=profiles,
            dead_letters=dead_letters,
            sends=dict(counts),
        )

    def dead_letters(self, limit: int, before: Position | None = None) -> list[DeadLetterView]:
        end = _NEWEST if before is None else before
        with self._snapshot():
            rows = self._all(
                "SELECT position, at, cause FROM dead_letters WHERE position < ? ORDER BY position DESC LIMIT ?",
                end, min(limit, LONGEST_PAGE),
            )  # fmt: skip
        events = {each.position: each.event for each in self._log.at([row[0] for row in rows])}
        return [
            DeadLetterView(position, to_iso(at), cause, msgspec.to_builtins(events.get(position)))
            for position, at, cause in rows
        ]

    # --- the connection -----------------------------------------------------------------------------------------------

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Within it, all that is read is of one instant."""
        with self._lock:
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                if self._db.in_transaction:
                    self._db.execute("COMMIT")

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._db.execute(query, values).fetchall()


_FOLLOWED = """
    WITH RECURSIVE chain (id) AS (
        SELECT ? UNION SELECT profile FROM identities JOIN chain ON kind = 'profile' AND value = chain.id
    )
    SELECT profile FROM profiles WHERE id IN (SELECT id FROM chain)
"""
"""The profile that an owner's id leads to, through profiles that became part of one another."""


def _consent(word: Consent) -> ConsentView:
    facts = msgspec.structs.asdict(word)
    return ConsentView(**{each: facts[each] for each in ConsentView.__struct_fields__} | {"at": to_iso(word.at)})


def _marks(values: Collection[Any]) -> str:
    """Question marks for so many values."""
    return ",".join("?" * len(values))


def _ids_of(profile: Profile) -> list[str]:
    """The profile's id and those of the profiles that became part of it."""
    return list(dict.fromkeys((profile.id, *(merge.profile for merge in profile.merges))))


def _send(
    id_: str, profile: str, ruleset: str, rule: str, template: str, channel: str, status: Status, reason: str,
    due_at: Instant, sent_at: Instant | None,
) -> SendView:  # fmt: skip
    sent = None if sent_at is None else to_iso(sent_at)
    return SendView(id_, profile, ruleset, rule, template, channel, status, reason, to_iso(due_at), sent)


def _line(line: Line, event: Event | None) -> TimelineLine:
    data = line.body
    if line.kind == "merge":
        data["merged"] = data.pop("profile")
    data |= {"kind": line.kind, "id": line.number, "at": to_iso(line.at), "profile": line.profile}
    if line.kind == "event" and event is not None:
        data |= {
            "happened_at": to_iso(event.timestamp),
            "message_id": event.message_id,
            "properties": event.properties,
            "traits": event.traits,
            "context": event.context,
        }
    shown: TimelineLine = msgspec.convert(data, TimelineLine)
    return shown
