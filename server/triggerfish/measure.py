"""Room 10. Measure: what came back (opens, clicks, unsubscribes, bounces) becomes events again, and events results.

The addresses in a message carry a signed token. A token is base64url (RFC 4648, section 5, no padding) of

    version (1 byte) | key id (1) | kind (1) | when it was sent, in seconds since 1970 (4) | length, send id |
    length, profile id | length, purpose | url, or a digest of the address | mac (16)

The mac is HMAC-SHA256 (RFC 2104) over everything before it, cut to 128 bits. For a click the target is inside, so a
link of ours leads nowhere but where the template pointed. Links that lead to consent hold a digest of the address that
the message went to: whoever presses the button has read that mailbox, and no other.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import b2a_base64
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeVar

from msgspec import Struct

from triggerfish.clock import HOUR, SECOND, Instant
from triggerfish.consent import CONFIRMED, UNSUBSCRIBED, UPDATED, digest_of
from triggerfish.ingest import Event
from triggerfish.machines import LIKELY_HUMAN, guess

Heard = Literal["delivered", "opened", "clicked", "unsubscribed", "bounced", "complained", "confirmed", "preferences"]

NAMES: Mapping[Heard, str] = {
    "delivered": "Email Delivered",
    "opened": "Email Opened",
    "clicked": "Email Link Clicked",
    "unsubscribed": UNSUBSCRIBED,
    "bounced": "Email Bounced",
    "complained": "Email Marked as Spam",
    "confirmed": CONFIRMED,
    "preferences": UPDATED,
}
"""The events' names, as Segment's email spec has them, and two of our own."""

PROOFS = frozenset(name for kind, name in NAMES.items() if kind != "bounced")
"""What nobody could do with a message that never arrived."""

LONGEST_TOKEN = 4_096
LONGEST_URL = 2_048
"""In bytes of UTF-8. A longer target is not tracked: the link stays as the template made it."""

_VERSION = 2
_MAC = 16
_KINDS: tuple[Heard, ...] = ("opened", "clicked", "unsubscribed", "confirmed", "preferences")
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_OF_ADDRESS = frozenset({"unsubscribed", "confirmed", "preferences"})
_HEAD = 3 + 4
_LONGEST_USER_AGENT = 512
# A backslash is left out because browsers read it as a slash.
_WEB_ADDRESS = re.compile(
    r"(?i:https?)://[^\s\x00-\x20\x7f-\xa0\\\ud800-\udfff/?#][^\s\x00-\x20\x7f-\xa0\\\ud800-\udfff]*"
)


class Hit(Struct, frozen=True):
    """Something that happened to one send. `url` is set for "clicked"; `detail` is a provider's own words.

    Of a bounce or a complaint, `recipient` is the address that it is about, `status` RFC 3463's code ("5.1.1"), and
    `is_permanent` says that no mail will ever arrive there. `user_agent` is that of whoever opened or clicked.
    Of our own links, `sent_at` is when the message was composed, to the second, and `address`, of those that lead to
    consent, a digest of where it went (consent.digest_of).
    """

    kind: Heard
    send_id: str
    profile_id: str
    purpose: str = ""
    url: str = ""
    detail: str = ""
    recipient: str = ""
    status: str = ""
    is_permanent: bool = False
    user_agent: str = ""
    sent_at: Instant = 0
    address: str = ""


class Signer:
    """Makes and checks tokens. `secret` signs; tokens made with one of `retired` are still understood, so that links
    in delivered mail go on working after a change of the secret.
    """

    def __init__(self, secret: str, retired: Sequence[str] = ()) -> None:
        self._keys = [_derive(each) for each in (secret, *retired)]
        # HMAC's two hashes (RFC 2104, 2) that have taken in the key: copies of them cost half of what hmac's own do.
        key = self._keys[0].ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in key))
        self._outer = hashlib.sha256(bytes(octet ^ 0x5C for octet in key))

    def __repr__(self) -> str:
        return f"Signer({len(self._keys)} keys)"

    def links(
        self, send_id: str, profile_id: str, purpose: str, public_url: str, *, at: Instant = 0, address: str = ""
    ) -> SignedLinks:
        """The tracked addresses of one send, below `public_url` (`https://mail.example.com`), composed at `at` for
        whoever reads mail at `address`.
        """
        send = Hit("opened", send_id, profile_id, purpose, sent_at=at // SECOND * SECOND, address=digest_of(address))
        return self.links_of(send, public_url)

    def links_of(self, send: Hit, public_url: str) -> SignedLinks:
        """The same for a send of which there is a hit already."""
        return SignedLinks(self, send, public_url.rstrip("/"), self.middle(send))

    def token(self, hit: Hit) -> str:
        """`hit` as a token. Raises ValueError for a kind that no link has and for ids over 255 bytes."""
        return self.end(hit.kind, self.middle(hit), hit.url or hit.address)

    def middle(self, hit: Hit) -> bytes:
        """What all tokens of one send have in common. Raises ValueError for ids over 255 bytes."""
        parts = [min(hit.sent_at // SECOND, 2**32 - 1).to_bytes(4)]
        for text in (hit.send_id, hit.profile_id, hit.purpose):
            raw = text.encode()
            if len(raw) > 255:
                raise ValueError("an id in a link has at most 255 bytes")
            parts += (bytes((len(raw),)), raw)
        return b"".join(parts)

    def end(self, kind: Heard, middle: bytes, tail: str) -> str:
        """The token of a kind, with an url or the digest of an address. Raises ValueError for a kind no link has."""
        number = _NUMBERS.get(kind)
        if number is None:
            raise ValueError(f'no link says "{kind}"')
        body = b"%c%c%c%b%b" % (_VERSION, self._keys[0][0], number, middle, tail.encode())
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(body)
        outer.update(inner.digest())
        return b2a_base64(body + outer.digest()[:_MAC], newline=False).rstrip(b"=").translate(_URL_SAFE).decode()

    def read_token(self, token: str) -> Hit | None:
        """What a token says, or None when it is not ours: altered, cut off, too long, of another secret or version."""
        raw = _from_base64(token)
        if raw is None or len(raw) < _HEAD + 3 + _MAC or raw[0] != _VERSION:
            return None
        body, mac = raw[:-_MAC], raw[-_MAC:]
        # Key ids are one byte and may be equal by chance, so every key that fits is tried.
        if not any(key[0] == raw[1] and hmac.compare_digest(_mac(key, body), mac) for key in self._keys):
            return None
        ids, at = [], _HEAD
        for _ in range(3):
            length = body[at]
            ids.append(body[at + 1 : at + 1 + length].decode())
            at += 1 + length
        send_id, profile_id, purpose = ids
        kind, sent_at, tail = _KINDS[body[2]], int.from_bytes(body[3:_HEAD]) * SECOND, body[at:].decode()
        if kind in _OF_ADDRESS:
            return Hit(kind, send_id, profile_id, purpose, sent_at=sent_at, address=tail)
        return Hit(kind, send_id, profile_id, purpose, tail, sent_at=sent_at)


class SignedLinks(Struct, frozen=True):
    """The tracked addresses of one send (`render.Links`)."""

    signer: Signer
    send: Hit
    public_url: str
    middle: bytes

    def click(self, url: str) -> str:
        """The address that records a click and leads on to `url`; `url` itself when it cannot be tracked."""
        if not _can_be_tracked(url):
            return url
        return f"{self.public_url}/t/c/{self._token('clicked', url)}"

    def open_pixel(self) -> str:
        return f"{self.public_url}/t/o/{self._token('opened')}.gif"

    def unsubscribe(self) -> str:
        return f"{self.public_url}/t/u/{self._token('unsubscribed')}"

    def confirm(self) -> str:
        """Where somebody says that they do want what this message is about."""
        return f"{self.public_url}/t/s/{self._token('confirmed')}"

    def preferences(self) -> str:
        """Where somebody says what they want to get."""
        return f"{self.public_url}/t/p/{self._token('preferences')}"

    def _token(self, kind: Heard, url: str = "") -> str:
        return self.signer.end(kind, self.middle, url or (self.send.address if kind in _OF_ADDRESS else ""))


@lru_cache(maxsize=2_048)
def _can_be_tracked(url: str) -> bool:
    return is_web_address(url) and len(url.encode()) <= LONGEST_URL


def is_web_address(url: str) -> bool:
    """Whether `url` is an absolute http(s) address in one piece: no blanks, control characters, lone surrogates."""
    return _WEB_ADDRESS.fullmatch(url) is not None


def to_event(
    hit: Hit,
    at: Instant,
    *,
    nonce: str,
    template: str = "",
    user_agent: str = "",
    extra: Mapping[str, Any] | None = None,
) -> Event:
    """`hit`, heard at `at`, as an event for the log.

    Every open and click is an event of its own (`nonce`, random, makes its id). The rest counts once a send however
    often a mail client or a provider repeats it, so its id is made from the send (a bounce for good is another than one
    that may pass). An unsubscribe counts once a send *and hour*: who subscribed again and then uses the link of an old
    mail means it. The same holds for a confirmation; what is chosen on the preference page counts each time.
    """
    match hit.kind:
        case "opened" | "clicked" | "preferences":
            message_id = f"{hit.kind}:{hit.send_id}:{nonce}"
        case "unsubscribed" | "confirmed":
            message_id = f"{hit.kind}:{hit.send_id}:{at // HOUR}"
        case "bounced" if hit.is_permanent:
            # It may have been given up as a passing trouble first.
            message_id = f"bounced for good:{hit.send_id}"
        case _:
            message_id = f"{hit.kind}:{hit.send_id}"
    said = {
        "send_id": hit.send_id, "template": template, "purpose": hit.purpose, "url": hit.url, "detail": hit.detail,
        "recipient": hit.recipient, "status": hit.status, "is_permanent": hit.is_permanent, "address": hit.address,
    }  # fmt: skip
    user_agent = user_agent or hit.user_agent
    return Event(
        kind="feedback",
        name=NAMES[hit.kind],
        message_id=message_id,
        timestamp=at,
        profile_id=hit.profile_id,
        properties={key: value for key, value in said.items() if value} | dict(extra or {}),
        context={"userAgent": user_agent[:_LONGEST_USER_AGENT]} if user_agent else {},
    )


def more_of(hit: Hit, source: str) -> dict[str, Any]:
    """What is known besides of a hit that somebody else heard: of an unsubscribe by what way it came, of an open or a
    click how likely a human did it.
    """
    match hit.kind:
        case "unsubscribed" if source:
            return {"source": source}
        case "opened" | "clicked" as kind if hit.user_agent:
            found = guess(kind, hit.user_agent)
            return {"human": found.human} | ({"machine": found.machine} if found.machine else {})
    return {}


class Results(Struct, frozen=True):
    """How many sends came to what; each send counts once in each. Who clicked has opened, images shown or not.

    `opened` and `clicked` are those that a human most likely did (machines.py); `opened_by_any` and `clicked_by_any`
    count those of machines, too.
    """

    sent: int = 0
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    unsubscribed: int = 0
    bounced: int = 0
    complained: int = 0
    opened_by_any: int = 0
    clicked_by_any: int = 0


COUNTED: Mapping[Heard, str] = {
    kind: NAMES[kind] for kind in ("delivered", "opened", "clicked", "unsubscribed", "bounced", "complained")
}
"""What results count."""


def is_human(properties: Mapping[str, Any]) -> bool:
    """Whether feedback with these properties most likely comes of a human; who does not say, is taken for one."""
    human = properties.get("human")
    return not isinstance(human, int | float) or human >= LIKELY_HUMAN


Group = TypeVar("Group", bound=Hashable)


def tally(sends: Iterable[tuple[str, Group]], feedback: Iterable[tuple[str, str, bool]]) -> dict[Group, Results]:
    """Results per group. `sends`: (send id, group), a group being for example (rule set, rule); `feedback`: (send id,
    event name, whether it was a human's). Feedback about other sends, and events of other names, are left out.
    """
    group_of = dict(sends)
    heard: dict[str, set[str]] = {kind: set() for kind in (*COUNTED, "opened_by_any", "clicked_by_any")}
    kind_of = {name: kind for kind, name in COUNTED.items()}
    for send_id, name, is_of_human in feedback:
        if send_id in group_of and (kind := kind_of.get(name)):
            if kind in ("opened", "clicked"):
                heard[f"{kind}_by_any"].add(send_id)
            if kind not in ("opened", "clicked") or is_of_human:
                heard[kind].add(send_id)
    heard["opened"] |= heard["clicked"]
    heard["opened_by_any"] |= heard["clicked_by_any"]
    counts: dict[Group, dict[str, int]] = {}
    for send_id, group in group_of.items():
        row = counts.setdefault(group, {"sent": 0, **dict.fromkeys(heard, 0)})
        row["sent"] += 1
        for what, ids in heard.items():
            row[what] += send_id in ids
    return {group: Results(**row) for group, row in counts.items()}


def _derive(secret: str) -> bytes:
    """The key for links, so that the secret of the settings is never used for two purposes."""
    return hmac.digest(secret.encode(), b"triggerfish links 1", hashlib.sha256)


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)[:_MAC]


def _from_base64(token: str) -> bytes | None:
    if len(token) > LONGEST_TOKEN or not token.isascii():
        return None
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    # The decoder skips foreign characters and loose bits; one token has one spelling.
    return raw if urlsafe_b64encode(raw).rstrip(b"=").decode() == token else None
