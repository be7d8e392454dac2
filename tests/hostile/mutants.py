"""Texts and bytes that are nearly right, which go deeper into a decoder than random ones."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

T = TypeVar("T", str, bytes)

SPLINTERS = (
    "", "\0", "\n", "\r\n", "\t", " ", "  ", "'", '"', "{", "}", "[", "]", ":", ",", "-", "#", "&a", "*a", "!!x", "|",
    ">", "<", "</", "<!--", "]]>", "{{", "}}", "{%", "%}", "{% if x %}", "{% endif %}", "{{ x | y: 1 }}", "0", "-1",
    "1e999", "9" * 30, "NaN", "null", "true", "\ufeff", "\u2028", "\ud7ff", "\U0010ffff", "é", "=", "==", "%", "\\",
    "\\u0000", "(", ")", "()", "a" * 600, "[" * 50, "{" * 50, "(" * 120, "not " * 60, "=?utf-8?q?=00?=", "@", "--",
    "\x1a", "\x80",
)  # fmt: skip


@st.composite
def mutants(draw: DrawFn, sound: SearchStrategy[T]) -> T:
    """One of `sound` with one to four faults: parts that are gone, doubled, swapped or replaced by splinters."""
    text = draw(sound)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from((0, 0, 1, 2, 5, 20, 200))))
        piece = text[start:end]
        splinter = draw(st.sampled_from(SPLINTERS))
        new = splinter if isinstance(text, str) else splinter.encode("utf-8", "surrogatepass")
        match draw(st.sampled_from(("drop", "put", "double", "move"))):
            case "drop":
                text = text[:start] + text[end:]
            case "put":
                text = text[:start] + new + text[end:]  # type: ignore[operator]
            case "double":
                text = text[:end] + piece + text[end:]
            case "move":
                rest = text[:start] + text[end:]
                place = draw(st.integers(0, len(rest)))
                text = rest[:place] + piece + rest[place:]
    return text
