"""What became code writes what the nodes write, and an error is told as the nodes tell it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggerfish.adapters import liquid
from triggerfish.adapters.composed import PlainLinks
from triggerfish.render import Fixed

HTML = liquid.environment(is_html=True, filters={}, language="de", currency="EUR")
PLAIN = liquid.environment(is_html=False, filters={}, language="de", currency="EUR")

NAMES = ["traits.name", "traits.none", "event.total", "event.items", "event.items[0].title", "event.url", "item.title",
         "item.price", "forloop.index", "made", "label", "url", "sent_at", "profile"]  # fmt: skip
VALUES = [*NAMES, '"a <b>"', "7", "1.50", "true", "nil"]
FILTERS = ["", "", "", ' | default: "x"', " | default: event.total", " | upcase", " | money", " | date: '%-d %B'",
           " | size", " | escape", " | plus: 1", " | join: ', '", " | default: 'y', allow_false: true"]  # fmt: skip
TESTS = ["{0}", "{0} and {1}", "{0} or {1}", "{0} == {1}", "{0} > 5", "{0} contains 'a'", "{0} != blank"]


@st.composite
def outputs(draw: st.DrawFn) -> str:
    value, filtered = draw(st.sampled_from(VALUES)), draw(st.sampled_from(FILTERS))
    return f"{{{{ {value}{filtered} }}}}"


@st.composite
def conditions(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(TESTS)).format(draw(st.sampled_from(VALUES)), draw(st.sampled_from(VALUES)))


@st.composite
def templates(draw: st.DrawFn, depth: int = 2) -> str:
    kinds = ["text", "output", "output", "if", "with", "for", "assign", "capture", "case", "unless", "link", "blank"]
    written = []
    for _ in range(draw(st.integers(1, 4))):
        inner = draw(templates(depth - 1)) if depth else "."
        match draw(st.sampled_from(kinds)):
            case "text":
                written.append(draw(st.sampled_from(["<p>", " Grüße ", "\n", "a=b"])))
            case "output":
                written.append(draw(outputs()))
            case "if":
                other = draw(st.sampled_from(["", "{% else %}-", f"{{% elsif {draw(conditions())} %}}+"]))
                written.append(f"{{% if {draw(conditions())} %}}{inner}{other}{{% endif %}}")
            case "with":
                value, other = draw(st.sampled_from(VALUES)), draw(st.sampled_from(VALUES))
                form = f"label: {value}, url: {other}, url__instead: {value}"
                written.append(f"{{% with {form} %}}{inner}{{% endwith %}}")
            case "for":
                loop = draw(st.sampled_from(["", "{% break %}", "{% with label: 1 %}{% continue %}{% endwith %}"]))
                written.append(f"{{% for item in event.items %}}{inner}{loop}{{% else %}}none{{% endfor %}}")
            case "assign":
                written.append(
                    f"{{% assign {draw(st.sampled_from(['made', 'label']))} = {draw(st.sampled_from(VALUES))} %}}"
                )
            case "capture":
                written.append(f"{{% capture made %}}{inner}{{% endcapture %}}")
            case "case":
                written.append(
                    f"{{% case {draw(st.sampled_from(VALUES))} %}}{{% when 7 %}}{inner}{{% else %}}e{{% endcase %}}"
                )
            case "unless":
                written.append(f"{{% unless {draw(conditions())} %}}{inner}{{% endunless %}}")
            case "link":
                written.append(f'<a href="{{% {liquid.LINK_TAG} %}}{draw(outputs())}{{% end{liquid.LINK_TAG} %}}">')
            case "blank":
                written.append(f"{{% if {draw(conditions())} %}} {{% assign made = 7 %}} {{% endif %}}")
    return "".join(written)


TEXTS = st.sampled_from(["", " ", "Ana", "<b>&", "https://a.example/x y", "\u202eevil", "7", "a" * 300])
ANY = TEXTS | st.integers(-3, 10**19) | st.floats(allow_nan=True) | st.booleans() | st.none()
ITEMS = st.lists(st.fixed_dictionaries({}, optional={"title": ANY, "price": ANY}), max_size=3)
DATA = st.fixed_dictionaries(
    {"sent_at": st.just(datetime(2026, 1, 1, tzinfo=UTC)), "profile": st.just({"id": "p"})},
    optional={
        "traits": st.fixed_dictionaries({}, optional={"name": ANY}),
        "event": st.fixed_dictionaries({}, optional={"total": ANY, "url": ANY, "items": ITEMS | ANY}),
    },
)


def told(render, data):
    """The text, or the error with its place."""
    try:
        return "".join(render(data, liquid.Sending(PlainLinks(), "https://u.example/")))
    except liquid.LiquidError as error:
        return type(error), str(error.message), error.token and error.token.start_index
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        return type(error), str(error)


@settings(max_examples=250, deadline=None)
@given(source=templates(), data=DATA, is_html=st.booleans())
def test_code_writes_what_the_nodes_write(source, data, is_html):
    by_nodes = told(liquid.parse(HTML if is_html else PLAIN, source)._by_nodes, data)
    template = liquid.parse(HTML if is_html else PLAIN, source)
    assert [told(template.pieces, data) for _ in range(4)] == [by_nodes] * 4
    # Where the nodes come to an end, the code does, too: it must not fall back each time.
    assert template.code is not None
    if isinstance(by_nodes, str):
        assert template._by_code(template.code, data, liquid.Sending(PlainLinks(), "https://u.example/")) is not None


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("a {{ event.none }} b", 2),
        ("a {% with label: event.total %}{{ label | money }}{% endwith %}", 42),
        ("a {% for n in (1..900) %}{% for m in (1..900) %}x{% endfor %}{% endfor %}", 5),
    ],
)
def test_an_error_has_the_same_place_whether_it_is_met_the_first_time_or_later(source, found):
    template = liquid.parse(HTML, source)
    seen = [told(template.pieces, {"event": {"total": "much"}}) for _ in range(4)]
    assert seen == seen[:1] * 4
    assert seen[0][2] == found


def test_a_text_that_becomes_too_long_is_refused_by_code_as_well():
    template = liquid.parse(HTML, "{% for n in (1..1000) %}{{ event.long }}{% endfor %}")
    seen = [told(template.pieces, {"event": {"long": "x" * 2_000}}) for _ in range(4)]
    assert seen == seen[:1] * 4
    assert seen[0][0] is liquid.ResourceLimitError


def test_a_text_that_a_block_is_given_by_the_template_is_one_with_the_text_around_it():
    template = liquid.parse(HTML, "{% with label: 'a & b', label__instead: 'c' %}<p>{{ label }}</p>{% endwith %}")
    rounds = [template.pieces({}, liquid.Sending(PlainLinks(), "")) for _ in range(3)]
    assert ["".join(pieces) for pieces in rounds] == ["<p>a & b</p>"] * 3
    assert len(rounds[2]) == 1


def test_what_stands_in_the_template_comes_out_as_the_same_pieces_each_time():
    template = liquid.parse(HTML, "<p>Hi {% if traits.name %}dear {{ traits.name }}{% endif %}</p>")
    rounds = [template.pieces({"traits": {"name": n}}, liquid.Sending(PlainLinks(), "")) for n in ("A", "B", "C", "D")]
    assert [[str(piece) for piece in pieces] for pieces in rounds] == [
        ["<p>Hi ", "dear ", name, "</p>"] for name in "ABCD"
    ]
    assert all(a is b for a, b in zip(rounds[2], rounds[3], strict=True) if type(a) is Fixed)
    assert [type(piece) is Fixed for piece in rounds[3]] == [True, True, False, True]
