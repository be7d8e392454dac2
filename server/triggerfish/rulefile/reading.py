"""YAML 1.2 text to plain data with Marks. Strict: no anchors, aliases, merge keys, tags or directives; one document.

It is built from ruamel.yaml's event stream with a stack of our own, so that no file can nest deeper than the stack of
Python or grow in memory: it stops at the limits below. Sound files are read quickly (quick.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from msgspec import Struct
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)

from triggerfish.rulefile.marks import LateSpans, Marks, Path, Source, Span
from triggerfish.rulefile.problems import Problem, quote
from triggerfish.rulefile.quick import Unusual, quick_events
from triggerfish.rulefile.scalars import resolve
from triggerfish.rulefile.syntax import explain

SIZE_LIMIT = 256 * 1024
DEPTH_LIMIT = 32
NODE_LIMIT = 20_000
PROBLEM_LIMIT = 100
"""Of one file, at most this many problems are told; a file with more is broken in one way, over and over."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


_WORD = re.compile(r"[^\s,\[\]{}]+")


class Unread(Struct, frozen=True):
    """Stands in the data for what was refused, so that it is not complained of twice."""


UNREAD = Unread()


def read_yaml(text: str, path: str) -> tuple[Marks, list[Problem]]:
    """The data of a rule file with its places, and all problems that YAML itself has with it.

    Never raises, whatever the text. When `marks.is_readable` is False, reading stopped at the last problem.
    An empty file is an empty mapping. A byte order mark at the start is skipped.
    """
    source = Source(path, text.removeprefix("\ufeff"))
    problem = _unfit(source)
    if problem is not None:
        return Marks(source, {}, {}, {}, is_readable=False), [problem]
    builder = _built(source)
    data = {} if builder.root is None else builder.root
    return Marks(source, data, builder.keys, builder.values, is_readable=builder.is_readable), builder.problems


def _built(source: Source) -> _Builder:
    builder = _Builder(source)
    try:
        builder.is_readable = builder.build(quick_events(source.text))
    except Unusual:
        builder.is_readable = False
    if not builder.is_readable or builder.problems or not isinstance(builder.root, dict):
        builder = _Builder(source)
        builder.is_readable = builder.build_slowly()
    return builder


def marks_of(text: str, path: str, data: Any) -> Marks:
    """The Marks of a sound file whose data is known: its places are looked for when one is asked for."""
    source = Source(path, text.removeprefix("\ufeff"))

    @cache
    def spans() -> tuple[dict[Path, Span], dict[Path, Span]]:
        builder = _built(source)
        return builder.keys, builder.values

    return Marks(source, data, LateSpans(lambda: spans()[0]), LateSpans(lambda: spans()[1]))


def too_large(path: str) -> Problem:
    """The problem of a file that is over the limit; nothing of it is read."""
    return Problem(
        path=path,
        line=0,
        column=0,
        code="TF202",
        sentence=f"this file is larger than {SIZE_LIMIT // 1024} KB",
        hint="split it: all files of rules/ make one rulebook",
    )


def _unfit(source: Source) -> Problem | None:
    """What can be said before YAML is looked at: size, and characters that no text has."""
    if len(source.text.encode(errors="surrogatepass")) > SIZE_LIMIT:
        return too_large(source.path)
    found = _FORBIDDEN.search(source.text)
    if found is None:
        return None
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        # How a reader with "surrogateescape" hands on a byte that is no UTF-8.
        sentence = f"this is no UTF-8 text from here on (byte 0x{code - 0xDC00:02X})"
        return source.problem(found.start(), "TF203", sentence, hint="save the file as UTF-8")
    what = "a NUL byte" if code == 0 else f"a character that no text holds (U+{code:04X})"
    hint = "delete it; perhaps this is no text file, or it was damaged on its way"
    return source.problem(found.start(), "TF204", f"there is {what} here", hint=hint)


