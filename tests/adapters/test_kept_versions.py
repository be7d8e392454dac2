"""Versions of the rulebook on disk."""

import threading

import pytest

from triggerfish.adapters import versions
from triggerfish.adapters.source_files import version_of
from triggerfish.adapters.versions import KeptVersions, live_at

ONE = {"rules/a.yaml": b"ruleset: a\n", "rules/a.test.yaml": b"tests: []\n", "templates/x/email.mjml": b"<mjml/>"}
TWO = ONE | {"rules/a.yaml": b"ruleset: b\nrules:\n  - name: j\n    in_flight: pin\n", "rules/eu.txt": b"DE\nFR\n"}


@pytest.fixture
def kept(tmp_path):
    return KeptVersions(tmp_path / "rulebooks")


def at(minute: int) -> str:
    return f"2026-01-01T00:{minute:02}:00.000Z"


def test_a_version_is_kept_with_its_files_and_what_is_known_of_it(kept):
    version = kept.keep(ONE, "start", at(1))
    assert kept.all() == [version]
    assert (version.version, version.by, version.first_at, version.loaded_at) == (
        version_of(ONE),
        "start",
        at(1),
        at(1),
    )
    assert set(version.files) == set(ONE)
    assert kept.read(version) == ONE
    assert kept.path(version.version).joinpath("rules", "a.yaml").read_bytes() == ONE["rules/a.yaml"]


def test_what_comes_back_keeps_its_place_and_says_how_it_came(kept):
    kept.keep(ONE, "start", at(1))
    kept.keep(TWO, "reload", at(2))
    again = kept.keep(ONE, "reload", at(3))
    assert (again.by, again.first_at, again.loaded_at) == ("rollback", at(1), at(3))
    assert [each.version for each in kept.all()] == [version_of(ONE), version_of(TWO)]


def test_what_a_rollback_replaced_becomes_live_like_anything_else(kept):
    assert kept.keep(TWO, "replaced", at(1)).first_at == ""
    assert kept.keep(TWO, "replaced", at(2)).by == "replaced"
    live = kept.keep(TWO, "reload", at(3))
    assert (live.first_at, live.by) == (at(3), "reload")
    assert kept.known(live.version) == live


def test_of_pinned_versions_there_is_what_their_journeys_are_made_of(kept):
    plain = {"rules/plain.yaml": b"ruleset: p\n", "rules/s.yaml": b"segments: []\n"}
    kept.keep(ONE, "start", at(1))
    kept.keep(TWO | plain, "reload", at(2))
    kept.keep(TWO | {"rules/p.yaml": b"{in_flight: pin}"}, "reload", at(3))
    newest, older = kept.pinned()
    assert newest["rules/p.yaml"] == "{in_flight: pin}"
    assert set(older) == {"rules/a.yaml", "rules/eu.txt", "rules/s.yaml"}


def test_versions_whose_journeys_are_the_same_count_once(kept, monkeypatch):
    for number in range(4):
        kept.keep(TWO | {"rules/other.yaml": b"ruleset: o%d" % number}, "reload", at(number))
    assert len(kept.pinned()) == 1
    monkeypatch.setattr(versions, "PINNED_LIMIT", 2)
    for number in range(4):
        kept.keep(TWO | {"rules/eu.txt": b"%d" % number}, "reload", at(10 + number))
    assert [each["rules/eu.txt"] for each in kept.pinned()] == ["3", "2"]


def test_more_than_enough_versions_are_forgotten(kept, monkeypatch):
    monkeypatch.setattr("triggerfish.versions.KEEP", 2)
    for number in range(5):
        kept.keep(ONE | {"rules/n.yaml": str(number).encode()}, "reload", at(number))
    assert [each.loaded_at for each in kept.all()] == [at(4), at(3)]


def test_what_cannot_be_read_is_passed_over(kept, caplog):
    version = kept.keep(ONE, "start", at(1))
    for name, text in (("0" * 12, "{"), ("no-version", "{}"), ("1" * 12, '{"version": 3}')):
        (kept.folder / name).mkdir()
        (kept.folder / name / versions.META).write_text(text)
    assert kept.all() == [version]
    assert caplog.text.count("is passed over") == 2


def test_a_half_written_version_is_none(kept):
    half = kept.folder / f".{version_of(ONE)}.new"
    half.mkdir(parents=True)
    (half / "stray").write_text("x")
    assert kept.all() == []
    kept.keep(ONE, "start", at(1))
    assert not half.exists()


def test_who_holds_the_versions_keeps_others_out_for_a_while(kept, monkeypatch, caplog):
    order = []

    def wait():
        with kept.hold():
            order.append("second")

    with kept.hold():
        other = threading.Thread(target=wait)
        other.start()
        other.join(0.1)
        order.append("first")
    other.join()
    assert order == ["first", "second"]
    monkeypatch.setattr(versions, "PATIENCE_SECONDS", 0.05)
    with kept.hold(), kept.hold():
        pass
    assert "is held by another process for long" in caplog.text


def test_before_anything_was_live_nothing_is_noted(tmp_path):
    path = tmp_path / "rulebook.json"
    assert live_at(path).state == "none"
    path.write_text('{"state": "broken", "version": "a", "refused": "b", "segments": []}')
    assert (live_at(path).state, live_at(path).version, live_at(path).refused) == ("broken", "a", "b")
