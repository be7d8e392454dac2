"""Hostile values in every merge field: of the starter emails, and of one that uses every feature. They get into no
header and no markup, whoever reads the mail; a value that cannot stand where it is used stops that one mail.
"""

import json
import re
import subprocess
import time
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render.hostile import EVERYTHING, FRAME, PART, URLS, VALUES, Skeleton, read_mail, with_texts
from render.kit import COMPANY, NOW, SeenLinks, write
from triggerfish.adapters.catalog.reading import CatalogSource, read_catalog
from triggerfish.adapters.composed import CompiledTemplate
from triggerfish.adapters.templates import check_templates
from triggerfish.errors import MissingData
from triggerfish.mime import to_mime
from triggerfish.render import Address, Message, template_data

REPOSITORY = Path(__file__).parents[2]
NODE = REPOSITORY / "tests" / "node"
STARTERS = sorted(path.parent.name for path in (REPOSITORY / "templates").glob("*/email.mjml"))
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LINK = "https://shop.example/p/1"
PRODUCT = {"name": "n", "brand": "n", "price": 5, "quantity": 2, "url": LINK, "image_url": LINK}
RICH = {
    "traits": {"firstName": "n", "lastName": "n", "name": "n", "title": "n", "city": "n", "timezone": "UTC"},
    "event": {
        **PRODUCT, "products": [PRODUCT, PRODUCT], "category": "n", "currency": "EUR", "order_id": "n", "total": 5,
        "revenue": 5, "value": 5, "checkout_url": LINK, "segment": "n", "product_id": "1", "subject": "n",
        "preheader": "n", "reason": "n", "background": LINK, "color": "red", "css_class": "n", "text": "n", "tip": "n",
        "words": ["n", "n"], "picture": LINK, "alt": "n", "label": "n",
    },
}  # fmt: skip
"""Every merge field has a value."""


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, CompiledTemplate]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "c.jsonl").write_text(json.dumps({"id": 1, "name": VALUES["html"] + VALUES["nul"]}))
    products, _ = read_catalog(CatalogSource(folder / "c.jsonl", "c.jsonl"))
    root = write(folder, "", name="everything", blocks={"part.mjml": PART}, sample=json.dumps(RICH))
    (root / "everything" / "email.mjml").write_text(EVERYTHING)
    (root / "layouts").mkdir()
    (root / "layouts" / "frame.mjml").write_text(FRAME)
    found: dict[str, CompiledTemplate] = {}
    for path, filters in ((REPOSITORY / "templates", {}), (root, products.filters())):
        made, problems = check_templates(path, COMPANY, filters=filters)
        assert [each.render() for each in problems if not each.is_warning] == []
        found |= made
    return found


def compose(template: CompiledTemplate, data: Mapping[str, Any], feeds: Mapping[str, Any] | None = None) -> Message:
    made = template_data(data["traits"], data["event"], sent_at=NOW, profile_id="p", segments=["vip"])
    made["feeds"] = feeds or {}
    return template.compose(send_id="s-1", data=made, to=Address("ana@example.com"), links=SeenLinks())


def tried(template: CompiledTemplate, data: Mapping[str, Any]) -> Message | MissingData:
    """The message, or the reason why there is none."""
    try:
        return compose(template, data)
    except MissingData as error:
        return error


class Plain(NamedTuple):
    """What a template is with harmless values."""

    headers: list[tuple[str, str]]
    markup: list[tuple[object, ...]]


@pytest.fixture(scope="module")
def plain(templates: Mapping[str, CompiledTemplate]) -> Mapping[str, Plain]:
    found = {}
    for name, template in templates.items():
        headers, _, html = read_mail(to_mime(compose(template, RICH), date=NOW, message_id_domain="shop.example"))
        found[name] = Plain(headers, Skeleton(html).found)
    return found


def assert_nothing_got_out(message: Message, plain: Plain) -> None:
    """Whatever the values: the same headers, the same markup, no character that no mail has."""
    headers, text, html = read_mail(to_mime(message, date=NOW, message_id_domain="shop.example"))
    assert [name for name, _ in headers] == [name for name, _ in plain.headers]
    assert [pair for pair in headers if pair[0] != "Subject"] == [
        pair for pair in plain.headers if pair[0] != "Subject"
    ]
    assert dict(headers)["Subject"] == message.subject
    assert _UNFIT.search(message.subject + text + html) is None
    assert not re.search(r"[\n\t\u2028\u2029]", message.subject)
    assert (text.rstrip("\n"), html.rstrip("\n")) == (message.text.rstrip("\n"), message.html.rstrip("\n"))
    assert Skeleton(html).found == plain.markup


def test_every_merge_field_is_attacked(templates: Mapping[str, CompiledTemplate]) -> None:
    read = {name for template in templates.values() for name in template.variables}
    names = {name.split(".")[1] for name in read if name.startswith(("event.", "traits."))}
    assert names <= {*RICH["event"], *RICH["traits"]}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", [*STARTERS, "everything"])
