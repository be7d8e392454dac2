"""`templates/brand.yaml`: what all emails share: the shop's addresses, its currency and language."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from triggerfish.adapters.liquid_filters import is_currency, locale_of
from triggerfish.adapters.workfile import read_file, read_form
from triggerfish.languages import tag_of
from triggerfish.rulefile.problems import Problem

BRAND_FILE = "brand.yaml"
PAGES = ("home", "cart", "orders", "account", "help")
"""The pages that every shop has; one that is not named is the home page."""


class Brand(Struct, frozen=True):
    """`web` has the pages of PAGES and others that the file names. `currency` is ISO 4217, `language` like "pt-BR"."""

    web: Mapping[str, str] = {}
    currency: str = "USD"
    language: str = "en"


def read_brand(path: Path, label: str, problems: list[Problem]) -> Brand:
    """The brand of a templates folder; without the file, one with no pages. Its problems are added (TF302, TF303)."""
    if not path.exists():
        return Brand()
    file = read_file(path, label, problems)
    marks = read_form(file, ("web", "currency", "language"), (), problems) if file else None
    if marks is None:
        return Brand()
    web: dict[str, str] = {}
    pages = marks.data.get("web", {})
    if not isinstance(pages, dict):
        problems.append(marks.problem(("web",), "TF303", "web holds names of pages with their addresses"))
        pages = {}
    for name, url in pages.items():
        if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https") or " " in url:
            problems.append(
                marks.problem(("web", name), "TF303", f"{name} must be an address that starts with https://")
            )
        else:
            web[name] = url
    if web.get("home"):
        web = dict.fromkeys(PAGES, web["home"]) | web
    currency, language = marks.data.get("currency", "USD"), marks.data.get("language", "en")
    if not isinstance(currency, str) or not is_currency(currency):
        problems.append(marks.problem(("currency",), "TF303", "currency is a code of three letters, such as EUR"))
        currency = "USD"
    try:
        locale_of(tag_of(language))
    except ValueError:
        hint = 'write it like "en", "de" or "pt-BR"'
        problems.append(marks.problem(("language",), "TF303", f'"{str(language)[:60]}" is no language', hint=hint))
        language = "en"
    return Brand(web, currency, str(language))
