"""The reference rulebook: what a large shop would write, drawn from one seed. The first 200 rules, in 10 rule sets, and
the first 50 segments, three deep, are the same whatever else is asked for; further ones are campaigns of single
categories, stores and events, so that an event wakes hardly more of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Literal

CORE_RULES, CORE_SEGMENTS, A_SET, A_TREE = 200, 50, 20, 10
INTERESTS = 12

EVENTS: dict[str, tuple[str, float]] = {
    # short name: what the shop sends, and of 100 events so many
    "product_viewed": ("Product Viewed", 28),
    "page": ("page", 16),
    "list_viewed": ("Product List Viewed", 11),
    "search": ("Products Searched", 8),
    "add_to_cart": ("Product Added", 6),
    "clicked": ("Product Clicked", 6),
    "cart_viewed": ("Cart Viewed", 5),
    "promotion_viewed": ("Promotion Viewed", 4),
    "app_opened": ("App Opened", 3),
    "checkout_step": ("Checkout Step Viewed", 2.5),
    "checkout_started": ("Checkout Started", 2),
    "purchase": ("Order Completed", 1.8),
    "remove_from_cart": ("Product Removed", 1.5),
    "wishlist_added": ("Wishlist Product Added", 1.2),
    "payment_info": ("Payment Info Entered", 1.2),
    "promotion_clicked": ("Promotion Clicked", 1),
    "logged_in": ("Logged In", 1),
    "video_watched": ("Video Watched", 0.6),
    "coupon_applied": ("Coupon Applied", 0.5),
    "store_visited": ("Store Visited", 0.4),
    "reviewed": ("Product Reviewed", 0.3),
    "shared": ("Product Shared", 0.3),
    "signed_up": ("Signed Up", 0.3),
    "stock_asked": ("Back In Stock Asked", 0.2),
    "refund": ("Order Refunded", 0.2),
}
_SETS: tuple[tuple[str, str, str], ...] = (
    # name, mode, what its 20 rules listen to
    ("browsing", "first", "product_viewed*13 list_viewed*4 clicked*3"),
    ("searching", "first", "search*10 product_viewed*6 list_viewed*4"),
    ("cart", "first", "add_to_cart*10 cart_viewed*8 remove_from_cart*2"),
    ("interests", "all", "product_viewed*4 add_to_cart*3 clicked*3 search*2 page*3 wishlist_added*3 list_viewed*2"),
    ("content", "first", "page*12 app_opened*4 video_watched*2 store_visited*2"),
    ("orders", "first", "purchase*12 refund*3 reviewed*3 shared*2"),
    ("checkout", "first", "checkout_started*7 checkout_step*5 payment_info*4 coupon_applied*3 cart_viewed"),
    ("loyalty", "all", "purchase*6 logged_in*3 app_opened*2 signed_up*3 reviewed*2 add_to_cart*2 page*2"),
    ("promotions", "first", "promotion_viewed*7 promotion_clicked*5 product_viewed*4 page*4"),
    ("wishes", "all", "wishlist_added*5 stock_asked*4 product_viewed*3 clicked*3 add_to_cart*3 remove_from_cart*2"),
)
CAMPAIGNS = 250
CAMPAIGN_SHARE = 2.0
"""Of 100 events so many are of the campaigns' own names, each as often as the others."""
CATEGORIES, BRANDS, STORES, PRODUCTS = 400, 50, 190, 2_000
COUNTRIES = ("DE", "GB", "FR", "US", "IT", "ES", "NL", "AT", "PL", "SE")
PLANS = ("free", "plus", "pro")
TEMPLATES = (
    "browse-abandonment", "cart-reminder", "cart-vip", "payment-help", "thank-you", "vip-welcome", "welcome",
    "win-back",
)  # fmt: skip

