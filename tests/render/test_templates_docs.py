"""docs/templates.md says what is there, and all of it."""

import re
from pathlib import Path

import pytest

from render.kit import compose, email, load
from triggerfish.adapters.blocks import ROOTS
from triggerfish.adapters.brand import PAGES
from triggerfish.adapters.frontmatter import EMAIL_KEYS
from triggerfish.adapters.liquid import LIMITS

REPOSITORY = Path(__file__).parents[2]
DOCS = (REPOSITORY / "docs" / "templates.md").read_text()
SOURCES = [
    *(REPOSITORY / "server" / "triggerfish" / "adapters").glob("*.py"),
    *(REPOSITORY / "server" / "triggerfish" / "adapters" / "catalog").glob("*.py"),
    REPOSITORY / "server" / "triggerfish" / "render.py",
    REPOSITORY / "server" / "triggerfish" / "errors.py",
]


def _table(heading: str) -> list[str]:
    """The first cells of the first table below a heading."""
    part = DOCS.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = [line.split(" | ")[0].strip("| ") for line in part.splitlines() if line.startswith("| ")]
    return [name for cell in cells[2:] for name in re.findall(r"[\w.]+", cell)]


def test_the_docs_name_every_key_of_front_matter() -> None:
    assert sorted(_table("Front matter")) == sorted(EMAIL_KEYS)


def test_the_docs_name_everything_that_a_template_can_read() -> None:
    assert set(_table("What a template can read")) == ROOTS - {"forloop"}
    assert all(f"`web.{page}`" in DOCS for page in PAGES)


def test_the_docs_name_every_code_and_no_other() -> None:
    raised = {code for file in SOURCES for code in re.findall(r'"(TF3\d\d)"', file.read_text())}
    assert _table("Problems") == sorted(raised)


def test_the_docs_name_the_limits() -> None:
    limits = DOCS.split("\n## Limits\n")[1].split("\n## ")[0]
    assert f"{LIMITS.loop_iterations:,} rounds" in limits
    assert f"{LIMITS.range_length:,} numbers" in limits
    assert LIMITS.output_characters == 1_000_000
    assert LIMITS.seconds == 1


@pytest.mark.parametrize("number", range(2))
def test_the_examples_of_the_docs_work(tmp_path: Path, number: int) -> None:
    example = re.findall(r"```(?:liquid|html)\n(.*?)```", DOCS, re.DOTALL)[number]
    body = "<mj-text>Hello</mj-text>" if "<mj-section>" in example else f"<mj-text>{example}</mj-text>"
    mjml = email(body)
    if "<mj-section>" in example:
        mjml = mjml.replace("<mj-body>", f"<mj-body>{example}")
    template = load(tmp_path, mjml)
    event = {"order_id": "R-1", "products": [{"name": "Kettle", "price": 39}]}
    text = compose(template, event=event, segments=["vip"]).text
    assert ("Kettle €39.00" if "<mj-section>" in example else "your order R-1") in text
