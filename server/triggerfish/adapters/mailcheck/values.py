"""The values of attributes and style sheets with their Liquid worked out for the sample person.

Only what stands in values is worked out, with the assignments around it; conditions and loops around whole elements are
left out, so that what stands in any way of them is seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from liquid import Environment
from liquid.exceptions import LiquidError

from triggerfish.adapters import liquid
from triggerfish.adapters.composed import PlainLinks
from triggerfish.adapters.mjml_reader import LIQUID, MASK

_OPEN, _SHUT = "\x1e", "\x1f"
_KEPT = frozenset({"with", "endwith", "assign", "capture", "endcapture", "increment", "decrement"})
_WORKED_OUT = re.compile(rf"{_OPEN}(\d+){_SHUT}(.*?){_OPEN}", re.DOTALL)


def worked_out(
    text: str, stretches: Iterable[tuple[int, int]], environment: Environment, facts: Mapping[str, Any]
) -> dict[int, str]:
    """What each stretch (start, end) of the text says for the sample person, by its start.

    Of one that cannot be worked out, each piece of Liquid is MASK, which no reader of colours or sizes takes.
    """
    wanted = sorted({start: end for start, end in stretches if "{" in text[start:end]}.items())
    if not wanted:
        return {}
    blank = {start: LIQUID.sub(MASK, text[start:end]) for start, end in wanted}
    made, at = [], 0
    for start, end in wanted:
        made.append(_scoping(text[at:start]))
        tags = {found["tag"] for found in LIQUID.finditer(text, start, end)}
        if not tags & {liquid.LINK_TAG, liquid.IMAGE_TAG}:
            made.append(f"{_OPEN}{start}{_SHUT}{_forgiving(text[start:end])}{_OPEN}")
        at = end
    made.append(_scoping(text[at:]))
    links = PlainLinks()
    try:
        written = liquid.parse(environment, "".join(made)).write(facts, liquid.Sending(links, links.unsubscribe()))
    except (LiquidError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
        return blank  # a value that the sample lacks: the send has checks of its own for that
    return blank | {int(found[1]): found[2] for found in _WORKED_OUT.finditer(written)}


def _scoping(text: str) -> str:
    """Only what gives names to values."""
    return "".join(found[0] for found in LIQUID.finditer(text) if found["tag"] in _KEPT)


def _forgiving(text: str) -> str:
    """Outputs that write nothing where their value is missing."""
    return LIQUID.sub(
        lambda found: re.sub(r"-?\}\}$", '| default: "" }}', found[0]) if found[0].startswith("{{") else found[0], text
    )
