"""A message for one person: links, pixel, unsubscribing, plain text, and data that nobody can break out of."""

import re
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render.kit import COMPANY, UNSUBSCRIBE, SeenLinks, check, compose, email, load, problem_of, write
from triggerfish.adapters.composed import CompiledTemplate
from triggerfish.adapters.templates import load_templates
from triggerfish.errors import MissingData, RulebookBroken
from triggerfish.mime import to_mime
from triggerfish.render import Address

LINK = '<mj-text><a href="{{ event.url | default: web.home }}">Look</a></mj-text>'


def test_every_link_is_tracked_but_not_the_way_out(tmp_path: Path) -> None:
    body = (
        '<mj-button href="https://shop.example/a?x=1&amp;y=2">Go</mj-button>'
        "<mj-text><a href='{{ event.url }}'>Look</a> <a href=\"mailto:help@shop.example\">write</a> "
        '<a href="tel:+49123">call</a> <a href="#top">up</a></mj-text>'
    )
    template = load(tmp_path, email(body), sample="event: {url: 'https://shop.example/'}")
    links = SeenLinks()
    message = compose(template, links, event={"url": "https://shop.example/p?a=1&b=ü q"})
    assert links.clicks == ["https://shop.example/a?x=1&y=2", "https://shop.example/p?a=1&b=ü%20q"]
    hrefs = [unescape(href) for href in re.findall(r"""<a\s[^>]*href=["']([^"']*)["']""", message.html)]
    assert hrefs == [
        "https://t.example/c/1", "https://t.example/c/2", "mailto:help@shop.example", "tel:+49123", "#top",
        "https://t.example/u?a=1&b=2",
    ]  # fmt: skip
    assert "shop.example/p" not in message.html
    assert "Go:\nhttps://t.example/c/1" in message.text
    assert "Look (https://t.example/c/2)" in message.text
    assert "Unsubscribe: https://t.example/u?a=1&b=2" in message.text


def test_the_open_pixel_is_the_last_thing_in_the_body(tmp_path: Path) -> None:
    html = compose(load(tmp_path, email("<mj-text>Hi</mj-text>"))).html
    assert re.search(r'<img src="https://t\.example/o\.gif"[^>]*/></body>\s*</html>\s*$', html)
    assert html.count("o.gif") == 1


def test_marketing_says_how_to_unsubscribe_in_headers_and_transactional_does_not(tmp_path: Path) -> None:
    message = compose(load(tmp_path, email("<mj-text>Hi</mj-text>")))
    assert dict(message.headers) == {
        "List-Unsubscribe": "<https://t.example/u?a=1&b=2>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert message.class_ == "marketing"
    more = "class: transactional\npurpose: orders\nreply_to: Help <help@shop.example>\n"
    message = compose(load(tmp_path, email("<mj-text>Hi</mj-text>", footer=""), more=more))
    assert message.headers == {}
    assert (message.class_, message.reply_to) == ("transactional", Address("help@shop.example", "Help"))


def test_marketing_without_an_unsubscribe_link_never_goes_live(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, email("<mj-text>Hi</mj-text>", footer=""))
    assert problem.code == "TF340"
    text_only = problem_of(tmp_path, email("<mj-text>{{ unsubscribe_url }}</mj-text>", footer=""))
    assert text_only.code == "TF340"


def test_marketing_whose_unsubscribe_link_is_left_out_for_a_person_is_not_sent(tmp_path: Path) -> None:
    footer = "{% if traits.old %}" + UNSUBSCRIBE + "{% endif %}"
    template = load(tmp_path, email("<mj-text>Hi</mj-text>", footer=footer), sample="traits: {old: true}")
    with pytest.raises(MissingData) as caught:
        compose(template)
    assert caught.value.code == "TF324"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        " JavaScript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "//evil.example",
        "/cart",
        "cart",
        "file:///etc/passwd",
        "https://x.example/" + "a" * 2100,
        "https://x.example/\x00x",
        "https://x.example/\u2028x",
    ],
)
def test_an_address_from_outside_that_is_no_link_is_refused(tmp_path: Path, url: str) -> None:
    template = load(tmp_path, email(LINK))
    with pytest.raises(MissingData) as caught:
        compose(template, event={"url": url})
    assert caught.value.code == "TF321"
    assert "templates/hello/email.mjml:4:" in caught.value.sentence


