"""The starter workspace: its rulebook loads, and the demo's data comes to what demo/ works out without the server."""

from __future__ import annotations

import gzip
import importlib.util
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from triggerfish import ingest
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.adapters.templates import load_templates
from triggerfish.cli.replay.calls import Call, calls_of
from triggerfish.cli.replay.mapping import load_mapping
from triggerfish.cli.replay.rows import Rows
from triggerfish.engine import Arrival, decide
from triggerfish.profile import claims_of
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.folder import read_folder
from triggerfish.rulefile.problems import Problem
from triggerfish.rules import Rulebook

REPOSITORY = Path(__file__).parents[1]
DEMO = REPOSITORY / "demo"
COMPANY = {"name": "The Demo Shop", "address": "1 Reef Street", "sender": "Demo <hello@shop.example>"}
LATER = 2**42
"""An instant of receipt after all of the data."""

Figures = dict[str, dict[str, int]]


def loaded() -> tuple[Rulebook, list[Problem]]:
    files, problems = read_folder(REPOSITORY / "rules")
    templates = load_templates(REPOSITORY / "templates", COMPANY)
    rulebook, warnings = load_rulebook(files, templates=templates, matcher=CompiledMatcher, channel="outbox")
    return rulebook, [*problems, *warnings]


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return loaded()[0]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Loads a script of demo/ as a module."""
    monkeypatch.syspath_prepend(str(DEMO))

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, DEMO / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    sys.modules.pop("figures", None)


def shortened(packed: Path, to: Path, keeps: Callable[[str], bool]) -> Path:
    """The file with its first line and those lines that are kept."""
    with gzip.open(packed, "rt") as file:
        lines = [next(file), *(line for line in file if keeps(line))]
    to.write_text("".join(lines))
    return to


def decided(rulebook: Rulebook, file: Path, mapping: Path, batch: int) -> Figures:
    """Members per segment and messages per rule once the engine has followed the file's events."""
    store = MemoryStateStore()
    with Rows(file, load_mapping(mapping)) as rows:
        calls = calls_of(rows, rows.mapping)
        while some := list(islice(calls, batch)):
            follow(store, rulebook, some)
    left = Counter(f"{due.ruleset}/{due.rule}" for due in store.sends.values() if due.status == "due")
    return {"segments": Counter(segment for segment, _ in store.memberships), "sends": left}


def follow(store: MemoryStateStore, rulebook: Rulebook, calls: list[Call]) -> None:
    body = b'{"batch":[' + b",".join(call.json for call in calls) + b"]}"
    events = ingest.accept(body, "batch", LATER, new_message_id=str)
    position, until = store.position()
    arrivals = [Arrival(position + place, max(until, event.timestamp), event) for place, event in enumerate(events, 1)]
    now = arrivals[-1].at
    claims = [claim for event in events for claim in claims_of(event)]
    woken = [profile for _, profile in store.agenda(now, len(store.profiles))]
    store.commit(decide(arrivals, store.load(claims, woken), rulebook, now), arrivals[-1].position, now)


def counted(figures: Figures) -> Figures:
    return {name: {key: count for key, count in sorted(part.items()) if count} for name, part in figures.items()}


def test_the_starter_rulebook_loads_with_its_templates_and_without_a_warning() -> None:
    rulebook, warnings = loaded()
    assert not [problem.render() for problem in warnings]
    templates = {send.template for ruleset in rulebook.rulesets for rule in ruleset.rules for send in rule.sends}
    assert templates == {path.parent.name for path in (REPOSITORY / "templates").glob("*/email.mjml")}


def test_every_short_name_of_the_starter_is_an_event_that_rules_can_name(rulebook: Rulebook) -> None:
    assert all(short.isidentifier() for short in rulebook.short_names)


@pytest.mark.parametrize("batch", [97, 500])
def test_a_fifth_of_the_shop_comes_to_what_was_worked_out_apart(
    rulebook: Rulebook, check: Any, tmp_path: Path, batch: int
) -> None:
    script = check("check_ecom")
    file = shortened(DEMO / "ecom.csv.gz", tmp_path / "ecom.csv", lambda line: int(line[5:9]) % 5 == 0)
    expected = script.figures(script.people(file))
    assert sum(expected["sends"].values()) > 300
    assert counted(decided(rulebook, file, DEMO / "ecom.mapping.yaml", batch)) == expected


def test_a_twentieth_of_the_purchases_comes_to_what_was_worked_out_apart(
    rulebook: Rulebook, check: Any, tmp_path: Path
) -> None:
    script = check("check_cdnow")
    file = shortened(DEMO / "cdnow.txt.gz", tmp_path / "cdnow.txt", lambda line: int(line.split()[0]) % 20 == 0)
    expected = script.figures(script.people(file))
    assert expected["sends"]["win-back/missed"] > 100
    assert counted(decided(rulebook, file, DEMO / "cdnow.mapping.yaml", 500)) == expected


def test_a_figure_that_differs_by_one_is_pointed_at(check: Any) -> None:
    script = check("compare")
    lines, wrong = script.differences({"a": 2, "b": 1}, {"a": 2, "c": 1}, "rule")
    assert wrong == 2
    assert ["differs" in line for line in lines] == [False, False, True, True]


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "file"), [("ecom", "ecom.csv.gz"), ("cdnow", "cdnow.txt.gz")])
def test_all_of_the_data_comes_to_what_was_worked_out_apart(
    rulebook: Rulebook, check: Any, name: str, file: str
) -> None:
    script = check(f"check_{name}")
    found = decided(rulebook, DEMO / file, DEMO / f"{name}.mapping.yaml", 500)
    assert counted(found) == script.figures(script.people())
