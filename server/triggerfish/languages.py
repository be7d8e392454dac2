"""Languages: a person's own, and which of a template's it is to be. Tags are those of BCP 47 ("pt-BR")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_TAG = re.compile(r"(?P<language>[A-Za-z]{2,3})(?P<more>([-_][A-Za-z0-9]{2,8}){0,4})(\.[A-Za-z0-9-]{1,16})?")
_OTHER_NAMES = {"iw": "he", "in": "id", "ji": "yi", "no": "nb", "tl": "fil"}
_SCRIPTS = {"zh-TW": "Hant", "zh-HK": "Hant", "zh-MO": "Hant", "zh-CN": "Hans", "zh-SG": "Hans"}
"""What is meant by those who name a region only; Chinese is written in two ways that not everybody reads."""


def tag_of(text: object) -> str:
    """The tag in its usual form: "pt_BR.UTF-8" is "pt-BR", "zh-tw" is "zh-Hant-TW"; empty when it is none."""
    found = _TAG.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= 64 else None
    if found is None:
        return ""
    language = found["language"].lower()
    parts = [_OTHER_NAMES.get(language, language)]
    for part in re.split("[-_]", found["more"])[1:]:
        is_region = len(part) == 2 or (len(part) == 3 and part.isdigit())
        parts.append(part.upper() if is_region else part.title() if len(part) == 4 else part.lower())
    script = _SCRIPTS.get("-".join(parts[:2]))
    return "-".join([parts[0], script, *parts[1:]] if script else parts)


def language_of(traits: Mapping[str, Any], locale: str = "") -> str:
    """The language of a person: the trait `language`, else the trait `locale`, else the locale that their device told
    last; as a tag. Empty when none of them is one.
    """
    found = (tag_of(each) for each in (traits.get("language"), traits.get("locale"), locale))
    return next(filter(None, found), "")


def nearest_language(wanted: str, available: Iterable[str]) -> str | None:
    """Which of the tags to use for somebody who wants `wanted`: the same, else a shorter one ("pt" for "pt-BR"), else
    the same language of another region, the nearest in script ("pt-PT" for "pt-BR"). None when there is none.
    """
    parts = tag_of(wanted).split("-")
    known = {tag_of(tag): tag for tag in available}
    for length in range(len(parts), 0, -1):
        if (found := known.get("-".join(parts[:length]))) is not None:
            return found
    others = [tag for tag in known if tag.partition("-")[0] == parts[0]]
    if not others:
        return None
    return known[max(others, key=lambda tag: _alike(tag.split("-"), parts))]


def _alike(one: list[str], other: list[str]) -> int:
    """How many of their first parts are the same."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
