"""`triggerfish test`: what it prints, how it ends, and that the starter's own tests leave nothing open."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from triggerfish.cli import main
from triggerfish.cli.trial_report import floored

REPOSITORY = Path(__file__).parents[2]
GOLDEN = REPOSITORY / "tests" / "golden" / "trials"

RULES = """\
ruleset: hello
rules:
  - name: welcome
    on: Signed Up
    when: event.total > 10
    wait: 10 minutes
    then: [{send: welcome}]
"""
TESTS = """\
tests:
  - name: a large order is greeted
    profile: {traits: {email: ana@example.com}}
    events: [{at: 0m, event: Signed Up, properties: {total: 11}}]
    expect:
      - {at: 9m, sends: []}
      - {at: 10m, sends: [welcome]}
  - name: a small one is not
    profile: {traits: {email: ana@example.com}}
    events: [{at: 0m, event: Signed Up, properties: {total: 10}}]
    expect:
      - {at: 10m, sends: []}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    shutil.copy(REPOSITORY / "triggerfish.toml", tmp_path)
    shutil.copytree(REPOSITORY / "templates" / "welcome", tmp_path / "templates" / "welcome")
    for name in ("brand.yaml", "blocks", "layouts"):
        source = REPOSITORY / "templates" / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / "templates" / name)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "hello.yaml").write_text(RULES)
    (tmp_path / "rules" / "hello.test.yaml").write_text(TESTS)
    return tmp_path