def test_a_hostile_text_stays_a_text(
    templates: Mapping[str, CompiledTemplate], plain: Mapping[str, Plain], name: str, value: str
) -> None:
    template = templates[name]
    data = with_texts(RICH, lambda path, text: VALUES[value] if text == "n" else text)
    feeds = {"weather": {"text": VALUES[value]}}
    assert_nothing_got_out(compose(template, data, feeds), plain[name])
    assert template.feed_urls(template_data(data["traits"], data["event"], sent_at=NOW)).keys() == template.feeds.keys()


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("name", [*STARTERS, "everything"])
def test_a_hostile_address_leads_nowhere_else(
    templates: Mapping[str, CompiledTemplate], plain: Mapping[str, Plain], name: str, url: str
) -> None:
    data = with_texts(RICH, lambda path, text: URLS[url] if text == LINK else text)
    made = tried(templates[name], data)
    if isinstance(made, Message):
        assert_nothing_got_out(made, plain[name])
    else:
        assert made.code == "TF321"


@pytest.mark.parametrize("value", [*VALUES, "colour-and-more"])
def test_a_style_takes_a_word_or_nothing(
    templates: Mapping[str, CompiledTemplate], plain: Mapping[str, Plain], value: str
) -> None:
    hostile = VALUES.get(value, "red; background: url(https://evil.example/)")
    data = with_texts(RICH, lambda path, text: hostile if text == "red" else text)
    made = tried(templates["everything"], data)
    if isinstance(made, Message):
        assert value in ("nul", "surrogate", "controls", "long-word")
        assert_nothing_got_out(made, plain["everything"])
    else:
        assert made.code == "TF321"


@settings(max_examples=40)
@given(
    value=st.text(min_size=1, max_size=30).filter(lambda text: text.strip())
    | st.lists(st.sampled_from([*"<>\"'&;:=-{}%()\\/ \r\n\0", "script", "=?", "?=", "{{", "}}", "-->", "\u202e", "a"]),
               min_size=1, max_size=20).map("".join)
)  # fmt: skip
def test_no_text_at_all_gets_out(
    templates: Mapping[str, CompiledTemplate], plain: Mapping[str, Plain], value: str
) -> None:
    data = with_texts(RICH, lambda path, text: f"x{value}" if text == "n" else text)
    for name in ("everything", "cart-reminder"):
        assert_nothing_got_out(compose(templates[name], data), plain[name])


@pytest.mark.parametrize(
    "value", ["a" * 10_000_000, " " * 10_000_000, "<&\r\n\0" * 2_000_000], ids=["a", "blank", "html"]
)
def test_ten_megabytes_are_refused_in_time(templates: Mapping[str, CompiledTemplate], value: str) -> None:
    data = with_texts(RICH, lambda path, text: value if text in ("n", LINK) else text)
    for template in templates.values():
        start = time.process_time()
        made = tried(template, data)
        if isinstance(made, Message):
            assert len(made.html) < 1_100_000
        else:
            assert made.code in ("TF320", "TF321", "TF322")
            assert len(made.sentence) < 1_000
        assert time.process_time() - start < 2


WRONG = {
    "none": None, "true": True, "huge": 10**400, "nan": float("nan"), "list": [], "mapping": {}, "lists": [[]],
    "mappings": {"a": {"b": 1}}, "hole": [None], "blank": "  ",
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_value_of_another_kind_is_a_mail_or_a_reason(
    templates: Mapping[str, CompiledTemplate], wrong: object
) -> None:  # fmt: skip
    for template in templates.values():
        for part in ("traits", "event"):
            for key in RICH[part]:
                data = {**RICH, part: {**RICH[part], key: wrong}}
                made = tried(template, data)
                if isinstance(made, Message):
                    assert not re.search(r"None|nan", made.subject)
                else:
                    assert made.code in ("TF320", "TF321", "TF322", "TF323")


@pytest.mark.node
def test_another_reader_of_mail_reads_the_same(templates: Mapping[str, CompiledTemplate]) -> None:
    """npm's mailparser, of all starter emails as they are and with each hostile value."""
    messages = [compose(template, RICH) for template in templates.values()]
    for value in VALUES.values():
        data = with_texts(RICH, lambda path, text, value=value: value if text == "n" else text)  # type: ignore[misc]
        messages += [compose(template, data) for template in templates.values()]
    written = [to_mime(message, date=NOW, message_id_domain="shop.example") for message in messages]
    asked = subprocess.run(
        ["node", str(NODE / "mailparser.mjs")], input=json.dumps([b64encode(mail).decode() for mail in written]),
        capture_output=True, text=True, check=True, timeout=120, cwd=NODE,
    )  # fmt: skip
    for message, mail, found in zip(messages, written, json.loads(asked.stdout), strict=True):
        headers, text, html = read_mail(mail)
        assert found["headers"] == [name.lower() for name, _ in headers]
        assert found["subject"] == dict(headers)["Subject"] == message.subject
        assert found["from"] == [{"address": "hello@shop.example", "name": "Shop"}]
        assert found["to"] == [{"address": "ana@example.com", "name": ""}]
        assert (found["text"].rstrip("\n"), found["html"].rstrip("\n")) == (text.rstrip("\n"), html.rstrip("\n"))
        assert found["attachments"] == 0
