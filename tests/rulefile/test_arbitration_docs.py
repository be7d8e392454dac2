"""docs/arbitration.md: its example has no warning, and its test passes; its sentences are the engine's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.engine import firing, rounds
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.format import RuleForm
from triggerfish.rulefile.trial import run_trials
from worlds import Facts

PAGE = (Path(__file__).parents[2] / "docs" / "arbitration.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE)
TEMPLATES = {name: Facts() for name in re.findall(r"\bsend: ([\w-]+)", PAGE)} | {
    "news": Facts(variables=frozenset({"also.event.name"}))
}

pytestmark = pytest.mark.docs


def test_the_example_s_test_passes() -> None:
    files = {f"rules/{place}.yaml": block for place, block in enumerate(BLOCKS[:-1])}
    rulebook, warnings = load_rulebook(files, templates=TEMPLATES, matcher=CompiledMatcher)
    assert not warnings
    results = run_trials(
        rulebook, TEMPLATES, {"rules/doc.test.yaml": BLOCKS[-1]}, matcher=CompiledMatcher, new_store=MemoryStateStore
    )
    assert results.is_fine, (results.problems, results.failed)
    assert len(results.results) == 1


def test_every_way_of_losing_is_on_the_page() -> None:
    listed = re.findall(r"(?m)^\| `(\w+)` \| it ", PAGE)
    assert {*listed} - {rounds.WAITS} == {"drop", "defer", "merge"}
    assert rounds.WAITS in listed
    rule = RuleForm(name="x", on="x", then=[])
    assert (rule.losing, rule.defer_at_most) == ("drop", "1 day")
    assert "So it is if nothing is said" in PAGE


def test_the_sentences_on_the_page_are_those_that_are_written_down() -> None:
    sources = "".join((Path(module.__file__ or "")).read_text(encoding="utf-8") for module in (rounds, firing)) + (
        Path(rounds.__file__).parents[1] / "decisions.py"
    ).read_text(encoding="utf-8")
    for said in (
        "deferred: ", ", and would stand back for longer than ", "merged into ",
        "; no template that leaves shows others",
        "rule set priority", "first in the files", "the first of its own", "lost to ",
    ):  # fmt: skip
        assert said in PAGE
        assert said in sources
