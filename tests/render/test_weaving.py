"""Liquid goes through MJML untouched: every tag survives, once, in its place."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render.kit import check, compose, email, load, problem_of
from triggerfish.adapters.mjml import compile_mjml
from triggerfish.adapters.mjml_reader import LIQUID, read_mjml
from triggerfish.adapters.sources import Sources, Woven


def compiled(source: str) -> Woven:
    root, complaints = read_mjml(source)
    assert root is not None
    assert not complaints
    sources = Sources()
    woven = Woven([(source, sources.add("email.mjml", source))])
    done = compile_mjml(woven, root, language="en", title="t", preview="", wrap_image=lambda _: ("", ""))
    assert not done.complaints
    return done.html


def liquid_in(text: str) -> list[str]:
    return [found[0] for found in LIQUID.finditer(text)]


EVERYWHERE = """<mjml><mj-head><mj-title>{{ subject }}</mj-title><mj-style>.a > .b { color: {{ traits.color }} }</mj-style></mj-head>
<mj-body>
{% if traits.a > 1 and event.b < 3 %}
<mj-section><mj-column>
  {% for p in event.products %}
  <mj-text>One {% if p.a > p.b %}<b>&amp; {{ p.name }}</b>{% else %}&nbsp;{% endif %}</mj-text>
  <mj-table><tr><th>x</th></tr>{% for l in p.lines %}<tr {% if l.a > 1 %}class="q"{% endif %}><td>{{ l.x }}</td></tr>{% endfor %}</mj-table>
  <mj-button href="{{ p.url | default: "https://x.example" }}?a=1&amp;b={% if p.a > 1 %}2{% endif %}">Go {{ p.b }}</mj-button>
  {% endfor %}
