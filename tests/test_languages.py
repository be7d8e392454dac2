"""Which language a person's mail is in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.languages import language_of, nearest_language, tag_of


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("de", "de"), ("DE", "de"), ("pt_br", "pt-BR"), ("en_US.UTF-8", "en-US"), ("zh-tw", "zh-Hant-TW"),
        ("zh-hant", "zh-Hant"), ("sr-latn-rs", "sr-Latn-RS"), ("es-419", "es-419"), ("iw", "he"), (" fr ", "fr"),
        ("German", ""), ("", ""), (None, ""), (["de"], ""), ("de\r\nBcc: x", ""), ("de-" * 30, ""), ("x", ""),
    ],
)  # fmt: skip
def test_a_tag_is_read_however_it_is_written(text: object, tag: str) -> None:
    assert tag_of(text) == tag


@pytest.mark.parametrize(
    ("wanted", "available", "chosen"),
    [
        ("pt-BR", ["en", "pt-BR", "pt"], "pt-BR"),
        ("pt-BR", ["en", "pt", "pt-PT"], "pt"),
        ("pt-BR", ["en", "pt-PT"], "pt-PT"),
        ("pt", ["pt-PT", "pt-BR"], "pt-PT"),
        ("de-AT", ["en", "fr"], None),
        ("zh-TW", ["zh-Hans", "zh-Hant"], "zh-Hant"),
        ("zh-HK", ["zh-CN", "zh-TW"], "zh-TW"),
        ("zh", ["zh-Hans"], "zh-Hans"),
        ("EN_gb", ["en-US"], "en-US"),
        ("no", ["nb"], "nb"),
        ("", ["en"], None),
        ("de", [], None),
    ],
)
def test_the_nearest_language_is_chosen(wanted: str, available: list[str], chosen: str | None) -> None:
    assert nearest_language(wanted, available) == chosen


def test_what_a_person_said_comes_before_what_their_device_said() -> None:
    assert language_of({"language": "de", "locale": "fr-FR"}, "en-US") == "de"
    assert language_of({"language": "Deutsch", "locale": "fr-FR"}, "en-US") == "fr-FR"
    assert language_of({"language": 5}, "en-US") == "en-US"
    assert language_of({}, "") == ""


@given(st.text(max_size=80))
def test_reading_a_tag_again_changes_nothing(text: str) -> None:
    assert tag_of(tag_of(text)) == tag_of(text)
    assert tag_of(text).isascii()


@given(st.sampled_from(["en", "pt-BR", "zh-TW", "de-CH", "sr-Latn"]), st.lists(st.sampled_from(["en-US", "pt", "de"])))
def test_what_is_chosen_is_there_and_of_the_same_language(wanted: str, available: list[str]) -> None:
    chosen = nearest_language(wanted, available)
    assert (chosen is None) == (not any(tag[:2] == wanted[:2] for tag in available))
    assert chosen is None or (chosen in available and chosen[:2] == wanted[:2])
