"""What the tests of rendering share: a folder of templates made of texts, links that show what they were asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triggerfish.adapters.composed import CompiledTemplate
from triggerfish.adapters.templates import check_templates
from triggerfish.render import Address, Message, template_data
from triggerfish.rulefile.problems import Problem

COMPANY = {"name": "The Demo Shop", "address": "1 Reef Street, 12345 Lagoon", "sender": "Shop <hello@shop.example>"}
NOW = 1_767_225_600_000
UNSUBSCRIBE = '<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>'


class SeenLinks:
    """Tracked addresses that still show where they lead."""

    def __init__(self) -> None:
        self.clicks: list[str] = []

    def click(self, url: str) -> str:
        self.clicks.append(url)
        return f"https://t.example/c/{len(self.clicks)}"

    def open_pixel(self) -> str:
        return "https://t.example/o.gif"

    def unsubscribe(self) -> str:
        return "https://t.example/u?a=1&b=2"

    def confirm(self) -> str:
        return "https://t.example/confirm"

    def preferences(self) -> str:
        return "https://t.example/preferences"


def email(body: str, *, footer: str = UNSUBSCRIBE) -> str:
    """MJML with the components in one column."""
    return f"<mjml><mj-body><mj-section><mj-column>{body}{footer}</mj-column></mj-section></mj-body></mjml>"


def write(folder: Path, mjml: str, *, name: str = "hello", subject: str = "Hello", more: str = "",
          blocks: Mapping[str, str] | None = None, sample: str = "") -> Path:  # fmt: skip
    """A templates folder with one template; returns the folder."""
    root = folder / "templates"
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "email.mjml").write_text(f"---\nsubject: {subject!r}\n{more}---\n{mjml}")
    (root / name / "sample.yaml").write_text(sample)
    for file, text in (blocks or {}).items():
        (root / "blocks").mkdir(exist_ok=True)
        (root / "blocks" / file).write_text(text)
    (root / "brand.yaml").write_text("web: {home: 'https://shop.example/'}\ncurrency: EUR\n")
    return root


def check(folder: Path, mjml: str, **settings: Any) -> tuple[CompiledTemplate | None, list[Problem]]:
    templates, problems = check_templates(write(folder, mjml, **settings), COMPANY)
    return templates.get(settings.get("name", "hello")), problems


def load(folder: Path, mjml: str, **settings: Any) -> CompiledTemplate:
    template, problems = check(folder, mjml, **settings)
    assert template is not None, "\n".join(problem.render() for problem in problems)
    return template


def problem_of(folder: Path, mjml: str, **settings: Any) -> Problem:
    """The only problem."""
    _, problems = check(folder, mjml, **settings)
    assert len(problems) == 1, "\n".join(problem.render() for problem in problems)
    return problems[0]


def compose(template: CompiledTemplate, links: SeenLinks | None = None, *, traits: Mapping[str, Any] | None = None,
            event: Mapping[str, Any] | None = None, **more: Any) -> Message:  # fmt: skip
    data = template_data(traits or {}, event or {}, sent_at=NOW, profile_id="p1", **more)
    return template.compose(send_id="s1", data=data, to=Address("ana@example.com"), links=links or SeenLinks())
