"""docs/email-checks.md: each bad example gives exactly the warning that is printed there, each good one gives none.

`UPDATE_GOLDEN=1 pytest tests/render/test_mailcheck_docs.py` writes the printed warnings anew; look at the difference.
"""

import os
import re
from pathlib import Path

import pytest

from render.sound import email_of, warnings_of

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs" / "email-checks.md"
CHECKS = REPOSITORY / "server" / "triggerfish" / "adapters" / "mailcheck"
SECTION = re.compile(
    r"^### (?P<code>TF\d{3}): .*?\n```(?:html|yaml)\n(?P<bad>.*?)```\n\n```text\n(?P<told>.*?)```\n\n"
    r"```(?:html|yaml)\n(?P<good>.*?)```\n",
    re.DOTALL | re.MULTILINE,
)
SECTIONS = {found["code"]: found for found in SECTION.finditer(DOCS.read_text())}


@pytest.mark.parametrize("code", sorted(SECTIONS))
def test_a_bad_example_gives_exactly_the_warning_that_is_printed(tmp_path: Path, code: str) -> None:
    section = SECTIONS[code]
    problems = warnings_of(tmp_path, email_of(section["bad"], has_text=code != "TF352"))
    told = "\n\n".join(problem.render() for problem in problems) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        whole = DOCS.read_text()
        DOCS.write_text(
            whole.replace(section[0], section[0].replace(f"```text\n{section['told']}", f"```text\n{told}", 1))
        )
    else:
        assert told == section["told"]
    assert {(problem.code, problem.is_warning) for problem in problems} == {(code, True)}


@pytest.mark.parametrize("code", sorted(SECTIONS))
def test_a_good_example_gives_no_warning(tmp_path: Path, code: str) -> None:
    problems = warnings_of(tmp_path, email_of(SECTIONS[code]["good"], has_text=code != "TF352"))
    assert [problem.render() for problem in problems] == []


@pytest.mark.docs
def test_the_page_names_every_code_and_no_other() -> None:
    raised = {code for file in CHECKS.glob("*.py") for code in re.findall(r'"(TF3\d\d)"', file.read_text())}
    assert sorted(raised) == sorted(SECTIONS)
    assert re.findall(r"^\| \[(TF\d+)\]", DOCS.read_text(), re.MULTILINE) == sorted(raised)
