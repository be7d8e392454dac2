"""Consent: what a person said about being written to, purpose by purpose, with the proof of it.

A word of theirs is in an event: an unsubscribe link, the preference page, a confirmation, `POST /v1/consent`, Segment's
`context.consent` (https://segment.com/docs/privacy/consent-management/), or a browser's Global Privacy Control
(https://w3c.github.io/gpc/). The newest word counts, by event time; all of them stay in the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Literal

from msgspec import Struct

from triggerfish.clock import Instant
from triggerfish.ingest import Event

Ask = Literal["opt_out", "opt_in", "double_opt_in"]
Change = Literal["given", "withdrawn", "requested"]

EVENTS: Mapping[Change, str] = {
    "given": "consent.given",
    "withdrawn": "consent.withdrawn",
    "requested": "consent.requested",
}
"""What follows from a word that changes something; rules listen to it."""

UPDATED = "Consent Preferences Updated"
"""A call by which a shop tells what somebody chose: `properties.purposes` as {purpose: true or false}."""
SEGMENT_UPDATED = "Segment Consent Preference Updated"
"""Segment's own: it says that `context.consent.categoryPreferences` is a new choice."""
CONFIRMED = "Consent Confirmed"
UNSUBSCRIBED = "Unsubscribed"
COMPLAINED = "Email Marked as Spam"

_ENDINGS = frozenset({UNSUBSCRIBED, COMPLAINED, UPDATED, CONFIRMED, "Email Bounced"})

EVERYTHING = ""
"""The purpose of a word about all marketing."""
PURPOSE_LIMIT = 100
"""Purposes that one event may speak of, that a rulebook may declare, and that a profile has words about."""
LONGEST_PURPOSE = 64
LONGEST_PROOF = 2_000
"""Characters of each text that is kept as proof."""


class Purpose(Struct, frozen=True, omit_defaults=True):
    """What people can consent to. `gpc`: a browser's Global Privacy Control counts as an opt-out. `categories` are the
    names that a consent banner has for it. `titles` and `descriptions` are by language, "" being for all others.
    """

    name: str
    consent: Ask = "opt_out"
    gpc: bool = False
    categories: tuple[str, ...] = ()
    titles: dict[str, str] = {}
    descriptions: dict[str, str] = {}

    def title(self, language: str) -> str:
        return _in(self.titles, language) or self.name

    def description(self, language: str) -> str:
        return _in(self.descriptions, language)


def _in(texts: Mapping[str, str], language: str) -> str:
    """The text in a language ("pt-BR"), in its main language, or the one for all others."""
    main = language.partition("-")[0]
    return texts.get(language) or texts.get(main) or texts.get("") or next(iter(texts.values()), "")


Purposes = Mapping[str, Purpose]


class Consent(Struct, frozen=True, array_like=True, gc=False):
    """A person's newest word about a purpose, and its proof: by what way it came (`source`), the very text that was
    shown, who told us if not the person (`by`), the page, the IP address if one was sent, the browser, the event.

    `is_confirmed`: whoever reads the mailbox said so, or who runs the server; of the address whose digest is `address`,
    if that is known.
    """

    is_given: bool
    at: Instant
    source: str
    text: str = ""
    by: str = ""
    page: str = ""
    ip: str = ""
    user_agent: str = ""
    is_confirmed: bool = False
    address: str = ""
    message_id: str = ""


Record = dict[str, Consent]
"""The newest words of one person, by purpose."""


def words_in(event: Event, purposes: Purposes, known: Mapping[str, Consent]) -> dict[str, Consent]:
    """What an event says about purposes. `known` are the words so far: what only tells of a state (a consent banner's
    categories on every event, a browser's signal) never lifts a word that a person gave by name.
    """
    context = event.context
    if not may_change_it(event):
        return {}
    properties = event.properties
    if event.kind == "feedback":
        return _heard(event)
    if event.kind == "consent" or (event.kind == "track" and event.name == UPDATED):
        is_confirmed = event.kind == "consent" and properties.get("confirmed") is True
        source = _text(properties.get("how")) or "API"
        return _chosen(event, properties.get("purposes"), source, is_confirmed=is_confirmed)
    if event.kind == "derived":
        return {}
    told = _of_banner(event, purposes, known)
    if context.get("gpc") is True:
        word = _consent(event, "Global Privacy Control", is_given=False)
        told |= {name: word for name, each in purposes.items() if each.gpc and name not in known and name not in told}
    return told


