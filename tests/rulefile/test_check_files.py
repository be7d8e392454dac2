"""Across files: names, policies, lengths of time, and events that are nearly known."""

import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.errors import RulebookBroken
from triggerfish.rulefile.check import Checked, check_files
from triggerfish.rulefile.compile import load_rulebook

RULE = "  - name: {name}\n    on: {on}\n    then: [{{send: a}}]\n"


def ruleset(name: str, *rules: str, on: str = "x") -> str:
    return f"ruleset: {name}\nrules:\n" + "".join(RULE.format(name=rule, on=on) for rule in rules)


def found(checked: Checked) -> list[tuple[str, int, str]]:
    return [(problem.path, problem.line, problem.code) for problem in checked.problems]


def test_good_files_give_their_forms_and_marks_in_order() -> None:
    checked = check_files({"rules/b.yaml": ruleset("b", "one"), "rules/a.yaml": "segments: [{name: vip}]"})
    assert not checked.problems
    assert checked.is_complete
    assert not checked.is_broken
    assert [marks.path for _, marks in checked.files] == ["rules/b.yaml", "rules/a.yaml"]
    assert checked.files[0][0].ruleset == "b"


def test_a_rule_sets_name_is_used_once_in_the_rulebook() -> None:
    checked = check_files({"rules/a.yaml": ruleset("cart", "one"), "rules/b.yaml": ruleset("cart", "one")})
    assert found(checked) == [("rules/b.yaml", 1, "TF270")]
    assert "rules/a.yaml, line 1" in checked.problems[0].hint


def test_segments_share_one_namespace_across_levels_and_files() -> None:
    inner = "segments:\n  - name: a\n    segments:\n      - name: vip\n"
    checked = check_files({"rules/a.yaml": inner, "rules/b.yaml": "segments:\n  - name: vip\n"})
    assert found(checked) == [("rules/b.yaml", 2, "TF270")]


def test_a_rules_name_is_used_once_in_its_rule_set_only() -> None:
    checked = check_files({"rules/a.yaml": ruleset("a", "one", "two", "one"), "rules/b.yaml": ruleset("b", "one")})
    assert found(checked) == [("rules/a.yaml", 9, "TF270")]


def test_short_names_are_used_once_and_do_not_hide_kinds_of_calls() -> None:
    files = {"rules/a.yaml": "events: {purchase: A}\n", "rules/b.yaml": "events:\n  purchase: B\n  identify: C\n"}
    assert found(check_files(files)) == [("rules/b.yaml", 2, "TF270"), ("rules/b.yaml", 3, "TF277")]


def test_there_is_one_policy() -> None:
    files = {"rules/a.yaml": "policy: {time_zone: UTC}\n", "rules/b.yaml": "policy: {time_zone: UTC}\n"}
    assert found(check_files(files)) == [("rules/b.yaml", 1, "TF273")]


def test_a_broken_file_does_not_silence_the_others() -> None:
    checked = check_files({"rules/a.yaml": "a: [", "rules/b.yaml": "policy: {time_zone: Moon/Base}\n"})
    assert found(checked) == [("rules/a.yaml", 1, "TF207"), ("rules/b.yaml", 1, "TF276")]
    assert not checked.is_complete
    assert checked.is_broken
    assert len(checked.files) == 1


@pytest.mark.parametrize("text", ["7d", "30 minutes", "1h 30m", "10 years", "tomorrow", "", "-1 day"])
def test_lengths_of_time_are_checked_wherever_they_stand(text: str) -> None:
    rule = f'  - {{name: a, on: x, wait: "{text}", cooldown: "{text}", then: [{{emit: a}}]}}\n'
    cap = f'policy: {{caps: [{{sends: 1, within: "{text}"}}]}}\n'
    codes = codes_of(f'{cap}ruleset: a\nmax_age: "{text}"\nrules:\n{rule}')
    is_length = text in ("7d", "30 minutes", "1h 30m")
    assert codes == ([] if is_length else ["TF274"] * 4)


def codes_of(text: str) -> list[str]:
    """The codes of all problems of a rulebook of one file."""
    try:
        load_rulebook({"rules/a.yaml": text}, templates={}, matcher=CompiledMatcher)
    except RulebookBroken as broken:
        return [problem.code for problem in broken.problems]
    return []


@pytest.mark.parametrize("time", ["9:00", "24:00", "12:60", "１２:00", "12:00:00", "noon", "12", "-1:00", "1 :00"])
def test_what_is_no_time_of_day_is_refused(time: str) -> None:
    text = f'policy: {{quiet_hours: {{start: "{time}", end: "08:00"}}}}\n'
    assert [code for _, _, code in found(check_files({"rules/a.yaml": text}))] == ["TF275"]


@pytest.mark.parametrize("zone", ["../../etc/passwd", "/etc/localtime", "Berlin", "CEST", ""])
def test_what_is_no_time_zone_is_refused(zone: str) -> None:
    checked = check_files({"rules/a.yaml": f'policy: {{time_zone: "{zone}"}}\n'})
    assert [code for _, _, code in found(checked)] == ["TF276"]


PLAN = "events: {add_to_cart: Product Added, purchase: Order Completed}\n"


@pytest.mark.parametrize(
    ("event", "hint"),
    [
        ("add_to_card", "add_to_cart"),
        ("Order completed", "Order Completed"),
        ("segment.enter", "segment.entered"),
        ("email opened", "Email Opened"),
        ("reward_earnd", "reward_earned"),
    ],
)
def test_an_event_that_is_nearly_known_is_a_warning(event: str, hint: str) -> None:
    emitting = "ruleset: e\nrules:\n  - {name: e, on: page, then: [{emit: reward_earned}]}\n"
    checked = check_files(
        {"rules/p.yaml": PLAN, "rules/a.yaml": ruleset("a", "one", on=event), "rules/e.yaml": emitting}
    )
    assert found(checked) == [("rules/a.yaml", 4, "TF279")]
    assert checked.problems[0].is_warning
    assert f'"{hint}"' in checked.problems[0].hint
    assert not checked.is_broken


@pytest.mark.parametrize("event", ["add_to_cart", "Product Added", "page", "segment.left", "Email Opened", "something"])
def test_events_that_are_known_or_quite_unlike_any_pass(event: str) -> None:
    assert not check_files({"rules/p.yaml": PLAN, "rules/a.yaml": ruleset("a", "one", on=event)}).problems


def test_while_a_file_cannot_be_read_no_event_is_called_unknown() -> None:
    checked = check_files({"rules/p.yaml": "events: [", "rules/a.yaml": ruleset("a", "one", on="segment.enter")})
    assert [code for _, _, code in found(checked)] == ["TF207"]


def test_unless_without_a_wait_is_a_warning() -> None:
    text = "ruleset: a\nrules:\n  - {name: a, on: x, unless: y, then: [{send: a}]}\n"
    assert found(check_files({"rules/a.yaml": text})) == [("rules/a.yaml", 3, "TF278")]
