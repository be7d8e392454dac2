"""`triggerfish new`: a workspace that works at once, and never over something that is there."""

import json
import re

from click.testing import CliRunner

from triggerfish.cli import main
from triggerfish.cli.check import check_workspace
from triggerfish.config import load_settings


def run(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_a_new_workspace_has_no_problem_and_keys_of_its_own(tmp_path):
    folders = [tmp_path / "one", tmp_path / "deep" / "two"]
    for folder in folders:
        done = run("new", str(folder))
        assert done.exit_code == 0, done.output
        assert "triggerfish serve" in done.output
        problems, counts = check_workspace(folder)
        assert problems == []
        assert min(counts.rules, counts.segments, counts.templates) >= 6
    first, second = (load_settings(folder, {}).keys for folder in folders)
    keys = {first.admin.reveal(), first.secret.reveal(), second.admin.reveal(), second.secret.reveal()}
    keys |= {key.reveal() for each in (first, second) for key in each.write}
    assert len(keys) == 6
    assert min(len(key) for key in keys) >= 32
    assert not load_settings(folders[0], {}).uses_demo_keys


def test_keys_are_printed_nowhere_and_readable_by_the_owner_only(tmp_path):
    done = run("new", str(tmp_path / "shop"))
    settings = tmp_path / "shop" / "triggerfish.toml"
    assert settings.stat().st_mode & 0o077 == 0
    for key in re.findall(r'"([\w-]{32})"', settings.read_text()):
        assert key not in done.output
    assert "triggerfish.toml" in (tmp_path / "shop" / ".gitignore").read_text()


def test_an_empty_folder_is_filled(tmp_path):
    assert run("new", str(tmp_path)).exit_code == 0
    assert (tmp_path / "rules" / "segments.yaml").is_file()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    done = run("new", str(tmp_path))
    assert done.exit_code == 1
    assert "TF415" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
    assert "is a file" in run("new", str(tmp_path / "note.txt")).output


def test_programs_get_json(tmp_path):
    told = json.loads(run("new", str(tmp_path / "shop"), "--json").output)
    assert told["workspace"] == str(tmp_path / "shop")
    assert "triggerfish.toml" in told["files"]
    again = run("new", str(tmp_path / "shop"), "--json")
    assert (again.exit_code, json.loads(again.output)["code"]) == (1, "TF415")
