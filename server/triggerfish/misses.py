"""The nearest miss: the least that would have had to be otherwise for a condition to hold, and when it comes to hold by
itself. Nothing is said that was not tried: the condition is worked out again with what is said.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from itertools import islice, product
from typing import Any

from msgspec import Struct

from triggerfish.clock import DAY, Instant, parse_duration
from triggerfish.conditions import NEVER, All, Condition, Node, Not, Some, Test, View, leaves_of
from triggerfish.segments import SegmentTree
from triggerfish.wording import say_test, say_value, times
from triggerfish.zones import Zones

MOST_LEAVES = 5
"""A miss of more leaves than this is no near one."""
LOOKS = 200
FARTHEST = 400 * DAY
"""How often, and how far ahead, it is looked whether time alone makes a condition hold."""

MOST_TRIES = 256

Sign = str
_WHOLE = ("count(", "distinct(")
_HOLDS: Mapping[Sign, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_WORDS = {">": "over", ">=": "at least", "<": "under", "<=": "at most", "==": "equal to", "!=": "other than"}


class Need(Struct, frozen=True):
    """A leaf that would have to be otherwise: true if `wanted`, else false."""

    test: Test
    wanted: bool


def nearest(condition: Condition, view: View) -> list[str]:
    """What would have had to be otherwise, as parts of a sentence that begins with "it would have matched"; together
    they are enough. Empty when it holds, or when nothing near enough is known to be.
    """
    root = condition.root
    needs = list(dict.fromkeys(_needs(root, True, view)))
    if not needs or len(needs) > MOST_LEAVES:
        return []
    leaves = list(leaves_of(root))
    flipped = {need.test.text: need.wanted for need in needs}
    wanted: dict[str, list[Any]] = {}
    for need in needs:
        if need.test.value_key and need.test.operator is not None:
            wanted.setdefault(need.test.value_key, []).append(_other_value(need))
    given = next(
        (
            values
            for chosen in islice(product(*wanted.values()), MOST_TRIES)
            if _holds(root, view, values := dict(zip(wanted, chosen, strict=True)), flipped)
        ),
        None,
    )
    if given is None or _are_tangled(needs, leaves, given):
        return []
    spans = {key: _span(root, view, leaves, key, given, flipped) for key in given if _is_figure(given[key], key)}
    ways = [span.samples for span in spans.values()]
    if len(list(islice(product(*ways), MOST_TRIES + 1))) > MOST_TRIES or not all(
        _holds(root, view, given | dict(zip(spans, chosen, strict=True)), flipped) for chosen in product(*ways)
    ):
        return []
    said = [_say(need, view, leaves, given, spans) for need in needs]
    return list(dict.fromkeys(said)) if all(said) else []


class _Span(Struct, frozen=True):
    """A stretch of values of which each makes the condition hold: in words, and one sample of each part of it."""

    words: str
    samples: list[float]


def _is_figure(value: Any, key: str) -> bool:
    """Whether it is a number that is no count: those are said one by one."""
    return type(value) in (int, float) and not key.startswith(_WHOLE)


def _span(
    root: Node, view: View, leaves: Sequence[Test], key: str, given: Mapping[str, Any], flipped: Mapping[str, bool]
) -> _Span:
    """The stretch of values around the given one. The leaves' bounds cut the numbers into points and gaps, and within
    each of those no leaf changes: so a sample of each tells all.
    """
    bounds = sorted(
        {leaf.bound for leaf in leaves if leaf.value_key == key and type(leaf.bound) in (int, float)},
        key=lambda bound: float(bound or 0),
    )  # fmt: skip
    numbers = [float(bound or 0) for bound in bounds]
    samples = [numbers[0] - 1]
    for number, after in zip(numbers, [*numbers[1:], numbers[-1] + 2], strict=True):
        samples += [number, (number + after) / 2]
    good = [_holds(root, view, {**given, key: sample}, flipped) for sample in samples]
    if good.count(False) == 1 and good.index(False) % 2:
        words = f"other than {bounds[good.index(False) // 2]}"
        return _Span(words, [sample for sample, is_good in zip(samples, good, strict=True) if is_good])
    low = high = next(
        place
        for place, sample in enumerate(samples)
        if sample == given[key] or (place % 2 == 0 and _is_between(given[key], numbers, place // 2))
    )
    while low and good[low - 1]:
        low -= 1
    while high + 1 < len(samples) and good[high + 1]:
        high += 1
    if low == high and low % 2:
        return _Span(f"equal to {bounds[low // 2]}", samples[low : high + 1])
    ends = []
    if low:
        ends.append(f"at least {bounds[low // 2]}" if low % 2 else f"over {bounds[low // 2 - 1]}")
    if high + 1 < len(samples):
        ends.append(f"at most {bounds[high // 2]}" if high % 2 else f"under {bounds[high // 2]}")
    return _Span(" and ".join(ends) or "any number", samples[low : high + 1])


def _is_between(value: float, numbers: Sequence[float], gap: int) -> bool:
    """Whether a value lies in the gap before the number at this place (or behind the last)."""
    return (gap == 0 or numbers[gap - 1] < value) and (gap == len(numbers) or value < numbers[gap])


def _needs(node: Node, wanted: bool, view: View) -> list[Need]:
    """The leaves that keep a tree from being what is wanted: of several ways the one with the fewest."""
    match node:
        case Test():
            return [] if node.holds(view) is wanted else [Need(node, wanted)]
        case Not(part=part):
            return _needs(part, not wanted, view)
        case All(parts=parts) | Some(parts=parts):
            each = [_needs(part, wanted, view) for part in parts]
            if isinstance(node, All) is wanted:
                return [need for needs in each for need in needs]
            return min(each, key=len, default=[])


def _other_value(need: Need) -> Any:
    """A value with which the leaf is what is wanted."""
    test, bound = need.test, need.test.bound
    sign = test.operator if need.wanted else _OPPOSITE[str(test.operator)]
    if isinstance(bound, str):
        return {"==": bound, "<=": bound, ">=": bound, ">": bound + "\0", "<": "", "!=": bound + "\0"}[str(sign)]
    if isinstance(bound, bool) or bound is None:
        return bound if sign == "==" else not bound
    is_whole = test.value_key.startswith(_WHOLE)
    above = bound + 1 if is_whole else math.nextafter(float(bound), math.inf)
    below = bound - 1 if is_whole else math.nextafter(float(bound), -math.inf)
    return {"==": bound, "<=": bound, ">=": bound, ">": above, "<": below, "!=": above}[str(sign)]


def _holds(node: Node, view: View, given: Mapping[str, Any], flipped: Mapping[str, bool]) -> bool:
    """Whether a tree holds when some values are these, and some leaves are so."""
    match node:
        case Test(text=text, value_key=key, operator=sign, bound=bound):
            if sign is not None and key in given:
                return _HOLDS[sign](given[key], bound)
            return flipped[text] if text in flipped else node.holds(view)
        case Not(part=part):
            return not _holds(part, view, given, flipped)
        case All(parts=parts):
            return all(_holds(part, view, given, flipped) for part in parts)
        case Some(parts=parts):
            return any(_holds(part, view, given, flipped) for part in parts)


def _are_tangled(needs: Sequence[Need], leaves: Sequence[Test], given: Mapping[str, Any]) -> bool:
    """Whether what is said of one leaf touches another in a way that was not tried: both look at the same thing, and
    not as one value that is compared with constants.
    """
    for need in needs:
        touched = _things(need.test.text)
        for leaf in leaves:
            is_tried = leaf.operator is not None and need.test.operator is not None and leaf.value_key in given
            is_same_value = is_tried and leaf.value_key == need.test.value_key
            if leaf.text != need.test.text and not is_same_value and touched & _things(leaf.text):
                return True
    return False


def _things(text: str) -> frozenset[str]:
    """What a test looks at: the paths and the events that it names."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset((text,))
    found: set[str] = set()
    waiting: list[ast.AST] = [tree.body]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Attribute() | ast.Subscript():
                path = ast.unparse(node)
                root = path.split(".")[0].split("[")[0]
                found.add(path if root in ("event", "traits", "context", "local") else root.strip("'\""))
                continue
            case ast.Name(id=name) if name != "segments":
                found.add(name)
            case ast.Constant(value=str() as name):
                found.add(name)
            case ast.Call(args=arguments, keywords=keywords):
                # The windows are constants, too, but no things.
                waiting += arguments[:1] if len(arguments) > 1 and _is_length(arguments[1]) else arguments
                waiting += [keyword.value for keyword in keywords if not _is_length(keyword.value)]
                continue
        waiting += list(ast.iter_child_nodes(node))
    return frozenset(found)


