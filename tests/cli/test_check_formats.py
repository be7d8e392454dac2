"""What `check` writes for programs and reviews, and what it says of journeys and of what nobody can decide."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from triggerfish.cli import main
from triggerfish.cli.check_report import as_annotation, as_sarif
from triggerfish.rulefile.problems import Problem

REPOSITORY = Path(__file__).parents[2]
NEVER = "segments:\n  - name: nobody\n    when: count(purchase) < 0\n"
BROKEN = "rulez: 1\n"
JOURNEY = """\
ruleset: welcome
rules:
  - name: first-week
    on: Signed Up
    {more}
    steps:
      - {{name: pause, wait: 2 days}}
      - set: {{greeted: true}}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    shutil.copy(REPOSITORY / "triggerfish.toml", tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "templates").mkdir()
    return tmp_path


def check(workspace: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check", "--workspace", str(workspace), *options])


def sarif(workspace: Path) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(check(workspace, "--format", "sarif").stdout)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("/sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def test_sarif_names_each_problem_with_its_place_and_level(workspace: Path) -> None:
    (workspace / "rules" / "a b.yaml").write_text(NEVER)
    run = sarif(workspace)
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "TF290"
    assert result["level"] == "warning"
    assert result["message"]["text"].startswith('"count(purchase) < 0" can never hold')
    where = result["locations"][0]["physicalLocation"]
    assert where["artifactLocation"] == {"uri": "rules/a%20b.yaml", "uriBaseId": "%SRCROOT%"}
    assert where["region"] == {"startLine": 3, "startColumn": 11, "endColumn": 30}
    assert run["columnKind"] == "unicodeCodePoints"


def test_sarif_of_a_good_workspace_has_a_run_without_results(workspace: Path) -> None:
    run = sarif(workspace)
    assert run["results"] == []
    assert run["tool"]["driver"]["name"] == "triggerfish check"


def test_a_problem_keeps_its_fingerprint_when_lines_move(workspace: Path) -> None:
    file = workspace / "rules" / "a.yaml"
    file.write_text(BROKEN)
    before = sarif(workspace)["results"][0]
    file.write_text("# a comment\n\n" + BROKEN)
    after = sarif(workspace)["results"][0]
    assert before["partialFingerprints"] == after["partialFingerprints"]
    assert before["level"] == "error"
    assert before["locations"] != after["locations"]


def test_a_problem_of_a_whole_file_has_no_region() -> None:
    problem = Problem(path="rules/a.yaml", line=0, column=0, code="TF202", sentence="too large")
    (result,) = as_sarif([problem], "shop")["runs"][0]["results"]
    assert result["locations"] == [
        {"physicalLocation": {"artifactLocation": {"uri": "shop/rules/a.yaml", "uriBaseId": "%SRCROOT%"}}}
    ]
    assert as_annotation(problem, "shop") == "::error file=shop/rules/a.yaml,title=TF202::too large"


def test_an_annotation_names_file_line_and_columns(workspace: Path) -> None:
    (workspace / "rules" / "a.yaml").write_text(BROKEN)
    result = check(workspace, "--format", "github")
    first, closing = result.stdout.splitlines()
    place = "file=rules/a.yaml,line=1,col=1,endColumn=5,title=TF214"
    assert first == f'::error {place}::unknown key "rulez" in a rule file (did you mean "rules"?)'
    assert closing == "1 problem in 1 rule file and 0 templates"
    assert result.exit_code == 1


def test_nothing_in_a_file_can_begin_another_workflow_command() -> None:
    problem = Problem(
        path="rules/a,b:c%.yaml", line=1, column=2, code="TF214", sentence="50 %\r\n::warning::x", is_warning=True
    )
    line = as_annotation(problem)
    assert line == (
        "::warning file=rules/a%2Cb%3Ac%25.yaml,line=1,col=2,endColumn=2,title=TF214::50 %25%0D%0A::warning::x"
    )


def test_files_are_named_from_the_folder_that_reviews_see(workspace: Path) -> None:
    (workspace / "rules" / "a.yaml").write_text(BROKEN)
    told = subprocess.run(
        [sys.executable, "-m", "triggerfish.cli", "check", "--format", "github", "--workspace", workspace.name],
        cwd=workspace.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout.startswith(f"::error file={workspace.name}/rules/a.yaml,line=1,")


def test_json_is_the_same_by_either_name(workspace: Path) -> None:
    (workspace / "rules" / "a.yaml").write_text(NEVER)
    assert check(workspace, "--json").stdout == check(workspace, "--format", "json").stdout
    assert [problem["code"] for problem in json.loads(check(workspace, "--json").stdout)] == ["TF290"]


def test_what_cannot_be_decided_is_counted_and_listed_on_demand(workspace: Path) -> None:
    (workspace / "rules" / "a.yaml").write_text("segments:\n  - {name: a, when: 'matches(traits.sku, \"^A\")'}\n")
    result = check(workspace)
    assert result.stdout.splitlines()[-1] == "1 of 1 questions could not be decided (--verbose lists them)"
    assert result.exit_code == 0
    verbose = check(workspace, "--verbose").stdout
    assert "rules/a.yaml:2  undecided: whether 'matches(traits.sku, \"^A\")' can hold, and can fail to" in verbose


def edit(workspace: Path, before: str, after: str) -> str:
    """What check says of an edit of what is live."""
    live = workspace / "data" / "live"
    (live / "rules").mkdir(parents=True)
    (live / "templates").mkdir()
    (live / "rules" / "a.yaml").write_text(before)
    (workspace / "rules" / "a.yaml").write_text(after)
    return check(workspace).stdout


PLAIN = JOURNEY.format(more="again: once")
PINNED = JOURNEY.format(more="in_flight: pin")
LONGER = ("2 days", "3 days")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (PLAIN, PLAIN, ""),
        (PLAIN, PLAIN.replace(*LONGER), "go on by the new steps from where they are"),
        (PLAIN, PLAIN.replace("pause", "rest"), 'those at step "pause", which is gone, leave'),
        (PINNED, PINNED.replace(*LONGER), "keep to the steps that they entered with"),
        (PLAIN, PINNED.replace(*LONGER), "go on by the new steps from where they are"),
        (PINNED, PLAIN.replace(*LONGER), "go on by the new steps from where they are"),
        (PLAIN, "segments: []\n", "is no more: people inside leave it"),
        (PINNED, "segments: []\n", "is no more: people inside go on by the steps that they entered with"),
    ],
)
def test_check_says_what_an_edit_means_for_people_inside(workspace: Path, before: str, after: str, told: str) -> None:
    output = edit(workspace, before, after)
    effects = [line for line in output.splitlines() if line.startswith("journey ")]
    assert bool(effects) is bool(told)
    for effect in effects:
        assert effect.startswith('journey "first-week" of rule set "welcome" ')
        assert told in effect


def test_verbose_says_of_each_journey_what_an_edit_would_mean(workspace: Path) -> None:
    (workspace / "rules" / "a.yaml").write_text(PINNED)
    assert re.search(r'"first-week" of rule set "welcome": people inside keep to', check(workspace, "--verbose").stdout)
    assert "first-week" not in check(workspace).stdout
