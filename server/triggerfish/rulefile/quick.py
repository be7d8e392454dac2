"""Sound YAML read quickly: libyaml's events for texts of which it and ruamel.yaml say the same.

ruamel.yaml reads YAML 1.2, says best what is wrong with a text, and is fifty times as slow. libyaml reads 1.1. Whatever
the two could differ in is left to ruamel.yaml: what 1.1 takes for the end of a line, tabs, marks of documents, comments
behind "|", brackets with a colon close behind, and empty values, which stand in different places.
tests/rulefile/test_quick.py compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml  # type: ignore[import-untyped]
from ruamel.yaml import events
from ruamel.yaml.error import StringMark

try:
    from yaml.cyaml import CParser  # type: ignore[import-untyped]
except ImportError:  # PyYAML was built without libyaml; ruamel.yaml reads everything then
    CParser = None

_UNLIKE = re.compile(r"[\t\ufeff\x85\u2028\u2029]|[|>][-+0-9]*[ ]*#|[\]}\"']:\S|^(?:%|---|\.\.\.)", re.MULTILINE)


class Unusual(Exception):  # it reads as a claim
    """A text that only ruamel.yaml can be trusted with."""


def quick_events(text: str) -> Iterator[events.Event]:
    """The events of a text, as ruamel.yaml gives them, for a text without anchors, aliases, tags and faults.

    Raises Unusual for any other, when it comes to it.
    """
    if CParser is None or _UNLIKE.search(text):
        raise Unusual
    try:
        parser = CParser(text)
        while parser.check_event():
            made = _same(parser.get_event())
            if made is not None:
                yield made
    except (yaml.YAMLError, ValueError) as error:
        raise Unusual from error


def _same(event: yaml.Event) -> events.Event | None:
    """ruamel.yaml's event for libyaml's; None for one that says nothing."""
    match event:
        case yaml.ScalarEvent(anchor=None, tag=None, value=value, style=style) if value or style:
            start, end = _mark(event.start_mark), _mark(event.end_mark)
            return events.ScalarEvent(None, None, (True, False), value, start, end, style=style or None)
        case yaml.MappingStartEvent(anchor=None, tag=None):
            return events.MappingStartEvent(None, None, True, _mark(event.start_mark), _mark(event.end_mark))
        case yaml.SequenceStartEvent(anchor=None, tag=None):
            return events.SequenceStartEvent(None, None, True, _mark(event.start_mark), _mark(event.end_mark))
        case yaml.MappingEndEvent():
            return events.MappingEndEvent()
        case yaml.SequenceEndEvent():
            return events.SequenceEndEvent()
        case yaml.NodeEvent():
            raise Unusual
    return None


def _mark(mark: yaml.Mark) -> StringMark:
    return StringMark("", mark.index, mark.line, mark.column, None, None)
