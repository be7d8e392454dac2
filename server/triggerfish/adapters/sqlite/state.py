"""The embedded StateStore: one SQLite file in WAL mode, apart from the log, so that the two processes never fight for
one write lock.

Durability. A process may be killed at any moment and loses nothing that was committed. When the power fails, the newest
transactions of a WAL with synchronous=NORMAL can be gone, always the newest ones and always whole. For `commit` that is
fine: the log position goes back with them, and the same is decided again. For `mark` it is not: a channel has acted on
"sending" by then. So `mark` (and the rare `bury` and `strike`) use FULL, which makes all before them durable too.

Of one person all that is decided upon is one blob: a msgpack array (`Profile`). The newest ones are kept decoded.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from triggerfish.adapters.sqlite import instructions, opened, outgoing, tallies, timelines, traffic
from triggerfish.adapters.sqlite.health import add_times, begin_reign, count_moments
from triggerfish.adapters.sqlite.hot import Hot
from triggerfish.adapters.sqlite.many import marks, parts
from triggerfish.adapters.sqlite.trouble import FSYNC_FAILED, Trouble, WalWatch, may_pass, reports_trouble, unavailable
from triggerfish.blast import Alarm, Traffic
from triggerfish.clock import Instant
from triggerfish.engine import Moment, Outcome
from triggerfish.errors import SettingsWrong, Unavailable, WorkspaceTaken
from triggerfish.health import Spent
from triggerfish.instructions import Given, Held, Suppression
from triggerfish.log import Position
from triggerfish.people import Loaded
from triggerfish.profile import Claim, Profile, Sent
from triggerfish.rules import Fitting
from triggerfish.schedule import Due

CACHE_LIMIT = 20_000
"""Decoded profiles that a store keeps, unless told otherwise."""
_log = logging.getLogger("triggerfish.state")
CACHE_KIB = 64 * 1024
"""Of the file, kept in memory: the bound on what SQLite holds of it."""
_CHECKPOINT_PAGES = 4_000

_PROFILE = msgspec.msgpack.Decoder(Profile)
_PACK = msgspec.msgpack.Encoder().encode

_OWNER = "SELECT profile FROM identities WHERE kind = ? AND value = ?"
_GO_ON = "UPDATE progress SET position = ?, until = max(until, ?) WHERE position = ?"
_PUT_PROFILE = """
    INSERT INTO profiles VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET wake_at = excluded.wake_at, profile = excluded.profile
"""
_PUT_OWNER = """
    INSERT INTO identities VALUES (?, ?, ?) ON CONFLICT (kind, value) DO UPDATE SET profile = excluded.profile
