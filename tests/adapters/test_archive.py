"""Rulebooks of any kept version, loaded on demand and with bounds."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from triggerfish.adapters.archive import KEPT, QUEUED, Archive, read_facts
from triggerfish.adapters.templates import load_templates
from triggerfish.errors import Busy
from worlds import rulebook

REPOSITORY = Path(__file__).parents[2]
BOOK = rulebook("ruleset: r\nrules: [{name: a, on: Add, then: [{send: offer}]}]")


def test_a_version_is_loaded_once_and_the_newest_few_stay():
    loaded = []

    def load(version):
        loaded.append(version)
        return BOOK

    with closing(Archive(load)) as archive:
        for version in ["a", "a", *map(str, range(KEPT)), "a"]:
            assert archive.rulebook(version) is BOOK
    assert loaded == ["a", *map(str, range(KEPT)), "a"]


def test_a_version_that_is_not_kept_is_none():
    with closing(Archive(lambda version: None)) as archive:
        assert archive.rulebook("gone") is None


def test_whoever_asks_does_not_wait_longer_than_the_archives_patience_and_finds_it_later():
    ready = threading.Event()

    def load(version):
        ready.wait(30)
        return BOOK

    with closing(Archive(load, patience_seconds=0.05)) as archive:
        with pytest.raises(Busy, match="still being read"):
            archive.rulebook("slow")
        ready.set()
        found = None
        for _ in range(200):
            try:
                found = archive.rulebook("slow")
                break
            except Busy:
                continue
        assert found is BOOK


def test_only_so_many_wait_to_be_loaded():
    ready = threading.Event()
    with closing(Archive(lambda version: ready.wait(30) and BOOK, patience_seconds=0.01)) as archive:
        for number in range(QUEUED):
            with pytest.raises(Busy, match="still being read"):
                archive.rulebook(str(number))
        with pytest.raises(Busy, match="too many"):
            archive.rulebook("one more")
        ready.set()


def test_a_failure_to_load_is_told_and_tried_again():
    tries = []

    def load(version):
        tries.append(version)
        if len(tries) == 1:
            raise OSError("the disk is away")
        return BOOK

    with closing(Archive(load)) as archive:
        with pytest.raises(OSError, match="away"):
            archive.rulebook("a")
        assert archive.rulebook("a") is BOOK


def test_one_past_at_a_time_is_decided_again():
    with (
        closing(Archive(lambda version: BOOK, patience_seconds=0.01)) as archive,
        archive.turn(),
        pytest.raises(Busy, match="others are asking"),
        archive.turn(),
    ):
        pytest.fail("two at a time")


def test_the_facts_of_templates_are_those_of_the_templates_themselves():
    company = {"name": "Shop", "address": "1 Reef Street", "sender": "Shop <shop@shop.example>"}
    folder = REPOSITORY / "templates"
    whole = {name: (each.class_, each.purpose) for name, each in load_templates(folder, company).items()}
    assert {name: (each.class_, each.purpose) for name, each in read_facts(folder).items()} == whole


def test_a_template_that_shows_others_is_known_by_its_text(tmp_path):
    for name, text in (("shows", "{% for other in also %}x{% endfor %}"), ("does-not", "also {{ traits.also_known }}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "email.mjml").write_text(f"---\nsubject: x\n---\n<mjml>{text}</mjml>")
    assert {name: set(each.variables) for name, each in read_facts(tmp_path).items()} == {
        "shows": {"also"}, "does-not": set(),
    }  # fmt: skip


def test_a_broken_template_is_left_out(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "email.mjml").write_text("---\n[\n---\n")
    assert read_facts(tmp_path) == {}