_PRODUCT = ("product_viewed", "add_to_cart", "clicked", "remove_from_cart", "wishlist_added", "reviewed", "shared")
_CART = ("cart_viewed", "checkout_started", "checkout_step", "payment_info", "coupon_applied", "purchase", "refund")

ACTIVITY = (
    "count(purchase) < 40",
    'count(purchase, "90d") < 20',
    'sum(purchase.total, "365d") < 5000',
    "avg(purchase.total) > 30",
    "last(purchase.total) > 20",
    "max(purchase.total) < 390",
    "days_since(purchase) > 2",
    'count(purchase[total > 50], "30d") < 6',
    'count(product_viewed, "24h") >= 1',
    'count(product_viewed, "7d") >= 2',
    'distinct(product_viewed.category, "7d") >= 2',
    'score(page, half_life="7d") > 0.2',
    "minutes_since(page) < 10000",
    'count(add_to_cart, "7d") < 60',
    'sum(add_to_cart.price, "1d") < 3000',
    "hours_since(add_to_cart) < 400",
    'not did(checkout_started, "1d")',
    'count(search, "1d") < 30',
    'not sequence(product_viewed, add_to_cart, within="1h")',
    'not did(refund, "30d")',
)
"""The 20 activity functions, each in a test that mostly holds."""

SELDOM = (
    'count(product_viewed, "24h") >= 6',
    'count(search, "1d") >= 3',
    'sum(add_to_cart.price, "1d") > 150',
    'count(purchase[total > 50], "30d") >= 3',
    'did(checkout_started, "1d")',
    'distinct(product_viewed.category, "7d") >= 8',
    'sequence(product_viewed, add_to_cart, within="1h")',
)
"""Tests that few people pass: those of rules that send."""

FEW = (
    'traits.plan == "pro"', 'traits.country in ["PL", "SE"]', "traits.points > 1500", "traits.age > 70",
    'count(purchase[total > 50], "30d") >= 8', 'sum(purchase.total, "365d") > 3000',
)  # fmt: skip
"""The same of rules for some only: three in four of those that note something."""

_ROOTS = (
    ("browsing", 20, "minutes_since(page) < 30 or minutes_since(product_viewed) < 30"),
    ("customers", 30, "count(purchase) >= 1"),
    ("cart-people", 40, "hours_since(add_to_cart) < 72"),
    ("reachable", 5, "exists(traits.email)"),
    ("explorers", 15, 'count(product_viewed, "7d") >= 2'),
)
_CHILDREN = (
    ('count(purchase, "90d") >= 2', 'sum(purchase.total, "365d") >= 300', "days_since(purchase) > 14"),
    ('distinct(product_viewed.category, "7d") >= 3', 'score(page, half_life="7d") > 2', 'count(search, "1d") >= 1'),
    ('sum(add_to_cart.price, "1d") > 50', 'count(product_viewed, "24h") >= 3', 'did(checkout_started, "1d")'),
    ('traits.country in ["DE", "AT"]', 'traits.plan != "free"', "traits.age < 30"),
    ("hours_since(add_to_cart) < 24", 'count(purchase[total > 50], "30d") >= 1', "traits.newsletter == True"),
)
_GRANDCHILDREN = (
    "avg(purchase.total) > 60", "traits.points > 500", 'not did(refund, "30d")', "max(purchase.total) > 150",
    'sequence(product_viewed, add_to_cart, within="1h")', "days_since(product_viewed) > 3", "last(purchase.total) > 80",
)  # fmt: skip


def rule_files(rules: int = CORE_RULES, segments: int = CORE_SEGMENTS) -> dict[str, str]:
    """The rule files (path -> text) of a rulebook with so many rules, and segments in trees of ten: at least those
    that the rules ask for.
    """
    if segments < CORE_SEGMENTS or segments % A_TREE:
        raise ValueError(f"{segments} segments are no number of trees of {A_TREE}, from {CORE_SEGMENTS} on")
    shorts = [*EVENTS.items()]
    events = "".join(f"  {short}: {name}\n" for short, (name, _) in shorts if short != name)
    policy = "policy:\n  caps:\n    - {sends: 2, within: 1 day}\n    - {sends: 4, within: 7 days}\n"
    return {
        "rules/shop.yaml": f"events:\n{events}{policy}",
        "rules/segments.yaml": f"segments:\n{''.join(_tree(place) for place in range(segments // A_TREE))}",
        **_rulesets(rules),
    }


