"""Products of the catalogue in emails: found, missing, escaped; and no filters without a catalogue."""

import json
from pathlib import Path
from typing import Any

import pytest

from render.kit import COMPANY, SeenLinks, check, compose, email, write
from triggerfish.adapters.catalog.reading import CatalogSource, read_catalog
from triggerfish.adapters.composed import CompiledTemplate
from triggerfish.adapters.templates import load_templates
from triggerfish.errors import MissingData, RulebookBroken

PRODUCTS = [
    {"id": 1, "name": "Kettle & <b>", "price": 39, "url": "https://shop.example/k", "category": "kitchen"},
    {"id": 2, "name": "Pan", "price": 20.5, "url": "javascript:alert(1)", "category": "kitchen"},
    {"id": 3, "name": "{{ traits.secret }}", "price": 5, "category": "kitchen"},
]
ONE = "{% assign p = event.product_id | product %}"


def template(folder: Path, body: str) -> CompiledTemplate:
    (folder / "c.jsonl").write_text("\n".join(map(json.dumps, PRODUCTS)))
    products, problems = read_catalog(CatalogSource(folder / "c.jsonl", "c.jsonl"))
    assert problems == []
    root = write(folder, email(body), sample="event: {product_id: 1}\n")
    return load_templates(root, COMPANY, filters=products.filters())["hello"]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"product_id": "1"}, "Kettle & <b> €39.00"),
        ({"product_id": 3}, "{{ traits.secret }} €5.00"),
        ({"product_id": "gone"}, "none"),
        ({"product_id": {"id": 1}}, "none"),
        ({}, "none"),
    ],
)
def test_a_product_is_found_by_the_id_of_an_event(tmp_path: Path, event: dict[str, Any], text: str) -> None:
    body = (
        f"<mj-text>{ONE}{{% if p %}}{{{{ p.name }}}} {{{{ p.price | money }}}}{{% else %}}none{{% endif %}}</mj-text>"
    )
    message = compose(template(tmp_path, body), event=event)
    assert message.text.startswith(text + "\n")
    assert "& <b>" not in message.html


def test_products_like_the_one_of_the_event_are_listed(tmp_path: Path) -> None:
    body = (
        f'{ONE}{{% assign like = p.category | products_where: "category", 2, without: event.product_id %}}'
        "{% for each in like %}<mj-text>{{ each.name }}</mj-text>{% endfor %}"
    )
    text = compose(template(tmp_path, body), event={"product_id": 1}).text
    assert text.startswith("Pan\n\n{{ traits.secret }}\n")


def test_what_a_product_lacks_or_has_wrong_stops_that_one_mail(tmp_path: Path) -> None:
    made = template(tmp_path, f'<mj-text>{ONE}<a href="{{{{ p.url }}}}">{{{{ p.name }}}}</a></mj-text>')
    links = SeenLinks()
    assert compose(made, links, event={"product_id": 1}).text
    assert links.clicks == ["https://shop.example/k"]
    for product, reason in ((2, "no address for a link"), (3, r"p\.url"), (9, r"p\.url")):
        with pytest.raises(MissingData, match=reason):
            compose(made, event={"product_id": product})


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ('{{ "x" | products_where: "colour" | size }}', "has no column"),
        ('{{ "x" | products_where: "category", 500 | size }}', "from 1 to 100"),
    ],
)
def test_a_filter_that_is_used_wrongly_is_told_with_the_sample(tmp_path: Path, tag: str, reason: str) -> None:
    with pytest.raises(RulebookBroken) as caught:
        template(tmp_path, f"<mj-text>{tag}</mj-text>")
    (problem,) = caught.value.problems
    assert problem.code == "TF341"
    assert reason in problem.sentence


def test_without_a_catalogue_the_hint_says_where_it_is_named(tmp_path: Path) -> None:
    _, problems = check(tmp_path, email("<mj-text>{{ 1 | product }}</mj-text>"))
    assert [(each.code, "[catalog] in triggerfish.toml" in each.hint) for each in problems] == [("TF331", True)]