def _is_length(node: ast.expr) -> bool:
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return False
    try:
        return parse_duration(node.value) > 0
    except ValueError:
        return False


def _say(
    need: Need, view: View, leaves: Sequence[Test], given: Mapping[str, Any], spans: Mapping[str, _Span]
) -> str:  # fmt: skip
    """A need in words; empty when it cannot be said so that it is true."""
    test = need.test
    if test.value is None or test.operator is None or (test.bound is True and test.operator == "=="):
        return f"if {say_test(test.text, need.wanted)}{_was(test, view)}"
    key = test.value_key
    others = [leaf for leaf in leaves if leaf.value_key == key and leaf.text != test.text]
    counted = _say_count(test, given[key], view, is_exact=bool(others))
    if counted:
        return counted
    was = f"(it was {_shown(test.value(view))})"
    if key in spans:
        return f"with {key} {spans[key].words} {was}"
    sign = test.operator if need.wanted else _OPPOSITE[test.operator]
    if sign == "==" or not others:
        return f"with {key} {_WORDS[sign]} {_shown(test.bound)} {was}"
    return ""


def _was(test: Test, view: View) -> str:
    if test.value is None:
        return ""
    value = test.value(view)
    if isinstance(value, bool):
        return ""
    return f" (it was {_shown(value)})"


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 120 else f"{text[:119]}…"


