"""Where a value may stand in an email's markup, and where not."""

from pathlib import Path

import pytest

from render.kit import check, compose, email, load, problem_of
from triggerfish.errors import MissingData

SAMPLE = "event: {a: x, c: red, url: 'https://x.example/a.png'}\n"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("<mj-text><b {{ event.a }}>x</b></mj-text>", "{{ event.a }}"),
        ("<mj-text><b title={{ event.a }}>x</b></mj-text>", "{{ event.a }}"),
        ("<mj-text><{{ event.a }}>x</{{ event.a }}></mj-text>", "{{ event.a }}"),
        ("<mj-text><b title='x' {% if event.a %}{{ event.a }}{% endif %}>x</b></mj-text>", "{{ event.a }}"),
        ("<mj-text><b {% echo event.a %}>x</b></mj-text>", "{% echo event.a %}"),
        ('<mj-text><b onclick="go({{ event.a }})">x</b></mj-text>', "{{ event.a }}"),
        ("<mj-raw><script>var a = '{{ event.a }}';</script></mj-raw>", "{{ event.a }}"),
        ("<mj-raw><!--[if mso]><v:rect {{ event.a }}></v:rect><![endif]--></mj-raw>", "{{ event.a }}"),
    ],
)
def test_a_value_between_attributes_or_in_code_is_a_problem_at_its_place(
    tmp_path: Path, body: str, what: str
) -> None:  # fmt: skip
    _, problems = check(tmp_path, email(f"\n{body}\n"), sample=SAMPLE)
    told = [each for each in problems if each.code == "TF319"]
    assert told
    assert {each.line for each in told} == {5}
    assert told[0].source[told[0].column - 1 :].startswith(what)
    assert told[0].width == len(what)


@pytest.mark.parametrize(
    "body",
    [
        "<mj-text><b title=\"{{ event.a }}\" class='{{ event.a }}'>{{ event.a }}</b></mj-text>",
        "<mj-text><b {% if event.a %}title='{{ event.a }}'{% endif %}>a > b</b></mj-text>",
        "<mj-raw><!-- {{ event.a }} --></mj-raw>",
        "<mj-raw><!--[if mso]><p title='{{ event.a }}'>{{ event.a }}</p><![endif]--></mj-raw>",
        "<mj-text>1 < 2 and {{ event.a }}</mj-text>",
        '<mj-text color="{{ event.c }}">x</mj-text>',
    ],
)
def test_a_value_in_text_or_in_quotes_is_fine(tmp_path: Path, body: str) -> None:
    assert "x" in compose(load(tmp_path, email(body), sample=SAMPLE), event={"a": "x", "c": "red"}).html


@pytest.mark.parametrize(
    ("colour", "is_fine"),
    [
        ("#0f4c5c", True), ("rgb(1, 2, 3)", True), ("hsla(120,100%,50%,.3)", True), ("12px", True), ("bold", True),
        ("red;display:none", False), ("url(https://x.example/)", False), ("expression(alert(1))", False),
        ("red}b{color:red", False), ("red/*", False), ("\\72 ed", False), ("&#x3b;", False),
    ],
)  # fmt: skip
def test_a_style_takes_words_numbers_and_colours(tmp_path: Path, colour: str, is_fine: bool) -> None:
    template = load(tmp_path, email("<mj-text><b style='color:{{ event.c }}'>x</b></mj-text>"), sample=SAMPLE)
    if is_fine:
        assert f"style='color:{colour}'" in compose(template, event={"c": colour}).html
    else:
        with pytest.raises(MissingData, match="no value for a style") as caught:
            compose(template, event={"c": colour})
        assert caught.value.code == "TF321"


def test_a_picture_in_a_style_keeps_to_its_address(tmp_path: Path) -> None:
    mjml = email("<mj-text>x</mj-text>").replace("<mj-section>", '<mj-section background-url="{{ event.url }}">')
    template = load(tmp_path, mjml, sample=SAMPLE)
    html = compose(template, event={"url": "https://x.example/a'b(1).png?x=1&y=2"}).html
    assert "url('https://x.example/a%27b%281%29.png?x=1&amp;y=2')" in html


def test_a_brand_new_problem_names_its_remedy(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, email("<mj-text><b {{ event.a | default: 1 }}>x</b></mj-text>"))
    assert problem.render().splitlines()[2].endswith('an attribute with quotes around it: alt="{{ … }}"')
