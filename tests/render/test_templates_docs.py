"""docs/templates.md says what is there, and all of it."""

import re
import tomllib
from pathlib import Path

import pytest

from render.kit import COMPANY, NOW, compose, email, load, problem_of, write
from triggerfish.adapters import feed_specs
from triggerfish.adapters.blocks import ROOTS
from triggerfish.adapters.brand import PAGES
from triggerfish.adapters.catalog.reading import CatalogSource, read_catalog
from triggerfish.adapters.catalog.rows import LARGEST_CATALOG, MOST_PRODUCTS
from triggerfish.adapters.frontmatter import EMAIL_KEYS
from triggerfish.adapters.liquid import LIMITS
from triggerfish.adapters.templates import load_templates
from triggerfish.config.settings import Catalog as CatalogSettings
from triggerfish.render import template_data

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


def _codes(heading: str) -> list[str]:
    """The code of a part of the page, whatever its language."""
    part = DOCS.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```[a-z]*\n(.*?)```", part, re.DOTALL)


def test_the_block_and_the_layout_of_the_docs_work(tmp_path: Path) -> None:
    used, block = _codes("Blocks")
    (layout,) = _codes("Layouts")
    footer = '---\ninputs: {reason: ""}\n---\n<mj-section><mj-column><mj-text>{{ reason }}</mj-text>'
    footer += '<mj-text><a href="{{ unsubscribe_url }}">Out</a></mj-text></mj-column></mj-section>'
    blocks = {"button.mjml": block, "footer.mjml": footer, "head.mjml": "<mj-attributes></mj-attributes>"}
    (tmp_path / "templates" / "layouts").mkdir(parents=True)
    (tmp_path / "templates" / "layouts" / "shop.mjml").write_text(layout)
    body = f"<mj-section><mj-column>{used}</mj-column></mj-section>"
    template = load(tmp_path, body, more="layout: shop\ninputs: {reason: Because.}\n", blocks=blocks)
    text = compose(template).text
    assert text.startswith("Back to my cart:\nhttps://t.example/c/1\n\nBecause.")


def test_the_front_matter_of_the_docs_works(tmp_path: Path) -> None:
    (front,) = _codes("Feeds")
    more = front.removeprefix("---\n").removesuffix("---\n").partition("\n")[2]
    template = load(tmp_path, email("<mj-text>{{ feeds.weather.temp | default: 'mild' }}</mj-text>"), more=more)
    data = template_data({"city": "Bonn"}, {}, sent_at=NOW)
    assert template.feed_urls(data) == {"weather": "https://weather.example/bonn?lang=en"}
    (first,) = _codes("Front matter")
    assert set(re.findall(r"^(\w+):", first, re.MULTILINE)) <= EMAIL_KEYS


def test_the_limits_of_feeds_and_products_are_those_of_the_docs() -> None:
    limits = DOCS.split("\n## Feeds\n")[1].split("\n## ")[0]
    assert feed_specs.MOST_FEEDS == 5
    assert (feed_specs.USUAL_TIMEOUT, feed_specs.LONGEST_TIMEOUT) == (2_000, 10_000)
    assert "`timeout` (2 seconds, 10 at most)" in " ".join(limits.split())
    assert f"{MOST_PRODUCTS:,} products" in DOCS
    assert f"{LARGEST_CATALOG // 1024**2} MB" in DOCS


def test_the_products_of_the_docs_are_found(tmp_path: Path) -> None:
    file, database, example = _codes("Products")
    products, _ = read_catalog(CatalogSource(_catalog(tmp_path), "c.csv"))
    root = write(tmp_path, email(f"<mj-text>{example}</mj-text>"))
    template = load_templates(root, COMPANY, filters=products.filters())["hello"]
    assert compose(template, event={"product_id": 2}).text.startswith("Lamp: €60.50 Kettle")
    for text in (file, database):
        keys = tomllib.loads(text)["catalog"].keys()
        assert keys <= set(CatalogSettings.__struct_fields__)


def _catalog(folder: Path) -> Path:
    path = folder / "c.csv"
    path.write_text("id,name,price,category\n1,Kettle,39,home\n2,Lamp,60.5,home\n")
    return path


def test_a_hyphen_for_an_underscore_gets_the_right_word(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, email("<mj-text>Hi</mj-text>"), more="reply-to: hello@shop.example\n")
    assert (problem.code, problem.hint) == ("TF302", 'did you mean "reply_to"?')
