"""What the starter rulebook must come to, worked out a second time: by hand, from rules/*.yaml as people read them.

Nothing here is shared with the server, and nothing is read from the rule files: who changes those changes this, too.
One person after the other: what they did is known as a whole, so a segment is a question about a list, and not a state.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

ZONE = ZoneInfo("Europe/London")
"""policy.yaml: the time zone of people who have told none, which in the demo's data is everybody."""

SHOPPING = frozenset({"add", "cart", "checkout", "payment"})
BROWSING = SHOPPING | {"page", "list", "filter", "search", "view", "wishlist"}
SIGNS_OF_LIFE = frozenset({"identify", "page", "list", "search", "view", "add", "purchase"})


@dataclass(frozen=True)
class Deed:
    """Something that a person did: when (milliseconds since 1970), what, and what an order was worth in cents."""

    at: int
    what: str
    total: int | None = None


@dataclass(frozen=True)
class Rule:
    """One rule of the starter rulebook, as far as it concerns when a message leaves."""

    name: str
    wait: int
    cooldown: int
    group: str
    cancelled_by: frozenset[str] = frozenset()
    is_marketing: bool = True
    keeps_first: bool = False


_BOUGHT = frozenset({"purchase"})
WELCOME = Rule("welcome/first-hello", 10 * MINUTE, 3650 * DAY, "welcome", keeps_first=True)
VIP_CART = Rule("cart-recovery/vip-cart", 30 * MINUTE, 3 * DAY, "cart-recovery", _BOUGHT)
CART = Rule("cart-recovery/cart", HOUR, 3 * DAY, "cart-recovery", _BOUGHT)
BROWSE = Rule("browse-abandonment/looked-around", 2 * HOUR, 14 * DAY, "browse", _BOUGHT | {"add"})
THANKS = Rule("post-purchase/thank-you", 2 * HOUR, 30 * DAY, "post-purchase")
PAYMENT = Rule("payment-help/payment-refused", 20 * MINUTE, DAY, "payment-help", _BOUGHT, is_marketing=False)
WIN_BACK = Rule("win-back/missed", 0, 180 * DAY, "win-back")
VIP = Rule("vip/vip-welcome", 0, 365 * DAY, "vip")

CAPS = ((2, DAY), (4, 7 * DAY))


@dataclass
class Waiting:
    due: int
    rule: Rule


