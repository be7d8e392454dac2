"""The starter emails: each renders as its golden file says, and reads well when hardly anything is known.

`UPDATE_GOLDEN=1 pytest tests/render/test_starter_emails.py` writes the golden files anew; look at the difference.
"""

import os
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from render.kit import COMPANY, SeenLinks, compose
from triggerfish.adapters.composed import CompiledTemplate, preview
from triggerfish.adapters.templates import check_templates
from triggerfish.mime import to_mime
from triggerfish.render import Message

REPOSITORY = Path(__file__).parents[2]
GOLDEN = REPOSITORY / "tests" / "golden" / "emails"
NAMES = (
    "browse-abandonment",
    "cart-reminder",
    "cart-vip",
    "payment-help",
    "thank-you",
    "vip-welcome",
    "welcome",
    "win-back",
)


@pytest.fixture(scope="module")
def starters() -> dict[str, CompiledTemplate]:
    templates, problems = check_templates(REPOSITORY / "templates", COMPANY)
    assert [problem.render() for problem in problems] == []
    return templates


def test_the_starters_are_all_there(starters: dict[str, CompiledTemplate]) -> None:
    assert tuple(sorted(starters)) == NAMES


def test_each_template_that_a_rule_sends_exists(starters: dict[str, CompiledTemplate]) -> None:
    rules = "".join(file.read_text() for file in (REPOSITORY / "rules").glob("*.yaml"))
    sent = set(re.findall(r"^\s*- send: (\S+)$", rules, re.MULTILINE))
    assert sent
    assert sent <= set(starters)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["sample", "bare"])
def test_a_starter_renders_as_its_golden_file_says(starters: dict[str, CompiledTemplate], name: str, kind: str) -> None:
    message = preview(starters[name]) if kind == "sample" else compose(starters[name])
    for ending, text in (("html", message.html), ("txt", f"Subject: {message.subject}\n\n{message.text}")):
        file = GOLDEN / f"{name}.{kind}.{ending}"
        if os.environ.get("UPDATE_GOLDEN"):
            file.write_text(text)
        assert text == file.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_with_a_bare_event_the_mail_reads_naturally(starters: dict[str, CompiledTemplate], name: str) -> None:
    message = compose(starters[name], event={"platform": "desktop", "session_id": "sess_000001"})
    for text in (message.subject, message.text, _visible(message)):
        assert not re.search(r"\{[{%]|\bNone\b|\bnil\b|nan| ,| \.(?!\.)|,,|\(\)|  \S+  $", text)
        assert "undefined" not in text.lower()
    assert re.search(r"^(Hi there|Hello),$", message.text, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_a_starter_is_well_made(starters: dict[str, CompiledTemplate], name: str) -> None:
    template = starters[name]
    message = compose(template, traits=template.sample["traits"], event=template.sample["event"])
    assert len(message.html.encode()) < 102_000
    assert 10 <= len(message.subject) <= 60
    assert '<meta name="color-scheme" content="light dark">' in message.html
    assert '<html lang="en"' in message.html
    assert "fonts.googleapis.com" not in message.html
    assert len(re.findall(r"<h1\b", message.html)) == 1
    assert all(" alt=" in image for image in re.findall(r"<img\b[^>]*>", message.html))
    assert "display:none" in message.html.split("</div>")[0]  # the preheader
    assert "1 Reef Street, 12345 Lagoon" in message.text
    assert (name == "payment-help") == (template.class_ == "transactional") == ("Unsubscribe" not in message.text)
    assert _unclosed(message.html) == []


@pytest.mark.parametrize("name", NAMES)
def test_colours_have_contrast_enough_to_be_read(starters: dict[str, CompiledTemplate], name: str) -> None:
    """WCAG 2.2, success criterion 1.4.3: 4.5 to 1, for every pair of letters and ground that the emails use."""
    html = preview(starters[name]).html
    panels = set(re.findall(r"background-color:(#[0-9a-f]{6});margin:0px auto;border-radius:12px 12px 0 0", html))
    assert panels
    pairs = {
        *(("#ffffff", panel) for panel in panels),
        ("#1f2d33", "#ffffff"),
        ("#55646b", "#ffffff"),
        ("#ffffff", "#b93a1c"),
        ("#0f4c5c", "#e3efef"),
        ("#55646b", "#f4f1ea"),
        ("#0f4c5c", "#ffffff"),
    }
    dark = {
        ("#e8eef0", "#1b272c"),
        ("#a9b8be", "#1b272c"),
        ("#8fd0dd", "#1b272c"),
        ("#8fd0dd", "#2b3b42"),
        ("#a9b8be", "#10181b"),
    }
    assert {pair: ratio for pair in pairs | dark if (ratio := _contrast(*pair)) < 4.5} == {}


def test_a_mail_is_composed_quickly(starters: dict[str, CompiledTemplate]) -> None:
    template = starters["thank-you"]
    links = SeenLinks()
    best = 1.0
    for _ in range(30):
        start = time.perf_counter()
        message = compose(template, links, traits=template.sample["traits"], event=template.sample["event"])
        to_mime(message, date=0, message_id_domain="shop.example")
        best = min(best, time.perf_counter() - start)
    assert best < 0.02  # measured about 1 ms; the bound leaves room for a busy machine


def _visible(message: Message) -> str:
    body = re.sub(r"<!--.*?-->|<style.*?</style>", "", message.html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "\n", re.sub(r"</?(?:a|b|span)\b[^>]*>", "", body)))


def _contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two sRGB colours (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img", "br", "hr", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def _unclosed(html: str) -> list[str]:
    balance = _Balance()
    balance.feed(html)
    return [*balance.wrong, *balance.open]
