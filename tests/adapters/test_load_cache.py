"""The load cache: what comes back is what was written, or nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from triggerfish.adapters import load_cache
from triggerfish.adapters.load_cache import LoadCache


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rulebook.cache"


def test_what_was_written_comes_back(path: Path):
    LoadCache(path).write(b"first")
    LoadCache(path).write(b"known")
    assert LoadCache(path).read() == b"known"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_there_is_nothing_before_the_first_load(path: Path):
    assert LoadCache(path).read() == b""


def test_a_damaged_file_is_as_good_as_none(path: Path):
    LoadCache(path).write(b"known" * 100)
    whole = path.read_bytes()
    for damaged in (b"", whole[:10], whole[:-1], whole + b"x", whole[:-9] + b"X" + whole[-8:], b"x" + whole[1:]):
        path.write_bytes(damaged)
        assert LoadCache(path).read() == b""
    path.write_bytes(whole)
    assert LoadCache(path).read() == b"known" * 100


def test_a_file_of_another_triggerfish_is_as_good_as_none(path: Path, monkeypatch: pytest.MonkeyPatch):
    LoadCache(path).write(b"known")
    monkeypatch.setattr(load_cache, "_maker", lambda: b"another")
    assert LoadCache(path).read() == b""


def test_a_file_that_others_could_have_written_is_as_good_as_none(path: Path):
    LoadCache(path).write(b"known")
    path.chmod(0o620)
    assert LoadCache(path).read() == b""
    path.chmod(0o600)
    real = path.rename(path.with_name("elsewhere"))
    path.symlink_to(real)
    assert LoadCache(path).read() == b""


def test_what_would_be_too_large_is_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch):
    LoadCache(path).write(b"known")
    monkeypatch.setattr(load_cache, "SIZE_LIMIT", 100)
    LoadCache(path).write(b"x" * 100)
    assert not path.exists()


def test_a_disk_that_refuses_is_told_and_nothing_else_happens(path: Path, caplog: pytest.LogCaptureFixture):
    LoadCache(path / "nowhere").write(b"known")
    assert "the next load takes longer" in caplog.text


def test_what_a_load_that_was_killed_left_is_no_hindrance(path: Path):
    path.with_name("rulebook.cache.new").write_bytes(b"half")
    LoadCache(path).write(b"known")
    assert LoadCache(path).read() == b"known"
    assert list(path.parent.iterdir()) == [path]
