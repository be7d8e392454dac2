"""Emails that are sound but for what a test brings, and the warnings that they get."""

import re
from pathlib import Path

from render.kit import COMPANY
from triggerfish.adapters.templates import check_templates
from triggerfish.rulefile.problems import Problem

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
