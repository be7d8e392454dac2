"""What one rendering may use is bounded, and a value that is missing is said, never left as a hole."""

import time
from pathlib import Path
from typing import Any

import pytest

from render.kit import UNSUBSCRIBE, compose, email, load
from triggerfish.adapters import liquid
from triggerfish.adapters.composed import PlainLinks
from triggerfish.errors import MissingData


def write(
    source: str, data: dict[str, Any] | None = None, *, is_html: bool = True, language: str = "en",
    is_coded: bool = False,
) -> str:  # fmt: skip
    environment = liquid.environment(is_html=is_html, filters={}, language=language, currency="EUR")
    sending = liquid.Sending(PlainLinks(), "https://u.example/u")
    template = liquid.parse(environment, source)
    template.code = template.write_code(template) if is_coded else None
    return template.write(data or {}, sending)


@pytest.mark.parametrize("is_coded", [False, True], ids=["nodes", "code"])
@pytest.mark.parametrize(
    "source",
    [
        "{{ (1..300000000) | join }}",
        "{% assign r = (1..300000000) %}{{ r | size }}",
        "{% for i in (1..300000000) %}x{% endfor %}",
        "{% for i in (1..300000000) reversed %}x{% endfor %}",
        '{% if (1..300000000) contains "a" %}x{% endif %}',
        "{{ list | concat: (1..300000000) }}",
        "{% for i in (1..n) %}x{% endfor %}",
        "{% for i in (1..900) %}{% for j in (1..900) %}x{% endfor %}{% endfor %}",
        "{% for i in list %}{% for j in list %}{% for k in list %}x{% endfor %}{% endfor %}{% endfor %}",
        '{% assign s = "x" %}{% for i in (1..60) %}{% assign s = s | append: s %}{% endfor %}{{ s }}',
        '{% assign s = "aaaaaaaaaa" %}{% for i in (1..20) %}{% assign s = s | replace: "a", s %}{% endfor %}{{ s }}',
        "{% assign n = 9 %}{% for i in (1..60) %}{% assign n = n | times: n %}{% endfor %}{{ n }}",
        "{% for i in (1..900) %}{{ long }}{% endfor %}",
        "{% for i in (1..900) %}{% capture s %}{{ s }}{{ long }}{% endcapture %}{% endfor %}",
        '{{ long | split: "" | join: long }}',
        '{{ "" | date: "%999999999d" }}',
        '{{ 0 | date: "%999999999d" }}',
    ],
)  # fmt: skip
def test_what_would_grow_without_end_is_refused_quickly(source: str, is_coded: bool) -> None:
    start = time.process_time()
    with pytest.raises(liquid.LiquidError):
        write(source, {"list": [*range(50)], "n": 10**9, "long": "x" * 5_000}, is_coded=is_coded)
    assert time.process_time() - start < 3


def test_slow_work_ends_at_the_deadline() -> None:
    environment = liquid.environment(is_html=True, filters={}, language="en", currency="EUR")
    body = "{% for i in (1..100) %}{% for j in (1..100) %}{% if list contains j %}{% endif %}{% endfor %}{% endfor %}"
    template = liquid.parse(environment, body * 20)
    sending = liquid.Sending(PlainLinks(), "https://u.example/u", liquid.Limits(seconds=0.1))
    start = time.process_time()
    template.code = template.write_code(template)
    with pytest.raises(liquid.ResourceLimitError, match="too long"):
        template.write({"list": ["x"] * 5_000}, sending)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("source", ['{{ "now" | date: "%Y" }}', "{{ now }}", "{{ today }}"])
def test_no_template_reads_the_clock(source: str) -> None:
    with pytest.raises(liquid.LiquidError):
        write(source)


@pytest.mark.parametrize("tag", ['{% include "x" %}', '{% render "x" %}', "{% tablerow i in l %}{% endtablerow %}"])
def test_tags_that_read_files_or_cannot_be_bounded_do_not_exist(tag: str) -> None:
    with pytest.raises(liquid.LiquidError):
        write(tag)


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("{{ traits.a }}", "traits.a"),
        ("{{ traits.a.b }}", "traits.a.b"),
        ("{{ traits.spaces }}", "traits.spaces"),
        ("{{ traits.nothing }}", "traits.nothing"),
        ("{{ traits.a | upcase }}", "traits.a"),
        ("{{ traits.a | money }}", "traits.a"),
        ('{{ "x" | append: traits.a }}', "traits.a"),
        ("{% assign x = traits.a %}{{ x }}", "traits.a"),
        ("{% for p in event.products %}x{% endfor %}", "event.products"),
        ("{% for p in traits.list %}{{ p.name }}{% endfor %}", "p.name"),
        ("{% echo traits.a %}", "traits.a"),
        ("{{ traits.none | first }}", "traits.none | first"),
        ("{% with label: traits.a %}{{ label }}{% endwith %}", "traits.a"),
    ],
)
def test_a_missing_value_is_named(source: str, missing: str) -> None:
    data = {"traits": {"spaces": "  ", "nothing": None, "list": [{"name": ""}], "none": []}, "event": {}}
    with pytest.raises(liquid.MissingValue) as caught:
        write(source, data)
    assert caught.value.variable == missing


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ('{{ traits.a | default: "you" }}', "you"),
        ('{{ traits.spaces | default: "you" }}', "you"),
        ('{{ traits.a | capitalize | default: "you" }}', "you"),
        ('{{ traits.a | default: traits.b | default: "you" }}', "you"),
        ('{{ traits.a | default: "" }}', ""),
        ("{% if traits.a %}x{% endif %}", ""),
        ("{% if traits.spaces %}x{% else %}y{% endif %}", "y"),
        ("{% unless traits.a %}y{% endunless %}", "y"),
        ("{% if traits.a == nil %}y{% endif %}", "y"),
        ("{% if traits.a > 5 or traits.a < 5 %}x{% else %}y{% endif %}", "y"),
        ("{% if traits.two > 1.5 %}x{% else %}y{% endif %}", "y"),
        ("{% if traits.a contains 'x' %}x{% else %}y{% endif %}", "y"),
        ("{% for p in traits.a %}x{% else %}none{% endfor %}", "none"),
        ("{{ traits.a | size }}", "0"),
        ("{{ traits.zero }} {{ traits.no }}", "0 false"),
    ],
)
def test_a_fallback_or_a_guard_is_enough(source: str, wanted: str) -> None:
    assert write(source, {"traits": {"spaces": " ", "two": "2", "zero": 0, "no": False}}) == wanted


