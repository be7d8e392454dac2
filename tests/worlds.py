"""A small world for tests of the engine: rulebooks from rule files' text, events, and a store that follows them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from textwrap import dedent
from typing import Any, Literal

from msgspec import Struct, to_builtins

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.clock import Instant
from triggerfish.engine import Arrival, Moment, Outcome, StateStore, decide
from triggerfish.ingest import Event
from triggerfish.profile import Claim, Profile, claims_of, previous_claims
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rules import Rulebook
from triggerfish.schedule import Due

MONDAY = 1_800_000_000_000 // 86_400_000 * 86_400_000 + 3 * 86_400_000
"""A Monday at midnight UTC."""
NOON = MONDAY + 12 * 3_600_000


class Facts(Struct):
    class_: Literal["marketing", "transactional"] = "marketing"
    purpose: str = "marketing"
    variables: frozenset[str] = frozenset()


TEMPLATES = {
    "hello": Facts(),
    "offer": Facts(),
    "news": Facts(purpose="news"),
    "receipt": Facts("transactional", "orders"),
    "digest": Facts(variables=frozenset({"also"})),
}


def rulebook(*texts: str, actions: Collection[str] = ()) -> Rulebook:
    """The rulebook of these rule files. Warnings are mistakes of the test; but its rules may have more than its policy
    makes use of (TF643).
    """
    files = {f"rules/{number}.yaml": dedent(text) for number, text in enumerate(texts)}
    made, warnings = load_rulebook(files, templates=TEMPLATES, matcher=CompiledMatcher, actions=actions)
    assert not [str(warning) for warning in warnings if warning.code != "TF643"]
    return made


def track(name: str, at: Instant, *, user: str | None = "ana", anon: str | None = None, **more: Any) -> Event:
    """A track call. Its message id follows from its content, unless `message_id` is given."""
    more.setdefault("message_id", f"{name}-{at}-{user}-{anon}")
    return Event(kind="track", name=name, timestamp=at, user_id=user, anonymous_id=anon, **more)


def identify(at: Instant, *, user: str | None = "ana", anon: str | None = None, **traits: Any) -> Event:
    message_id = traits.pop("message_id", f"identify-{at}-{user}-{anon}")
    context = traits.pop("context", {})
    return Event("identify", "identify", message_id, at, user, anon, traits=traits, context=context)


def alias(at: Instant, user: str, previous: str) -> Event:
    return Event("alias", "alias", f"alias-{at}-{user}-{previous}", at, user, previous_id=previous)


def feedback(name: str, at: Instant, profile: str, **properties: Any) -> Event:
    message_id = f"{name}-{at}-{profile}"
    return Event("feedback", name, message_id, at, profile_id=profile, properties=properties)


def claims_in(events: Iterable[Event]) -> list[Claim]:
    return [claim for event in events for claim in (*claims_of(event), *previous_claims(event))]


def follow(store: StateStore, rules: Rulebook, arrivals: Sequence[Arrival], now: Instant) -> Outcome:
    """Decide a batch and commit it, with all that is due until `now`."""
    position, _ = store.position()
    due = store.agenda(now, 1_000_000)
    loaded = store.load(claims_in(arrival.event for arrival in arrivals), [profile for _, profile in due])
    outcome = decide(arrivals, loaded, rules, now)
    store.commit(outcome, arrivals[-1].position if arrivals else position, now)
    return outcome


class World:
    """Everything that happens, one event after another, with the store in memory."""

    def __init__(self, *texts: str, store: StateStore | None = None, actions: Collection[str] = ()) -> None:
        self.rulebook = rulebook(*texts, actions=actions)
        self.memory = MemoryStateStore()
        self.store: StateStore = store or self.memory
        self.position = 0

    def take(self, *events: Event, at: Instant | None = None) -> Outcome:
        """Let events happen in one batch; the log takes each at its own time, or all at `at`."""
        arrivals = []
        for event in events:
            self.position += 1
            arrivals.append(Arrival(self.position, event.timestamp if at is None else at, event))
        return follow(self.store, self.rulebook, arrivals, arrivals[-1].at)

    def wait_until(self, now: Instant) -> Outcome:
        return follow(self.store, self.rulebook, [], now)

    def id_of(self, value: str, kind: str = "user") -> str:
        return self.store.load([Claim(kind, value)], []).owners[Claim(kind, value)]

    def who(self, value: str = "ana", kind: str = "user") -> Profile:
        return self.store.load([Claim(kind, value)], []).profiles[self.id_of(value, kind)]

    def segments(self, value: str = "ana", kind: str = "user") -> list[str]:
        return list(self.who(value, kind).memberships)

    @property
    def sends(self) -> list[Due]:
        return list(self.memory.sends.values())

    def told(self) -> list[tuple[str, str, str]]:
        """Every send as (template, status, reason)."""
        return [(due.template, due.status, due.reason) for due in self.sends]

    def moments(self, kind: str) -> list[Moment]:
        return [moment for moment in self.memory.moments if moment.kind == kind]


def state_of(store: MemoryStateStore) -> dict[str, Any]:
    """All that a store knows, comparable. Of different people's moments the order means nothing."""
    timelines: dict[str, list[Any]] = {}
    for moment in store.moments:
        timelines.setdefault(moment.profile, []).append(to_builtins(moment))
    return {
        "profiles": {key: to_builtins(profile) for key, profile in store.profiles.items()},
        "owners": dict(store.owners),
        "memberships": dict(store.memberships),
        "sends": {key: to_builtins(due) for key, due in store.sends.items()},
        "timelines": timelines,
        "hours": dict(store.hours),
    }