"""


@reports_trouble("the state")
class SqliteStateStore:
    """A StateStore in the file `path`, which `migrate(path, migrations/state.py)` has made.

    It keeps the `cache_limit` profiles used last in memory, or fewer if they are large (hot.py). What `spent` gives,
    the time that rules took since it was last asked, is written with what they decided. One process writes; any number
    may read the file (reads.py). For use by one thread at a time. Raises SettingsWrong (TF412) when the file is no
    state, and from every write WorkspaceTaken (TF413) when another worker has decided meanwhile; then nothing of it is
    written. While the disk is full or fails, calls raise Unavailable, with the same effect; the connection is a fresh
    one then, and nothing in memory counts.
    """

    def __init__(
        self, path: Path, *, cache_limit: int = CACHE_LIMIT, spent: Callable[[], Sequence[Spent]] = tuple
    ) -> None:
        self._spent = spent
        self._hot = Hot(cache_limit)
        self._path = path
        self._trouble, self._wal = Trouble(path, _log), WalWatch(path)
        self._lost: sqlite3.DatabaseError | None = None
        try:
            self._db = _connect(path)
            self._position, _ = self._progress()
            self._has_attempts = bool(self._all("SELECT 1 FROM attempts LIMIT 1"))
        except sqlite3.Error as error:
            if may_pass(error) and (trouble := unavailable("the state", error)):
                raise trouble from error
            raise SettingsWrong(f"{path} is no Triggerfish state: {error}", code="TF412") from error

    def close(self) -> None:
        self._db.close()

    @property
    def trouble(self) -> str:
        """Why the state cannot be written just now; empty when it can."""
        return self._trouble.what

    # --- how far we are -----------------------------------------------------------------------------------------------

    def position(self) -> tuple[Position, Instant]:
        return self._progress()

    def attempt(self, position: Position) -> int:
        with self._transaction("NORMAL"):
            self._db.execute(
                "INSERT INTO attempts VALUES (?, 1) ON CONFLICT (position) DO UPDATE SET tries = tries + 1", (position,)
            )
            tries: int = self._all("SELECT tries FROM attempts WHERE position = ?", position)[0][0]
        self._has_attempts = True
        return tries

    def bury(self, position: Position, cause: str, at: Instant) -> None:
        with self._transaction("FULL"):
            self._db.execute("INSERT INTO dead_letters VALUES (?, ?, ?)", (position, at, cause))
            self._go_on(position, 0)
        self._position = position

    def strike(self, moment: Moment) -> None:
        with self._transaction("FULL"):
            self._db.execute("UPDATE profiles SET wake_at = NULL WHERE id = ?", (moment.profile,))
            self._put_moments([moment])
            self._go_on(self._position, 0)

    # --- what `decide` is given ---------------------------------------------------------------------------------------

    def load(self, claims: Sequence[Claim], ids: Sequence[str]) -> Loaded:
        owners = self.owners_of(claims)
        unowned = [claim.value for claim in claims if claim.kind == "profile" and claim not in owners]
        profiles = self._profiles(dict.fromkeys([*ids, *owners.values(), *unowned]))
        return Loaded(profiles=profiles, owners=owners, hours=opened.hours(self._db))

    def owners_of(self, claims: Sequence[Claim]) -> dict[Claim, str]:
        names: dict[str, list[str]] = {}
        for kind, value in claims:
            names.setdefault(kind, []).append(value)
        owners: dict[Claim, str] = {}
        for kind, values in names.items():
            for part in parts(values):
                query = f"SELECT value, profile FROM identities WHERE kind = ? AND value IN ({marks(part)})"  # noqa: S608
                for value, owner in self._db.execute(query, (kind, *part)):
                    owners[Claim(kind, value)] = self._last(value, owner) if kind == "profile" else owner
        return owners

    def _last(self, gone: str, owner: str) -> str:
        """Where a profile that is gone has come to. It has its own id as a name; those that took in one another form a
        chain, which ends at the one that is there.
        """
        passed = {gone}
        while owner not in passed and (row := self._db.execute(_OWNER, ("profile", owner)).fetchone()) is not None:
            passed.add(owner)
            owner = str(row[0])
        return owner

    def _profiles(self, ids: Iterable[str]) -> dict[str, Profile]:
        found: dict[str, Profile] = {}
        cold: list[str] = []
        for profile_id in ids:
            profile = self._hot.get(profile_id)
            if profile is None:
                cold.append(profile_id)
            else:
                found[profile_id] = profile
        for part in parts(cold):
            query = f"SELECT id, profile FROM profiles WHERE id IN ({marks(part)})"  # noqa: S608
            read = [(_PROFILE.decode(blob), len(blob)) for _, blob in self._db.execute(query, part)]
            found |= {profile.id: profile for profile, _ in read}
            self._hot.keep(read)
        return found

    def agenda(self, until: Instant, limit: int) -> list[tuple[Instant, str]]:
        return self._all(
            "SELECT wake_at, id FROM profiles WHERE wake_at <= ? ORDER BY wake_at, id LIMIT ?", until, limit
        )

    def next_due(self) -> Instant | None:
        return self._instant("SELECT min(wake_at) FROM profiles WHERE wake_at IS NOT NULL")

    # --- what `decide` gave -------------------------------------------------------------------------------------------

    def commit(self, outcome: Outcome, position: Position, until: Instant) -> None:
        profiles = outcome.profiles.values()
        packed = [(profile.id, profile.wake_at, _PACK(profile)) for profile in profiles]
        with self._transaction("NORMAL"):
            self._go_on(position, until)
            for gone, into in outcome.merged.items():
                self._take_in(gone, into)
            self._count_new(outcome.profiles)
            self._db.executemany(_PUT_PROFILE, packed)
            self._put_owners(outcome)
            self._put_memberships(outcome)
            opened.add(self._db, outcome.hours)
            outgoing.put(self._db, outcome.sends)
            self._put_moments(outcome.told(lambda withdrawal: outgoing.withdraw(self._db, withdrawal)))
            self._put_moments(instructions.carry_out(self._db, outcome.instructions))
            add_times(self._db, self._spent())
        # Only now: had the transaction failed, what is kept must be what is in the file.
        self._position = position
        for gone in outcome.merged:
            self._hot.drop(gone)
        self._hot.keep(zip(profiles, (len(blob) for _, _, blob in packed), strict=True))

    def _go_on(self, position: Position, until: Instant) -> None:
        """Move on in the log, from where this store has brought it and no other."""
        if self._db.execute(_GO_ON, (position, until, self._position)).rowcount != 1 or position < self._position:
            raise WorkspaceTaken(
                f"the state is not at position {self._position} of the log any more: another worker writes to it",
                code="TF413",
                hint="let one `triggerfish serve` run on this workspace",
            )
        if self._has_attempts:
            self._db.execute("DELETE FROM attempts WHERE position <= ?", (position,))
            self._has_attempts = bool(self._all("SELECT 1 FROM attempts LIMIT 1"))

    def _take_in(self, gone: str, into: str) -> None:
        """A profile became part of another one: its messages on the way go along; its timeline stays under its id."""
        rows = self._all("SELECT profile FROM profiles WHERE id = ?", gone)
        if rows:
            segments = _PROFILE.decode(rows[0][0]).memberships
            fewer = {segment: -tallies.leave(self._db, segment, [gone]) for segment in segments}
            self._db.execute("DELETE FROM profiles WHERE id = ?", (gone,))
            tallies.count(self._db, fewer | {tallies.EVERYBODY: -1})
        outgoing.give_to(self._db, into, gone)

    def _count_new(self, profiles: Collection[str]) -> None:
        unknown = [profile for profile in profiles if profile not in self._hot]
        known = 0
        for part in parts(unknown):
            query = f"SELECT count(*) FROM profiles WHERE id IN ({marks(part)})"  # noqa: S608
            known += self._db.execute(query, part).fetchone()[0]
        tallies.count(self._db, {tallies.EVERYBODY: len(unknown) - known})

    def _put_owners(self, outcome: Outcome) -> None:
        taken = [(claim.kind, claim.value, owner) for claim, owner in outcome.owners.items() if owner is not None]
        given_up = [claim for claim, owner in outcome.owners.items() if owner is None]
        self._db.executemany(_PUT_OWNER, taken)
        self._db.executemany("DELETE FROM identities WHERE kind = ? AND value = ?", given_up)

    def _put_memberships(self, outcome: Outcome) -> None:
        left: dict[str, list[str]] = {}
        entered: dict[str, list[tuple[str, Instant]]] = {}
        for segment, profile, since in ((each.segment, each.profile, each.since) for each in outcome.memberships):
            if since is None:
                left.setdefault(segment, []).append(profile)
            else:
                entered.setdefault(segment, []).append((profile, since))
        more = Counter({segment: -tallies.leave(self._db, segment, profiles) for segment, profiles in left.items()})
        for segment, members in entered.items():
            more[segment] += tallies.enter(self._db, segment, members)
        tallies.count(self._db, more)

    def _put_moments(self, moments: Sequence[Moment]) -> None:
        timelines.write(self._db, moments)
        count_moments(self._db, moments)
        outgoing.hear(self._db, moments)

    # --- after a change of the rules ----------------------------------------------------------------------------------

    def begin(self, version: str) -> None:
        """From here on the rulebook of this version decides."""
        with self._transaction("NORMAL"):
            begin_reign(self._db, version, *self._progress())
            traffic.forget_old(self._db, self._progress()[1])

    def everybody(self, after: str, limit: int) -> list[Profile]:
        rows = self._all("SELECT profile FROM profiles WHERE id > ? ORDER BY id LIMIT ?", after, limit)
        return [_PROFILE.decode(blob) for (blob,) in rows]

    def fitted(self) -> Fitting:
        return frozenset((kind, name) for kind, name in self._all("SELECT kind, name FROM fitted"))

    def refit(self, outcome: Outcome) -> None:
        self.commit(outcome, self._position, 0)

    def note_fitted(self, fitting: Fitting) -> None:
        with self._transaction("FULL"):
            self._db.execute("DELETE FROM fitted")
            self._db.executemany("INSERT INTO fitted VALUES (?, ?)", sorted(fitting))

    # --- messages on the way ------------------------------------------------------------------------------------------

    def lanes(self) -> dict[str, Instant]:
        return outgoing.lanes(self._db)

    def to_send(self, now: Instant, limit: int, lanes: Mapping[str, int | None] | None = None) -> list[Due]:
        return outgoing.to_send(self._db, now, limit, lanes)

    def handed_over(self, profiles: Collection[str], since: Instant) -> dict[str, list[Sent]]:
        return outgoing.handed_over(self._db, profiles, since)

    def handed_on(self, channel: str, day: int) -> int:
        return traffic.handed_on(self._db, channel, day)

    def traffic(self, ruleset: str, rule: str, at: Instant) -> Traffic:
        return traffic.traffic(self._db, ruleset, rule, at)

    def waiting(self, ruleset: str, rule: str, since: Instant, most: int) -> int:
        return traffic.waiting(self._db, ruleset, rule, since, most)

    def alarm(self, held: Held, cause: Alarm) -> None:
        with self._transaction("FULL"):
            traffic.alarm(self._db, held, cause)

    def calls_due(self, now: Instant) -> list[str]:
        return outgoing.calls_due(self._db, now)

    def to_call(self, action: str, now: Instant, limit: int) -> list[Due]:
        return outgoing.to_call(self._db, action, now, limit)

    def next_send(self) -> Instant | None:
        known = [*outgoing.lanes(self._db).values(), outgoing.next_call(self._db)]
        return min((at for at in known if at is not None), default=None)

    def next_call(self) -> Instant | None:
        return outgoing.next_call(self._db)

    def mark(self, sends: Sequence[Due], moments: Sequence[Moment], given: Sequence[Given] = ()) -> None:
        with self._transaction("FULL"):
            outgoing.mark(self._db, sends)
            self._put_moments(moments)
            self._put_moments(instructions.carry_out(self._db, given))

    def in_flight(self) -> list[Due]:
        return outgoing.in_flight(self._db)

    def suppressed(self, addresses: Collection[str]) -> dict[str, list[Suppression]]:
        return instructions.suppressed(self._db, addresses)

    def holds(self) -> list[Held]:
        return instructions.holds(self._db)

    # --- the connection -----------------------------------------------------------------------------------------------

    def _meet(self, error: sqlite3.DatabaseError) -> None:
        self._trouble.met(error)
        # After a failed sync only another successful one of everything will do.
        if self._lost is None or self._lost.sqlite_errorcode != FSYNC_FAILED:
            self._lost = error
        self._db.close()

    def _be_ready(self) -> None:
        """After a trouble: a fresh connection, which knows the file as it is."""
        if self._lost is None:
            return
        self._db.close()
        self._db = _connect(self._path)
        self._hot.clear()
        self._position, _ = self._progress()
        self._has_attempts = bool(self._all("SELECT 1 FROM attempts LIMIT 1"))
        if self._lost.sqlite_errorcode == FSYNC_FAILED:
            # What was committed with less than FULL since the last good sync may have got lost on its way to the disk,
            # and no later sync would say so. So all of it is written into the file anew before anything follows.
            self._db.execute("PRAGMA busy_timeout = 1000")
            is_busy = bool(self._all("PRAGMA wal_checkpoint(TRUNCATE)")[0][0])
            self._db.execute("PRAGMA busy_timeout = 30000")
            if is_busy:
                raise Unavailable("the state is being read while it has to be written anew")
        self._lost = None

    def _progress(self) -> tuple[Position, Instant]:
        position, until = self._all("SELECT position, until FROM progress")[0]
        return position, until

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(self._db.execute(query, values)) as rows:
            return rows.fetchall()

    def _instant(self, query: str) -> Instant | None:
        instant: Instant | None = self._all(query)[0][0]
        return instant

    @contextmanager
    def _transaction(self, durability: Literal["NORMAL", "FULL"]) -> Iterator[None]:
        """All or nothing; what the store holds in memory changes after it, or not at all."""
        self._wal.check(self._db)
        self._db.execute(f"PRAGMA synchronous = {durability}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
            self._wal.note()
            self._trouble.over()
        except BaseException:
            # A full disk makes SQLite roll back by itself.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _connect(path: Path) -> sqlite3.Connection:
    """A connection without Python's implicit transactions."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    db = sqlite3.connect(
        uri, uri=True, timeout=30, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    db.execute("PRAGMA journal_size_limit = 67108864")
    db.execute("PRAGMA temp_store = MEMORY")
    return db
