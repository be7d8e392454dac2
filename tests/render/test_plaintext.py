"""The plain text made of an email: what a person would have written."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render.kit import compose, email, load
from triggerfish.adapters.composed import PlainLinks
from triggerfish.adapters.tidying import _piece_by_piece, tidied, tidy
from triggerfish.render import Fixed

FOOTER = '<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>'
END = "\n\nUnsubscribe: https://triggerfish.invalid/unsubscribe\n"
EVENT = {"items": ["kettle", "lamp"], "name": "Moss Kettle", "url": "https://shop.example/k", "price": 39}
SAMPLE = "event: {items: [a], name: b, url: 'https://shop.example/', price: 1}\n"

CASES = {
    "a picture, a title and a button to one place": (
        """<mj-image src="https://x.example/a.png" alt="A kettle" href="https://x.example/k" />
        <mj-text><h2><a href="https://x.example/k">Moss Kettle</a></h2><p>Enamel, 1.5 l.<br/>€39</p></mj-text>
        <mj-button href="https://x.example/k">Shop now →</mj-button>""",
        "[A kettle]\n\nMoss Kettle\n\nEnamel, 1.5 l.\n€39\n\nShop now:\nhttps://x.example/k",
    ),
    "links to one place on two ways of a condition": (
        """<mj-text>{% if event.b %}<a href="https://x.example/">A</a>{% else %}
        <a href="https://x.example/">B</a>{% endif %}</mj-text>""",
        "B: https://x.example/",
    ),
    "a picture that only decorates": (
        '<mj-image src="https://x.example/a.png" alt="" /><mj-text>Hello</mj-text>',
        "Hello",
    ),
    "a table of products": (
        """<mj-table>{% for item in event.items %}<tr><td><img src="https://x.example/a.png" alt="" width="9" /></td>
        <td><a href="https://x.example/{{ item }}">{{ item | capitalize }}</a><div>Lagoon</div><div>Quantity 2</div>
        </td><td>{{ event.price | money }}</td></tr>{% else %}{% endfor %}
        <tr><td></td><td>Total</td><td>{{ event.price | times: 2 | money }}</td></tr></mj-table>""",
        """Kettle  €39.00\nLagoon\nQuantity 2\nhttps://x.example/kettle

Lamp  €39.00\nLagoon\nQuantity 2\nhttps://x.example/lamp