def _tree(place: int) -> str:
    """A root, three children, and two children of each of these."""
    dice = Random(f"tree {place}")
    if place < len(_ROOTS):
        name, priority, when = _ROOTS[place]
    else:
        name, priority, when = f"store-{place}", place % 19, f'traits.store == "s-{place % STORES}"'
    lines = [_segment(name, priority, when, 1)]
    for number, child in enumerate(_CHILDREN[place % len(_CHILDREN)]):
        lines.append(_segment(f"{name}-{number}", priority + 5 + number, child, 2))
        for last, grandchild in enumerate(dice.sample(_GRANDCHILDREN, 2)):
            lines.append(_segment(f"{name}-{number}{'ab'[last]}", priority + 10 + number, grandchild, 3, is_leaf=True))
    return "".join(lines)


def _segment(name: str, priority: int, when: str, depth: int, *, is_leaf: bool = False) -> str:
    pad = "    " * depth
    text = f"{pad[2:]}- name: {name}\n{pad}priority: {priority}\n{pad}when: {json.dumps(when)}\n"
    return text if is_leaf else f"{text}{pad}segments:\n"


def _rulesets(rules: int) -> dict[str, str]:
    sets = max(len(_SETS), -(-rules // A_SET))
    share = [rules // sets + (place < rules % sets) for place in range(sets)]
    return {
        f"rules/set-{place:03}.yaml": _ruleset(place, count) if place < len(_SETS) else _campaigns(place, count)
        for place, count in enumerate(share)
        if count
    }


def _ruleset(place: int, count: int) -> str:
    """Rule set `place` of the first ten. Where only the best rule fires, one in four waits and then sends; of
    the others one in ten sends. The rest notes what people like.
    """
    dice = Random(f"rule set {place}")
    name, mode, listens = _SETS[place]
    listened = [
        on for on, _, times in (each.partition("*") for each in listens.split()) for _ in range(int(times or 1))
    ]
    dice.shuffle(listened)
    rules = []
    for number, on in enumerate(listened):
        is_rare = number % (4 if mode == "first" else 10) == 0
        tests = _tests(dice, on, dice.choice((2, 3, 3, 4)))
        if is_rare:
            tests[-1:] = ["exists(traits.email)", dice.choice(SELDOM)]
        elif number % 4 != 1:
            tests[-1] = dice.choice(FEW)
        rules.append(_rule(dice, number, on, tests, "set" if not is_rare else "wait" if mode == "first" else "send"))
    return _text(name, dice.randrange(100), mode, rules[:count])


def _campaigns(place: int, count: int) -> str:
    """A further rule set: campaigns for one category each, among the events that everybody sends, or for events of
    their own.
    """
    dice = Random(f"rule set {place}")
    rules = []
    for number in range(A_SET):
        on = f"Campaign {(place * A_SET + number) % CAMPAIGNS} Viewed" if place % 2 else dice.choice(_PRODUCT)
        tests = _tests(dice, on, dice.choice((2, 3, 3, 4)))
        if not place % 2:
            tests[0] = f'event.category == "c-{dice.randrange(CATEGORIES)}"'
        what: Literal["set", "send", "wait"] = dice.choices(("set", "wait", "send"), (8, 1, 1))[0]
        if what != "set":
            tests[-1:] = ["exists(traits.email)", dice.choice(SELDOM)]
        rules.append(_rule(dice, number, on, tests, what))
    return _text(f"campaigns-{place}", dice.randrange(100), "all" if place % 3 else "first", rules[:count])


def _text(name: str, priority: int, mode: str, rules: Sequence[str]) -> str:
    return f"ruleset: {name}\npriority: {priority}\nmode: {mode}\nmax_age: 1 day\nrules:\n{''.join(rules)}"


def _tests(dice: Random, on: str, count: int) -> list[str]:
    """So many tests over different things; most of them mostly hold, so that about half of the rules that an event of
    a hot name wakes are true.
    """
    kinds = [_event_test(dice, on), _trait_test(dice), dice.choice(ACTIVITY), _segment_test(dice)]
    if dice.random() < 0.5:
        kinds[3] = dice.choice(ACTIVITY)
    first, *rest = kinds
    dice.shuffle(rest)
    return [first, *rest][:count]


def _event_test(dice: Random, on: str) -> str:
    if on in _PRODUCT:
        few = ", ".join(f'"c-{number}"' for number in sorted(dice.sample(range(40), 3)))
        return dice.choice(
            (f"event.price > {dice.randrange(5, 70)}", f"event.price < {dice.randrange(80, 200)}",
             f"event.category not in [{few}]", 'event.currency in ["EUR", "GBP"]', "event.quantity >= 1",
             f"event.price * event.quantity > {dice.randrange(5, 60)}")
        )  # fmt: skip
    if on in _CART:
        return dice.choice((f"event.total > {dice.randrange(10, 120)}", "event.items >= 1", "event.items < 9"))
    if on == "page":
        return dice.choice(('event.path != "/imprint"', 'starts_with(event.path, "/shop")', "exists(event.title)"))
    if on == "search":
        return dice.choice(("event.results > 3", 'not contains(lower(event.query), "gift")', "event.results < 900"))
    return dice.choice(('event.place != "footer"', "event.value >= 5", "local.hour >= 4"))


def _trait_test(dice: Random) -> str:
    some = ", ".join(f'"{country}"' for country in sorted(dice.sample(COUNTRIES, 8)))
    return dice.choice(
        (f"traits.country in [{some}]", 'traits.plan != "pro"', f"traits.age >= {dice.randrange(16, 30)}",
         f"traits.points < {dice.randrange(600, 2_000)}", "traits.newsletter == True", "exists(traits.email)")
    )  # fmt: skip


def _segment_test(dice: Random) -> str:
    name = dice.choice(("reachable", "reachable", "browsing", "explorers"))
    absent = dice.choice(("customers-0a", "cart-people-2", "explorers-1b"))
    return dice.choice((f'"{name}" in segments', f'"{absent}" not in segments'))


def _rule(dice: Random, number: int, on: str, tests: Sequence[str], what: Literal["set", "send", "wait"]) -> str:
    lines = [f"  - name: rule-{number:02}", f"    priority: {dice.randrange(100)}", f"    on: {on}", "    when:"]
    lines += ["      all:", *(f"        - {json.dumps(test)}" for test in tests)]
    if what == "set":
        trait = dice.randrange(INTERESTS)
        return "\n".join([*lines, "    then:", f"      - set: {{interest_{trait}: {interest(trait)}}}"]) + "\n"
    if what == "wait":
        lines += [f"    wait: {dice.choice((20, 30, 45, 60))} minutes", "    while_waiting: keep"]
        lines += [f"    unless: {'refund' if on == 'purchase' else 'purchase'}"]
    lines += [dice.choice(("    cooldown: 3 days", "    once_per: week", "    limit: {sends: 2, within: 14 days}"))]
    return "\n".join([*lines, "    then:", f"      - send: {dice.choice(TEMPLATES)}"]) + "\n"


def interest(trait: int) -> str:
    """What rules set a trait to: most of the time what it is already."""
    return {0: "{value: local.date}", 1: "{value: count(purchase)}"}.get(trait, "hot")
