"""Feeds as templates declare and read them. Fetching is tried elsewhere: here nothing leaves the process."""

from pathlib import Path
from typing import Any

import pytest

from render.kit import NOW, SeenLinks, check, compose, email, load
from triggerfish.adapters.composed import preview
from triggerfish.errors import MissingData
from triggerfish.render import Address, FeedSpec, template_data
from triggerfish.rulefile.problems import Problem

WEATHER = """
feeds:
  weather:
    url: "https://weather.example/{{ traits.city | downcase }}?l={{ language }}"
    timeout: 1 second
    cache: 1 hour
    largest: 10 KB
    fallback: {temp: 20}
"""
BODY = "<mj-text>{{ feeds.weather.temp }} degrees</mj-text>"


def sent(template: Any, traits: dict[str, Any], feeds: dict[str, Any] | None = None) -> str:
    data = template_data(traits, {}, sent_at=NOW) | ({} if feeds is None else {"feeds": feeds})
    return str(template.compose(send_id="s", data=data, to=Address("a@b.example"), links=SeenLinks()).text)


def told(problems: list[Problem]) -> list[tuple[int, str, bool]]:
    return [(each.line, each.code, each.is_warning) for each in problems if not "TF343" <= each.code <= "TF369"]


def test_what_was_fetched_is_shown_and_the_fallback_where_nothing_was(tmp_path: Path) -> None:
    template = load(tmp_path, email(BODY), more=WEATHER)
    assert template.feeds["weather"] == FeedSpec(
        name="weather", timeout=1_000, lifetime=3_600_000, largest=10_240, fallback={"temp": 20}, has_fallback=True
    )
    assert sent(template, {"city": "Köln"}, {"weather": {"temp": 31}}).startswith("31 degrees")
    assert sent(template, {"city": "Köln"}, {}).startswith("20 degrees")
    assert sent(template, {"city": "Köln"}).startswith("20 degrees")


@pytest.mark.parametrize(
    ("city", "path"),
    [
        ("Köln", "k%C3%B6ln"),
        ("a/../b?x=1#y", "a%2F..%2Fb%3Fx%3D1%23y"),
        ("@evil.example", "%40evil.example"),
        ("\r\nHost: x", "%0Ahost%3A%20x"),
        ("a\ud800\0b", "ab"),
    ],
)
def test_a_value_in_an_address_stays_a_value(tmp_path: Path, city: str, path: str) -> None:
    template = load(tmp_path, email(BODY), more=WEATHER)
    urls = template.feed_urls(template_data({"city": city}, {}, sent_at=NOW))
    assert urls == {"weather": f"https://weather.example/{path}?l=en"}


def test_a_feed_whose_address_needs_what_is_missing_is_not_asked(tmp_path: Path) -> None:
    template = load(tmp_path, email(BODY), more=WEATHER)
    assert template.feed_urls(template_data({}, {}, sent_at=NOW)) == {}
    assert sent(template, {}).startswith("20 degrees")


def test_without_a_fallback_there_is_no_mail(tmp_path: Path) -> None:
    more = WEATHER.replace("    fallback: {temp: 20}\n", "")
    sample = "traits: {city: Bonn}\nfeeds: {weather: {temp: 5}}\n"
    template, problems = check(tmp_path, email(BODY), more=more, sample=sample)
    assert told(problems) == [(5, "TF336", True)]
    assert template is not None
    assert preview(template).text.startswith("5 degrees")
    with pytest.raises(MissingData, match="weather") as caught:
        compose(template)
    assert caught.value.code == "TF328"
    with pytest.raises(MissingData, match=r"traits\.city"):
        template.feed_urls(template_data({}, {}, sent_at=NOW))
    with pytest.raises(MissingData, match=r"feeds\.weather\.temp"):
        sent(template, {"city": "Bonn"}, {"weather": {"humidity": 3}})


@pytest.mark.parametrize(
    ("wrong", "right", "expected"),
    [
        ("https://weather.example/", "https://{{ traits.host }}/", [(6, "TF303", False)]),
        ("https://weather.example/", "https://a{{ traits.host }}.example/", [(6, "TF303", False)]),
        ("https://weather.example/", "https://a@b.example/", [(6, "TF303", False)]),
        ("https://weather.example/", "ftp://weather.example/", [(6, "TF303", False)]),
        ("https://weather.example/", "https://weather.example/{{ trait.x }}", [(6, "TF332", False)]),
        ("https://weather.example/", "https://weather.example/{{ feeds.weather.x }}", [(6, "TF332", False)]),
        ("1 second", "1 minute", [(7, "TF303", False)]),
        ("1 hour", "soon", [(8, "TF303", False)]),
        ("10 KB", "10 GB", [(9, "TF303", False)]),
        ("timeout", "time_out", [(7, "TF302", False)]),
        ("  weather:\n", "  we-ather:\n", [(5, "TF303", False)]),
    ],
)
def test_what_is_wrong_with_a_feed_is_told_at_its_place(
    tmp_path: Path, wrong: str, right: str, expected: list[tuple[int, str, bool]]
) -> None:
    _, problems = check(tmp_path, email("<mj-text>Hi</mj-text>"), more=WEATHER.replace(wrong, right))
    assert told(problems) == expected, "\n".join(each.render() for each in problems)


def test_a_feed_that_is_not_declared_or_not_read_is_told(tmp_path: Path) -> None:
    _, problems = check(tmp_path, email("<mj-text>{{ feeds.wether.temp }}</mj-text>"), more=WEATHER)
    assert [(each.code, each.hint) for each in problems] == [("TF332", 'did you mean "weather"?')]
    _, problems = check(tmp_path, email("<mj-text>Hi</mj-text>"), more=WEATHER)
    assert told(problems) == [(5, "TF336", True)]