@pytest.mark.parametrize("source", ["{{ event }}", "{{ event.products }}", "{{ event.products | where: 'a', 1 }}"])
def test_a_structure_is_never_printed(source: str) -> None:
    with pytest.raises(liquid.WrongValue):
        write(source, {"event": {"products": [{"a": 1}]}})


@pytest.mark.parametrize(
    "source",
    [
        "{{ v }}",
        "{{ v | upcase }}",
        '{{ v | append: "<i>" }}',
        '{{ "<i>" | append: v }}',
        '{{ v | replace: "x", "<b>" }}',
        "{{ v | escape | escape_once }}",
        "{{ v | newline_to_br }}",
        "{{ v | strip_newlines }}",
        "{{ v | url_encode | url_decode }}",
        "{{ v | base64_encode | base64_decode }}",
        "{{ list | join: v }}",
        "{{ list }}",
        "{{ v | truncate: 30 }}",
        "{% capture c %}{{ v }}{% endcapture %}{{ c }}",
    ],
)
def test_no_data_becomes_html(source: str) -> None:
    evil = "<script>alert(1)</script>"
    written = write(source, {"v": evil, "list": [evil, evil]})
    assert "<script" not in written.lower()
    assert "script" in written.lower()


def test_there_is_no_way_to_mark_data_as_safe() -> None:
    with pytest.raises(liquid.LiquidError, match="unknown filter"):
        write("{{ v | safe }}", {"v": "<b>"})


def test_plain_text_is_not_escaped() -> None:
    assert write("{{ v }} {{ v | escape }}", {"v": "A & B <c>"}, is_html=False) == "A & B <c> A & B <c>"


@pytest.mark.parametrize(
    ("value", "code", "language", "wanted"),
    [
        (49.9, None, "en", "€49.90"),
        ("1234.5", "USD", "en", "$1,234.50"),
        (1234.5, "eur", "de", "1.234,50\xa0€"),
        (500, "JPY", "en", "¥500"),
        (1, "no currency", "en", "€1.00"),
    ],
)
def test_money_is_written_as_the_language_does(value: object, code: object, language: str, wanted: str) -> None:
    assert write("{{ v | money: code }}", {"v": value, "code": code}, language=language) == wanted


@pytest.mark.parametrize("value", ["free", True, [1], float("nan"), "1e400", 10**30])
def test_money_of_what_is_no_amount_is_refused(value: object) -> None:
    with pytest.raises(liquid.LiquidError):
        write("{{ v | money }}", {"v": value})


@pytest.mark.parametrize(
    ("source", "language", "wanted"),
    [
        ("{{ v | date }}", "en", "1 March 2026"),
        ("{{ v | date: '%A, %-d. %B' }}", "de", "Sonntag, 1. März"),
        ("{{ v | date: '%H:%M %a %b' }}", "en", "23:30 Sun Mar"),
        ("{{ v | date: '%-d %B %H:%M', 'Asia/Tokyo' }}", "en", "2 March 08:30"),
        ("{{ v | date: '%-d %B', 'No/Where' }}", "en", "1 March"),
        ("{{ 1772407800 | date: '%Y-%m-%d' }}", "en", "2026-03-01"),
        ("{{ 1772407800000 | date: '%Y-%m-%d' }}", "en", "2026-03-01"),
    ],
)
def test_dates_are_written_in_a_zone_and_a_language(source: str, language: str, wanted: str) -> None:
    assert write(source, {"v": "2026-03-01T23:30:00Z"}, language=language) == wanted


def test_missing_data_names_value_template_and_line(tmp_path: Path) -> None:
    block = '<mj-text>\n  For {{ who }}</mj-text>\n{% render "blocks/inner.mjml", what: who %}'
    template = load(
        tmp_path,
        email('\n{% render "blocks/outer.mjml", who: traits.pet %}\n', footer=UNSUBSCRIBE),
        blocks={"outer.mjml": block, "inner.mjml": "<mj-text>{{ what }}</mj-text>"},
        sample="traits: {pet: Rex}",
    )
    with pytest.raises(MissingData) as caught:
        compose(template)
    assert caught.value.code == "TF320"
    assert caught.value.sentence == (
        'template "hello" needs traits.pet, which is missing (templates/blocks/outer.mjml:2:7)'
    )
    assert 'default: "…"' in caught.value.hint
