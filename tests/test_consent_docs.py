"""docs/consent.md says what is: its rules load, its tables are the code's, its languages are those of the pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.consent import EVENTS
from triggerfish.instructions import Reason
from triggerfish.machines import BURST_SECONDS, LIKELY_HUMAN
from triggerfish.measure import Results
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.format import PurposeForm
from triggerfish.suppressing import COLUMNS, MOST_LINES
from triggerfish.web.consent import Choice
from triggerfish.web.leaf_words import WORDS
from triggerfish.web.tracking import CONFIRM_WITHIN
from worlds import Facts

PAGE = (Path(__file__).parents[1] / "docs" / "consent.md").read_text(encoding="utf-8")
TEMPLATES = {
    "confirm-newsletter": Facts("transactional", "newsletter"),
    "newsletter-welcome": Facts(purpose="newsletter"),
}

pytestmark = pytest.mark.docs


def blocks(kind: str) -> list[str]:
    return re.findall(rf"(?ms)^```{kind}\n(.*?)^```", PAGE)


def firsts(heading: str) -> list[str]:
    """The first cells of the table with this heading."""
    table = PAGE.split(f"| {heading} |")[1].split("\n\n")[0].splitlines()[2:]
    return [name for line in table for name in re.findall(r"`([^`]+)`", line.split("|")[1])]


def test_the_rules_on_the_page_load_without_a_warning():
    made, warnings = load_rulebook(
        {f"rules/{number}.yaml": text for number, text in enumerate(blocks("yaml"))},
        templates=TEMPLATES, matcher=CompiledMatcher,
    )  # fmt: skip
    assert not warnings
    newsletter = made.policy.purposes["newsletter"]
    assert (newsletter.consent, newsletter.gpc, newsletter.title("de-AT")) == ("double_opt_in", True, "Newsletter")
    (condition,) = re.findall(r'`(count\("Email Opened"\[[^`]+)`', PAGE)
    load_rulebook(
        {"rules/s.yaml": f"segments: [{{name: readers, when: '{condition} > 0'}}]"},
        templates={},
        matcher=CompiledMatcher,
    )


def test_the_body_on_the_page_is_taken():
    (body,) = blocks("json")
    assert msgspec.json.decode(body, type=Choice).purposes == {"newsletter": True, "offers": False}
    fields = {field.encode_name for field in msgspec.structs.fields(Choice)}
    assert set(firsts("field | what")) == fields - {"sentAt", "writeKey"}
    assert json.loads(body).keys() <= fields


def test_the_tables_are_the_code_s():
    assert firsts("key of a purpose | what") == [field.encode_name for field in msgspec.structs.fields(PurposeForm)]
    assert firsts("event | when | properties") == list(EVENTS.values())
    results = {field.name for field in msgspec.structs.fields(Results)}
    assert {"opened", "clicked", "opened_by_any", "clicked_by_any"} <= results & set(re.findall(r"`(\w+)`", PAGE))
    for reason in Reason.__args__:
        assert f"`{reason}`" in PAGE
    section = PAGE.split("## The suppression list")[1]
    assert all(f"`{column}`" in section or f'"{column}"' in section for column in COLUMNS)


def test_the_figures_are_the_code_s():
    assert f"`human` of {LIKELY_HUMAN} or more" in PAGE
    assert BURST_SECONDS == 3
    assert "within three seconds" in PAGE
    assert f"{MOST_LINES:,}" in PAGE
    assert f"{CONFIRM_WITHIN // 86_400_000} days" in PAGE
    told = ["English", "German", "French", "Spanish", "Italian", "Dutch", "Portuguese", "Polish"]
    assert all(language in PAGE for language in told)
    assert len(told) == len(WORDS)
