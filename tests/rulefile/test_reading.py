"""YAML 1.2, strictly: what is read, what is refused, and that every place is a place of the file."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from triggerfish.rulefile.problems import Problem
from triggerfish.rulefile.reading import DEPTH_LIMIT, PROBLEM_LIMIT, SIZE_LIMIT, read_yaml


def data_of(text: str) -> object:
    marks, problems = read_yaml(text, "rules/x.yaml")
    assert not problems, problems
    assert marks.is_readable
    return marks.data


def codes_of(text: str) -> list[str]:
    return [problem.code for problem in read_yaml(text, "rules/x.yaml")[1]]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("10:30", "10:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("12e", "12e"),
        ("+", "+"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("-12", -12),
        ("0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        ("-.5e3", -500.0),
        ("9223372036854775807", 2**63 - 1),
        ('"10"', "10"),
        ("'it''s'", "it's"),
        (r'"a\tb\u00e9"', "a\tbé"),
        ("[]", []),
        ("{}", {}),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">\n  a\n  b\n", "a b\n"),
    ],
)
def test_values_mean_what_yaml_1_2_says(written: str, value: object) -> None:
    assert data_of(f"key: {written}") == {"key": value}
    assert type(data_of(f"key: {written}")["key"]) is type(value)  # type: ignore[index]


def test_keys_are_text_as_written() -> None:
    assert data_of("on: 1\nNO: 2\n404: 3\n1.50: 4\n") == {"on": 1, "NO": 2, "404": 3, "1.50": 4}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\n\n", "\ufeff"])
def test_an_empty_file_is_an_empty_mapping(text: str) -> None:
    assert data_of(text) == {}


@pytest.mark.parametrize("number", ["007", "-01", "9223372036854775808", "1e999", ".inf", "-.INF", ".nan"])
def test_a_number_that_cannot_be_kept_as_it_is_written_is_refused(number: str) -> None:
    assert codes_of(f"key: {number}") == ["TF213"]
    assert data_of(f'key: "{number}"') == {"key": number}


def test_of_a_duplicate_key_the_first_stays_and_its_line_is_named() -> None:
    marks, (problem,) = (
        read_yaml("a: {x: 1}\nb: 2\na: {x: 2, x: 3}\n", "rules/x.yaml")[0],
        read_yaml("a: {x: 1}\nb: 2\na: {y: 2}\n", "rules/x.yaml")[1],
    )
    assert marks.data == {"a": {"x": 1}, "b": 2}
    assert marks.place(("a", "x")).line == 1
    assert (problem.code, problem.line, problem.column) == ("TF211", 3, 1)
    assert "line 1" in problem.hint


def test_problems_after_a_duplicate_key_are_found_as_well() -> None:
    assert codes_of("a: 1\na: {x: 1, x: 2}\nb: &b 1\nb: 007\n") == ["TF211", "TF211", "TF208", "TF211", "TF213"]


def test_nesting_is_bounded_and_the_bound_is_generous() -> None:
    assert data_of("[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT)
    assert codes_of("[" * (DEPTH_LIMIT + 1) + "]" * (DEPTH_LIMIT + 1)) == ["TF212"]


def test_size_counts_bytes() -> None:
    assert data_of("#" * SIZE_LIMIT) == {}
    assert codes_of("#" * (SIZE_LIMIT + 1)) == ["TF202"]
    assert codes_of("#" + "é" * (SIZE_LIMIT // 2)) == ["TF202"]


def test_a_file_full_of_faults_is_not_read_to_the_end() -> None:
    assert len(codes_of("- &a x\n" * 10_000)) == PROBLEM_LIMIT


def test_a_byte_that_was_no_utf_8_is_told_as_such() -> None:
    (problem,) = read_yaml(b"a: F\xfcr\n".decode(errors="surrogateescape"), "rules/x.yaml")[1]
    assert (problem.code, problem.line, problem.column) == ("TF203", 1, 5)
    assert "0xFC" in problem.sentence


@pytest.mark.parametrize("text", ["\ud800", "a: \x01", '"\\ud800"', '"\\0"', "a: \ufeff"])
def test_characters_that_no_text_holds_are_refused(text: str) -> None:
    assert codes_of(text) == ["TF204"]


PIECES = st.sampled_from(
    [
        *"\n\r\t :-?,[]{}&*!|>'\"%@`#\\~<=.\x85\u2028\u00a0é字🐟\ufeff\0",
        "\r\n", "  ", "    ", "- ", ": ", "a", "name", "on: x\n", "rules:\n", "---\n", "...\n", "<<", "*a",
        "&a ", "!t ",
        "| \n", "|2-\n", ">\n", "%YAML 1.1\n", "%TAG ! x\n", '"\\x', "\\u12", "\\U99999999", "007", "1e999",
        "# c\n",
        "? ", "''", '""',
    ]
)  # fmt: skip
TEXTS = st.one_of(st.lists(PIECES, max_size=40).map("".join), st.text(max_size=60))


@settings(max_examples=600, deadline=2000)
@given(TEXTS)
@example('"\\U99999999"')
@example("%YAML 1.1\n---\n%YAML 1.1\n---\n")
@example("%YAML 3.14159265358979323846264338327950288\n---\n")
@example("? a\n? \n: [")
@example("!<a>x")
def test_no_text_makes_it_raise_and_every_place_is_inside_the_file(text: str) -> None:
    marks, problems = read_yaml(text, "rules/x.yaml")
    assert marks.is_readable or problems
    for problem in problems:
        assert_inside(problem, text.removeprefix("\ufeff"))
        assert all(line.isprintable() for line in problem.render().split("\n"))


def assert_inside(problem: Problem, text: str) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert 1 <= problem.line <= len(lines)
    line = lines[problem.line - 1]
    assert 1 <= problem.column <= len(line) + 1
    assert problem.source == line[problem.skipped : problem.skipped + len(problem.source)]
    assert problem.width >= 1
