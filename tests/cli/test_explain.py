"""`triggerfish explain` and `triggerfish rules`."""

import json
import shutil

from click.testing import CliRunner

from triggerfish.cli import main
from triggerfish.cli.rules import spark, tell
from triggerfish.health import RuleHealth


def run(lived, verb, *arguments):
    return CliRunner().invoke(main, [verb, *arguments, "--workspace", str(lived)])


def test_a_rule_is_said_by_its_name_or_its_full_name(lived):
    short, full = run(lived, "explain", "welcome"), run(lived, "explain", "hello/welcome")
    assert short.output == full.output
    assert "When Bought happens, and either the event's total is over 10 or their vip is true:" in short.output
    assert "if Returned happens meanwhile, nothing comes of it;" in short.output


def test_a_segment_is_said(lived):
    (said,) = json.loads(run(lived, "explain", "vip", "--json").output)
    assert (said["kind"], said["name"]) == ("segment", "vip")
    assert "they are in customers and the sum of Bought.total is at least 500" in said["lines"][0]


def test_without_a_name_everything_is_said(lived):
    said = json.loads(run(lived, "explain", "--json").output)
    assert [each["name"] for each in said] == [
        "hello / big-welcome", "hello / welcome", "hello / mark", "customers", "vip", "empty",
    ]  # fmt: skip


def test_an_unknown_name_gets_the_nearest_one(lived):
    done = run(lived, "explain", "welcom")
    assert done.exit_code == 1
    assert 'there is no rule and no segment "welcom"' in done.output
    assert 'did you mean "welcome"?' in done.output


def test_broken_files_are_told_as_check_tells_them(lived, tmp_path):
    workspace = tmp_path / "copy"
    shutil.copytree(lived, workspace)
    (workspace / "rules" / "hello.yaml").write_text("ruleset: hello\nrules: [{nam: x}]\n")
    done = run(workspace, "explain")
    assert done.exit_code == 1
    assert "rules/hello.yaml:2:" in done.output


def test_the_rules_are_listed_with_what_was_counted(lived):
    rules = {each["rule"]: each for each in json.loads(run(lived, "rules", "--json").output)}
    assert rules["welcome"]["last_fired"] == "2026-01-01T01:01:00.000Z"
    assert rules["welcome"]["by_day"][-1] == 2
    assert rules["big-welcome"]["last_fired"] is None
    assert "last fired 2026-01-01 01:01" in run(lived, "rules").output
    assert run(lived, "rules", "--stopped").output == "There are no such rules.\n"


def test_a_stopped_rule_stands_out():
    health = RuleHealth("r", "a", "2026-01-01T01:01:00.000Z", 0.0, 2.5, [8] * 20 + [0] * 10, 3, 0.25, True, "no more")
    _, line, stopped = tell([health])
    assert "25.0% of time" in line
    assert "3 errors" in line
    assert "STOPPED: no more" in stopped


def test_the_bars_are_as_high_as_their_day():
    assert spark([0, 1, 4, 8]) == " ▁▄█"
    assert spark([0, 0]) == "··"
