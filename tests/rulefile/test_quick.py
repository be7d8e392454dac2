"""What libyaml reads quickly is what ruamel.yaml reads: data, places and problems, of whatever text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.events import Event, NodeEvent, ScalarEvent

from triggerfish.rulefile import reading
from triggerfish.rulefile.marks import Marks
from triggerfish.rulefile.quick import Unusual, quick_events
from triggerfish.rulefile.reading import read_yaml

ROOT = Path(__file__).parents[2]
FILES = [path for folder in ("rules", "tests", "cli") for path in sorted((ROOT / folder).rglob("*.yaml"))]
TEXTS = [path.read_bytes().decode(errors="surrogateescape") for path in FILES]
BITS = [
    "\n", " ", "  ", "- ", ": ", ":", "#", " #", "[", "]", "{", "}", ", ", ",", "'", '"', "|\n", "|-", ">\n", "|+", "?",
    "? ", "-", "---", "...", "\\", "%", "@", "`", "a", "b: c", "\t", "\n\n", "x y", "\n  ", "&", "*", "!", "~", "é",
    "💌", "\u2028", "\x85", "\r\n", "\r", "1", "''", '""', "\\n", "::", "-:", "?a", ":x", "|2", "<<", "=", "\ufeff",
]  # fmt: skip


def refuse(text: str) -> Any:
    raise Unusual


def read_slowly(text: str, patch: pytest.MonkeyPatch) -> tuple[Marks, list[Any]]:
    with patch.context() as slow:
        slow.setattr(reading, "quick_events", refuse)
        return read_yaml(text, "rules/a.yaml")


def same(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        slow, slow_problems = read_slowly(text, patch)
    quick, quick_problems = read_yaml(text, "rules/a.yaml")
    assert quick.data == slow.data
    assert quick._keys == slow._keys
    assert quick._values == slow._values
    assert quick.is_readable == slow.is_readable
    assert quick_problems == slow_problems


def shape(event: Event) -> tuple[Any, ...]:
    if isinstance(event, ScalarEvent):
        return ("scalar", event.start_mark.index, event.end_mark.index, event.style or "", event.value)
    return (type(event).__name__, event.start_mark.index if isinstance(event, NodeEvent) else 0)


@pytest.mark.parametrize("text", TEXTS, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_every_file_of_ours_reads_the_same_both_ways(text: str) -> None:
    same(text)


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(BITS), max_size=14).map("".join))
def test_bits_of_yaml_read_the_same_both_ways(text: str) -> None:
    same(text)
    same("a: " + text)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_damaged_file_reads_the_same_both_ways(data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from(TEXTS)).splitlines(keepends=True)
    start = data.draw(st.integers(0, max(0, len(lines) - 8)))
    text = "".join(lines[start : start + 8])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.sampled_from(BITS)) + text[at + data.draw(st.sampled_from((0, 0, 1, 3))) :]
    same(text)


def test_the_starters_rules_are_read_quickly() -> None:
    for path in (ROOT / "rules").rglob("*.yaml"):
        text = path.read_text()
        slowly = [shape(event) for event in YAML(typ="safe", pure=True).parse(text)]
        quickly = [shape(event) for event in quick_events(text)]
        assert quickly
        assert quickly == [each for each in slowly if not each[0].startswith(("Stream", "Document"))]


@pytest.mark.parametrize(
    "text", ["a: &b 1", "a: *b", "a: !!str 1", "a:\n", "a: |  # why\n  b", "%YAML 1.1\n---\na: 1", "a: ["]
)
def test_what_the_two_could_differ_in_is_left_to_the_slow_one(text: str) -> None:
    with pytest.raises(Unusual):
        list(quick_events(text))