def run(workspace: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(main, ["test", "--workspace", str(workspace), *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def without_times(text: str) -> str:
    return re.sub(r"=*( .* in )\d+\.\d\d s =*", r"=\1T s =", text)


def golden(name: str, text: str) -> None:
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("TRIGGERFISH_UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_passing_tests_are_dots_and_a_line(workspace: Path) -> None:
    result = run(workspace)
    assert result.exit_code == 0
    golden("passed", without_times(result.output))


def test_a_failure_shows_what_was_expected_and_what_happened(workspace: Path) -> None:
    file = workspace / "rules" / "hello.test.yaml"
    file.write_text(TESTS.replace("9m, sends: []", "9m, sends: [welcome]").replace("total: 10}", "total: 12}"))
    result = run(workspace, "--mutate")
    assert result.exit_code == 1
    golden("failed", without_times(result.output))


def test_what_no_test_reaches_is_listed_and_can_be_demanded(workspace: Path) -> None:
    (workspace / "rules" / "hello.test.yaml").write_text(TESTS.split("  - name: a small")[0])
    result = run(workspace, "--cover")
    assert result.exit_code == 0
    golden("not-covered", without_times(result.output))
    assert run(workspace, "--cover-min", "75").exit_code == 0
    too_little = run(workspace, "--cover-min", "80")
    assert too_little.exit_code == 1
    assert "the coverage is below 80 %" in too_little.output


def test_survivors_are_shown_as_a_diff_and_fail(workspace: Path) -> None:
    (workspace / "rules" / "hello.test.yaml").write_text(TESTS.replace("      - {at: 9m, sends: []}\n", ""))
    result = run(workspace, "--mutate", "--jobs", "1")
    assert result.exit_code == 1
    golden("survivors", without_times(result.output))


def test_all_mutants_killed_is_all_well(workspace: Path) -> None:
    result = run(workspace, "--mutate", "--jobs", "2")
    assert result.exit_code == 0, result.output
    assert "0 survived" in result.output


def test_problems_of_test_files_are_told_and_the_other_tests_run(workspace: Path) -> None:
    (workspace / "rules" / "more.test.yaml").write_text("tests: [{name: x, expect: [{at: 0m, sends: [welcom]}]}]\n")
    result = run(workspace)
    assert result.exit_code == 1
    assert 'TF610  there is no template "welcom"' in result.output
    assert "2 passed, 1 problem in test files" in result.output


def test_a_broken_rulebook_is_told_as_check_does(workspace: Path) -> None:
    (workspace / "rules" / "hello.yaml").write_text(RULES.replace("send: welcome", "send: welcom"))
    result = run(workspace)
    assert result.exit_code == 1
    assert "TF260" in result.output


def test_one_test_can_be_run_by_its_name(workspace: Path) -> None:
    result = run(workspace, "--run", "SMALL")
    assert "1 passed" in result.output
    assert "coverage" not in result.output
    nobody = run(workspace, "--run", "medium")
    assert (nobody.exit_code, "TF619" in nobody.output) == (1, True)
    assert run(workspace, "--run", "small", "--mutate").exit_code == 2


def test_without_tests_it_says_where_they_belong(workspace: Path) -> None:
    (workspace / "rules" / "hello.test.yaml").unlink()
    result = run(workspace)
    assert result.exit_code == 0
    assert "rules/*.test.yaml" in result.output


def test_programs_get_json(workspace: Path) -> None:
    (workspace / "rules" / "hello.test.yaml").write_text(TESTS.replace("total: 10}", "total: 12}"))
    result = run(workspace, "--json")
    told = json.loads(result.output)
    assert (result.exit_code, told["passed"], told["failed"]) == (1, 1, 1)
    (failed,) = [test for test in told["tests"] if not test["passed"]]
    (failure,) = failed["failures"]
    assert (failed["name"], failure["key"], failure["actual"]) == ("a small one is not", "sends", "welcome")
    assert told["coverage"]["items"] == 4
    assert told["mutation"] is None
    (workspace / "rules" / "hello.test.yaml").write_text(TESTS)
    mutation = json.loads(run(workspace, "--json", "--mutate").output)["mutation"]
    assert mutation["survivors"] == []
    assert mutation["mutants"] == mutation["killed"] > 5


def test_ci_gets_junit_xml(workspace: Path, tmp_path: Path) -> None:
    (workspace / "rules" / "hello.test.yaml").write_text(TESTS.replace("total: 10}", "total: 12}"))
    (workspace / "rules" / "more.test.yaml").write_text("tests: [{name: x, expect: [{at: 0m, sends: [welcom]}]}]\n")
    assert run(workspace, "--junit", str(tmp_path / "out.xml")).exit_code == 1
    root = ElementTree.parse(tmp_path / "out.xml").getroot()  # noqa: S314  # it is our own
    assert root.tag == "testsuites"
    assert [root.attrib[key] for key in ("tests", "failures", "errors")] == ["3", "1", "1"]
    suites = {suite.attrib["name"]: suite for suite in root}
    cases = {case.attrib["name"]: case for case in suites["rules/hello.test.yaml"]}
    failure = cases["a small one is not"].find("failure")
    assert failure is not None
    assert "expected nothing, but it was welcome" in failure.attrib["message"]
    assert cases["a large order is greeted"].find("failure") is None
    error = suites["rules/more.test.yaml"].find("testcase/error")
    assert error is not None
    assert error.attrib["type"] == "TF610"
    nowhere = run(workspace, "--junit", str(tmp_path / "nowhere" / "out.xml"))
    assert (nowhere.exit_code, "TF619" in nowhere.output) == (1, True)


@pytest.mark.timeout(60)
def test_watching_runs_them_again_after_a_change(workspace: Path) -> None:
    command = [sys.executable, "-u", "-m", "triggerfish.cli", "test", "--watch", "--workspace", str(workspace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as watching:
        assert watching.stdout is not None
        try:
            assert "2 passed" in until(watching, "passed")
            time.sleep(1)  # until the watch stands
            (workspace / "rules" / "hello.yaml").write_text(RULES.replace("> 10", "> 9"))
            assert "1 failed, 1 passed" in until(watching, "passed")
            (workspace / "rules" / "hello.yaml").write_text(RULES.replace("> 10", "> > 9"))
            assert "TF230" in until(watching, "TF200")
        finally:
            watching.terminate()


def until(process: subprocess.Popen[str], word: str) -> str:
    """What it prints up to a line with the word."""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if word in line:
            break
    return "".join(lines)


def test_a_share_is_never_shown_as_more_than_it_is() -> None:
    assert [floored(percent) for percent in (0, 99.96, 100)] == ["0.0", "99.9", "100"]


@pytest.mark.timeout(600)
def test_the_starters_tests_reach_everything_and_no_mutant_survives(tmp_path: Path) -> None:
    made = CliRunner().invoke(main, ["new", str(tmp_path / "shop")])
    assert made.exit_code == 0
    result = run(tmp_path / "shop", "--mutate", "--cover-min", "100")
    assert result.exit_code == 0, result.output
    assert "coverage 100 %" in result.output
    assert re.search(r"\d+ mutants: \d+ killed, 0 survived, 3 equivalent", result.output)