def test_a_picture_must_be_one(tmp_path: Path) -> None:
    body = '<mj-image src="{{ event.src }}" alt="" /><mj-text><img src="{{ event.src }}" alt="" /></mj-text>'
    section = email(body).replace("<mj-section>", '<mj-section background-url="{{ event.src }}">')
    template = load(tmp_path, section, sample="event: {src: 'https://x.example/a.png'}")
    html = compose(template, event={"src": "https://x.example/a.png?b=1&c=2"}).html
    assert html.count("https://x.example/a.png?b=1&amp;c=2") >= 3
    with pytest.raises(MissingData) as caught:
        compose(template, event={"src": "javascript:alert(1)"})
    assert caught.value.code == "TF321"


@settings(max_examples=60)
@given(name=st.text(max_size=60), url=st.text(max_size=40))
def test_no_value_can_break_out_of_its_place(name: str, url: str) -> None:
    if _is_refused(name, url):
        return
    message = compose(_PROBE[0], traits={"firstName": name}, event={"url": "https://x.example/" + url})
    written = to_mime(message, date=0, message_id_domain="shop.example")
    assert written.count(b"\r\nSubject:") == 1
    assert message.subject == " ".join(message.subject.split())
    assert re.findall(r"</?(?!/?(?:td|tr|tbody|table|div|a|img|body|html)\b)[a-zA-Z]", _body(message.html)) == []
    assert _body(message.html).count("<a ") == 2


def _is_refused(name: str, url: str) -> bool:
    """Whether no mail is made of these at all, for the right reason."""
    try:
        compose(_PROBE[0], traits={"firstName": name}, event={"url": "https://x.example/" + url})
    except MissingData as error:
        return error.code == "TF321"
    return False


_PROBE: list[CompiledTemplate] = []


@pytest.fixture(autouse=True, scope="module")
def _probe(tmp_path_factory: pytest.TempPathFactory) -> None:
    body = '<mj-text>{{ profile.first_name | default: "you" }}</mj-text>' + LINK
    _PROBE.append(
        load(tmp_path_factory.mktemp("probe"), email(body), subject="Hi {{ profile.first_name | default: 'you' }}")
    )


def _body(html: str) -> str:
    return re.sub(r"<!--.*?-->", "", html[html.index("<body") :], flags=re.DOTALL)


def test_subject_and_preheader_are_plain_text_on_one_line(tmp_path: Path) -> None:
    template = load(
        tmp_path,
        email("<mj-text>Hi</mj-text>"),
        subject="{{ event.name | default: 'x' }} & more",
        more="preheader: \"See {{ event.name | default: 'it' }}\"\n",
    )
    message = compose(template, event={"name": "A <b>\r\nBcc: all@example.com\u2028B"})
    assert message.subject == "A <b> Bcc: all@example.com B & more"
    assert "See A &lt;b&gt; Bcc: all@example.com B" in message.html
    assert "<title>\nA &lt;b&gt; Bcc: all@example.com B &amp; more\n</title>" in message.html
    assert len(compose(template, event={"name": "word " * 500}).subject) <= 200


def test_composing_again_gives_the_same_message(tmp_path: Path) -> None:
    template = load(tmp_path, email(LINK))
    assert compose(template, event={"url": "https://x.example/"}) == compose(
        template, event={"url": "https://x.example/"}
    )


def test_an_email_txt_is_used_instead_of_the_text_made_from_the_html(tmp_path: Path) -> None:
    root = write(tmp_path, email(LINK))
    (root / "hello" / "email.txt").write_text(
        "Hello {{ profile.first_name | default: 'you' }} & all\n{{ unsubscribe_url }}\n"
    )
    message = compose(load_templates(root, COMPANY)["hello"])
    assert message.text == "Hello you & all\nhttps://t.example/u?a=1&b=2\n"


def test_what_is_only_for_the_html_stays_out_of_the_text(tmp_path: Path) -> None:
    body = (
        '<mj-text css-class="html-only">logo</mj-text><mj-text><span class="html-only">x<b>y</b></span>Shown</mj-text>'
    )
    message = compose(load(tmp_path, email(body)))
    assert message.text.startswith("Shown\n")
    assert "logo" in message.html