@dataclass
class Person:
    """One person's deeds in order, ending with what is known at `end`; `sent` is filled by `live`."""

    deeds: list[Deed]
    end: int
    sent: list[tuple[int, Rule]] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.times = [deed.at for deed in self.deeds]

    # Questions: `known` says how many of the deeds have happened, `now` what time it is.

    def within(self, what: str, length: int, now: int, known: int) -> list[Deed]:
        return [deed for deed in self.deeds[:known] if deed.what == what and now - deed.at < length]

    def newest(self, kinds: frozenset[str], known: int) -> Deed | None:
        return next((deed for deed in reversed(self.deeds[:known]) if deed.what in kinds), None)

    def is_loyal(self, now: int, known: int) -> bool:
        return len(self.within("purchase", 365 * DAY, now, known)) >= 3

    def is_at_risk(self, now: int, known: int) -> bool:
        order = self.newest(_BOUGHT, known)
        return (
            order is not None
            and self.is_loyal(now, known)
            and now - order.at > 30 * DAY
            and not self.within("view", 7 * DAY, now, known)
        )

    def is_vip(self, now: int, known: int) -> bool:
        orders = self.within("purchase", 365 * DAY, now, known)
        if sum(order.total for order in orders if order.total is not None) >= 500_00:
            return True
        told = any(deed.total is not None for deed in self.deeds[:known])
        return not told and len(self.within("purchase", 180 * DAY, now, known)) >= 3

    def segments(self) -> set[str]:
        """Where they are when all is done."""
        now, known = self.end, len(self.deeds)
        found = {"reachable"}

        def lately(kinds: frozenset[str], length: int) -> bool:
            deed = self.newest(kinds, known)
            return deed is not None and now - deed.at < length

        if lately(BROWSING, 15 * MINUTE):
            found.add("browsing")
            if lately(SHOPPING, 15 * MINUTE):
                found.add("active-shoppers")
        cart = self.newest(frozenset({"add", "purchase"}), known)
        if cart is not None and cart.what == "add" and HOUR <= now - cart.at < 7 * DAY:
            found.add("cart-abandoners")
        if self.newest(_BOUGHT, known) is not None:
            found.add("customers")
            if self.is_vip(now, known):
                found.add("vip")
            if self.is_loyal(now, known):
                found.add("loyal")
                if self.is_at_risk(now, known):
                    found.add("at-risk")
        found.add("engaged" if lately(SIGNS_OF_LIFE, 30 * DAY) else "disengaged")
        return found

    def still_wanted(self, rule: Rule, now: int, known: int) -> bool:
        """The rule's condition at an instant. For rules on entering a segment: whether they are in it still."""
        match rule.name:
            case WELCOME.name:
                return self.newest(_BOUGHT, known) is None
            case VIP_CART.name:
                return self.is_vip(now, known)
            case BROWSE.name:
                return (
                    len(self.within("view", DAY, now, known)) >= 4
                    and not self.within("add", DAY, now, known)
                    and not self.within("purchase", 7 * DAY, now, known)
                )
            case WIN_BACK.name:
                return self.is_at_risk(now, known)
        return True

    # What happens, in order of time. At one instant: waits that end, then what time alone has changed, then deeds.

    def live(self) -> None:
        changes = self.instants_of_change()
        was_at_risk = was_vip = False
        known = 0
        while True:
            wait_at = min((wait.due for wait in self.waiting), default=self.end + 1)
            deed_at = self.times[known] if known < len(self.times) else self.end + 1
            change_at = changes[0] if changes else self.end + 1
            now = min(wait_at, deed_at, change_at)
            if now > self.end:
                return
            if wait_at == now:
                self.end_waits(now, known)
            elif change_at == now:
                changes.pop(0)
            else:
                known += 1
                self.follow(self.deeds[known - 1], known)
            at_risk, vip = self.is_at_risk(now, known), self.is_vip(now, known)
            if at_risk and not was_at_risk:
                self.offer(WIN_BACK, now)
            if vip and not was_vip:
                self.offer(VIP, now)
            was_at_risk, was_vip = at_risk, vip

    def instants_of_change(self) -> list[int]:
        """When time alone can bring somebody into at-risk or vip, or take them out: the windows' ends."""
        instants: set[int] = set()
        for deed in self.deeds:
            if deed.what == "purchase":
                instants |= {deed.at + 30 * DAY + 1, deed.at + 180 * DAY, deed.at + 365 * DAY}
            elif deed.what == "view":
                instants.add(deed.at + 7 * DAY)
        return sorted(instants)

    def follow(self, deed: Deed, known: int) -> None:
        """A deed cancels waits, then begins some."""
        self.waiting = [wait for wait in self.waiting if deed.what not in wait.rule.cancelled_by]
        match deed.what:
            case "identify":
                self.begin(WELCOME, deed, known)
            case "add":
                self.begin(VIP_CART if self.is_vip(deed.at, known) else CART, deed, known)
            case "view":
                self.begin(BROWSE, deed, known)
            case "purchase" if deed.total is None or deed.total >= 100_00:
                self.begin(THANKS, deed, known)
            case "refused":
                self.begin(PAYMENT, deed, known)

    def begin(self, rule: Rule, deed: Deed, known: int) -> None:
        if not self.still_wanted(rule, deed.at, known):
            return
        others = [wait for wait in self.waiting if wait.rule.group != rule.group]
        if rule.keeps_first and len(others) < len(self.waiting):
            return
        self.waiting = [*others, Waiting(deed.at + rule.wait, rule)]

    def end_waits(self, now: int, known: int) -> None:
        ended = [wait for wait in self.waiting if wait.due == now]
        self.waiting = [wait for wait in self.waiting if wait.due != now]
        for wait in ended:
            if self.still_wanted(wait.rule, now, known):
                self.offer(wait.rule, now)

    def offer(self, rule: Rule, now: int) -> None:
        """May it leave? Cooldown first, then quiet hours, then caps; payment help knows neither of the last two."""
        if any(sent.name == rule.name and now - at < rule.cooldown for at, sent in self.sent):
            return
        if rule.is_marketing:
            morning = quiet_until(now)
            if morning is not None:
                self.waiting.append(Waiting(morning, rule))
                return
            times = [at for at, sent in self.sent if sent.is_marketing]
            if any(sum(now - at < length for at in times) >= most for most, length in CAPS):
                return
        self.sent.append((now, rule))


def quiet_until(now: int) -> int | None:
    """The next 08:00 when it is 21:00 or later, or earlier than 08:00."""
    local = datetime.fromtimestamp(now / 1000, ZONE)
    if 8 <= local.hour < 21:
        return None
    day = local.date() + timedelta(days=1 if local.hour >= 21 else 0)
    return int(datetime(day.year, day.month, day.day, 8, tzinfo=ZONE).timestamp() * 1000)


def figures(people: dict[str, list[Deed]]) -> dict[str, dict[str, int]]:
    """Members per segment at the instant of the last deed of all, and messages per rule sent until then.

    Each person's deeds come in order of time; that they are identified just before the first is added here.
    """
    end = max(deeds[-1].at for deeds in people.values())
    segments: Counter[str] = Counter()
    sends: Counter[str] = Counter()
    for deeds in people.values():
        if any(later.at < earlier.at for earlier, later in pairwise(deeds)):
            raise ValueError("deeds are not in order of time")
        person = Person([Deed(deeds[0].at, "identify"), *deeds], end)
        person.live()
        segments.update(person.segments())
        sends.update(rule.name for _, rule in person.sent)
    return {"segments": dict(sorted(segments.items())), "sends": dict(sorted(sends.items()))}


def print_figures(found: dict[str, dict[str, int]]) -> None:
    """As JSON, for compare.py."""
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
