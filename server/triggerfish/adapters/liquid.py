"""python-liquid, made safe: escaping on, all growth bounded, no clock, no file, no hole where a value is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from liquid import Environment
from liquid.exceptions import LiquidError, ResourceLimitError

from triggerfish.adapters.liquid_code import code_of
from triggerfish.adapters.liquid_filters import TAKES_MISSING, guarded, standard_filters
from triggerfish.adapters.liquid_nodes import make_ours
from triggerfish.adapters.liquid_rendering import (
    LIMITS,
    Compiled,
    Limits,
    Missing,
    MissingValue,
    Sending,
    WrongValue,
)
from triggerfish.adapters.liquid_tags import (
    IMAGE_TAG,
    INSTEAD,
    LINK_TAG,
    STYLE_TAG,
    STYLE_URL_TAG,
    TAGS,
    URL_TAGS,
)


class _Environment(Environment):
    """`bare_filters` are those that take nothing but their value and their arguments."""

    bare_filters: Mapping[str, Callable[..., Any]]
    template_class = Compiled
    loop_iteration_limit = LIMITS.loop_iterations
    output_stream_limit = LIMITS.output_characters
    local_namespace_limit = LIMITS.locals_bytes
    context_depth_limit = 30
    block_nesting_limit = 40


def environment(
    *,
    is_html: bool,
    filters: Mapping[str, Callable[..., Any]],
    language: str,
    currency: str,
    is_url: bool = False,
) -> Environment:
    """The Liquid of one part of a message: HTML (autoescape on) or plain text (off); or of an address, in which values
    are percent-encoded.

    Differences from python-liquid's standard: no include, render (blocks are woven in before), tablerow; no `safe` and
    `escapejs` filters; our own date and money. `filters` are the plugins'.
    """
    made = _Environment(autoescape=is_html, undefined=Missing)
    for name in ("include", "render", "tablerow"):
        del made.tags[name]
    for tag in URL_TAGS if is_url else TAGS:
        made.add_tag(tag)
    named = standard_filters(made.filters, is_html=is_html, language=language, currency=currency)
    named.update(filters)
    made.filters = {name: f if name in TAKES_MISSING else guarded(name, f, Missing) for name, f in named.items()}
    made.bare_filters = {name: f for name, f in made.filters.items() if not _wants_more(f)}
    return made


def _wants_more(function: Callable[..., Any]) -> bool:
    return getattr(function, "with_context", False) or getattr(function, "with_environment", False)


def parse(env: Environment, source: str) -> Compiled:
    """Parse a template. Raises LiquidError with the token at which it goes wrong."""
    template = env.from_string(source)
    if not isinstance(template, Compiled):
        raise TypeError("this environment was not made by environment()")
    make_ours(template)
    template.write_code = code_of
    return template


__all__ = [
    "IMAGE_TAG",
    "INSTEAD",
    "LIMITS",
    "LINK_TAG",
    "STYLE_TAG",
    "STYLE_URL_TAG",
    "Compiled",
    "Limits",
    "LiquidError",
    "MissingValue",
    "ResourceLimitError",
    "Sending",
    "WrongValue",
    "environment",
    "parse",
]
