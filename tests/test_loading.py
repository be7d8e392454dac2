"""The worker's load: what one leaves, the next one begins with, however that file fares meanwhile."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from running import write_workspace
from triggerfish.compose import Workshop
from triggerfish.config import Settings, load_settings
from triggerfish.errors import RulebookBroken
from triggerfish.processes.loading import Loading
from triggerfish.reads import describe
from triggerfish.rulefile import recall

RULES = """
    ruleset: greeting
    rules:
      - name: hello
        on: identify
        when: count(page) < 3
        then: [send: hello]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    workspace = write_workspace(tmp_path / "shop", {"greeting.yaml": RULES}, hello="marketing")
    made = load_settings(workspace, {})
    made.data_path.mkdir(mode=0o700)
    return made


def load(settings: Settings) -> Workshop:
    loading = Loading(settings, settings.workspace)
    try:
        workshop = loading.load(is_tested=True)
        assert loading.describe(workshop) == describe(workshop.rulebook)
        loading.keep()
    finally:
        gc.unfreeze()
    return workshop


def test_the_second_load_reads_no_rule_file_again(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    first = load(settings)
    kept = settings.load_cache_path.read_bytes()
    monkeypatch.setattr(recall, "decode_file", lambda text, path: pytest.fail(f"{path} is read"))
    assert describe(load(settings).rulebook) == describe(first.rulebook)
    assert settings.load_cache_path.read_bytes() == kept
    assert gc.isenabled()


@pytest.mark.parametrize("damage", [b"", b"nonsense", None], ids=["empty", "nonsense", "gone"])
def test_a_cache_that_is_damaged_is_made_again(settings: Settings, damage: bytes | None):
    first = load(settings)
    kept = settings.load_cache_path.read_bytes()
    if damage is None:
        settings.load_cache_path.unlink()
    else:
        settings.load_cache_path.write_bytes(damage)
    assert describe(load(settings).rulebook) == describe(first.rulebook)
    assert settings.load_cache_path.read_bytes() == kept


def test_a_rulebook_that_is_refused_leaves_the_cache_as_it_was(settings: Settings):
    load(settings)
    kept = settings.load_cache_path.read_bytes()
    path = settings.rules_path / "greeting.yaml"
    path.write_text(path.read_text().replace("count(page)", "cuont(page)"))
    with pytest.raises(RulebookBroken) as caught:
        load(settings)
    assert [(problem.code, problem.path) for problem in caught.value.problems] == [("TF237", "rules/greeting.yaml")]
    assert settings.load_cache_path.read_bytes() == kept
    assert gc.isenabled()
