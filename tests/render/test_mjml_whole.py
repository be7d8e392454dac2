"""The parts of MJML that touch Liquid: attributes from elsewhere, inlined styles, attributes by selector."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render.kit import UNSUBSCRIBE, check, compose, load
from render.mjml_form import compile_here
from triggerfish.adapters.mjml_selectors import inline_styles
from triggerfish.adapters.sources import Woven

_SELECTOR = '<mj-selector path="{}"><mj-html-attribute name="{}">1</mj-html-attribute></mj-selector>'
SET = f"<mj-html-attributes>{_SELECTOR}</mj-html-attributes>"

BRAND = '<mj-attributes><mj-class name="brand" color="red" /></mj-attributes>'


def page(body: str, head: str) -> str:
    column = f"<mj-section><mj-column>{body}{UNSUBSCRIBE}</mj-column></mj-section>"
    return f"<mjml>\n<mj-head>\n{head}\n</mj-head>\n<mj-body>{column}</mj-body></mjml>"


def inline(css: str) -> str:
    return f'<mj-style inline="inline">{css}</mj-style>'


def test_inlined_styles_reach_what_liquid_makes_and_leave_liquid_where_it_is(tmp_path: Path) -> None:
    row = '<tr class="row{% if p.sold %} sold{% endif %}"><td>{{ p.name }}</td></tr>'
    rows = f"{{% for p in event.products %}}{row}{{% endfor %}}"
    css = "td { color: {{ traits.colour | default: 'red' }} } tr { margin: 0 }"
    mjml = page(f"<mj-table>{rows}</mj-table>", inline(css))
    sample = "event: {products: [{name: A}]}"
    products = [{"name": "Kettle"}, {"name": "Lamp", "sold": True}]
    html = compose(load(tmp_path, mjml, sample=sample), event={"products": products}, traits={"colour": "teal"}).html
    assert '<tr style="margin:0;" class="row"><td style="color:teal;">Kettle</td></tr>' in html
    assert '<tr style="margin:0;" class="row sold"><td style="color:teal;">Lamp</td></tr>' in html
    assert re.search(r"<table[^>]*>\s*<tr style", html)


@pytest.mark.parametrize(
    ("css", "own", "style"),
    [
        ("a { color: red }", "", ' style="color:red;"'),
        ("a { color: red } a { color: blue }", "", ' style="color:blue;"'),
        (".b { color: red } a { color: blue }", "", ' style="color:red;"'),
        ("a#i { color: red } .b.b { color: blue }", "", ' style="color:red;"'),
        ("a { color: red }", ' style="color:green"', ' style="color:green"'),
        ("a { color: red; margin: 0 }", ' style="color:green"', ' style="margin:0;color:green"'),
        ("a { color: red !important }", ' style="color:green"', ' style="color:green;color:red;"'),
        ("a { color: red !important } .b { color: blue }", "", ' style="color:blue;color:red;"'),
        ("p, a, .x { color: red }", "", ' style="color:red;"'),
        ('a { font-family: "Open Sans" }', "", ' style="font-family:&quot;Open Sans&quot;;"'),
        ("a { background: url(data:image/png;base64,AA) }", "", ' style="background:url(data:image/png;base64,AA);"'),
        ("/* a { color: red } */ a { /* x */ margin: 0 }", "", ' style="margin:0;"'),
        ('a { font-family: "X" }', " style='margin:0'", ' style="font-family:&quot;X&quot;;margin:0"'),
        ("a { font-family: 'X' }", " style=margin:0", " style=\"font-family:'X';margin:0\""),
        ("a { margin: 0 }", " style", ' style="margin:0;"'),
        ("a:hover { color: red } a::before { color: red } i { color: red }", "", ""),
    ],
)
def test_the_cascade_decides_what_is_inlined(css: str, own: str, style: str) -> None:
    text = f'<mj-text><a id="i" class="b"{own}>x</a></mj-text>'
    html = compile_here(page(text, inline(css)))
    assert re.search(r'<a id="i" class="b"[^>]*>|<a style[^>]*id="i" class="b"[^>]*>', html)
    tag = re.search(r"<a [^>]*>", html[html.index("<body") :])
    assert tag is not None
    assert tag[0].replace(' id="i" class="b"', "") == f"<a{style}>"


@pytest.mark.parametrize(
    ("head", "code", "place", "what"),
    [
        (inline("a { color: red"), "TF316", (6, 27), "never closed"),
        (inline(".{{ traits.a }} { color: red }"), "TF316", (6, 27), "Liquid cannot stand in a selector"),
        (SET.format("a[", "x"), "TF316", (6, 40), '"a["'),
        ("<mj-html-attributes><p></p></mj-html-attributes>", "TF311", (6, 21), "<p>"),
        ("<mj-attributes><mj-class name='a'><mj-txt/></mj-class></mj-attributes>", "TF311", (6, 35), "<mj-txt>"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_where_it_stands(
    tmp_path: Path, head: str, code: str, place: tuple[int, int], what: str
) -> None:
    mjml = page("<mj-text>Hi</mj-text>", head)
    _, problems = check(tmp_path, mjml)
    problem = next(each for each in problems if not each.is_warning)
    assert (problem.code, (problem.line, problem.column), problem.is_warning) == (code, place, False)
    assert what in problem.sentence


def test_styles_of_a_thousand_selectors_can_be_inlined_and_no_more(tmp_path: Path) -> None:
    css = ",".join(f".c{number}" for number in range(1_000))
    load(tmp_path, page("<mj-text>Hi</mj-text>", inline(f"{css} {{ color: red }}")))
    _, problems = check(tmp_path, page("<mj-text>Hi</mj-text>", inline(f"{css}, .one-more {{ color: red }}")))
    assert [problem.sentence for problem in problems if not problem.is_warning] == [
        "an email can inline the styles of 1,000 selectors"
    ]


_names = st.sampled_from(["a", "b", "p", "td", "tr"])
_pieces = st.one_of(
    st.sampled_from(["{{ traits.a }}", "{% if traits.a > 1 %}", "{% endif %}", "<br>", "&amp;", "é\n", '{{ "<a>" }}']),
    st.builds(
        "<{0}{1}>".format,
        _names,
        st.sampled_from(["", ' class="x"', " class='{{ c }}' id=y", ' style="color:{{ c }};"', " style='margin:0'"]),
    ),
    st.builds("</{0}>".format, _names),
)
_selectors = st.lists(st.sampled_from(["a", ".x", "#y", "tr td", "p > a", "[class]", ":not(.x)"]), min_size=1)


@given(st.lists(_pieces, max_size=20), _selectors)
@settings(max_examples=150)
def test_nothing_but_styles_is_written_into_the_html(pieces: list[str], selectors: list[str]) -> None:
    html, sheet = "".join(pieces), f"{','.join(selectors)} {{ padding: {{{{ p }}}} }}"
    styled, complaints = inline_styles(Woven([(html, 0)]), [(Woven([(sheet, 0)]), 0)])
    assert not complaints
    without = styled.text.replace(' style="padding:{{ p }};"', "").replace("padding:{{ p }};", "")
    assert without.replace('style="margin:0"', "style='margin:0'") == html


def test_attributes_are_set_by_selector_with_the_persons_values(tmp_path: Path) -> None:
    head = (
        '<mj-html-attributes><mj-selector path=".card a"><mj-html-attribute name="data-person"> {{ profile.id }} '
        '</mj-html-attribute><mj-html-attribute name="class">new</mj-html-attribute></mj-selector></mj-html-attributes>'
    )
    text = '<mj-text css-class="card"><a class="old" href="https://x.example/">x</a></mj-text>'
    html = compose(load(tmp_path, page(text, head))).html
    assert 'class="new"' in html
    assert 'data-person="p1"' in html
    assert "old" not in html


def test_attributes_of_classes_may_hold_liquid_and_an_unused_class_is_no_problem(tmp_path: Path) -> None:
    head = (
        '<mj-attributes><mj-class name="brand" color="{{ traits.colour | default: \'#123456\' }}" />'
        '<mj-class name="unused" color="{{ traits.other | default: \'red\' }}" /></mj-attributes>'
    )
    mjml = page('<mj-text mj-class="brand">a</mj-text><mj-text mj-class="brand">b</mj-text>', head)
    html = compose(load(tmp_path, mjml), traits={"colour": "#654321"}).html
    assert html.count("color:#654321") == 2


@pytest.mark.parametrize(
    ("mjml", "what"),
    [
        (page('<mj-text mj-class="brand bran">x</mj-text>', BRAND), 'there is no mj-class "bran"'),
        (page("<mj-text>x</mj-text>", inline("@media print { a { color: red } }")), "@media cannot be inlined"),
        (page("<mj-text>x</mj-text>", inline("a[ { color: red }")), '"a[" is no selector'),
        (page('<mj-text width="3px">x</mj-text>', ""), '"width" does nothing on <mj-text>'),
        (
            page("<mj-text>x</mj-text>", "").replace("<mj-body>", '<mj-body><mj-spacer height="9px"/>'),
            "outside of a column",
        ),
    ],
)
def test_what_other_compilers_let_pass_is_a_warning(tmp_path: Path, mjml: str, what: str) -> None:
    template, problems = check(tmp_path, mjml)
    assert template is not None
    assert any(what in problem.sentence for problem in problems)


def test_a_raw_part_for_the_start_of_the_file_stands_there(tmp_path: Path) -> None:
    head = '<mj-raw position="file-start"><!-- for {{ company.name }} --></mj-raw>'
    assert compose(load(tmp_path, page("<mj-text>x</mj-text>", head))).html.startswith(
        "<!-- for The Demo Shop --><!doctype"
    )


def test_the_same_email_compiles_to_the_same_html_every_time() -> None:
    carousel = '<mj-carousel><mj-carousel-image src="https://e.example/a.png"/></mj-carousel>'
    bar = '<mj-navbar hamburger="hamburger"><mj-navbar-link href="https://e.example/">a</mj-navbar-link></mj-navbar>'
    one, two = compile_here(page(carousel * 2 + bar, "")), compile_here(page(carousel * 2 + bar, "<!-- two -->"))
    assert one == two
    ids = re.findall(r'id="([^"]+)"', one)
    assert len(ids) == len(set(ids)) == 3
