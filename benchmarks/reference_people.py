"""The people and the events of the reference workload, drawn from one seed."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import accumulate, islice
from pathlib import Path
from random import Random
from typing import Any

from msgspec.structs import replace

from benchmarks.reference_rules import (
    BRANDS,
    CAMPAIGN_SHARE,
    CAMPAIGNS,
    CATEGORIES,
    COUNTRIES,
    EVENTS,
    INTERESTS,
    PLANS,
    PRODUCTS,
    STORES,
)
from triggerfish.adapters.sqlite.state import SqliteStateStore
from triggerfish.clock import DAY, MINUTE, SECOND, Instant
from triggerfish.engine import Membership, Outcome
from triggerfish.ingest import Event
from triggerfish.profile import Claim, Identity, Profile, Trait, fold, remember
from triggerfish.rules import Rulebook

ZIPF = 1.0
PACE = 4.0
"""Events a second of the shop's own time."""
VISITORS = 400
"""So many people are in the shop at any time."""
VISIT = 8
"""Events that a visit has, on average."""
ARCHETYPES = 4_000
"""So many people have pasts of their own; the others' are these, with other traits."""
PATTERNS = 5_000
"""So many have traits of their own; the others are like these, with other names."""
FIRST_NAMES = ("Ana", "Ben", "Chloé", "Dov", "Elif", "Finn", "Grace", "Hugo", "Ines", "Jonas", "Kim", "Lara")


def some_event(dice: Random, number: int, at: Instant, user: str, id_prefix: str) -> Event:
    """An event as a shop's site sends it: some 500 bytes of JSON in the log."""
    if dice.random() * 100 < CAMPAIGN_SHARE:
        name = f"Campaign {dice.randrange(CAMPAIGNS)} Viewed"
    else:
        name = _NAMES[bisect(_SHARES, dice.random() * _SHARES[-1])]
    product = int(PRODUCTS ** dice.random())
    path = f"/shop/p-{product}" if dice.random() < 0.8 else "/about"
    properties: dict[str, Any] = {"place": "main" if dice.random() < 0.9 else "footer", "value": product % 50}
    if name == "page":
        properties = {"path": path, "title": f"Product {product} | The Reference Shop"}
    elif name == "Products Searched":
        properties = {"query": f"reef {product % 97}", "results": product % 120}
    elif name in _CARTS:
        total = round(8 + 40 / (0.1 + dice.random()), 2)
        properties = {"cart_id": f"k-{number}", "total": total, "items": 1 + number % 6, "currency": "EUR"}
        if name == "Order Completed":
            properties["order_id"] = f"o-{number}"
    elif name in _PRODUCTS:
        properties = {
            "product_id": f"p-{product}", "sku": f"S-{product}", "category": f"c-{product % CATEGORIES}",
            "brand": f"b-{product % BRANDS}", "name": f"Reef Product {product}",
            "price": 5 + (product * 7919 % 19_500) / 100, "quantity": 1 + number % 3, "currency": "EUR",
        }  # fmt: skip
    return Event(
        kind="page" if name == "page" else "track",
        name=name,
        message_id=f"{id_prefix}-{number:08}-9af8-4547-8e8b-6e558dfc92d7",
        timestamp=at,
        user_id=user,
        properties=properties,
        context={
            "library": {"name": "analytics.js", "version": "npm:next-1.84.3"},
            "locale": "en-GB",
            "page": {"path": path, "url": f"https://shop.example.org{path}"},
        },
    )


_NAMES = [name for name, _ in EVENTS.values()]
_SHARES = list(accumulate(share for _, share in EVENTS.values()))
_PRODUCTS = frozenset(
    ("Product Viewed", "Product Added", "Product Clicked", "Product Removed", "Wishlist Product Added",
     "Product Reviewed", "Product Shared", "Back In Stock Asked")
)  # fmt: skip
_CARTS = frozenset(
    ("Cart Viewed", "Checkout Started", "Checkout Step Viewed", "Payment Info Entered", "Order Completed",
     "Order Refunded", "Coupon Applied")
)  # fmt: skip


