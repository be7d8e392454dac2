"""`triggerfish check`: what it prints, and how it ends."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from triggerfish.cli import main

REPOSITORY = Path(__file__).parents[2]

GOOD = """\
ruleset: cart-recovery
rules:
  - name: cart
    on: add_to_cart
    then:
      - set: {reminded: true}
"""
SEGMENTS = "segments:\n  - name: customers\n    when: count(purchase) >= 1\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    shutil.copy(REPOSITORY / "triggerfish.toml", tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "templates").mkdir()
    (tmp_path / "rules" / "cart.yaml").write_text(GOOD)
    (tmp_path / "rules" / "segments.yaml").write_text(SEGMENTS)
    return tmp_path


def check(workspace: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check", "--workspace", str(workspace), *options])


def test_a_good_workspace_says_what_there_is_and_ends_with_0(workspace: Path) -> None:
    result = check(workspace)
    assert result.output == "2 rule files, 1 rule in 1 rule set, 1 segment, 0 templates: all good\n"
    assert result.exit_code == 0


def test_a_broken_template_is_told_where_it_is_broken_and_not_where_it_is_sent(workspace: Path) -> None:
    (workspace / "rules" / "cart.yaml").write_text(GOOD.replace("set: {reminded: true}", "send: hello"))
    (workspace / "templates" / "hello").mkdir()
    email = "---\nsubject: Hi\nclass: transactional\n---\n<mjml><mj-body><mj-texd>Hi</mj-texd></mj-body></mjml>\n"
    (workspace / "templates" / "hello" / "email.mjml").write_text(email)
    result = check(workspace)
    assert "TF311" in result.output
    assert "TF260" not in result.output
    assert result.exit_code == 1


def test_problems_of_all_files_come_in_order_and_end_with_1(workspace: Path) -> None:
    (workspace / "rules" / "cart.yaml").write_text(GOOD.replace("name: cart", "nam: cart").replace("- set:", "- sett:"))
    (workspace / "rules" / "a.yaml").write_text("policy: {time_zone: Berlin}\n")
    result = check(workspace)
    places = [line.split("  ")[0] for line in result.output.splitlines() if line.startswith("rules/")]
    assert places == ["rules/a.yaml:1:21", "rules/cart.yaml:3:5", "rules/cart.yaml:6:9"]
    assert result.output.endswith("3 problems in 3 rule files and 0 templates\n")
    assert result.exit_code == 1


def test_a_fault_within_a_condition_is_pointed_at(workspace: Path) -> None:
    (workspace / "rules" / "segments.yaml").write_text(SEGMENTS.replace("count(", "cuont("))
    result = check(workspace)
    assert result.output.startswith("rules/segments.yaml:3:11  TF2")
    assert "\n   3 |     when: cuont(purchase) >= 1\n     |           ^" in result.output
    assert result.exit_code == 1


def test_warnings_alone_end_with_3_and_with_1_when_strict(workspace: Path) -> None:
    (workspace / "rules" / "cart.yaml").write_text(GOOD.replace("    then", "    unless: purchase\n    then"))
    assert check(workspace).exit_code == 3
    assert check(workspace).output.endswith("\n1 warning in 2 rule files and 0 templates\n")
    assert check(workspace, "--strict").exit_code == 1


def test_json_is_a_list_of_problems_with_their_places(workspace: Path) -> None:
    assert json.loads(check(workspace, "--json").output) == []
    (workspace / "rules" / "cart.yaml").write_text("rulez: 1\n")
    result = check(workspace, "--json")
    (problem,) = json.loads(result.output)
    assert (problem["path"], problem["line"], problem["column"], problem["code"]) == ("rules/cart.yaml", 1, 1, "TF214")
    assert problem["source"] == "rulez: 1"
    assert result.exit_code == 1


def test_problems_of_templates_are_shown_as_well(workspace: Path) -> None:
    (workspace / "templates" / "welcome").mkdir()
    result = check(workspace)
    assert "templates/welcome" in result.output
    assert "TF3" in result.output
    assert result.exit_code == 1


def test_a_folder_that_is_no_workspace_is_named_without_a_traceback(tmp_path: Path) -> None:
    result = check(tmp_path)
    assert result.exit_code == 1
    assert "TF401" in result.output
    assert "Traceback" not in result.output
    as_json = check(tmp_path, "--json")
    assert json.loads(as_json.output)["code"] == "TF401"


def test_secrets_are_not_needed(workspace: Path) -> None:
    settings = workspace / "triggerfish.toml"
    text = settings.read_text()
    secret = next(line for line in text.splitlines() if line.startswith("secret"))
    settings.write_text(text.replace(secret, 'secret = "${TRIGGERFISH_SECRET_THAT_NOBODY_SET}"'))
    assert check(workspace).exit_code == 0