def may_change_it(event: Event) -> bool:
    """Whether an event can say anything about consent, or against an address: quick, for nearly none does."""
    context = event.context
    return may_end_it(event) or "consent" in context or "gpc" in context


def may_end_it(event: Event) -> bool:
    """Whether an event can say that somebody wants, or can be sent, no more; quick, for those that wait in the log."""
    if event.kind == "feedback":
        return event.name in _ENDINGS
    return event.kind == "consent" or (event.kind == "track" and event.name in (UPDATED, SEGMENT_UPDATED))


def _heard(event: Event) -> dict[str, Consent]:
    """What came back from a message of ours; only there, no write key lets these in."""
    properties = event.properties
    purpose = _text(properties.get("purpose"))
    match event.name:
        case "Unsubscribed":
            source = _text(properties.get("source")) or "unsubscribe link"
            return {purpose: _consent(event, source, is_given=False, is_confirmed=True)}
        case "Email Marked as Spam":
            return {EVERYTHING: _consent(event, "complaint", is_given=False, is_confirmed=True)}
        case "Consent Confirmed":
            return {purpose: _consent(event, "confirmation link", is_given=True, is_confirmed=True)}
        case "Consent Preferences Updated":
            return _chosen(event, properties.get("purposes"), "preference page", is_confirmed=True)
    return {}


def _chosen(event: Event, chosen: Any, source: str, *, is_confirmed: bool) -> dict[str, Consent]:
    if not isinstance(chosen, dict):
        return {}
    return {
        name: _consent(event, source, is_given=given, is_confirmed=is_confirmed)
        for name, given in list(chosen.items())[:PURPOSE_LIMIT]
        if isinstance(given, bool) and len(name) <= LONGEST_PURPOSE
    }


def _of_banner(event: Event, purposes: Purposes, known: Mapping[str, Consent]) -> dict[str, Consent]:
    """Segment's `context.consent.categoryPreferences`: {category: true or false}."""
    said = event.context.get("consent")
    categories = said.get("categoryPreferences") if isinstance(said, dict) else None
    if not isinstance(categories, dict):
        return {}
    is_choice = event.name == SEGMENT_UPDATED
    told = {}
    for name, purpose in purposes.items():
        answers = [categories[each] for each in (name, *purpose.categories) if isinstance(categories.get(each), bool)]
        if not answers:
            continue
        before = known.get(name)
        given = all(answers)
        if is_choice or before is None or (before.is_given and not given):
            told[name] = _consent(event, "consent banner", is_given=given)
    return told


def _consent(event: Event, source: str, *, is_given: bool, is_confirmed: bool = False) -> Consent:
    properties, context = event.properties, event.context
    page = context.get("page")
    return Consent(
        is_given=is_given,
        at=event.timestamp,
        source=source[:100],
        text=_text(properties.get("text")),
        by=_text(properties.get("by")),
        page=_text(properties.get("page")) or (_text(page.get("url")) if isinstance(page, dict) else ""),
        ip=_text(properties.get("ip")),
        user_agent=_text(properties.get("user_agent")) or _text(context.get("userAgent")),
        is_confirmed=is_confirmed,
        address=_text(properties.get("address")) if is_confirmed and event.kind == "feedback" else "",
        message_id=event.message_id,
    )


def _text(value: Any) -> str:
    return value[:LONGEST_PROOF] if isinstance(value, str) else ""


