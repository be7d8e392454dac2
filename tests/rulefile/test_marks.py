"""From paths, and from offsets within a text, back to the file."""

from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import (
    DoubleQuotedScalarString,
    FoldedScalarString,
    LiteralScalarString,
    SingleQuotedScalarString,
)

from triggerfish.rulefile.marks import LINE_LIMIT, Marks, Source
from triggerfish.rulefile.problems import Problem, nearest
from triggerfish.rulefile.reading import read_yaml


def marks_of(text: str) -> Marks:
    marks, problems = read_yaml(text, "rules/x.yaml")
    assert not problems, problems
    return marks


TEXT = """\
ruleset: cart-recovery
rules:
  - name: vip-cart
    when: {all: [event.value > 200, '"vip" in segments']}
    then:
      - send: cart-vip
    wait:
  - on: x
segments:
  - name: customers
    segments:
      - name: loyal
        when: a
"""


def test_a_path_leads_to_line_column_and_width() -> None:
    marks = marks_of(TEXT)
    place = marks.place(("rules", 0, "when", "all", 1))
    assert (place.line, place.column, place.width) == (4, 37, len("""'"vip" in segments'"""))
    assert place.source == TEXT.splitlines()[3]
    key = marks.key_place(("rules", 0, "then"))
    assert (key.line, key.column, key.width) == (5, 5, 4)


def test_a_mapping_stands_where_its_first_key_does_and_an_empty_value_where_its_key_does() -> None:
    marks = marks_of(TEXT)
    first = marks.place(("rules", 0))
    assert (first.line, first.column, first.width) == (3, 5, 4)
    assert marks.place(("rules", 0, "wait")) == marks.key_place(("rules", 0, "wait"))


def test_a_path_that_the_file_does_not_have_leads_to_its_nearest_parent() -> None:
    marks = marks_of(TEXT)
    assert marks.place(("rules", 1, "then", 0, "send")) == marks.place(("rules", 1))
    assert marks.place(("policy", "caps")).line == 1


def test_within_names_rule_set_rule_and_innermost_segment() -> None:
    marks = marks_of(TEXT)
    assert marks.within(("rules", 0, "then", 0)) == 'rule "vip-cart" of rule set "cart-recovery"'
    assert marks.within(("rules", 1, "on")) == 'rule 2 of rule set "cart-recovery"'
    assert marks.within(("segments", 0, "segments", 0, "when")) == 'segment "loyal"'
    assert marks.within(("segments", 0, "segments", 7)) == 'segment "customers"'
    assert marks.within(("mode",)) == 'rule set "cart-recovery"'
    assert marks.within(("policy", "caps")) == ""


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("when: a  > bad", 5, (1, 12)),
        ("when: a >\n  bad\n", 4, (2, 3)),
        ("when: 'it''s bad'", 5, (1, 14)),
        (r'when: "a\u00e9 \"bad\""', 4, (1, 18)),
        ('when: "a \\\n  bad"', 2, (2, 3)),
        ("when: |\n  a >\n  bad\n", 4, (3, 3)),
        ("when: |  # why\n\n    a >\n      bad\n", 7, (4, 7)),
        ("when: >-\n  a >\n  bad\n", 4, (3, 3)),
        ("when: >\r\n  a >\r\n  bad\r\n", 4, (3, 3)),
    ],
)
def test_an_offset_is_right_in_every_style(text: str, offset: int, expected: tuple[int, int]) -> None:
    marks = marks_of(text)
    value = marks.data["when"]
    assert value[offset : offset + 3] == "bad"
    place = marks.place(("when",), offset, 3)
    assert (place.line, place.column, place.width) == (*expected, 3)
    assert place.source[place.column - 1 :].startswith("bad")


def test_an_offset_past_the_end_is_still_inside_the_text() -> None:
    for text in ("when: a >", "when: 'a >'", "when: |\n  a >\n"):
        place = marks_of(text).place(("when",), 99)
        assert 1 <= place.column <= len(place.source) + 1


WORDS = st.lists(st.sampled_from(["a", "it's", 'say "x"', "é", "字", "1.5", "b\\c", "#d", "e:", "(f)"]), min_size=1)
STYLES = [str, SingleQuotedScalarString, DoubleQuotedScalarString, LiteralScalarString, FoldedScalarString]


@given(WORDS, st.sampled_from(STYLES), st.sampled_from([" ", "\n"]), st.integers(20, 80))
def test_every_character_is_found_where_it_was_written(words: list[str], style: Any, joint: str, width: int) -> None:
    writer = YAML()
    writer.width = width
    stream = StringIO()
    writer.dump({"list": [{"when": style(joint.join(words))}]}, stream)
    marks = marks_of(stream.getvalue())
    path = ("list", 0, "when")
    value = marks.data["list"][0]["when"]
    for offset, letter in enumerate(value):
        place = marks.place(path, offset)
        if letter.isalnum() and letter.isascii():
            assert place.source[place.column - 1 - place.skipped] == letter


def test_of_a_very_long_line_the_part_around_the_place_is_shown() -> None:
    source = Source("rules/x.yaml", "a" * 1000 + "BAD" + "a" * 1000)
    problem = source.problem(1000, "TF214", "bad", width=3)
    assert (problem.line, problem.column, problem.width) == (1, 1001, 3)
    assert len(problem.source) == LINE_LIMIT
    assert problem.source[problem.column - 1 - problem.skipped :].startswith("BAD")
    _, line, caret = problem.render().split("\n")
    assert line[caret.index("^") : caret.rindex("^") + 1] == "BAD"


def test_the_caret_stands_below_its_text_after_wide_letters() -> None:
    source = Source("rules/x.yaml", "字字é: x")
    caret = source.problem(5, "TF214", "bad").render().split("\n")[2]
    assert caret.index("^") - len("     | ") == len("字字") * 2 + len("é: ")


def test_what_a_terminal_would_obey_is_never_printed() -> None:
    problem = Problem(path="x", line=1, column=1, code="TF214", sentence="\x1b[2J", source="\u202e\x07", hint="\x9b")
    assert all(line.isprintable() for line in problem.render().split("\n"))


def test_the_nearest_name_is_found_whatever_its_case_and_long_names_cost_nothing() -> None:
    assert nearest("Templat", ["template", "sender"]) == 'did you mean "template"?'
    assert nearest("xyz", ["template", "sender"]) == ""
    assert nearest("x" * 100_000, ["template"]) == ""
