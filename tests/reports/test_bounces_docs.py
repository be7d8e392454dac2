"""docs/bounces.md says what the code does, and what of the public corpus."""

from __future__ import annotations

import ast
import re
from email import message_from_bytes
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest
from flufl.bounce import all_failures

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.mailroom import _HEARD
from triggerfish.measure import NAMES
from triggerfish.plugin.streams import LONGEST_REST_SECONDS
from triggerfish.reports import LARGEST_REPORT, cause_of, read_mail
from triggerfish.reports.reading import _MOST_MARKS, _MOST_PARTS, _READ
from triggerfish.reports.status import CAUSES
from triggerfish.rulefile.compile import load_rulebook
from triggerfish_mailbox.config import _PORTS, MailboxConfig
from triggerfish_mailbox.mailbox import LARGEST

PAGE = (Path(__file__).parents[2] / "docs" / "bounces.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())
CORPUS = Path(__file__).with_name("flufl_bounce")

pytestmark = pytest.mark.docs


def section(heading: str) -> str:
    return PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def test_the_table_of_causes_is_that_of_the_code() -> None:
    told = {}
    for codes, cause in re.findall(r"(?m)^\| ((?:5\.[\d.x]+(?:, )?)+) \| (\w+) \|", section("Causes")):
        told |= {code.removeprefix("5.").removesuffix(".x"): cause for code in codes.split(", ")}
    assert told == dict(CAUSES) | {"0.0": "unclear"}
    assert cause_of("5.0.0", "") == "unclear"


def test_every_setting_of_the_mailbox_is_there_with_its_default() -> None:
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \| (.+?) \| .+ \|$", section("From a mailbox")))
    fields = {field.name: field for field in msgspec.structs.fields(MailboxConfig)}
    assert rows.keys() == fields.keys()
    for name, shown in rows.items():
        if fields[name].required:
            assert shown == "required"
        elif name == "port":
            assert shown == "by security"
        else:
            assert ast.literal_eval(shown) == fields[name].default
    assert _PORTS == {"tls": 993, "starttls": 143, "none": 143}
    assert "993 for tls, 143 otherwise" in TEXT


def test_the_bounds_are_those_of_the_code() -> None:
    assert LARGEST == LARGEST_REPORT == 1024 * 1024
    assert f"The first {_READ // 1024} KB of a mail are read, of 1 MB that may come in" in TEXT
    assert f"{_MOST_PARTS} nested parts and {_MOST_MARKS:,} in all" in TEXT
    assert LONGEST_REST_SECONDS == 300
    assert "up to five minutes" in TEXT


def test_every_event_that_a_report_becomes_is_in_the_table() -> None:
    events = set(re.findall(r"(?m)^\| .+ \| `([A-Z][\w ]+)`", section("What it becomes")))
    assert events == {NAMES[kind] for kind in _HEARD.values()}


def test_what_is_said_of_the_public_corpus_is_so() -> None:
    files = sorted(CORPUS.glob("*.txt"))
    read = [read_mail(file.read_bytes()) for file in files]
    recognised = sum(any(report.kind in ("bounced", "delayed") for report in mail.reports) for mail in read)
    ours = sum(any(report.is_permanent for report in mail.reports) for mail in read)
    theirs = sum(bool(all_failures(message_from_bytes(file.read_bytes()))[1]) for file in files)
    assert f"Of the {len(files)} mails of its public collection, {recognised} are recognised" in TEXT
    assert f"it takes {theirs} of them for permanent. Here {ours} are" in TEXT


def test_the_rule_about_too_many_bounces_compiles() -> None:
    (rule,) = re.findall(r"(?ms)^```yaml\n(.+?)^```", PAGE)
    rulebook, warnings = load_rulebook({"rules/x.yaml": dedent(rule)}, templates={}, matcher=CompiledMatcher)
    assert [each.name for each in rulebook.rulesets] == ["unreachable"]
    assert not warnings
