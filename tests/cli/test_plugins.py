"""`triggerfish plugins`: what is installed, what is used, what is broken."""

import json

from click.testing import CliRunner

from triggerfish.cli import main
from triggerfish.cli.plugins import table
from triggerfish.plugin.manager import Plugin


def run(*arguments):
    return CliRunner().invoke(main, ["plugins", *arguments])


def test_the_bundled_plugins_are_listed_with_what_they_offer(lived):
    done = run("--workspace", str(lived))
    assert done.exit_code == 0, done.output
    lines = {line.split()[0]: line for line in done.output.splitlines()}
    assert lines["outbox"].endswith("used here")
    assert "register_channels" in lines["smtp"]
    assert "used here" not in lines["smtp"]


def test_programs_get_json(lived):
    told = {each["name"]: each for each in json.loads(run("--workspace", str(lived), "--json").output)}
    assert told["outbox"]["channels"] == ["outbox"]
    assert (told["outbox"]["is_used"], told["smtp"]["is_used"]) == (True, False)
    assert told["smtp"]["problem"] == ""


def test_outside_of_a_workspace_they_are_listed_all_the_same(tmp_path):
    done = run("--workspace", str(tmp_path))
    assert done.exit_code == 0
    assert "outbox" in done.output
    assert "used here" not in done.output


def test_a_broken_plugin_is_shown_with_its_problem_and_the_exit_code_says_so(tmp_path, monkeypatch):
    site = tmp_path / "site"
    (site / "broken-1.dist-info").mkdir(parents=True)
    (site / "broken-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (site / "broken-1.dist-info" / "entry_points.txt").write_text("[triggerfish]\nbroken = no_such_module_at_all\n")
    monkeypatch.syspath_prepend(str(site))
    done = run("--workspace", str(tmp_path))
    assert done.exit_code == 1
    assert "BROKEN" in done.output
    assert "no_such_module_at_all" in done.output
    assert "outbox" in done.output


def test_a_problem_stands_below_its_plugin():
    lines = table([Plugin("a", "pack", "1", ("on_start",)), Plugin("b", problem="it raised")], {"a"})
    assert [line.split()[0] for line in lines] == ["PLUGIN", "a", "b", "it"]
    assert lines[1].endswith("used here")
    assert lines[3] == "  it raised"