def test_plain_text_reads_as_a_person_would_write_it(tmp_path: Path) -> None:
    body = """<mj-text><h1>Title</h1><p>One &amp; two,<br />three.</p><ul><li>a</li>
      <li>b</li></ul></mj-text><mj-divider /><mj-image src="https://x.example/a.png" alt="A kettle" />
      <mj-text><a href="https://x.example/">https://x.example/</a></mj-text>"""
    text = compose(load(tmp_path, email(body))).text
    assert text == (
        "Title\n\nOne & two,\nthree.\n\n- a\n- b\n\n---\n\n[A kettle]\n\n"
        "https://x.example/\n\nUnsubscribe: https://t.example/u?a=1&b=2\n"
    )


def test_all_problems_of_all_templates_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, email("<mj-txt>a</mj-txt><mj-text colour='red'>b</mj-text>"), name="one", more="clas: marketing\n")
    root = write(tmp_path, email("<mj-text>{{ trait.x }}</mj-text>"), name="two", subject="{{ traits.x | shout }}")
    (root / "two" / "sample.yaml").write_text("traits: [1]\n")
    with pytest.raises(RulebookBroken) as caught:
        load_templates(root, COMPANY)
    told = [problem.render() for problem in caught.value.problems]
    assert [line.splitlines()[0].split("  ")[:2] for line in told] == [
        ["templates/one/email.mjml:3:1", "TF302"],
        ["templates/one/email.mjml:5:39", "TF311"],
        ["templates/one/email.mjml:5:66", "TF312"],
        ["templates/two/email.mjml:2:25", "TF331"],
        ["templates/two/email.mjml:4:51", "TF332"],
        ["templates/two/sample.yaml:1:9", "TF303"],
    ]
    assert told[0].splitlines()[2].strip().endswith('did you mean "class"?')
    assert told[1].splitlines()[2].strip().endswith('did you mean "mj-text"?')


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("class: urgent\n", "TF303"),
        ("from: nobody\n", "TF303"),
        ("reply_to: a@b@c\n", "TF303"),
        ("language: klingon\n", "TF303"),
        ("preheader: 5\n", "TF303"),
        ("purpose: x\npurpose: y\n", "TF2"),
        ("purpose: &a x\ndescription: *a\n", "TF2"),
    ],
)
def test_a_wrong_setting_is_told(tmp_path: Path, more: str, code: str) -> None:
    _, problems = check(tmp_path, email("<mj-text>Hi</mj-text>"), more=more)
    assert problems
    assert all(problem.code.startswith(code) and problem.line > 2 for problem in problems)


def test_a_sample_that_leaves_a_hole_is_told_before_anybody_gets_the_mail(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, email("<mj-text>Dear {{ traits.title }}</mj-text>"))
    assert problem.code == "TF341"
    assert "traits.title" in problem.sentence


def test_a_mail_that_gmail_would_cut_is_a_warning(tmp_path: Path) -> None:
    template, problems = check(tmp_path, email("<mj-text>" + "word " * 25_000 + "</mj-text>"))
    assert ("TF342", True) in [(problem.code, problem.is_warning) for problem in problems]
    assert template is not None


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    root = write(tmp_path, email("<mj-text>Hi</mj-text>"))
    (root / "hello" / "email.mjml").unlink()
    with pytest.raises(RulebookBroken) as caught:
        load_templates(root, COMPANY)
    assert "this file is missing" in caught.value.problems[0].render()
    with pytest.raises(RulebookBroken):
        load_templates(tmp_path / "nothing", COMPANY)


def test_plugins_may_add_filters(tmp_path: Path) -> None:
    root = write(tmp_path, email("<mj-text>{{ 'ana' | shout }}</mj-text>"))
    templates = load_templates(root, COMPANY, filters={"shout": lambda text: f"{text.upper()}!"})
    assert "ANA!" in compose(templates["hello"]).html


def test_a_template_tells_what_it_reads(tmp_path: Path) -> None:
    template = load(
        tmp_path, email(LINK + "{% for p in event.products %}<mj-text>{{ p.name }}</mj-text>{% else %}{% endfor %}")
    )
    assert template.variables == {"event.url", "event.products", "web.home", "unsubscribe_url"}