Total  €78.00""",
    ),
    "a product that has no page": (
        """<mj-table><tr><td>{% if event.page %}<a href="{{ event.page }}">{{ event.name }}</a>{% else %}
        <b>{{ event.name }}</b>{% endif %}</td><td>{{ event.price | money }}</td></tr></mj-table>""",
        "Moss Kettle  €39.00",
    ),
    "a table of plain rows": (
        "<mj-table><tr><th>Item</th><th>Price</th></tr><tr><td>Kettle</td><td>€39</td></tr></mj-table>",
        "Item  Price\nKettle  €39",
    ),
    "a table that only lays out": (
        """<mj-text><table><tr><td><h3>New</h3><p>Much has come in.</p><a href="https://x.example/n">See</a></td>
        <td><h3>Old</h3><p>Your orders.</p><a href="https://x.example/o">Look</a></td></tr></table></mj-text>""",
        "New\nMuch has come in.\nSee: https://x.example/n\n\nOld\nYour orders.\nLook: https://x.example/o",
    ),
    "a numbered list": (
        """<mj-text><ol><li>One</li><li>See <a href="https://x.example/">here</a>.</li>
        <li><a href="https://x.example/3">Three</a></li></ol></mj-text>""",
        "1. One\n2. See here (https://x.example/).\n3. Three: https://x.example/3",
    ),
    "a list whose length is known at the send": (
        "<mj-text><ol>{% for item in event.items %}<li>{{ item }}</li>{% else %}{% endfor %}</ol></mj-text>",
        "- kettle\n- lamp",
    ),
    "rules that divide nothing": (
        "<mj-divider/><mj-divider/><mj-text>Hello</mj-text><mj-divider/><mj-divider/><mj-text>Bye</mj-text>",
        "Hello\n\n---\n\nBye",
    ),
    "a line that a condition leaves out": (
        "<mj-text>One<br/>{% if event.b %}Two<br/>{% endif %}Three<br/>{% if event.name %}Four{% endif %}</mj-text>",
        "One\nThree\nFour",
    ),
    "an arrow before an address": ('<mj-text><a href="https://x.example/">More &rarr;</a></mj-text>', "More: https://x.example/"),
    "a button whose words are marked up": (
        '<mj-button href="https://x.example/"><i>Shop now &rarr;</i></mj-button>',
        "Shop now:\nhttps://x.example/",
    ),
    "blanks that do not break beside others": (
        """<mj-text><a href="https://x.example/a">A</a>
        &nbsp;·&nbsp; <a href="https://x.example/b">B</a> &nbsp; C</mj-text>""",
        "A (https://x.example/a) · B (https://x.example/b) C",
    ),
    "a link in a sentence": (
        '<mj-text>Have a <a href="https://x.example/">look</a>, please.</mj-text>',
        "Have a look (https://x.example/), please.",
    ),
    "a link whose words are its address": (
        '<mj-text>Write to <a href="mailto:a@x.example">a@x.example</a>.</mj-text>',
        "Write to a@x.example.",
    ),
    "links that lead to somebody, or up the page": (
        """<mj-text><a href="mailto:a@x.example?subject=Hi">Write</a> or <a href="tel:+49123">call</a>.<br/>
        <a href="#top">Up</a></mj-text>""",
        "Write (a@x.example) or call (+49123).\nUp",
    ),
    "social links, named or not": (
        """<mj-social><mj-social-element name="github-noshare" href="https://x.example/g">GitHub</mj-social-element>
        <mj-social-element name="web-noshare" href="https://x.example/w"></mj-social-element></mj-social>""",
        "GitHub: https://x.example/g\n\nhttps://x.example/w",
    ),
    "a bar of links with a base": (
        """<mj-navbar base-url="https://x.example"><mj-navbar-link href="/a">A</mj-navbar-link>
        <mj-navbar-link href="/b">B</mj-navbar-link></mj-navbar>""",
        "A: https://x.example/a\n\nB: https://x.example/b",
    ),
    "questions and answers": (
        """<mj-accordion><mj-accordion-element><mj-accordion-title>Why?</mj-accordion-title>
        <mj-accordion-text>Because.</mj-accordion-text></mj-accordion-element></mj-accordion>""",
        "Why?\n\nBecause.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_text_is_what_a_person_would_write(tmp_path: Path, name: str) -> None:
    body, text = CASES[name]
    template = load(tmp_path, email(body, footer=FOOTER), sample=SAMPLE)
    assert compose(template, PlainLinks(), event=EVENT).text == text + END


LETTERS = "ab \n\t\r\x02\x1c\x1d\x1e\xa0-\u200b"


@given(st.text(alphabet=LETTERS, max_size=60))
def test_whatever_is_tidied_stays_tidy_and_loses_no_word(text: str) -> None:
    tidied = tidy(text)
    assert "\n\n\n" not in tidied
    assert tidied.endswith("\n")
    assert not any(line != line.strip() for line in tidied.split("\n"))
    assert not set(tidied) & set("\t\r\x02\x1c\x1d\x1e\xa0")
    kept = [letter for letter in text if letter in "ab"]
    assert sorted(letter for letter in tidied if letter in "ab") == sorted(kept)


PIECES = st.lists(st.tuples(st.text(alphabet=LETTERS, max_size=12), st.booleans()), max_size=8)


@settings(max_examples=300, deadline=None)
@given(PIECES)
def test_a_text_in_pieces_is_tidied_as_the_whole_is(found: list[tuple[str, bool]]) -> None:
    pieces = [Fixed(text) if is_fixed else text for text, is_fixed in found]
    whole = tidy("".join(pieces))
    assert [tidied(pieces) for _ in range(2)] == [whole] * 2  # the second time with what was kept of the first


def test_the_rows_of_a_table_are_laid_out_around_values_piece_by_piece() -> None:
    words = [
        "Hi \n\n\n ",
        "Ana",
        ",\n\x1eone \t ",
        "7",
        "\x1c(\x02",
        "https://a.example/",
        "\x02)\x1e two\t8\x1e \n\n\n end",
    ]
    pieces = [text if at % 2 else Fixed(text) for at, text in enumerate(words)]
    assert tidied(pieces) == tidy("".join(pieces))
    assert "".join(_piece_by_piece(pieces) or ()) == tidy("".join(pieces)).strip()
