"""The checks of emails: what is worked out, what is left alone, and what must never happen."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render.kit import COMPANY
from render.sound import email_of, warnings_of
from triggerfish.adapters import liquid, mailcheck
from triggerfish.adapters.mailcheck.colours import BLACK, WHITE, Colour, colour_of, contrast, readable
from triggerfish.adapters.mailcheck.gather import CLIENTS, gather, marks_of
from triggerfish.adapters.mailcheck.lines import inspect_lines
from triggerfish.adapters.mailcheck.mail import Mail
from triggerfish.adapters.mailcheck.markup import Markup
from triggerfish.adapters.mailcheck.uses import uses_of
from triggerfish.adapters.mjml_reader import Element
from triggerfish.adapters.sources import Woven
from triggerfish.adapters.templates import check_templates

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "server" / "triggerfish" / "adapters" / "mailcheck"
CLIENTS_FILE = json.loads((FOLDER / "clients.json").read_text())
PIECES = [
    "<td>", "</td>", "<div style='color:red'>", "</div>", "<p", ">", "<!--", "-->", "{{ x }}", "{% if a %}", "\n", "é",
    "{% endif %}", "<style>a{color:", "}</style>", "text", '"', "'", "<a href='#'>", "<img src=x>", "<table>", "</tr>",
]  # fmt: skip


def codes(folder: Path, example: str, **more: bool) -> list[str]:
    return [problem.code for problem in warnings_of(folder, email_of(example, **more))]


def sentences(folder: Path, example: str) -> list[str]:
    return [f"{problem.code} {problem.sentence}" for problem in warnings_of(folder, email_of(example))]


# Colours


@pytest.mark.parametrize(
    ("ink", "ground", "ratio"),
    [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.48), ("#767676", "#fff", 4.54), ("red", "white", 4.0),
     ("#0000ff", "#ffffff", 8.59), ("#ffffff", "#ffffff", 1.0)],
)  # fmt: skip
def test_contrast_is_wcags(ink: str, ground: str, ratio: float) -> None:
    one, other = colour_of(ink), colour_of(ground)
    assert one is not None
    assert other is not None
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert contrast(other, one) == contrast(one, other)


@given(st.tuples(*[st.floats(0, 1)] * 3), st.tuples(*[st.floats(0, 1)] * 3))
def test_what_is_proposed_is_readable(ink: tuple[float, float, float], ground: tuple[float, float, float]) -> None:
    proposed = readable(Colour(*ink), Colour(*ground), 4.5)
    assert contrast(proposed, Colour(*ground)) >= 4.5  # black or white always has it
    assert contrast(BLACK, WHITE) == pytest.approx(21)


def test_a_colour_that_lets_the_ground_through_is_mixed_with_it() -> None:
    half = colour_of("rgba(0, 0, 0, 0.5)")
    assert half is not None
    assert half.over(WHITE).hex == "#808080"


# Contrast


@pytest.mark.parametrize(
    "example",
    [
        '<mj-text color="#999999">Hello</mj-text>',
        '<mj-text><span style="color:#999999">Hello</span></mj-text>',
        '<mj-text><font color="#999999">Hello</font></mj-text>',
        '<mj-text color="#000000"><div style="background:#333333"><b>Hello</b></div></mj-text>',
        '<mj-table><tr><td bgcolor="#222222">Hello</td></tr></mj-table>',
        '<mj-button background-color="#ffd0a0" color="#ffffff" href="https://shop.example/">Hello</mj-button>',
        '<mj-text><a href="https://shop.example/" style="background:#222222">Hello</a></mj-text>',  # a link is blue
        '<mj-style>.pale div { color: #999999 !important }</mj-style>\n<mj-text css-class="pale">Hello</mj-text>',
        '<mj-text color="{{ traits.ink | default: "#999999" }}">Hello</mj-text>',
        '{% if segments contains "vip" %}<mj-text color="#999999">Hello</mj-text>{% endif %}',
        '<mj-text>{% if traits.a %}<i>a</i>{% else %}<i style="color:#999999">Hello</i>{% endif %}</mj-text>',
        '<mj-text>{% for p in event.all %}<i style="color:#999999">{{ p.name }}</i>{% else %}{% endfor %}</mj-text>',
        '<mj-text>{% assign ink = "#999999" %}<i style="color:{{ ink }}">Hello</i></mj-text>',
        '<mj-text color="#949494" font-size="18px">Hello</mj-text>',
        '<mj-text><i style="color:rgba(0,0,0,0.4)">Hello</i></mj-text>',
    ],
)
def test_pale_text_is_found_wherever_its_colours_come_from(tmp_path: Path, example: str) -> None:
    assert [code for code in codes(tmp_path, example) if code != "TF360"] == ["TF357"]


@pytest.mark.parametrize(
    "example",
    [
        '<mj-text color="#949494" font-size="24px">Hello</mj-text>',  # 3.03 to 1 is enough for large text
        '<mj-text color="#949494" font-size="19px" font-weight="bold">Hello</mj-text>',
        '<mj-text><h1 style="color:#949494">Hello</h1></mj-text>',
        '<mj-text><i style="color:#ffffff;display:none">Hello</i></mj-text>',
        '<mj-text><i style="color:#ffffff">&nbsp; &#8199;</i></mj-text>',
        '<mj-text><i style="color:#ffffff;max-height:0;overflow:hidden">Hello</i></mj-text>',
        '<mj-text><i style="color:#ffffff;opacity:0">Hello</i></mj-text>',
        '<mj-text><i style="color:#999999;color:#333333">Hello</i></mj-text>',
        "<mj-style>@media (max-width: 480px) { div { color: #999999 !important } }</mj-style>\n",
        '<mj-style>.pale div { color: #999999 }</mj-style>\n<mj-text css-class="pale" color="#333333">Hello</mj-text>',
        '<mj-text><i style="color:{{ traits.ink | default: "inky" }}">Hello</i></mj-text>',
        '<mj-text><div style="background:#333333"><div style="background:#ffffff">Hello</div></div></mj-text>',
    ],
)
def test_text_that_can_be_read_or_is_not_seen_is_left_alone(tmp_path: Path, example: str) -> None:
    assert codes(tmp_path, example) == []


def test_text_on_a_picture_is_counted(tmp_path: Path) -> None:
    example = '<mj-table><tr><td background="https://shop.example/a.jpg" bgcolor="#ffffff">Hello</td></tr></mj-table>'
    root = tmp_path / "templates" / "hello"
    assert codes(tmp_path, example) == []
    templates, _ = check_templates(root.parent, COMPANY)
    note = "contrast: 1 text lies on a picture or a colour that only a send knows: look at the preview"
    assert note in templates["hello"].notes


def test_text_on_a_picture_can_be_read_where_pictures_are_not_shown(tmp_path: Path) -> None:
    section = (
        '<mj-section background-url="https://shop.example/night.jpg"{}>'
        '<mj-column><mj-text color="#ffffff">Hello</mj-text>'
    )
    email = (
        email_of("")
        .replace("{", "{{")
        .replace("}", "}}")
        .replace("</mj-body>", section + "</mj-column></mj-section></mj-body>")
    )
    (tmp_path / "bare").mkdir()
    (problem,) = warnings_of(tmp_path / "bare", email.format(""))
    assert problem.code == "TF357"
    assert "where its picture is not shown: #ffffff on #ffffff" in problem.sentence
    assert warnings_of(tmp_path, email.format(' background-color="#1f2d33"')) == []


def test_each_pair_of_colours_is_said_once(tmp_path: Path) -> None:
    pale = '<mj-text color="#999999">Hello</mj-text>'
    assert codes(tmp_path, pale * 3 + pale.replace("#999999", "#aaaaaa")) == ["TF357", "TF357"]


# Dark mode


DARK_HEAD = '<mj-head><mj-raw><meta name="color-scheme" content="light dark"></mj-raw></mj-head>\n'


def dark(folder: Path, style: str, body: str) -> list[str]:
    head = DARK_HEAD.replace("</mj-head>", f"<mj-style>{style}</mj-style></mj-head>")
    email = re.sub(r"<mj-head>.*?</mj-head>\n", lambda _: head, email_of(body), flags=re.DOTALL)
    return [problem.sentence for problem in warnings_of(folder, email)]


def test_dark_text_without_a_ground_is_found_once_dark_mode_is_declared(tmp_path: Path) -> None:
    email = email_of("<mj-text>Hello</mj-text>").replace(' background-color="#ffffff"', "")
    (tmp_path / "light").mkdir()
    assert warnings_of(tmp_path / "light", email) == []
    told = warnings_of(tmp_path, email.replace('content="light"', 'content="light dark"'))
    assert {problem.code for problem in told} == {"TF358"}
    assert "in dark mode: #1f2d33 on #121212" in told[-1].sentence


def test_rules_for_dark_mode_count_in_dark_mode_only(tmp_path: Path) -> None:
    body = '<mj-text css-class="card" color="#1f2d33">Hello</mj-text>'
    good = "@media (prefers-color-scheme: dark) { .card div { background: #1b272c; color: #e8eef0 !important } }"
    assert dark(tmp_path, good, body) == []


def test_the_declaration_may_stand_in_css(tmp_path: Path) -> None:
    head = "<mj-head><mj-style>:root { color-scheme: light; }</mj-style></mj-head>\n"
    assert sentences(tmp_path, head) == []


def test_rules_for_dark_mode_need_the_declaration(tmp_path: Path) -> None:
    rule = "@media (prefers-color-scheme: dark) { .card { background: #1b272c } }"
    told = sentences(tmp_path, f"<mj-head><mj-style>{rule}</mj-style></mj-head>\n")
    assert told == ["TF359 this mail has rules for dark mode, and no color-scheme that tells mail programs so"]


# Pictures


@pytest.mark.parametrize(
    ("example", "found"),
    [
        ('<mj-image src="https://shop.example/a.png" alt="" />', []),
        ('<mj-image src="https://shop.example/a.png" alt="" href="https://shop.example/" />', ["TF350"]),
        ('<mj-image src="https://a.example/a.png" alt="{{ event.a | default: "A" }}" href="https://a.example/" />', []),
        ('<mj-text><img src="https://shop.example/a.png" width="9" /></mj-text>', ["TF350"]),
        ('<mj-text><a href="https://a.example/"><img src="https://a.example/a.png" width="9" alt="" /></a></mj-text>',
         ["TF350"]),
        ('<mj-text><a href="#a" style="color:#333"><img src="cid:a" width="9" alt="" /> Shop</a></mj-text>',
         ["TF360"]),
        ('<mj-text><!-- <img src="https://a.example/a.png"> --></mj-text>', []),
    ],
)  # fmt: skip
def test_pictures_say_what_they_show_or_that_they_only_decorate(tmp_path: Path, example: str, found: list[str]) -> None:
    assert codes(tmp_path, example) == found


def test_a_footer_makes_no_mail_of_pictures_readable(tmp_path: Path) -> None:
    picture = '<mj-image src="https://shop.example/a.png" alt="A" />\n'
    footer = (
        "<mj-text>{{ company.name }} is a small shop that sells enamel kettles to people all over the world</mj-text>\n"
    )
    (tmp_path / "a").mkdir()
    assert codes(tmp_path / "a", picture + footer, has_text=False) == ["TF352"]
    assert codes(tmp_path, picture + footer.replace("{{ company.name }}", "Ours"), has_text=False) == []


# Subject and preheader


@pytest.mark.parametrize(
    ("subject", "preheader", "found"),
    [
        ("Your kettle", "It leaves our house today.", []),
        ("x" * 70, "It leaves our house today.", []),
        ("x" * 71, "It leaves our house today.", ["TF353"]),
        ("OMG", "It leaves our house today.", []),
        ("SALE", "It leaves our house today.", ["TF354"]),
        ("促销活动开始了", "It leaves our house today.", []),
        ("Your kettle", "", ["TF355"]),
        ("Your kettle", "x" * 141, ["TF355"]),
        ("Ana", "Ana, it leaves our house today.", []),
        ("Your kettle is here", "Your kettle is here! Look.", ["TF356"]),
        ("🎉", "🎉 It leaves our house today.", []),
    ],
)
def test_lines_of_the_inbox(subject: str, preheader: str, found: list[str]) -> None:
    assert [complaint.code for complaint in inspect_lines(subject, preheader)] == found


def test_a_subject_is_measured_as_the_sample_person_gets_it(tmp_path: Path) -> None:
    liquid_subject = (
        '"{% if traits.firstName and event.product.name %}{{ traits.firstName }}{% else %}Hello{% endif %}, you!"'
    )
    assert codes(tmp_path, f"subject: {liquid_subject}\n") == []


# What mail programs lack


@pytest.mark.parametrize(
    ("example", "feature"),
    [
        ('<mj-text><p style="color:rgba(0,0,0,1)">Hello</p></mj-text>', "rgba()"),
        ('<mj-text><p style="position:absolute;left:0">Hello</p></mj-text>', "position"),
        ('<mj-text><p style="width:calc(100% - 2px)">Hello</p></mj-text>', "CSS calc() function"),
        ('<mj-text><p style="margin-inline-start:2rem">Hello</p></mj-text>', "margin-inline-start & margin-inline-end"),
        ("<mj-text><video width='10'></video></mj-text>", "<video> element"),
        ('<mj-image src="https://shop.example/a.svg?v=1" alt="A" />', "SVG image format"),
        ('<mj-image src="https://shop.example/a.webp" alt="A" />', "webP image format"),
        ('<mj-image src="data:image/png;base64,iVBORw0KGgo=" alt="A" />', "Base 64 image format"),
        ('<mj-style>a[title] { color: #333333 }</mj-style>\n', "Attribute selector"),
        ("<mj-style>p::before { content: 'x' }</mj-style>\n", "::before"),
        ("<mj-style>:root { --ink: #333333 }</mj-style>\n", "CSS Variables (Custom Properties)"),
        ("<mj-style>.a { .b { color: #333333 } }</mj-style>\n", "CSS Nesting"),
        ("<mj-style>@media (max-width: 480px) { .a { display: grid } }</mj-style>\n", "display:grid"),
    ],
)  # fmt: skip
def test_what_mail_programs_lack_is_said_at_its_first_use(tmp_path: Path, example: str, feature: str) -> None:
    problem = warnings_of(tmp_path, email_of(example))[0]
    assert problem.code == "TF360"
    assert problem.sentence.startswith(f"{feature} is not in ")
    assert re.search(r"more: caniemail\.com/features/[a-z0-9-]+$", problem.hint)


@pytest.mark.parametrize(
    "example",
    [
        '<mj-text><p style="border-radius:4px;box-shadow:0 0 2px #333333;letter-spacing:1px">Hello</p></mj-text>',
        "<mj-style>@media (max-width: 480px) { .a > b:hover { padding: 0 !important } }</mj-style>\n",
        "<mj-style>[data-ogsc] .a { color: #ffffff } a[x-apple-data-detectors] { color: inherit }</mj-style>\n",
        "<mj-style>@media (prefers-color-scheme: dark) { .a { color: #ffffff } }</mj-style>\n",
        '<mj-image src="https://shop.example/a.jpg" alt="A" border-radius="4px" />',
        '<mj-image src="{{ event.image | default: "https://shop.example/a.webp" }}" alt="A" />',
    ],
)
def test_what_does_no_harm_is_no_warning(tmp_path: Path, example: str) -> None:
    assert [code for code in codes(tmp_path, example) if code == "TF360"] == []


def test_a_rule_is_asked_only_of_mail_programs_that_read_what_is_around_it(tmp_path: Path) -> None:
    rule = ".a { color: rgba(0, 0, 0, 0.9) }"
    (tmp_path / "bare").mkdir()
    assert any("Outlook (Windows" in told for told in sentences(tmp_path / "bare", f"<mj-style>{rule}</mj-style>\n"))
    around = f"<mj-style>@media (max-width: 480px) {{ {rule} }}</mj-style>\n"
    assert not any("Outlook (Windows" in told for told in sentences(tmp_path, around))


def test_a_feature_is_said_once_however_often_it_is_used(tmp_path: Path) -> None:
    assert codes(tmp_path, '<mj-text><p style="display:flex">a</p><p style="display:flex">b</p></mj-text>') == ["TF360"]


def test_each_file_of_a_template_is_named_as_the_place_of_its_own_faults(tmp_path: Path) -> None:
    (tmp_path / "templates" / "blocks").mkdir(parents=True)
    (tmp_path / "templates" / "blocks" / "note.mjml").write_text(
        '<mj-text>\n  <i style="color:#999">Hello</i>\n</mj-text>\n'
    )
    (problem,) = warnings_of(tmp_path, email_of('{% render "blocks/note.mjml" %}'))
    assert (problem.path, problem.line, problem.column) == ("templates/blocks/note.mjml", 2, 25)


# The data


def test_every_feature_is_harmless_or_has_advice() -> None:
    advice = json.loads((FOLDER / "advice.json").read_text())
    harmless = [slug for slugs in advice["harmless"].values() for slug in slugs]
    instead = [slug for slugs in advice["instead"].values() for slug in slugs]
    lacked = {slug for slug, feature in CLIENTS_FILE["features"].items() if "n" in feature["support"]}
    assert len(harmless + instead) == len({*harmless, *instead})
    assert lacked <= {*harmless, *instead} <= set(CLIENTS_FILE["features"])


def test_the_data_says_where_it_is_from_and_under_what_licence() -> None:
    source = CLIENTS_FILE["source"]
    assert source["package"] == "caniemail"
    assert source["licence"] == "MIT"
    assert "Permission is hereby granted, free of charge" in (FOLDER / "clients.LICENSE").read_text()
    docs = (REPOSITORY / "docs" / "email-checks.md").read_text()
    assert f"`caniemail` {source['version']} (state of {source['updated']}, MIT licence)" in docs


def test_support_has_a_letter_for_each_client() -> None:
    assert CLIENTS_FILE["clients"] == list(CLIENTS.values())
    for feature in CLIENTS_FILE["features"].values():
        assert re.fullmatch(rf"[ynau]{{{len(CLIENTS)}}}", feature["support"])


def test_gathering_keeps_the_newest_version_and_its_notes() -> None:
    stats = {"gmail": {"ios": {"2019-02": "y", "2024-01": "a #2"}}, "outlook": {"windows": {"2016": "y", "2019": "n"}}}
    feature = {"slug": "css-gap", "title": "gap, column-gap, row-gap", "stats": stats,
               "notes_by_num": {"1": "No.", "2": "Partial. See [a page](https://a.example/)."}}  # fmt: skip
    made = gather({"data": [feature], "last_update_date": "2026-05-13 14:45:41 +0000"}, "2.0.2")
    (found,) = made["features"].values()
    assert found["support"][1] == "a"
    assert found["support"][5] == "n"
    assert found["notes"] == {"1": "Partial. See a page."}
    assert found["marks"] == ["property:gap", "property:column-gap", "property:row-gap"]


@pytest.mark.parametrize(
    ("slug", "title", "mark"),
    [("css-display-flex", "display:flex", "value:display:flex"), ("css-unit-percent", "% unit", "unit:%"),
     ("css-rgba", "rgba()", "function:rgba"), ("html-video", "<video> element", "element:video"),
     ("html-role", "role attribute", "attribute:role"), ("image-svg", "SVG image format", "image:svg"),
     ("html-input-radio", '<input type="radio"> element', "input:radio"),
     ("css-width", "width property", "property:width")],
)  # fmt: skip
def test_a_feature_is_known_by_its_mark(slug: str, title: str, mark: str) -> None:
    assert mark in marks_of(slug, title)


def test_each_part_of_a_selector_is_found() -> None:
    def marks(css: str) -> set[str]:
        html = Woven([(f"<style>{css}</style>", 0)])
        environment = liquid.environment(is_html=False, filters={}, language="en", currency="EUR")
        mail = Mail(html, Element("mjml", 0), html, environment=environment, facts={})
        return {use.mark for use in uses_of(mail)} - {"element:style"}

    assert marks("a{}") == {"selector:type"}
    assert marks(".a .b{}") == {"selector:."}
    assert marks(".a.b{}") == {"selector:.", "selector:chain"}
    assert marks("#a > *{}") == {"selector:#", "selector:>", "selector:*"}
    assert marks("a + b ~ i{}") == {"selector:type", "selector:+", "selector:~"}
    assert marks("[a]::after{}") == {"selector:[]", "pseudo-element:after"}
    assert marks("a:nth-child(2):hover{}") == {"selector:type", "pseudo-class:nth-child", "pseudo-class:hover"}


# Robustness


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_soup_of_tags_is_looked_at_without_a_fault(pieces: list[str]) -> None:
    text = "".join(pieces)
    environment = liquid.environment(is_html=False, filters={}, language="en", currency="EUR")
    root = Element("mjml", 0)
    found = mailcheck.inspect(Woven([(text, 0)]), root, Woven([(text, 0)]), environment=environment, facts={})
    assert all(-1 <= complaint.at <= len(text) and complaint.is_warning for complaint in found.complaints)


@given(
    st.lists(st.sampled_from(["<td>", "</td>", "<tr>", "</tr>", "<table>", "</table>", "<li>", "</ul>", "<p>", "x"]))
)
def test_the_tree_keeps_every_element_below_its_root(pieces: list[str]) -> None:
    markup = Markup(Woven([("".join(pieces), 0)]))
    assert list(markup.root.inside()) == markup.nodes
    assert len(markup.nodes) == sum(piece in ("<td>", "<tr>", "<table>", "<li>", "<p>") for piece in pieces)


@pytest.mark.parametrize("piece", ["<div>", "<a href='#a'><img src='a.png'>", "<p style='color:#999'>a</p>", "<td>"])
def test_a_large_mail_is_looked_at_in_little_time(piece: str) -> None:
    text = piece * (60_000 // len(piece))
    environment = liquid.environment(is_html=False, filters={}, language="en", currency="EUR")
    start = time.process_time()
    mailcheck.inspect(Woven([(text, 0)]), Element("mjml", 0), Woven([(text, 0)]), environment=environment, facts={})
    assert time.process_time() - start < 5


def test_a_mail_gets_no_more_warnings_than_people_read(tmp_path: Path) -> None:
    pictures = '<mj-image src="https://shop.example/a.png" />' * 200
    assert len(codes(tmp_path, pictures)) <= mailcheck.MOST_COMPLAINTS


def test_a_starter_email_is_looked_at_in_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    spent: list[float] = []
    look = mailcheck.inspect

    def timed(*args: Any, **named: Any) -> mailcheck.Inspected:
        start = time.process_time()
        found = look(*args, **named)
        spent.append(time.process_time() - start)
        return found

    monkeypatch.setattr(mailcheck, "inspect", timed)
    check_templates(REPOSITORY / "templates", COMPANY)
    assert sorted(spent)[len(spent) // 2] < 0.05  # measured about 10 ms
