"""Layouts around emails, and what blocks and layouts take: given, missing, blank, too much."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from render.kit import COMPANY, SeenLinks, compose, write
from triggerfish.adapters.composed import CompiledTemplate
from triggerfish.adapters.templates import check_templates
from triggerfish.errors import MissingData
from triggerfish.rulefile.problems import Problem

LAYOUT = """---
description: The frame.
inputs:
  reason: null
  motto: Since 1999
  home: "{{ web.home }}"
---
<!-- how we look -->
<mjml>
  <mj-body>
    {% content %}
    <mj-section><mj-column>
      <mj-text>{{ reason }} ({{ motto }}) <a href="{{ home }}">Home</a>
        <a href="{{ unsubscribe_url }}">Stop</a></mj-text>
    </mj-column></mj-section>
  </mj-body>
</mjml>
"""
BLOCK = """---
inputs:
  url: null
  label: Shop now
  note: ""
  times: 2
---
<mj-button href="{{ url }}">{{ label }}</mj-button>
{% if note %}<mj-text>Note {{ note }} x{{ times }}</mj-text>{% endif %}
"""
USED = '{% render "blocks/button.mjml", url: web.home, label: event.cta, note: event.note %}'


def section(body: str) -> str:
    return f"<mj-section><mj-column>{body}</mj-column></mj-section>"


def check(
    folder: Path, body: str, *, more: str = "layout: shop\ninputs: {reason: Because.}\n", layout: str = LAYOUT,
    block: str = BLOCK,
) -> tuple[CompiledTemplate | None, list[Problem]]:  # fmt: skip
    root = write(folder, body, more=more, blocks={"button.mjml": block})
    (root / "layouts").mkdir()
    (root / "layouts" / "shop.mjml").write_text(layout)
    templates, problems = check_templates(root, COMPANY)
    return templates.get("hello"), [each for each in problems if not "TF343" <= each.code <= "TF369"]


def made(folder: Path, body: str, **settings: str) -> CompiledTemplate:
    template, problems = check(folder, body, **settings)
    assert problems == []
    assert template is not None
    return template


def test_an_email_stands_in_its_layout(tmp_path: Path) -> None:
    template = made(tmp_path, section("<mj-text>Hello</mj-text>"))
    links = SeenLinks()
    text = compose(template, links).text
    assert text.startswith("Hello\n\nBecause. (Since 1999) Home (https://t.example/c/1)")
    assert links.clicks == ["https://shop.example/"]


def test_what_an_email_gives_its_layout_may_be_liquid_and_is_escaped(tmp_path: Path) -> None:
    more = "layout: shop\ninputs:\n  reason: \"You got {{ event.name | default: 'it' }}.\"\n  motto: A & <b>\n"
    template = made(tmp_path, section("<mj-text>Hello</mj-text>"), more=more)
    message = compose(template, event={"name": "<i>{{ traits.x }}</i>"})
    assert "You got &lt;i&gt;{{ traits.x }}&lt;/i&gt;. (A &amp; &lt;b&gt;)" in message.html
    assert "You got <i>{{ traits.x }}</i>. (A & <b>)" in message.text


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"cta": "Go", "note": "hm"}, "Go:\nhttps://t.example/c/1\n\nNote hm x2"),
        ({"cta": "Go"}, "Go:\nhttps://t.example/c/1\n\nBecause"),
        ({"cta": "  ", "note": " "}, "Shop now:\nhttps://t.example/c/1\n\nBecause"),
        ({}, "Shop now:\nhttps://t.example/c/1\n\nBecause"),
    ],
)
def test_a_fallback_stands_in_for_what_is_missing_or_blank(
    tmp_path: Path, event: Mapping[str, object], text: str
) -> None:
    assert compose(made(tmp_path, section(USED)), event=event).text.startswith(text)


def test_a_value_that_must_be_given_and_is_missing_for_somebody_stops_their_mail(tmp_path: Path) -> None:
    body = section('{% if event.x %}{% render "blocks/button.mjml", url: event.url %}{% endif %}')
    template = made(tmp_path, body)
    assert compose(template).text
    with pytest.raises(MissingData, match=r"event\.url"):
        compose(template, event={"x": 1})


def test_a_block_finds_nothing_of_what_stands_around_it(tmp_path: Path) -> None:
    block = "<mj-text>{% if secret %}leak{% else %}none{% endif %}</mj-text>"
    body = section('{% assign secret = "x" %}{% render "blocks/button.mjml" %}')
    assert compose(made(tmp_path, body, block=block)).text.startswith("none")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"body": section('{% render "blocks/button.mjml" %}')},
         ("hello/email.mjml:6:24", "TF335", '"blocks/button.mjml" needs "url"')),
        ({"body": section('{% render "blocks/button.mjml", url: web.home, lable: "x" %}')},
         ("hello/email.mjml:6:71", "TF333", 'takes no "lable"')),
        ({"block": BLOCK.replace("{{ label }}", "{{ lable }}")},
         ("blocks/button.mjml:8:32", "TF332", 'this block takes no "lable"')),
        ({"block": BLOCK.replace("null", "[]")}, ("blocks/button.mjml:3:8", "TF303", "a fallback is a text")),
        ({"block": BLOCK.replace("Shop now", '"{% if a %}"')}, ("blocks/button.mjml:4:10", "TF303", "no more Liquid")),
        ({"block": BLOCK.replace("note:", "event:")},
         ("blocks/button.mjml:5:3", "TF303", '"event" is a name of its own')),
        ({"block": BLOCK.replace("inputs:", "input:")}, ("blocks/button.mjml:2:1", "TF302", 'unknown key "input"')),
        ({"layout": LAYOUT.replace("{% content %}", "")}, ("layouts/shop.mjml:8:1", "TF334", "has no {% content %}")),
        ({"layout": LAYOUT.replace("{% content %}", "{% content %}{% content %}")},
         ("layouts/shop.mjml:11:18", "TF334", "one {% content %}")),
        ({"layout": LAYOUT.replace("</mj-body>", "<mj-txt />")}, ("layouts/shop.mjml:", "TF311", "<mj-txt>")),
        ({"layout": LAYOUT.replace("{{ motto }}", "{{ moto }}")}, ("layouts/shop.mjml:13:33", "TF332", '"moto"')),
        ({"more": "layout: shop\n"}, ("hello/email.mjml:3:1", "TF335", 'the layout "shop" needs "reason"')),
        ({"more": "layout: shop\ninputs: {reason: null}\n"}, ("hello/email.mjml:4:1", "TF335", 'needs "reason"')),
        ({"more": "layout: shop\ninputs: {reason: x, raison: y}\n"},
         ("hello/email.mjml:4:21", "TF333", 'the layout "shop" takes no "raison"')),
        ({"more": "layout: shop\ninputs: {reason: [x]}\n"}, ("hello/email.mjml:4:18", "TF303", "reason is a text")),
        ({"more": "layout: shop\ninputs: {reason: '{{ trait.x }}'}\n"}, ("hello/email.mjml:4:22", "TF332", '"trait"')),
        ({"more": "layout: shp\ninputs: {reason: x}\n"}, ("hello/email.mjml:3:9", "TF334", 'no layout "shp"')),
        ({"more": "layout: [shop]\n"}, ("hello/email.mjml:3:9", "TF303", "layout must be a text")),
        ({"body": f"<mjml><mj-body>{section('x')}</mj-body></mjml>"},
         ("hello/email.mjml:6:1", "TF334", "an email is sections only")),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_at_its_place(
    tmp_path: Path, settings: dict[str, str], told: tuple[str, str, str]
) -> None:
    template, problems = check(tmp_path, settings.pop("body", section(USED)), **settings)
    place, code, sentence = told
    lines = [problem.render().splitlines()[0] for problem in problems if problem.code == code]
    assert any(line.startswith(f"templates/{place}") and sentence in line for line in lines), "\n".join(
        problem.render() for problem in problems
    )
    assert template is None


def test_without_front_matter_a_block_takes_what_it_reads(tmp_path: Path) -> None:
    template = made(tmp_path, section('{% render "blocks/button.mjml", a: "x" %}'),
                    block="<mj-text>{{ a }}{% if b %}b{% endif %}</mj-text>")  # fmt: skip
    assert compose(template).text.startswith("x\n")


def test_a_front_matter_that_never_ends_is_told_once(tmp_path: Path) -> None:
    _, problems = check(tmp_path, section(USED), layout=LAYOUT.replace("---\n<!--", "<!--"))
    assert [(each.path, each.line, each.code) for each in problems] == [("templates/layouts/shop.mjml", 1, "TF302")]