def _say_count(test: Test, wanted: Any, view: View, *, is_exact: bool) -> str:
    """`count(purchase, "30d") >= 3` with two of them: "with one more purchase within 30 days (there were 2)"."""
    if not test.value_key.startswith("count(") or type(test.bound) is not int or test.value is None:
        return ""
    was = test.value(view)
    if type(was) is not int:
        return ""
    what = say_value(test.value_key).removeprefix("the number of ")
    event, within, length = what.rpartition(" within ")
    event, window = (event, f"{within.rstrip()} {length}") if within and _has_window(test.value_key) else (what, "")
    if wanted > was:
        more = "one more" if wanted - was == 1 else f"{wanted - was} more"
        return f"with {more} {event}{window} (there {'was' if was == 1 else 'were'} {was or 'none'})"
    most = "no" if wanted == 0 else f"just {wanted}" if is_exact else f"at most {wanted}"
    return f"with {most} {event}{window} (it happened {times(was)})"


def _has_window(value: str) -> bool:
    match ast.parse(value, mode="eval").body:
        case ast.Call(args=arguments, keywords=keywords):
            return len(arguments) + len(keywords) > 1
    return False


def holds_from(condition: Condition, view: View, segments: SegmentTree, zones: Zones) -> Instant | None:
    """The next instant at which a condition that does not hold comes to hold should nothing happen meanwhile, with the
    same event; None when it does not within FARTHEST, or not within LOOKS looks.
    """
    profile, now = view.profile.copy(), view.now
    at = view
    for _ in range(LOOKS):
        _, turns = condition.look(at, NEVER)
        turns = min(turns, NEVER if profile.recheck_at is None else profile.recheck_at)
        if turns <= at.now or turns - now > FARTHEST:
            return None
        segments.settle(profile, turns, zones)
        at = View(profile, turns, zones, event=view.event, segment=segments.primary(profile.memberships))
        if condition.holds(at):
            return turns
    return None


def join(parts: Sequence[str]) -> str:
    """The parts of `nearest` as one sentence; empty for none."""
    return f"it would have matched {' and '.join(parts)}" if parts else ""
