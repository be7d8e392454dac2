"""What `triggerfish check` says of emails that some people will not read well."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from render.sound import email_of
from triggerfish.cli import main

REPOSITORY = Path(__file__).parents[2]
PALE = '<mj-text color="#9aa5a9">Delivery takes three days.</mj-text>\n'
ROUND = '<mj-text><p style="border-radius:4px">Delivery takes three days.</p></mj-text>\n'


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace without rules, and with two emails that are sound."""
    shutil.copy(REPOSITORY / "triggerfish.toml", tmp_path)
    (tmp_path / "rules").mkdir()
    for name in ("one", "two"):
        write(tmp_path, name, email_of(""))
    return tmp_path


def write(workspace: Path, name: str, email: str) -> None:
    (workspace / "templates" / name).mkdir(parents=True, exist_ok=True)
    (workspace / "templates" / name / "email.mjml").write_text(email)


def check(workspace: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check", "--workspace", str(workspace), *options])


def test_a_warning_about_an_email_is_told_and_does_not_stop_it(workspace: Path) -> None:
    write(workspace, "one", email_of(PALE))
    result = check(workspace)
    assert "templates/one/email.mjml:12:26  TF357  warning: this text is hard to read" in result.output
    assert result.exit_code == 3
    assert check(workspace, "--strict").exit_code == 1


def test_what_does_no_harm_is_told_on_demand_once_for_all_emails_that_have_it(workspace: Path) -> None:
    for name in ("one", "two"):
        write(workspace, name, email_of(ROUND))
    assert check(workspace).exit_code == 0
    assert "border-radius" not in check(workspace).output
    told = [line for line in check(workspace, "--verbose").output.splitlines() if "border-radius" in line]
    assert len(told) == 1
    assert told[0].startswith("all templates: border-radius: not in Outlook (Windows), GMX (web)")
    write(workspace, "two", email_of(""))
    assert "\none: border-radius: not in" in "\n" + check(workspace, "--verbose").output
