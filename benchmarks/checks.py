"""How many times a second one core can answer "may this message leave?": consent and suppression, caps over rolling
windows; when a rule decides, and at the hand-over, from the store. Every answer is held against one that is counted out
plainly from the lists that the people were made of.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple

from msgspec import Struct

from benchmarks.measuring import Figure, Wrong
from triggerfish import decisions, handing
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.adapters.sqlite.state import SqliteStateStore
from triggerfish.clock import DAY, HOUR
from triggerfish.config import starter_path
from triggerfish.consent import Consent
from triggerfish.engine import Outcome
from triggerfish.instructions import Given, Suppress
from triggerfish.profile import Claim, Identity, Profile, Sent, Trait
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rules import Rulebook
from triggerfish.schedule import Due

NOON = 1_800_014_400_000
BATCH = 100
"""People whose messages are looked at together before they are handed over."""
PURPOSES = ("cart", "offers", "news", "club", "events", "surveys")
RULES = """
purposes:
  {cart: Cart, offers: Offers, news: News, events: Events, surveys: Surveys, club: {title: Club, consent: opt_in}}
policy:
  caps:
    - {sends: 2, within: 1 day}
    - {sends: 12, within: 7 days}
    - {sends: 2, within: 2 days, ruleset: shop}
    - {sends: 3, within: 7 days, purpose: cart}
ruleset: shop
rules:
""" + "".join(
    f"  - {{name: {name}, on: Wanted {name}, purpose: {name}, then: [{{send: letter}}]}}\n" for name in PURPOSES
)


class Facts(Struct):
    class_: Literal["marketing", "transactional"] = "marketing"
    purpose: str = "news"
    variables: frozenset[str] = frozenset()


class Person(NamedTuple):
    """Somebody, what they were sent within the last month, what they are to get now, and whether they may."""

    profile: Profile
    sent: list[Sent]
    due: Due
    may: bool


def measure(quick: bool, folder: Path) -> list[Figure]:
    rulebook, _ = load_rulebook(
        {"rules/shop.yaml": RULES}, templates={"letter": Facts()}, matcher=CompiledMatcher, channel="smtp"
    )
    people = made(500 if quick else 5_000)
    listed = {person.profile.id for person in people[::50]}
    store = filled(folder / "state.sqlite3", people, listed)
    policy, dues = rulebook.policy, [(each.profile, each.sent, each.due) for each in people]

    def consent() -> list[bool]:
        return [not decisions.refusal_to(who, due.class_, due.purpose, policy) for who, _, due in dues]

    def caps() -> list[bool]:
        return [
            decisions.reached(policy.caps, sent, handing.leaving(due, rulebook, NOON)) is None for _, sent, due in dues
        ]

    said, consent_rate = timed(consent, len(people))
    free, cap_rate = timed(caps, len(people))
    if [a and b for a, b in zip(said, free, strict=True)] != [person.may for person in people]:
        raise Wrong("consent and caps do not say what was counted out")
    left, rate = timed(lambda: at_the_hand_over(store, rulebook, people), len(people))
    if left != [person.may and person.profile.id not in listed for person in people]:
        raise Wrong("the last look does not say what was counted out")
    store.close()
    each = sum(len(person.sent) for person in people) / len(people)
    return [
        Figure("consent by purpose, bounces, complaints", "checks/s", consent_rate),
        Figure(f"4 caps over rolling windows, {each:.0f} messages in a month", "checks/s", cap_rate),
        Figure("the whole last look, from the store", "checks/s", rate),
    ]


def made(count: int) -> list[Person]:
    """People of whom every seventh objected to the purpose, and some have had their share."""
    dice = Random(5)
    people = []
    for number in range(count):
        name = f"p{number:06}"
        profile = Profile(name, NOON, NOON, [Identity("user", name, NOON)])
        profile.traits["email"] = Trait(f"{name}@example.com", NOON)
        purpose = PURPOSES[number % len(PURPOSES)]
        for each in PURPOSES:
            profile.consent[each] = Consent(each != purpose or number % 7 != 0, NOON - DAY, "form")
        sent = sorted(
            (
                Sent(NOON - dice.randrange(HOUR, 30 * DAY), "shop", wanted, True, wanted, "smtp", f"{name}-{place}")
                for place in range(dice.randrange(40))
                for wanted in [dice.choice(PURPOSES)]
            ),
            key=lambda one: one.at,
        )
        due = Due(
            id=f"{name}-now", profile=name, ruleset="shop", rule=purpose, template="letter", purpose=purpose,
            channel="smtp", status="due", due_at=NOON, since=NOON, lane="smtp marketing other",
        )  # fmt: skip
        people.append(Person(profile, sent, due, number % 7 != 0 and fits(sent, purpose)))
    return people


def fits(sent: Sequence[Sent], purpose: str) -> bool:
    """Whether the caps of RULES leave room for one more, counted out."""
    ages = [NOON - one.at for one in sent]
    own = [NOON - one.at for one in sent if one.purpose == purpose]
    return (
        sum(age < DAY for age in ages) < 2
        and sum(age < 7 * DAY for age in ages) < 12
        and sum(age < 2 * DAY for age in ages) < 2
        and (purpose != "cart" or sum(age < 7 * DAY for age in own) < 3)
    )


def filled(path: Path, people: Sequence[Person], listed: set[str]) -> SqliteStateStore:
    """A store with these people, what they were sent, and a suppression list of 20,000 others and those `listed`."""
    migrate(path, starter_path("migrations") / "state.py")
    store = SqliteStateStore(path)
    for part in _batches(people, 500):
        sends = [
            Due(
                id=one.send, profile=person.profile.id, ruleset=one.ruleset, rule=one.rule, template="letter",
                purpose=one.purpose, channel=one.channel, status="sent", due_at=one.at, sent_at=one.at,
                handed_at=one.at, attempt=1,
            )
            for person in part for one in person.sent
        ]  # fmt: skip
        owners = {Claim("user", person.profile.id): person.profile.id for person in part}
        store.commit(Outcome({each.profile.id: each.profile for each in part}, {}, owners, [], sends, []), 0, 0)
    addresses = [f"{name}@example.com" for name in sorted(listed)]
    addresses += [f"no-{number}@example.org" for number in range(20_000)]
    given = [Given(Suppress(address), NOON) for address in addresses]
    store.commit(Outcome({}, {}, {}, [], [], [], instructions=given), 0, 0)
    return store


def at_the_hand_over(store: SqliteStateStore, rulebook: Rulebook, people: Sequence[Person]) -> list[bool]:
    """As the worker looks: everything is read anew from the store, batch by batch."""
    found = []
    for part in _batches(people, BATCH):
        names = [person.profile.id for person in part]
        profiles = store.load([], names).profiles
        addresses = {name: str(profile.trait("email")) for name, profile in profiles.items()}
        listed = store.suppressed(addresses.values())
        handed = store.handed_over(names, NOON - handing.caps_reach(rulebook))
        for name, person in zip(names, part, strict=True):
            verdict = handing.weigh(
                person.due, profiles[name], rulebook=rulebook, listed=listed.get(addresses[name], ()),
                handed=handed.get(name, ()), now=NOON,
            )  # fmt: skip
            found.append(verdict.what == "go")
    return found


def _batches(people: Sequence[Person], size: int) -> Iterator[Sequence[Person]]:
    return (people[start : start + size] for start in range(0, len(people), size))


def timed(ask: Callable[[], list[bool]], count: int) -> tuple[list[bool], float]:
    """The answers, and how many there are in a second of this process's time."""
    began = time.process_time()
    answers = ask()
    return answers, count / (time.process_time() - began)