</mj-column></mj-section>
{% else %}
<mj-wrapper>{% unless event.c %}<mj-section>{% if event.d %}<mj-column><mj-image src="{{ event.src }}" alt="{{ event.alt }}" />
</mj-column>{% endif %}</mj-section>{% endunless %}</mj-wrapper>
{% endif %}
<mj-section><mj-group>{% if event.e %}<mj-column><mj-social>{% for s in event.s %}<mj-social-element name="web" href="{{ s }}">{{ s }}
</mj-social-element>{% endfor %}</mj-social></mj-column>{% endif %}</mj-group></mj-section>
<mj-section><mj-column>{% case event.f %}{% when 1 %}<mj-raw><tr><td>{{ event.raw }}</td></tr></mj-raw>{% when 2 %}<mj-divider />{% endcase %}
<mj-navbar>{% if event.g %}<mj-navbar-link href="{{ event.h }}">{{ event.i }}</mj-navbar-link>{% endif %}</mj-navbar></mj-column></mj-section>
</mj-body></mjml>"""  # noqa: E501


def test_every_tag_survives_once_and_in_order() -> None:
    body = EVERYWHERE[EVERYWHERE.index("<mj-body>") :]
    tags = [tag for tag in liquid_in(body) if tag.startswith("{%")]
    html = compiled(EVERYWHERE).text
    found = [tag for tag in liquid_in(html[html.index("<body") :]) if tag.startswith("{%")]
    # An attribute's tags may be written where MJML puts the attribute; all others stay where they are.
    in_attributes = ["{% if p.a > 1 %}", "{% endif %}"]
    assert sorted(found) == sorted(tags)
    assert len(found) == len(tags) > len(in_attributes)
    assert found == tags
    for output in set(liquid_in(EVERYWHERE)):
        assert output in html
    assert "&gt;" not in "".join(liquid_in(html))
    assert ".a > .b { color: {{ traits.color }} }" in html


def test_every_tag_still_knows_its_line() -> None:
    html = compiled(EVERYWHERE)
    sources = Sources()
    sources.add("email.mjml", EVERYWHERE)
    for found in LIQUID.finditer(html.text):
        at = html.origin(found.start())
        assert EVERYWHERE[at : at + len(found[0])] == found[0]


PIECES = st.sampled_from(
    ["{{ a > b }}", "{% assign x = 1 %}", "{{ x | default: '<>&\"' }}", "{% # note %}", "<b>", "a &amp; b", "\n"]
)


@settings(max_examples=40)
@given(st.lists(PIECES, max_size=8), st.lists(st.booleans(), min_size=1, max_size=3))
def test_any_content_comes_out_as_it_went_in(pieces: list[str], guarded: list[bool]) -> None:
    content = "".join(pieces)
    section = f"<mj-section><mj-column><mj-text>{content}</mj-text></mj-column></mj-section>"
    sections = "".join("{% if a < b %}" + section + "{% endif %}" if guard else section for guard in guarded)
    html = compiled(f"<mjml><mj-body>{sections}</mj-body></mjml>").text
    assert html.count(content.strip()) >= len(guarded)
    assert html.count("{% if a < b %}") == html.count("{% endif %}") == sum(guarded)


def test_a_section_that_does_not_hold_leaves_nothing(tmp_path: Path) -> None:
    section = "<mj-section><mj-column><mj-text>Only VIPs</mj-text></mj-column></mj-section>"
    mjml = email("<mj-text>All</mj-text>").replace("<mj-body>", f"<mj-body>{{% if traits.vip %}}{section}{{% endif %}}")
    template = load(tmp_path, mjml)
    assert "Only VIPs" in compose(template, traits={"vip": True}).html
    without = compose(template)
    assert "Only VIPs" not in without.html
    assert "Only VIPs" not in without.text
    assert without.html.count("<table") == without.html.count("</table")


def test_rows_of_a_loop_stay_inside_their_table(tmp_path: Path) -> None:
    table = "<mj-table>{% for p in event.products %}<tr><td>{{ p.name }}</td></tr>{% endfor %}</mj-table>"
    message = compose(
        load(tmp_path, email(table), sample="event: {products: [{name: A}]}"),
        event={"products": [{"name": "Kettle"}, {"name": "Lamp"}]},
    )
    assert re.search(r"<table[^>]*>\s*<tr><td>Kettle</td></tr><tr><td>Lamp</td></tr>\s*</table>", message.html)
    assert "Kettle\nLamp" in message.text


@pytest.mark.parametrize(
    ("body", "code", "what"),
    [
        ("<mj-txt>Hi</mj-txt>", "TF311", "<mj-txt>"),
        ("<p>Hi</p>", "TF311", "<p>"),
        ("<mj-section></mj-section>", "TF313", "cannot stand in <mj-column>"),
        ("Hi", "TF313", "outside of a component"),
        ("{{ traits.name }}", "TF313", "outside of a component"),
        ('<mj-text colour="red">Hi</mj-text>', "TF312", 'no attribute "colour"'),
        ("<mj-text {% if a %}color='red'{% endif %}>Hi</mj-text>", "TF314", "between attributes"),
        ('<mj-image width="{{ event.w }}" src="https://x.example/a.png" />', "TF314", "plain value"),
        ("{% if traits.a %}<mj-text>a{% endif %}</mj-text>", "TF315", "another component"),
        ("<mj-text>a", "TF310", "holds text"),
        ("<!--" * 20_000, "TF310", "never closed"),
        ('<mj-include path="/etc/passwd" />', "TF316", '"/etc/passwd" is no block'),
        ('<mj-include path="../../blocks/button.mjml" />', "TF316", "is no block"),
        ("<mj-include />", "TF316", '"" is no block'),
        ('<mj-include path="../blocks/button.css" type="css" />', "TF316", "type css"),
        ('<mj-include path="../blocks/buton.mjml" />', "TF333", '"blocks/buton.mjml"'),
        ('<mj-text><a href="javascript:alert(1)">x</a></mj-text>', "TF318", "no whole address"),
        ('<mj-text><a href="/cart">x</a></mj-text>', "TF318", "no whole address"),
        ('<mj-text><form action="x"></form></mj-text>', "TF318", "a form"),
        ("<mj-text>{{ traits.a | shout }}</mj-text>", "TF331", '"shout"'),
        ("<mj-text>{{ trait.a }}</mj-text>", "TF332", '"trait"'),
        ("<mj-text>{% if traits.a %}</mj-text>", "TF330", "never closed"),
        ("<mj-text>{{ traits.a </mj-text>", "TF330", "no Liquid"),
        ('{% render "blocks/buton.mjml" %}', "TF333", '"blocks/buton.mjml"'),
        ('{% render "blocks/button.mjml", lable: "x" %}', "TF333", '"lable"'),
        ('{% render "blocks/loop.mjml" %}', "TF333", "too deeply"),
    ],
)
def test_what_would_leave_a_hole_is_a_problem_at_its_place(tmp_path: Path, body: str, code: str, what: str) -> None:
    blocks = {
        "button.mjml": '<mj-button href="https://x.example">{{ label }}</mj-button>',
        "loop.mjml": '{% render "blocks/loop.mjml" %}',
    }
    _, problems = check(tmp_path, email(f"\n  {body}\n"), blocks=blocks)
    found = [problem for problem in problems if problem.code == code]
    assert found, "\n".join(problem.render() for problem in problems)
    assert what in found[0].sentence
    # The template's second line, but for the block that holds itself, and for what a missing end swallows.
    assert found[0].line == {"too deeply": 1, "holds text": 6}.get(what, 5)
    assert found[0].source


@pytest.mark.parametrize(
    "include",
    [
        '<mj-include path="../blocks/b.mjml" />',
        "<mj-include path='blocks/b.mjml'></mj-include>",
        '<mj-include type="mjml" path="./blocks/b.mjml">\n</mj-include>',
        '<!-- <mj-include path="x" /> --><mj-include path="../blocks/a.mjml"/>',
    ],
)
def test_an_include_is_another_word_for_a_block(tmp_path: Path, include: str) -> None:
    blocks = {"b.mjml": "<mj-text>from b</mj-text>", "a.mjml": '<mj-include path="b.mjml" /><mj-text>from a</mj-text>'}
    message = compose(load(tmp_path, email(include), blocks=blocks))
    assert message.html.count("from b") == 1
    assert ("from a" in message.html) == ("a.mjml" in include)


def test_a_problem_in_a_block_is_told_once_at_the_block(tmp_path: Path) -> None:
    use = email('{% render "blocks/b.mjml" %}{% render "blocks/b.mjml" %}')
    problem = problem_of(tmp_path, use, blocks={"b.mjml": "<mj-text>\n  {{ traits.a | shout }}</mj-text>"})
    assert (problem.path, problem.line, problem.column) == ("templates/blocks/b.mjml", 2, len("  {{ traits.a | ") + 1)


def test_liquid_from_one_component_to_the_next_is_refused_where_it_ends(tmp_path: Path) -> None:
    body = "<mj-text>{% if traits.a %}one</mj-text>\n<mj-text>two{% endif %}</mj-text>"
    _, problems = check(tmp_path, email(body))
    assert {(problem.code, problem.line) for problem in problems} == {("TF315", 4), ("TF315", 5)}


def test_a_block_sees_the_values_it_is_given_and_no_more(tmp_path: Path) -> None:
    blocks = {"b.mjml": "<!-- says hello -->\n<mj-text>{{ who }}{% if note %} ({{ note }}){% endif %}</mj-text>"}
    use = '{% render "blocks/b.mjml", who: "Ana", note: "old" %}{% render "blocks/b.mjml", who: traits.name %}'
    message = compose(load(tmp_path, email(use), blocks=blocks, sample="traits: {name: x}"), traits={"name": "Bo"})
    assert "Ana (old)" in message.text
    assert "\nBo\n" in message.text
    assert "says hello" not in message.html