def take(
    known: Record, told: Mapping[str, Consent], purposes: Purposes, *, is_ours: bool = False
) -> list[tuple[Change, str]]:
    """Put words into a record (a working copy), unless newer ones are there. Returns what changed by them, and about
    which purpose. Asking again for what awaits its confirmation is news each time. `is_ours`: they came by a link of
    our own.
    """
    changes: list[tuple[Change, str]] = []
    for purpose, word in told.items():
        before = known.get(purpose)
        everything = known.get(EVERYTHING) if purpose != EVERYTHING else None
        if before is not None and before.at > word.at and later(word, before, everything) is not word:
            continue
        is_known = is_ours or purpose == EVERYTHING or purpose in purposes
        if before is None and len(known) >= PURPOSE_LIMIT and not is_known:
            # A stranger with a write key may make up purposes; they leave room for what our messages are about.
            continue
        counts = later(before, word, everything)
        if counts is before:
            changes.append(("requested", purpose))
            continue
        was = None if before is None else _state(before, purpose, purposes, everything)
        known[purpose] = counts
        now = _state(counts, purpose, purposes, everything)
        if now != was or now == "requested":
            changes.append((now, purpose))
    return changes


def later(before: Consent | None, word: Consent, everything: Consent | None = None) -> Consent:
    """Which of two words about a purpose counts, `word` being the newer one.

    Anybody who knows an address and a write key can say yes; so what the mailbox said no to, only the mailbox lifts.
    Who confirmed need not do so again because a form is sent again, unless they objected to `everything` since.
    """
    if before is None or word.is_confirmed or not before.is_confirmed:
        return word
    if before.is_given != word.is_given:
        return word if before.is_given else before
    if word.is_given and everything is not None and not everything.is_given and everything.at >= before.at:
        return word
    return _confirmed_by(word, before)


def _confirmed_by(word: Consent, before: Consent) -> Consent:
    return Consent(
        word.is_given, word.at, word.source, word.text, word.by, word.page, word.ip, word.user_agent,
        is_confirmed=True, address=before.address, message_id=word.message_id,
    )  # fmt: skip


def _state(word: Consent, purpose: str, purposes: Purposes, everything: Consent | None) -> Change:
    if not word.is_given:
        return "withdrawn"
    declared = purposes.get(purpose)
    asks_twice = declared is not None and declared.consent == "double_opt_in"
    asks_twice = asks_twice or (everything is not None and not everything.is_given and everything.is_confirmed)
    return "requested" if asks_twice and not word.is_confirmed else "given"


def refusal(known: Mapping[str, Consent], purpose: str, purposes: Purposes, address: str) -> str:
    """Why marketing of this purpose may not go to this person at this address; empty when it may.

    A word by name that is newer lifts one about everything, unless only that one came from the mailbox; a word about
    everything lifts none by name.
    """
    everything, word = known.get(EVERYTHING), known.get(purpose)
    if word is not None and not word.is_given:
        return f"opted out of {purpose or 'marketing'} ({word.source})"
    if everything is not None and not everything.is_given and not (word is not None and _lifts(word, everything)):
        return f"opted out of {purpose or 'marketing'} ({everything.source})"
    declared = purposes.get(purpose)
    if declared is None or declared.consent == "opt_out":
        return ""
    if word is None:
        return f"no consent to {purpose}"
    if declared.consent == "double_opt_in":
        if not word.is_confirmed:
            return f"consent to {purpose} is not confirmed"
        if word.address and word.address != digest_of(address):
            return f"consent to {purpose} was confirmed from another address"
    return ""


def _lifts(word: Consent, everything: Consent) -> bool:
    """Whether a yes by name lifts a no to everything."""
    return word.at > everything.at and (word.is_confirmed or not everything.is_confirmed)


def unite(known: Record, other: Mapping[str, Consent]) -> None:
    """Two people were one: put the words of the other into a record (a working copy). Of more than twice PURPOSE_LIMIT,
    the oldest go of those that no mailbox confirmed.
    """
    for purpose, word in other.items():
        ours = known.get(purpose)
        if ours is None or ours.at < word.at:
            known[purpose] = later(ours, word)
        else:
            known[purpose] = later(word, ours)
    spare = sorted((name for name, word in known.items() if not word.is_confirmed), key=lambda name: known[name].at)
    for name in spare[: max(0, len(known) - 2 * PURPOSE_LIMIT)]:
        del known[name]


def digest_of(address: str) -> str:
    """What stands for an address in a link: enough to tell whether it is still the same one."""
    return blake2b(address.strip().lower().encode(), digest_size=8, person=b"address").hexdigest()
