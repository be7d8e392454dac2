"""docs/email-checks.md: each bad example gives exactly the warning that is printed there, each good one gives none.

`UPDATE_GOLDEN=1 pytest tests/render/test_mailcheck_docs.py` writes the printed warnings anew; look at the difference.
"""

import os
import re
from pathlib import Path

import pytest

from render.kit import COMPANY
from triggerfish.adapters.templates import check_templates
from triggerfish.rulefile.problems import Problem

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs" / "email-checks.md"
CHECKS = REPOSITORY / "server" / "triggerfish" / "adapters" / "mailcheck"
SECTION = re.compile(
    r"^### (?P<code>TF\d{3}): .*?\n```(?:html|yaml)\n(?P<bad>.*?)```\n\n```text\n(?P<told>.*?)```\n\n"
    r"```(?:html|yaml)\n(?P<good>.*?)```\n",
    re.DOTALL | re.MULTILINE,
)
SECTIONS = {found["code"]: found for found in SECTION.finditer(DOCS.read_text())}

HEAD = '<mj-head>\n<mj-raw><meta name="color-scheme" content="light"></mj-raw>\n</mj-head>\n'
BODY = """<mj-body>
<mj-section background-color="#ffffff">
<mj-column>
{example}<mj-text color="#1f2d33">Hello, your kettle leaves our house today, and it should be with you soon.</mj-text>
<mj-text color="#1f2d33"><a href="{{{{ unsubscribe_url }}}}" style="color:#1f2d33">Unsubscribe</a></mj-text>
</mj-column>
</mj-section>
</mj-body>
"""


def email_of(example: str, *, has_text: bool = True) -> str:
    """An email that is sound but for what the example brings."""
    front = {"subject": "Your kettle is on its way", "preheader": "It leaves our house today, and you can follow it."}
    head = HEAD
    if example.startswith(("subject:", "preheader:")):
        front |= dict(line.split(": ", 1) for line in example.splitlines())
        example = ""
    elif example.startswith("<mj-head>"):
        head, example = example, ""
    elif found := re.match(r"<mj-style>.*?</mj-style>\n", example, re.DOTALL):
        head, example = head.replace("</mj-head>", f"{found[0]}</mj-head>"), example[found.end() :]
    body = BODY.format(example=example)
    if not has_text:
        body = re.sub(r"<mj-text.*?Hello.*?</mj-text>\n", "", body)
    lines = "".join(f"{key}: {value}\n" for key, value in front.items())
    return f"---\n{lines}---\n<mjml>\n{head}{body}</mjml>\n"


def warnings_of(folder: Path, email: str) -> list[Problem]:
    (folder / "templates" / "hello").mkdir(parents=True)
    (folder / "templates" / "hello" / "email.mjml").write_text(email)
    (folder / "templates" / "brand.yaml").write_text("web: {home: 'https://shop.example/'}\ncurrency: EUR\n")
    templates, problems = check_templates(folder / "templates", COMPANY)
    assert "hello" in templates
    return problems


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