def stream(events: int, people: int, start: Instant, *, pace: float = PACE) -> Iterator[Event]:
    """So many events, in visits: the n-th person comes 1/n as often as the first (Zipf's law). Always the same."""
    dice = Random("the stream")
    weights = list(accumulate(1 / rank**ZIPF for rank in range(1, people + 1)))
    order = list(range(people))
    Random("who comes often").shuffle(order)
    visitors = [order[bisect(weights, dice.random() * weights[-1])] for _ in range(VISITORS)]
    at = float(start)
    for number in range(events):
        at += dice.expovariate(pace) * SECOND
        place = dice.randrange(VISITORS)
        if dice.random() < 1 / VISIT:
            visitors[place] = order[bisect(weights, dice.random() * weights[-1])]
        yield some_event(dice, number, round(at), user_of(visitors[place]), "ajs-next")


def user_of(person: int) -> str:
    return f"user-{person:07}"


def populate(path: Path, rulebook: Rulebook, people: int, start: Instant) -> None:
    """Let a fresh state know so many people, as of `start`: traits, what they did, the segments that they are in."""
    pasts = [_past(Random(f"past {number}"), rulebook, number, start) for number in range(min(people, ARCHETYPES))]
    patterns = [_person(number, pasts, rulebook, start) for number in range(min(people, PATTERNS))]
    numbers = iter(range(people))
    with closing(SqliteStateStore(path, cache_limit=0)) as store:
        while some := list(islice(numbers, 5_000)):
            persons = [_like(patterns[number % len(patterns)], number) for number in some]
            owners = {Claim(held.kind, held.value): person.id for person in persons for held in person.identities}
            members = [Membership(name, each.id, at) for each in persons for name, at in each.memberships.items()]
            profiles = {person.id: person for person in persons}
            store.commit(Outcome(profiles, {}, owners, members, [], []), 0, start)
        store.note_fitted(rulebook.fitting)


def _past(dice: Random, rulebook: Rulebook, number: int, start: Instant) -> Profile:
    """Somebody who has done up to a few dozen things in the last weeks, folded in one by one."""
    created = start - dice.randrange(30, 400) * DAY
    profile = Profile(id="", created_at=created, updated_at=created)
    # Half came within a day, the others some time in the last three weeks.
    last = start - dice.randrange(MINUTE, DAY) if dice.random() < 0.5 else start - dice.randrange(DAY, 21 * DAY)
    visits = sorted(last - dice.randrange(25 * DAY) for _ in range(dice.randrange(1, 5)))
    for visit in [*visits, last]:
        for step in range(dice.randrange(2, 8)):
            event = some_event(dice, step, visit + step * dice.randrange(SECOND, MINUTE), "", f"past-{number}-{visit}")
            if event.timestamp < start:
                fold(profile, event, rulebook.counts(event.name), event.timestamp)
                remember(profile, event.message_id)
    profile.time_zone = dice.choice(("Europe/Berlin", "Europe/London", "Europe/Madrid", "Europe/Warsaw"))
    return profile


def _person(number: int, pasts: Sequence[Profile], rulebook: Rulebook, start: Instant) -> Profile:
    """The past of one of them, with names and traits of their own."""
    past = pasts[number % len(pasts)]
    dice = Random(number)
    traits: dict[str, Any] = {
        "first_name": FIRST_NAMES[number % len(FIRST_NAMES)],
        "last_name": f"Surname{number % 1_009}",
        "country": COUNTRIES[int(len(COUNTRIES) * dice.random() ** 1.5)],
        "city": f"City {number % 211}",
        "language": "en",
        "plan": PLANS[int(3 * dice.random() ** 3)],
        "age": dice.randrange(16, 80),
        "points": int(2_000 * dice.random() ** 2),
        "newsletter": dice.random() < 0.7,
        "store": f"s-{dice.randrange(STORES)}",
        "phone_model": f"Model {number % 53}",
    }
    for trait in range(2, INTERESTS):
        if dice.random() < 0.6:
            traits[f"interest_{trait}"] = "hot"
    if dice.random() < 0.9:
        traits["email"] = ""
    told = {name: Trait(value, past.created_at) for name, value in traits.items()}
    person = replace(past, traits=told, memberships={})
    rulebook.segments.settle(person, start, rulebook.zones)
    return person


def _like(pattern: Profile, number: int) -> Profile:
    """A person who is like another one but for the names."""
    user, since = user_of(number), pattern.created_at
    traits, names = pattern.traits, [Identity("user", user, since)]
    if "email" in traits:
        email = f"{user}@example.com"
        traits = traits | {"email": Trait(email, since)}
        names.append(Identity("email", email, since))
    # In order of the numbers, so that a million are quickly written; the stream knows no order of people.
    return replace(pattern, id=f"p{number << 56:020x}", identities=names, traits=traits)
