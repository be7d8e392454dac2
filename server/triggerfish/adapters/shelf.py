"""What the templates of one folder share: the company, the brand, blocks, layouts, and Liquid in each language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from liquid import Environment

from triggerfish.adapters import blocks, layouts, liquid
from triggerfish.adapters.brand import BRAND_FILE, Brand, read_brand
from triggerfish.adapters.inputs import Shared, read_shared
from triggerfish.adapters.workfile import read_file
from triggerfish.rulefile.problems import Problem


class Tongue(NamedTuple):
    """Liquid in one language: for HTML, for plain text, and for the addresses of feeds."""

    html: Environment
    plain: Environment
    url: Environment


class Shelf:
    """`blocks` go by what templates call them ("blocks/button.mjml"), `layouts` too ("shop")."""

    def __init__(
        self, label: str, company: Mapping[str, str], brand: Brand, blocks: Mapping[str, Shared],
        layouts: Mapping[str, Shared], filters: Mapping[str, Callable[..., Any]],
    ) -> None:  # fmt: skip
        self.label = label
        self.company = company
        self.brand = brand
        self.blocks = blocks
        self.layouts = layouts
        self._filters = filters
        self._tongues: dict[str, Tongue] = {}

    @property
    def given(self) -> dict[str, Any]:
        """What every template can read, whoever it is for."""
        return {
            "company": {key: self.company[key] for key in ("name", "address") if self.company.get(key)},
            "web": self.brand.web,
        }

    def tongue(self, language: str) -> Tongue:
        """Liquid in a language. Raises ValueError when there is none of this name."""
        if language not in self._tongues:
            self._tongues[language] = Tongue(
                self._environment(language, is_html=True),
                self._environment(language, is_html=False),
                self._environment(language, is_html=False, is_url=True),
            )
        return self._tongues[language]

    def _environment(self, language: str, *, is_html: bool, is_url: bool = False) -> Environment:
        return liquid.environment(
            is_html=is_html, filters=self._filters, language=language, currency=self.brand.currency, is_url=is_url
        )


def read_shelf(
    folder: Path, company: Mapping[str, str], filters: Mapping[str, Callable[..., Any]], problems: list[Problem]
) -> Shelf:
    """The shelf of a folder of templates."""
    brand = read_brand(folder / BRAND_FILE, f"{folder.name}/{BRAND_FILE}", problems)
    found: dict[str, dict[str, Shared]] = {}
    for kind in (blocks.FOLDER, layouts.FOLDER):
        found[kind] = {}
        for path in sorted((folder / kind).glob("*.mjml")):
            if file := read_file(path, f"{folder.name}/{kind}/{path.name}", problems):
                found[kind][path.name] = read_shared(file, blocks.ROOTS, problems)
    return Shelf(
        folder.name, company, brand,
        {f"{blocks.FOLDER}/{name}": shared for name, shared in found[blocks.FOLDER].items()},
        {layouts.name_of(name): shared for name, shared in found[layouts.FOLDER].items()},
        filters,
    )  # fmt: skip
