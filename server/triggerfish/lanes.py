"""Room 9, its doors: where a message stands in line, and how fast a line moves. Messages of one channel, one class and
one mailbox provider share a lane, so that transactional mail never waits behind marketing, and a provider that is to
get little at a time holds up nobody else's mail.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from triggerfish.clock import DAY, SECOND, Instant
from triggerfish.deliver import Bucket, full_bucket, level, spend
from triggerfish.render import Class

OTHER = "other"
HELD = "held"

PROVIDERS: Mapping[str, tuple[str, ...]] = {
    "google": ("gmail.*", "googlemail.*"),
    "microsoft": ("outlook.*", "hotmail.*", "live.*", "msn.com", "passport.com"),
    "yahoo": ("yahoo.*", "ymail.com", "rocketmail.com", "myyahoo.com", "aol.*", "aim.com"),
    "apple": ("icloud.com", "me.com", "mac.com"),
    "gmx": ("gmx.*", "web.de", "mail.com", "caramail.com"),
    "t-online": ("t-online.de", "magenta.de"),
    "comcast": ("comcast.net", "xfinity.com"),
    "orange": ("orange.fr", "wanadoo.fr"),
    "libero": ("libero.it", "virgilio.it", "inwind.it", "iol.it"),
    "mail-ru": ("mail.ru", "bk.ru", "inbox.ru", "list.ru", "internet.ru"),
    "yandex": ("yandex.*", "ya.ru"),
    "proton": ("proton.me", "protonmail.com", "protonmail.ch", "pm.me"),
    "qq": ("qq.com", "foxmail.com"),
    "netease": ("163.com", "126.com", "yeah.net"),
}
"""The large mailbox providers by the domains that they give to the public; "gmx.*" is gmx.de, gmx.co.uk and so on.
A company's own domain that one of them serves counts as "other": only its MX record would tell.
"""

_EXACT = {domain: name for name, domains in PROVIDERS.items() for domain in domains if not domain.endswith(".*")}
_STEMS = {domain[:-2]: name for name, domains in PROVIDERS.items() for domain in domains if domain.endswith(".*")}


def provider_of(address: str) -> str:
    """The mailbox provider behind an address, or "other"."""
    return _provider_of(address.rpartition("@")[2])


@lru_cache(maxsize=1_000)
def _provider_of(domain: str) -> str:
    domain = domain.strip().lower()
    stem, _, rest = domain.partition(".")
    # A public domain ends in a country or "com", at most "co.uk": yahoo.shop.example.org is nobody's we know.
    is_short = rest.count(".") <= 1 and bool(rest) and max(map(len, rest.split("."))) <= 3
    return _EXACT.get(domain) or (_STEMS.get(stem, OTHER) if is_short else OTHER)


class Lane(NamedTuple):
    """Where a message stands in line. Of a message whose rule is held, `held` is the rule ("rule set / rule")."""

    channel: str
    class_: str
    provider: str = OTHER
    held: str = ""

    def __str__(self) -> str:
        """As it is stored; the parts of the way come first, so that a way's lanes stand together."""
        return f"{self.channel} {self.class_} {HELD} {self.held}" if self.held else " ".join(self[:3])


def lane_of(channel: str, class_: Class, address: object) -> Lane:
    """The lane of a message. `address` is the person's, if they have one."""
    return Lane(channel, class_, provider_of(address) if isinstance(address, str) else OTHER)


def read_lane(text: str) -> Lane | None:
    """A lane as it is stored; None for what is none: the messages of servers that knew no lanes."""
    parts = text.split(" ", 3)
    match parts:
        case [channel, class_, provider] if provider != HELD:
            return Lane(channel, class_, provider)
        case [channel, class_, "held", rule]:
            return Lane(channel, class_, HELD, rule)
        case _:
            return None


class WarmUp(Struct, frozen=True):
    """A channel's first days: on day n (UTC days from `since`; the first is 0) at most `first_day * factor**n` messages
    leave, rounded down; once that is more than `until`, as many as there are.
    """

    since: Instant
    first_day: int
    factor: float
    until: int

    def most(self, now: Instant) -> int | None:
        """How many may leave on the day of `now`; None: there is no limit any more."""
        days = now // DAY - self.since // DAY
        if days < 0:
            return self.first_day
        # The power of a large number of days is more than a float holds.
        grown = self.first_day * self.factor ** min(days, 400)
        return None if grown > self.until else int(grown)


class Pace(Struct, frozen=True):
    """How fast a channel's lanes move: messages a second on average, over the channel in all, to single providers
    ("google"), and in its first days.
    """

    per_second: float | None = None
    providers: Mapping[str, float] = {}
    warm_up: WarmUp | None = None


class Pacing:
    """The token buckets of all channels. Marketing takes only what is there; transactional mail may go into debt by a
    second's worth, so that marketing never makes it wait.
    """

    def __init__(self, paces: Mapping[str, Pace], now: Instant) -> None:
        self._paces = paces
        self._buckets: dict[tuple[str, str], tuple[float, Bucket]] = {}
        for channel, pace in paces.items():
            rates = {"": pace.per_second} | dict(pace.providers)
            for provider, rate in rates.items():
                if rate is not None:
                    self._buckets[channel, provider] = (rate, full_bucket(rate, now))

    def room(self, lane: Lane, now: Instant) -> int | None:
        """How many messages of this lane may leave now; None: as many as there are."""
        rooms = [_room(rate, bucket, lane.class_, now) for rate, bucket in self._of(lane)]
        return min(rooms, default=None)

    def channel_room(self, channel: str, class_: str, now: Instant) -> int | None:
        """How many messages may leave over a channel now, to whomever; None: as many as there are."""
        found = self._buckets.get((channel, ""))
        return None if found is None else _room(*found, class_, now)

    def warm_up(self, channel: str) -> WarmUp | None:
        pace = self._paces.get(channel)
        return None if pace is None else pace.warm_up

    def spend(self, channel: str, provider: str, now: Instant) -> None:
        """Note that a message left."""
        for key in ((channel, ""), (channel, provider)):
            if key in self._buckets:
                rate, bucket = self._buckets[key]
                self._buckets[key] = (rate, spend(bucket, rate, 1, now))

    def free_at(self, lane: Lane, now: Instant) -> Instant:
        """The first instant, `now` or later, at which this lane moves."""
        return max((_free_at(rate, bucket, lane.class_, now) for rate, bucket in self._of(lane)), default=now)

    def _of(self, lane: Lane) -> list[tuple[float, Bucket]]:
        keys = ((lane.channel, ""), (lane.channel, lane.provider))
        return [self._buckets[key] for key in keys if key in self._buckets]


def _credit(rate: float, class_: str) -> float:
    return max(1.0, rate) if class_ == "transactional" else 0.0


def _room(rate: float, bucket: Bucket, class_: str, now: Instant) -> int:
    return max(0, int(level(bucket, rate, now) + _credit(rate, class_)))


def _free_at(rate: float, bucket: Bucket, class_: str, now: Instant) -> Instant:
    there = level(bucket, rate, now) + _credit(rate, class_)
    return now if there >= 1.0 else now + int((1.0 - there) / rate * SECOND) + 1
