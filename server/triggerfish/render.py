"""Room 8. Render: a due send, the profile as it is now and a template make a Message."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import idna
from msgspec import Struct

from triggerfish.clock import Instant, Millis, to_datetime
from triggerfish.errors import MissingData, Refused
from triggerfish.languages import language_of

Class = Literal["marketing", "transactional"]

LONGEST_SUBJECT = 200
"""Characters of a subject line; what is longer is cut at a word. Phones show about 40, the standard allows 998."""
LONGEST_HEADER = 900
"""Characters of any other header value (RFC 5322, section 2.1.1: a line holds at most 998)."""

_LONGEST_NAME = 1_000
"""Characters of a name that are looked at; an address shows 100 of them."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_MAILBOX = re.compile(r'\s*(?:"(?P<quoted>[^"\\]*)"|(?P<name>[^<>"]*?))\s*<(?P<email>[^<>\s]+)>\s*')


class Fixed(str):
    """A piece of text that stands in a template and so in all its messages. What is worked out of it, is `kept`."""

    __slots__ = ("kept",)
    kept: Any

    def __new__(cls, text: str) -> Fixed:
        made = super().__new__(cls, text)
        made.kept = None
        return made


class Address(Struct, frozen=True):
    """A mailbox: `Ana Lima <ana@example.com>`. Neither part holds a control character."""

    email: str
    name: str = ""


class Message(Struct, frozen=True, kw_only=True, dict=True):
    """A composed message, ready for a channel. `send_id` is its idempotency key, `language` what it is written in.

    Header values hold no control characters. `headers` are extra ones (List-Unsubscribe, …), in order. `ruleset`,
    `rule` and `purpose` say what it was sent for.

    `pieces` are those that `html` was joined from, of which many are Fixed; none when nobody said. They are no field:
    a message that is changed, or encoded, goes without them.
    """

    send_id: str
    to: Address
    sender: Address
    reply_to: Address | None = None
    subject: str
    html: str
    text: str
    headers: Mapping[str, str] = {}
    class_: Class = "marketing"
    template: str = ""
    profile_id: str = ""
    ruleset: str = ""
    rule: str = ""
    purpose: str = ""
    language: str = ""

    @property
    def pieces(self) -> Sequence[str]:
        pieces: Sequence[str] = self.__dict__.get("pieces", ())
        return pieces

    def in_pieces(self, pieces: Sequence[str]) -> Message:
        """This message, which knows the pieces of its HTML from now on."""
        self.__dict__["pieces"] = pieces
        return self


class Links(Protocol):
    """Makes the tracked addresses of one send (measure.py signs them; compose.py binds them to the public address)."""

    def click(self, url: str) -> str: ...
    def open_pixel(self) -> str: ...
    def unsubscribe(self) -> str: ...
    def confirm(self) -> str: ...
    def preferences(self) -> str: ...


class FeedSpec(Struct, frozen=True, kw_only=True):
    """A feed that a template declares: data of somebody else's server, fetched before a message is composed.

    It may take `timeout`, is good for `lifetime`, and may have `largest` bytes. When it cannot be had, `fallback`
    stands in its place; without one (`has_fallback`) there is no message.
    """

    name: str
    timeout: Millis
    lifetime: Millis
    largest: int
    fallback: Any = None
    has_fallback: bool = False


class Template(Protocol):
    """A compiled template: `adapters/templates.py` makes them from `templates/<name>/`.

    `purpose` is what people consent to or unsubscribe from ("newsletter"). `sample` has the keys "traits" and "event".
    `variables` are the values that it reads, as written ("traits.firstName").
    """

    @property
    def name(self) -> str: ...
    @property
    def class_(self) -> Class: ...
    @property
    def purpose(self) -> str: ...
    @property
    def sample(self) -> Mapping[str, Any]: ...
    @property
    def variables(self) -> frozenset[str]: ...
    @property
    def feeds(self) -> Mapping[str, FeedSpec]: ...

    def feed_urls(self, data: Mapping[str, Any]) -> Mapping[str, str]:
        """The address of each feed for this person. Raises MissingData when it needs what is missing."""
        ...

    def compose(self, *, send_id: str, data: Mapping[str, Any], to: Address, links: Links) -> Message:
        """`data["feeds"]` holds what was fetched, by name of the feed. Raises MissingData when a value, or a feed,
        without a fallback is missing.
        """
        ...


def template_data(
    traits: Mapping[str, Any],
    event: Mapping[str, Any],
    *,
    sent_at: Instant,
    profile_id: str = "",
    segments: Sequence[str] = (),
    segment: str | None = None,
    locale: str = "",
    also: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """What a template sees of one person and the event that brought the send about (its properties).

    `also` are messages that became part of this one (docs/arbitration.md). `locale` is what the person's device told
    last. The template itself adds company, web, unsubscribe_url and the
    language that it chooses. docs/templates.md lists all names.
    """
    name = full_name(traits)
    given = traits.get("firstName") or traits.get("first_name") or name.partition(" ")[0]
    return {
        "traits": traits,
        "event": event,
        "profile": {
            "id": profile_id,
            "name": name,
            "first_name": given,
            "email": traits.get("email"),
            "language": language_of(traits, locale),
        },
        "segments": list(segments),
        "segment": segment,
        "sent_at": to_datetime(sent_at),
        "also": list(also),
    }


def full_name(traits: Mapping[str, Any]) -> str:
    """A person's name from Segment's reserved traits: `name`, else `firstName` and `lastName`; or empty."""
    whole = traits.get("name")
    if isinstance(whole, str) and whole.strip():
        return one_line(whole[:_LONGEST_NAME])
    parts = [traits.get("firstName") or traits.get("first_name"), traits.get("lastName") or traits.get("last_name")]
    return one_line(" ".join(part[:_LONGEST_NAME] for part in parts if isinstance(part, str)))


def recipient(traits: Mapping[str, Any]) -> Address:
    """Whom a message goes to: `traits.email`. Raises MissingData without one, Refused when it is no address."""
    email = traits.get("email")
    if not isinstance(email, str) or not email.strip():
        raise MissingData(
            "this person has no email address", code="TF325", hint='send one in identify: traits: {"email": …}'
        )
    return Address(mail_address(email.strip()), shorten(full_name(traits), 100))


def mailbox(text: str) -> Address:
    """`Shop <hello@shop.example>` or `hello@shop.example` as an Address. Raises Refused when it is neither."""
    found = _MAILBOX.fullmatch(text)
    if not found:
        return Address(mail_address(text.strip()))
    return Address(mail_address(found["email"]), safe_header_value(found["quoted"] or found["name"] or ""))


def mail_address(text: str) -> str:
    """An address that any mail server takes: `local@domain` in ASCII (RFC 5321; the dot-string form only).

    A domain in other letters is written in its ASCII form (RFC 5891). Raises Refused (TF326) for anything else: the
    part before the @ in other letters needs SMTPUTF8, which many servers do not speak.
    """
    local, _, domain = text.rpartition("@")
    if not domain.isascii() and len(domain) <= 253:
        try:
            domain = idna.encode(domain.lower(), uts46=True).decode()
        except idna.IDNAError:
            domain = ""
    fits = len(local) <= 64 and len(domain) <= 253 and len(local) + len(domain) < 254
    if not (fits and _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)):
        shown = one_line(text[:200])[:80]
        raise Refused(f'"{shown}" is no address that mail can go to', code="TF326", field="traits.email",
                      expected="an address like ana@example.com in plain letters")  # fmt: skip
    return f"{local}@{domain}"


def one_line(text: str) -> str:
    """The text on one line: line breaks, control and direction marks and runs of blanks become one blank."""
    return _BLANKS.sub(" ", text).strip()


def shorten(text: str, longest: int) -> str:
    """The text, cut at a word and ended with "…" when it has more than `longest` characters."""
    if len(text) <= longest:
        return text
    head = text[: longest - 1]
    return (head.rpartition(" ")[0] if " " in head[longest // 2 :] else head).rstrip() + "…"


def safe_header_value(text: str) -> str:
    """The value unchanged. Raises Refused (TF327) when a control character or its length could break the header.

    CPython before 3.11.15 does not check this itself (CVE-2026-1299).
    """
    found = _CONTROL.search(text)
    if found:
        at, mark = found.start() + 1, ord(found[0])
        raise Refused(f"a header value has the control character U+{mark:04X} at {at}", code="TF327",
                      expected="text on one line")  # fmt: skip
    if len(text) > LONGEST_HEADER:
        raise Refused(f"a header value has {len(text)} characters", code="TF327", expected=f"at most {LONGEST_HEADER}")
    return text
