"""TF360: HTML and CSS that main mail programs do not have, by caniemail's tests (clients.json, made by gather.py)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from triggerfish.adapters.mailcheck.mail import Mail
from triggerfish.adapters.mailcheck.uses import Use, uses_of
from triggerfish.adapters.mjml_reader import Complaint

_FOLDER = Path(__file__).parent


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One feature: its name, the marks of its uses, a letter for each client (y, n, a: partly, u: unknown), and notes
    by the number of the client.
    """

    title: str
    marks: list[str]
    support: str
    notes: dict[str, str]


class Clients(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What clients.json holds."""

    source: dict[str, str]
    clients: list[str]
    features: dict[str, Feature]


class Advice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What advice.json holds: features whose lack does no harm, by the reason; and what to write instead of others."""

    harmless: dict[str, list[str]]
    instead: dict[str, list[str]]


class _Table(msgspec.Struct, frozen=True):
    clients: list[str]
    features: Mapping[str, Feature]
    by_mark: Mapping[str, str]
    harmless: Mapping[str, str]
    instead: Mapping[str, str]


@functools.cache
def _table() -> _Table:
    known = msgspec.json.decode((_FOLDER / "clients.json").read_bytes(), type=Clients)
    advice = msgspec.json.decode((_FOLDER / "advice.json").read_bytes(), type=Advice)
    return _Table(
        known.clients,
        known.features,
        {mark: slug for slug, feature in known.features.items() for mark in feature.marks},
        {slug: reason for reason, slugs in advice.harmless.items() for slug in slugs},
        {slug: text for text, slugs in advice.instead.items() for slug in slugs},
    )


def check(mail: Mail, notes: list[str]) -> Iterator[Complaint]:
    """One warning for each feature, at its first use that mail programs miss; what does no harm goes to the notes."""
    table = _table()
    seen: set[str] = set()
    for use in uses_of(mail):
        slug = table.by_mark.get(use.mark)
        if slug is None or slug in seen:
            continue
        feature = table.features[slug]
        lacking = _lacking(table, feature, use)
        if not lacking:
            continue
        seen.add(slug)
        notes.append(_note(table, slug, feature, lacking))
        if slug in table.harmless:
            continue
        partly = [number for number, letter in enumerate(feature.support) if letter == "a"]
        sentence = f"{feature.title} is not in {_named(table.clients[number] for number in lacking)}"
        if partly:
            sentence += f"; partly in {_named(table.clients[number] for number in partly)}"
        instead = table.instead.get(slug, "")
        hint = f"{instead}; more:" if instead else "more:"
        place = mail.in_mjml if use.in_mjml else mail.in_html
        yield place("TF360", use.at, sentence, f"{hint} caniemail.com/features/{slug}", use.width)


def _lacking(table: _Table, feature: Feature, use: Use) -> list[int]:
    """The numbers of the clients that do not have it, but for those that do not have what stands around it either."""
    around = [table.features[table.by_mark[mark]] for mark in use.around if mark in table.by_mark]
    return [
        number
        for number, letter in enumerate(feature.support)
        if letter == "n" and all(outer.support[number] in "ya" for outer in around)
    ]


def _named(clients: Iterable[str]) -> str:
    """`Gmail (web, iOS), Outlook (Windows)`."""
    families: dict[str, list[str]] = {}
    for client in clients:
        family, _, platform = client.partition(" (")
        families.setdefault(family, []).append(platform.removesuffix(")"))
    return ", ".join(f"{family} ({', '.join(platforms)})" for family, platforms in families.items())


def _note(table: _Table, slug: str, feature: Feature, lacking: list[int]) -> str:
    """`border-radius: not in Outlook (Windows); partly in Gmail (iOS): "…"; the mail is only plainer without it`."""
    partly = [number for number, letter in enumerate(feature.support) if letter == "a"]
    parts = [f"not in {_named(table.clients[number] for number in lacking)}"]
    if partly:
        parts.append(f"partly in {_named(table.clients[number] for number in partly)}")
    told = dict.fromkeys(feature.notes[str(number)] for number in (*lacking, *partly) if str(number) in feature.notes)
    parts += [f'"{note}"' for note in list(told)[:2]]
    if slug in table.harmless:
        parts.append(table.harmless[slug])
    return f"{feature.title}: {'; '.join(parts)}"
