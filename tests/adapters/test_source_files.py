"""The files of a rulebook: read within bounds, named by their content, put back."""

import os

import pytest

from triggerfish.adapters import source_files
from triggerfish.adapters.source_files import (
    SourcesUnfit,
    read_sources,
    replace_sources,
    stamp,
    version_of,
    write_sources,
)

FILES = {"rules/a.yaml": b"a", "rules/more/b.yaml": b"b", "templates/hello/email.mjml": b"<mjml/>"}


@pytest.fixture
def root(tmp_path):
    write_sources(tmp_path, FILES)
    return tmp_path


def test_what_is_written_is_read_again(root):
    assert read_sources(root) == FILES


def test_what_is_hidden_or_put_down_by_an_editor_is_no_source(root):
    for name in (".a.yaml.swp", "a.yaml~", "#a.yaml#", ".git/config", "b.tmp"):
        path = root / "rules" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    assert read_sources(root) == FILES
    (root / "triggerfish.toml").write_text("[keys]")
    assert read_sources(root) == FILES


def test_a_version_is_named_by_the_content_and_the_paths_alone(root, tmp_path):
    before = version_of(read_sources(root))
    other = tmp_path / "other"
    write_sources(other, dict(reversed(FILES.items())))
    assert version_of(read_sources(other)) == before
    assert version_of(FILES | {"rules/a.yaml": b"b"}) != before
    assert version_of({"rules/c.yaml": b"a", **{k: v for k, v in FILES.items() if k != "rules/a.yaml"}}) != before
    assert version_of({"rules/a": b"b\0c"}) != version_of({"rules/a\0b": b"c"})


def test_a_link_that_leads_out_of_the_folder_is_refused(root, tmp_path):
    secret = tmp_path / "secret.yaml"
    secret.write_text("key: 1")
    (root / "rules" / "x.yaml").symlink_to(secret)
    with pytest.raises(SourcesUnfit, match=r"rules/x\.yaml is a link to a file elsewhere"):
        read_sources(root)
    (root / "rules" / "x.yaml").unlink()
    (root / "rules" / "x.yaml").symlink_to("/dev/zero")
    with pytest.raises(SourcesUnfit, match="elsewhere"):
        read_sources(root)


def test_links_within_the_folder_are_read_as_what_they_lead_to(root):
    (root / "rules" / "..data").mkdir()
    (root / "rules" / "..data" / "c.yaml").write_bytes(b"c")
    (root / "rules" / "c.yaml").symlink_to("..data/c.yaml")
    assert read_sources(root) == FILES | {"rules/c.yaml": b"c"}


def test_the_folder_itself_may_be_a_link_and_folders_in_it_are_not_followed(root, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (root / "rules").rename(elsewhere)
    (root / "rules").symlink_to(elsewhere)
    (elsewhere / "loop").symlink_to(elsewhere)
    assert read_sources(root) == FILES


def test_a_pipe_or_a_link_to_nowhere_is_refused_and_not_waited_for(root):
    os.mkfifo(root / "rules" / "pipe.yaml")
    with pytest.raises(SourcesUnfit, match="no ordinary file"):
        read_sources(root)
    (root / "rules" / "pipe.yaml").unlink()
    (root / "rules" / "gone.yaml").symlink_to(root / "rules" / "nowhere.yaml")
    with pytest.raises(SourcesUnfit, match="leads nowhere"):
        read_sources(root)


def test_too_many_files_too_much_and_too_deep_are_refused(root, monkeypatch):
    monkeypatch.setattr(source_files, "BYTES_LIMIT", 8)
    with pytest.raises(SourcesUnfit, match="hold more than"):
        read_sources(root)
    monkeypatch.undo()
    monkeypatch.setattr(source_files, "FILE_LIMIT", 2)
    with pytest.raises(SourcesUnfit, match="more than 2 files"):
        read_sources(root)
    monkeypatch.undo()
    deep = root / "rules"
    for _ in range(source_files.DEPTH_LIMIT + 1):
        deep = deep / "d"
    deep.mkdir(parents=True)
    with pytest.raises(SourcesUnfit, match="folders deep"):
        read_sources(root)


def test_a_stamp_tells_a_changed_file_and_says_why_there_is_none(root):
    before = stamp(root)
    assert stamp(root) == before
    (root / "rules" / "a.yaml").write_bytes(b"A")
    assert stamp(root) != before
    (root / "rules" / "x.yaml").symlink_to("/etc/hostname")
    assert stamp(root) == "rules/x.yaml is a link to a file elsewhere"


def test_putting_files_back_writes_what_differs_and_deletes_the_rest(root):
    (root / "rules" / "a.yaml").write_bytes(b"changed")
    (root / "rules" / "a.yaml").chmod(0o640)
    (root / "rules" / "deep" / "er").mkdir(parents=True)
    (root / "rules" / "deep" / "er" / "new.yaml").write_bytes(b"new")
    untouched = (root / "rules" / "more" / "b.yaml").stat().st_ino
    (root / "templates" / "hello" / "email.mjml").unlink()
    written, deleted = replace_sources(root, FILES)
    assert written == ["rules/a.yaml", "templates/hello/email.mjml"]
    assert deleted == ["rules/deep/er/new.yaml"]
    assert read_sources(root) == FILES
    assert not (root / "rules" / "deep").exists()
    assert (root / "rules" / "more" / "b.yaml").stat().st_ino == untouched
    assert (root / "rules" / "a.yaml").stat().st_mode & 0o777 == 0o640
    assert replace_sources(root, FILES) == ([], [])


def test_nothing_is_written_through_a_link_to_a_folder(root, tmp_path):
    outside = tmp_path / "outside"
    (root / "rules" / "more").rename(outside)
    (root / "rules" / "more").symlink_to(outside)
    (outside / "b.yaml").write_bytes(b"mine")
    replace_sources(root, FILES)
    assert read_sources(root) == FILES
    assert (outside / "b.yaml").read_bytes() == b"mine"


def test_a_file_in_the_place_of_a_folder_makes_way(root):
    (root / "rules" / "more" / "b.yaml").unlink()
    (root / "rules" / "more").rmdir()
    (root / "rules" / "more").write_bytes(b"a file")
    replace_sources(root, FILES)
    assert read_sources(root) == FILES