class _Frame:
    """A mapping or list that is being filled. `key` is the mapping's key that waits for its value; `drops` says that
    the value is not to be kept, since its key cannot be.
    """

    def __init__(self, container: dict[str, Any] | list[Any], path: Path) -> None:
        self.container = container
        self.path = path
        self.key: str | None = None
        self.drops = False

    def awaits_key(self) -> bool:
        return isinstance(self.container, dict) and self.key is None


class _Builder:
    """Fills plain data from events, and notes the places and problems."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Any = None
        self.keys: dict[Path, Span] = {}
        self.values: dict[Path, Span] = {}
        self.problems: list[Problem] = []
        self.stack: list[_Frame] = []
        self.nodes = 0
        self.documents = 0
        self.is_readable = True

    def build(self, events: Iterable[Event]) -> bool:
        """Take in all events, or those up to a fault after which nothing can be trusted. Says whether it was all."""
        return all(self.take(event) for event in events)

    def build_slowly(self) -> bool:
        """Read to the end, or to the first fault, and say what it means."""
        try:
            return self.build(YAML(typ="safe", pure=True).parse(self.source.text))
        except MarkedYAMLError as error:
            self.problems.append(explain(error, self.source))
        except (YAMLError, ValueError, LookupError, OverflowError) as error:
            # ruamel lets a few odd escapes and directives fail as plain Python errors, without a place.
            self.problem(0, "TF205", f"this file cannot be read as YAML: {error}")
        return False

    def problem(self, start: int, code: str, sentence: str, *, width: int = 1, hint: str = "") -> None:
        self.problems.append(self.source.problem(start, code, sentence, width=width, hint=hint))

    def take(self, event: Event) -> bool:
        """Take in one event; False when reading must stop here."""
        if isinstance(event, DocumentStartEvent):
            return self.start_document(event)
        if isinstance(event, CollectionEndEvent):
            self.stack.pop()
        elif isinstance(event, NodeEvent):
            return self.node(event)
        return True

    def start_document(self, event: DocumentStartEvent) -> bool:
        self.documents += 1
        if event.version is not None or event.tags:
            hint = "delete it; rule files are YAML 1.2 without directives"
            start = max(0, self.source.text.find("%"))
            self.problem(start, "TF209", 'lines that begin with "%" are not used in rule files', hint=hint)
            return False
        if self.documents > 1:
            hint = 'make it a file of its own, and delete the "---"'
            start = event.start_mark.index
            self.problem(start, "TF210", "a second document begins here; a rule file is one", width=3, hint=hint)
            return False
        return True

    def node(self, event: NodeEvent) -> bool:
        start = event.start_mark.index
        self.nodes += 1
        if self.nodes > NODE_LIMIT:
            hint = "split it: all files of rules/ make one rulebook"
            self.problem(start, "TF212", f"the file holds more than {NODE_LIMIT:,} keys and values", hint=hint)
            return False
        if len(self.problems) >= PROBLEM_LIMIT:
            return False
        self.refuse_extras(event)
        is_key = bool(self.stack) and self.stack[-1].awaits_key()
        if isinstance(event, CollectionStartEvent):
            return self.start_collection(event, is_key)
        if is_key:
            self.key(event)
        else:
            value = self.scalar(event) if isinstance(event, ScalarEvent) else UNREAD
            self.add(value, _span(event))
        return True

    def refuse_extras(self, event: NodeEvent) -> None:
        """Anchors, aliases and tags: what could make a small file large, or a text something else."""
        start = event.start_mark.index
        width = _word_length(self.source.text, start)
        if isinstance(event, AliasEvent):
            hint = "write it out here; if text is meant, put quotes around it"
            self.problem(start, "TF208", 'aliases ("*") are not used in rule files', width=width, hint=hint)
            return
        hint = "delete it; if text is meant, put quotes around it"
        if event.anchor is not None:
            self.problem(start, "TF208", 'anchors ("&") are not used in rule files', width=width, hint=hint)
        elif isinstance(event, ScalarEvent | CollectionStartEvent) and event.ctag is not None:
            self.problem(start, "TF209", 'tags ("!") are not used in rule files', width=width, hint=hint)

    def start_collection(self, event: CollectionStartEvent, is_key: bool) -> bool:
        start = event.start_mark.index
        if is_key:
            hint = "if text is meant, put quotes around the whole of it"
            self.problem(start, "TF205", "a key is a name, not a list or a mapping", hint=hint)
            return False
        if len(self.stack) >= DEPTH_LIMIT:
            sentence = f"this is nested more than {DEPTH_LIMIT} levels deep"
            self.problem(start, "TF212", sentence, hint="rule files need about ten levels at most")
            return False
        container: dict[str, Any] | list[Any] = {} if isinstance(event, MappingStartEvent) else []
        path = self.add(container, Span(start, start + 1))
        self.stack.append(_Frame(container, path))
        return True

    def key(self, event: NodeEvent) -> None:
        """Keys are always text, as written: `404:` and `NO:` are names like any other."""
        frame = self.stack[-1]
        span = _span(event)
        text = event.value if isinstance(event, ScalarEvent) else ""
        if not frame.container:
            # A mapping is shown by its first key.
            self.values[frame.path] = Span(span.start, span.end)
        frame.key = text
        frame.drops = True
        path = (*frame.path, text)
        if text == "<<" and span.style == "":
            hint = "write the keys out here"
            self.problem(span.start, "TF208", 'merge keys ("<<") are not used in rule files', width=2, hint=hint)
        elif path in self.keys:
            first = self.source.place(self.keys[path].start).line
            hint = f"it is already there in line {first}; keep one of the two"
            width = span.end - span.start
            self.problem(span.start, "TF211", f"the key {quote(text)} is given twice", width=width, hint=hint)
        elif isinstance(event, ScalarEvent) and self.is_clean(event):
            self.keys[path] = span
            frame.drops = False

    def add(self, value: Any, span: Span) -> Path:
        """Put a value where it belongs and note its place."""
        if not self.stack:
            self.root = value
            path: Path = ()
        else:
            frame = self.stack[-1]
            if isinstance(frame.container, list):
                path = (*frame.path, len(frame.container))
                frame.container.append(value)
            else:
                # A dropped value gets a path that no kept one has, so that it hides no other's place.
                path = (*frame.path, f"{frame.key}\0" if frame.drops else frame.key or "")
                if not frame.drops:
                    frame.container[frame.key or ""] = value
                frame.key = None
        self.values[path] = span
        return path

    def scalar(self, event: ScalarEvent) -> Any:
        if not self.is_clean(event):
            return UNREAD
        if event.style or event.ctag is not None:
            return event.value
        try:
            return resolve(event.value)
        except ValueError as error:
            span = _span(event)
            hint = f'if text is meant, put quotes around it: "{event.value}"' if len(event.value) < 40 else ""
            self.problem(span.start, "TF213", str(error), width=span.end - span.start, hint=hint)
            return UNREAD

    def is_clean(self, event: ScalarEvent) -> bool:
        """Escapes in double quotes can name characters that could not be written plainly."""
        found = _FORBIDDEN.search(event.value) if event.style == '"' else None
        if found is not None:
            span = _span(event)
            sentence = f"this text holds a character that no text holds (U+{ord(found[0]):04X})"
            self.problem(span.start, "TF204", sentence, width=span.end - span.start, hint="take its escape out")
        return found is None


def _span(event: NodeEvent) -> Span:
    if isinstance(event, ScalarEvent):
        return Span(event.start_mark.index, event.end_mark.index, event.style or "", event.value)
    return Span(event.start_mark.index, event.end_mark.index)


def _word_length(text: str, start: int) -> int:
    found = _WORD.match(text, start)
    return len(found[0]) if found else 1
