"""Forms: what fits is decoded as it was meant; what does not is told at its place, all of it."""

import json
from io import StringIO
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from triggerfish.rulefile.check import check_files
from triggerfish.rulefile.decode import decode_file
from triggerfish.rulefile.format import FileForm
from triggerfish.rulefile.reading import PROBLEM_LIMIT

WORDS = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=20)
NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9 _.-]{0,10}[A-Za-z0-9_.-])?", fullmatch=True)
PRIORITIES = st.integers(-1_000_000, 1_000_000)
SCALARS = st.one_of(
    WORDS, st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()
)
EVENTS = WORDS | st.lists(WORDS, min_size=1, max_size=3)


def conditions(lists: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(["all", "any", "none"]), lists, min_size=1)


LISTED = st.recursive(
    st.lists(WORDS, min_size=1, max_size=3),
    lambda lists: st.lists(WORDS | conditions(lists), min_size=1, max_size=3),
    max_leaves=4,
)
VALUES = st.dictionaries(WORDS, SCALARS | st.fixed_dictionaries({"value": WORDS}), max_size=3)


WHEN = WORDS | conditions(LISTED)
ACTIONS = st.one_of(
    st.fixed_dictionaries({"send": NAMES}),
    st.fixed_dictionaries({"set": VALUES}),
    st.fixed_dictionaries({"emit": WORDS}, optional={"properties": VALUES}),
)
RULES = st.fixed_dictionaries(
    {"name": NAMES, "on": EVENTS, "then": st.lists(ACTIONS, min_size=1, max_size=3)},
    optional={
        "when": WHEN,
        "wait": WORDS,
        "unless": EVENTS,
        "while_waiting": st.sampled_from(["restart", "keep", "each"]),
        "cooldown": WORDS,
        "priority": PRIORITIES,
        "description": WORDS,
    },
)


def segments(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    optional = {"when": WHEN, "priority": PRIORITIES, "exclusive": st.booleans(), "segments": children}
    return st.lists(st.fixed_dictionaries({"name": NAMES}, optional=optional), max_size=2)


FILES = st.fixed_dictionaries(
    {},
    optional={
        "events": st.dictionaries(NAMES, WORDS | st.fixed_dictionaries({"name": WORDS}), max_size=3),
        "policy": st.fixed_dictionaries(
            {},
            optional={
                "time_zone": WORDS,
                "quiet_hours": st.fixed_dictionaries({"start": WORDS, "end": WORDS}),
                "caps": st.lists(st.fixed_dictionaries({"sends": st.integers(1, 1000), "within": WORDS}), max_size=2),
            },
        ),
        "segments": segments(segments(st.just([]))),
        "ruleset": NAMES,
        "mode": st.sampled_from(["first", "all"]),
        "max_age": WORDS,
        "rules": st.lists(RULES, max_size=3),
    },
)


def written(data: object) -> str:
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.width = 60
    writer.representer.ignore_aliases = lambda _: True  # equal lists may be one object here
    stream = StringIO()
    writer.dump(data, stream)
    return stream.getvalue()


@settings(max_examples=60, deadline=None)
@given(FILES)
def test_what_fits_the_format_is_decoded_as_it_was_written(data: dict[str, Any]) -> None:
    # JSON is YAML, too. (ruamel.yaml's own flow style is not used: it writes [?x] and {a: :x} and cannot read them.)
    for text in (written(data), *(json.dumps(data, ensure_ascii=False, indent=indent) for indent in (None, 2))):
        form, _, problems = decode_file(text, "rules/x.yaml")
        assert not problems
        assert form == msgspec.convert(data, FileForm)


def mappings_of(data: Any) -> list[dict[str, Any]]:
    """All mappings within the data whose keys are the format's own."""
    found = []
    if isinstance(data, dict):
        found.append(data)
        inner = [value for key, value in data.items() if key not in ("events", "set", "properties")]
    else:
        inner = data if isinstance(data, list) else []
    return found + [mapping for value in inner for mapping in mappings_of(value)]


@settings(max_examples=40, deadline=None)
@given(FILES, st.data())
def test_every_misspelt_key_is_pointed_at_where_it_stands(data: dict[str, Any], draw: st.DataObject) -> None:
    mappings = mappings_of(data)
    chosen = draw.draw(st.lists(st.integers(0, len(mappings) - 1), min_size=1, max_size=3, unique=True))
    for number in chosen:
        mappings[number][f"zz{number}"] = 1
    _, _, problems = decode_file(written(data), "rules/x.yaml")
    unknown = [problem for problem in problems if problem.code == "TF214"]
    assert len(unknown) == len(chosen)
    for problem in unknown:
        at = problem.column - 1 - problem.skipped
        assert problem.source[at : at + problem.width] in {f"zz{number}" for number in chosen}
        assert problem.source[at : at + problem.width] in problem.sentence


JUNK = st.one_of(SCALARS, st.just([]), st.just({}), st.lists(SCALARS, max_size=2), st.just({"name": 1}), st.just(""))


@settings(max_examples=100, deadline=None)
@given(FILES, st.data())
def test_whatever_msgspec_would_refuse_has_been_told_before(data: dict[str, Any], draw: st.DataObject) -> None:
    mappings = [mapping for mapping in mappings_of(data) if mapping]
    for mapping in draw.draw(st.lists(st.sampled_from(mappings), min_size=1, max_size=3)) if mappings else []:
        mapping[draw.draw(st.sampled_from(sorted(mapping)))] = draw.draw(JUNK)
    form, _, problems = decode_file(written(data), "rules/x.yaml")
    assert form is not None or problems
    assert {problem.code for problem in problems} <= {"TF214"} or form is None
    assert "TF225" not in {problem.code for problem in problems}
    if not problems:
        assert form == msgspec.convert(data, FileForm)


def codes_of(text: str) -> list[str]:
    return [problem.code for problem in decode_file(text, "rules/x.yaml")[2]]


def test_problems_of_yaml_and_of_the_format_come_together_in_order() -> None:
    assert codes_of("mode: frist\nrulez: []\nmode: all\npriority: 007\n") == ["TF219", "TF214", "TF211", "TF213"]


def test_a_misspelt_key_that_is_needed_is_complained_of_once() -> None:
    assert codes_of("ruleset: a\nrules:\n  - name: a\n    on: b\n    them: [{send: a}]\n") == ["TF214"]


def test_a_name_has_no_line_break_at_its_end() -> None:
    assert codes_of('ruleset: "cart\\n"\n') == ["TF217"]


def test_of_very_many_problems_the_first_are_shown_and_that_there_are_more() -> None:
    codes = codes_of("".join(f"k{number}: 1\n" for number in range(500)))
    assert codes == ["TF214"] * PROBLEM_LIMIT + ["TF224"]


def test_an_unknown_key_in_a_rule_hides_nothing_else_of_its_file() -> None:
    rule = "  - name: b\n    on: x\n    cooldwn: 3 days\n    then: [{send: c}]\n    unless: x\n"
    text = f"ruleset: a\nrules:\n{rule}"
    checked = check_files({"rules/a.yaml": text})
    assert [problem.code for problem in checked.problems] == ["TF214", "TF278"]
    assert checked.is_complete
