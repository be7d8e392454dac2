"""`triggerfish rollback`, without a server: what it puts back, what it keeps, and when it refuses."""

import json
import os

import pytest
from click.testing import CliRunner

from triggerfish.adapters.source_files import read_sources, version_of
from triggerfish.adapters.versions import KeptVersions
from triggerfish.cli import main
from triggerfish.config import load_settings

TOML = """
[keys]
write = ["a write key"]
admin = "an admin key for tests"
secret = "a secret for links"
"""
RULES = "ruleset: a\nrules:\n  - name: r\n    on: Bought\n    then: [set: {{n: {}}}]\n"


@pytest.fixture
def shop(tmp_path):
    """A workspace in which versions 1, 2 and 3 were live, one after another; 3 is now."""
    (tmp_path / "triggerfish.toml").write_text(TOML)
    kept = KeptVersions(tmp_path / "data" / "rulebooks")
    for number in (1, 2, 3):
        edit(tmp_path, number)
        go_live(tmp_path, kept, number)
    return tmp_path


def edit(workspace, number):
    (workspace / "rules").mkdir(exist_ok=True)
    (workspace / "rules" / "a.yaml").write_text(RULES.format(number))


def go_live(workspace, kept, minute):
    version = kept.keep(read_sources(workspace), "reload", f"2026-01-01T00:{minute:02}:00.000Z")
    (workspace / "data" / "rulebook.json").write_text(json.dumps({"state": "live", "version": version.version}))


def run(workspace, *words, code=0):
    result = CliRunner().invoke(main, ["rollback", "--workspace", str(workspace), *words])
    assert result.exit_code == code, result.output
    return result.output


def number(workspace):
    return int((workspace / "rules" / "a.yaml").read_text().split("{n: ")[1][0])


def name(number):
    return version_of({"rules/a.yaml": RULES.format(number).encode()})


def test_it_goes_back_to_the_version_before_and_again_to_the_one_before_that(shop):
    said = run(shop)
    assert number(shop) == 2
    assert f"are those of version {name(2)} again" in said
    assert "  put back  rules/a.yaml" in said
    assert f"triggerfish rollback {name(3)}" in said
    assert json.loads(run(shop, "--json"))["version"] == name(1)
    assert number(shop) == 1
    assert "TF636" in run(shop, code=1)
    assert number(shop) == 1


def test_files_that_never_were_live_go_back_to_what_is_live_and_are_kept(shop):
    edit(shop, 9)
    done = json.loads(run(shop, "--json"))
    assert (number(shop), done["version"], done["replaced"]) == (3, name(3), name(9))
    run(shop, name(9))
    assert number(shop) == 9
    listed = {each["version"]: each for each in json.loads(run(shop, "--list", "--json"))}
    assert listed[name(9)]["state"] == "replaced"
    assert listed[name(3)]["state"] == "live"


def test_a_version_is_put_back_by_the_first_letters_of_its_name(shop):
    assert f"version {name(1)} again" in run(shop, name(1)[:6])
    assert number(shop) == 1
    assert "nothing was changed" in run(shop, name(1))
    assert "TF636" in run(shop, "zzzzzz", code=1)
    assert "TF636" in run(shop, "../../../etc", code=1)


def test_files_that_came_since_are_deleted_and_kept(shop):
    (shop / "rules" / "new.yaml").write_text("segments: [")
    (shop / "templates" / "t").mkdir(parents=True)
    (shop / "templates" / "t" / "email.mjml").write_text("<mjml/>")
    said = run(shop)
    assert "  deleted  rules/new.yaml" in said
    assert not (shop / "rules" / "new.yaml").exists()
    assert not (shop / "templates" / "t").exists()
    (replaced,) = [each for each in json.loads(run(shop, "--list", "--json")) if each["state"] == "replaced"]
    assert replaced["changed"] == ["rules/new.yaml", "templates/t/email.mjml"]
    run(shop, replaced["version"])
    assert (shop / "rules" / "new.yaml").read_text() == "segments: ["


def test_files_that_cannot_be_kept_are_not_overwritten_unless_forced(shop):
    edit(shop, 9)
    os.mkfifo(shop / "rules" / "pipe.yaml")
    said = run(shop, code=1)
    assert "TF637" in said
    assert "say --force" in said
    assert number(shop) == 9
    done = json.loads(run(shop, "--force", "--json"))
    assert (number(shop), done["replaced"], done["deleted"]) == (3, "", ["rules/pipe.yaml"])


def test_a_link_that_leads_elsewhere_is_taken_out_and_what_it_leads_to_stays(shop, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "x.yaml"
    outside.write_text("mine")
    (shop / "rules" / "x.yaml").symlink_to(outside)
    assert "TF637" in run(shop, code=1)
    assert name(2) in run(shop, "--list")
    assert "  deleted  rules/x.yaml" in run(shop, "--force")
    assert (number(shop), outside.read_text()) == (3, "mine")


def test_a_file_that_became_a_link_elsewhere_becomes_a_file_again(shop, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "x.yaml"
    outside.write_text("mine")
    (shop / "rules" / "a.yaml").unlink()
    (shop / "rules" / "a.yaml").symlink_to(outside)
    run(shop, "--force")
    assert (number(shop), outside.read_text()) == (3, "mine")


def test_the_list_shows_the_last_live_first_with_what_changed(shop):
    lines = run(shop, "--list").splitlines()
    assert [line.split()[0] for line in lines] == [name(3), name(2), name(1)]
    assert lines[0].split()[3:] == ["live", "reload", "rules/a.yaml"]
    assert lines[1].split()[3] == "kept"


def test_where_nothing_was_live_there_is_nothing_to_go_back_to(tmp_path):
    (tmp_path / "triggerfish.toml").write_text(TOML)
    assert "no version of the rulebook is kept" in run(tmp_path, "--list")
    assert "TF636" in run(tmp_path, code=1)
    assert load_settings(tmp_path, {}).versions_path == tmp_path / "data" / "rulebooks"
