"""What earlier loads found out about rule files: a file that is as it was is not read again, nor a condition that is as
it was and may name the same things.

No code is kept, and nothing of files with problems. The rule files stay the only source of what is decided.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from inspect import signature
from typing import Any

import msgspec
from msgspec import Struct

from triggerfish.conditions import ANY_SEGMENT, Condition
from triggerfish.rulefile.condition_notes import ActivityNote, ConditionNote, ConditionReader, ConditionWriter
from triggerfish.rulefile.decode import decode_file
from triggerfish.rulefile.defined import PARTS_LIMIT
from triggerfish.rulefile.expressions import Scope
from triggerfish.rulefile.format import FileForm
from triggerfish.rulefile.marks import Marks
from triggerfish.rulefile.problems import Problem
from triggerfish.rulefile.reading import marks_of


class Notes(Struct, array_like=True):
    """The data of sound rule files, as MessagePack, by a digest of their text; conditions by a digest of their form and
    of all that they may name; and what was worked out of the whole, as MessagePack, by what it follows from.
    """

    files: dict[bytes, bytes] = {}
    activities: list[ActivityNote] = []
    conditions: dict[bytes, ConditionNote] = {}
    whole: dict[str, bytes] = {}


_NOTES = msgspec.msgpack.Decoder(Notes)
_ENCODER = msgspec.msgpack.Encoder()


class Recall:
    """For one load: it begins with what is known of earlier ones, and notes what this one used of that and found out
    anew. Only this is kept, so that it never grows beyond one rulebook.
    """

    def __init__(self, known: bytes = b"") -> None:
        try:
            self._known = _NOTES.decode(known) if known else Notes()
        except msgspec.MsgspecError:
            self._known = Notes()
        self._reader = ConditionReader(self._known.activities)
        self._files: dict[bytes, bytes] = {}
        self._conditions: dict[bytes, tuple[Condition, tuple[str, ...], int]] = {}
        self._whole: dict[str, bytes] = {}

    @property
    def has_news(self) -> bool:
        """Whether this load knows more than the earlier ones, or less of what is not needed any more."""
        known = self._known
        return (
            known.files.keys() != self._files.keys()
            or known.conditions.keys() != self._conditions.keys()
            or known.whole.keys() != self._whole.keys()
        )

    def encode(self) -> bytes:
        """What a later load can begin with."""
        writer = ConditionWriter()
        conditions = {}
        for key, (condition, uses, parts) in self._conditions.items():
            conditions[key] = writer.note(condition, uses, parts)
        return _ENCODER.encode(Notes(self._files, writer.activities, conditions, self._whole))

    def decode(self, text: str, path: str) -> tuple[FileForm | None, Marks, list[Problem]]:
        """As decode.decode_file."""
        key = blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
        content = self._known.files.get(key)
        if content is not None:
            data = msgspec.msgpack.decode(content)
            self._files[key] = content
            return msgspec.convert(data, FileForm), marks_of(text, path, data), []
        form, marks, problems = decode_file(text, path)
        if form is not None and not problems:
            self._files[key] = _ENCODER.encode(marks.data)
        return form, marks, problems

    def whole(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` makes of the whole rulebook: plain data. `key` names all that it follows from."""
        content = self._known.whole.get(key)
        if content is None:
            made = make()
            self._whole[key] = _ENCODER.encode(made)
            return made
        self._whole[key] = content
        return msgspec.msgpack.decode(content)

    def condition(
        self, form: bytes, frame: bytes, scope: Scope, make: Callable[[], tuple[Condition, frozenset[str]]]
    ) -> Condition:
        """The condition that `make` makes of a form, with the definitions that it uses. `frame` is what `frame_of`
        tells of the scope. Raises Faulty.
        """
        definitions = scope.definitions
        key = blake2b(form, key=frame, person=b"event" if scope.has_event else b"", digest_size=16).digest()
        note = self._known.conditions.get(key)
        if note is not None and _fits(note, scope):
            for name in note.uses:
                definitions[name].is_used = True
            definitions.parts += note.parts

            def again() -> Condition:
                # What definitions bring in was counted already.
                counted, definitions.parts = definitions.parts, 0
                try:
                    return make()[0]
                finally:
                    definitions.parts = counted

            condition = self._reader.condition(note, again)
            self._conditions[key] = condition, note.uses, note.parts
            return condition
        before = definitions.parts
        condition, used = make()
        uses, parts = tuple(sorted(used)), definitions.parts - before
        if _can_be_kept(condition, uses, parts):
            self._conditions[key] = condition, uses, parts
        return condition


def _fits(note: ConditionNote, scope: Scope) -> bool:
    """Whether the segments are there that it asks for, and there is room for the parts that it brings in."""
    return scope.definitions.parts + note.parts <= PARTS_LIMIT and all(
        name in scope.segments or name == ANY_SEGMENT for name in note.segments
    )


def _can_be_kept(condition: Condition, uses: tuple[str, ...], parts: int) -> bool:
    """Not one with a number beyond 64 bits, or with half of a surrogate pair: MessagePack has neither."""
    writer = ConditionWriter()
    try:
        _ENCODER.encode((writer.note(condition, uses, parts), writer.activities))
    except (OverflowError, UnicodeEncodeError):
        return False
    return True


def frame_of(scope: Scope) -> bytes:
    """A digest of what any condition may name, segments aside."""
    definitions = [(each.name, each.meaning, each.is_broken, each.items is None) for each in scope.definitions.values()]
    functions = [(name, _signature(function)) for name, function in scope.functions.items()]
    text = repr((sorted(scope.short_names.items()), sorted(definitions), sorted(functions)))
    return blake2b(text.encode(errors="surrogatepass"), digest_size=32).digest()


def _signature(function: Callable[..., Any]) -> str:
    try:
        return str(signature(function))
    except (TypeError, ValueError):
        return ""
