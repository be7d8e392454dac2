"""`triggerfish why`: what was decided and what never was, from the workspace's files."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from triggerfish.cli import main


def run(lived, *arguments):
    return CliRunner().invoke(main, ["why", *arguments, "--workspace", str(lived)])


def ask(lived, *arguments):
    done = run(lived, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_what_was_sent_and_what_was_not_is_told_with_the_values_of_then(lived):
    said = run(lived, "ana@example.com").output
    for line in (
        "Ana Lima  user ana, email ana@example.com",
        "in customers; first of all customers",
        "hello / welcome  sends welcome",
        "waiting on Bought: until 2026-01-01T00:11:00.000Z",
        "✓ event.total > 10   (it is 60)",
        "✗ traits.vip == True   (it is missing)",
        "scheduled: waits 10 minutes",
    ):
        assert line in said, line
    assert "skipped: Returned happened meanwhile" in run(lived, "bo").output


def test_a_rule_that_never_fired_says_which_leaf_failed_then_and_by_how_much(lived):
    said = run(lived, "bo", "big-welcome").output
    for line in (
        "Bought came in vain: it did not match: traits.country == 'DE'",
        'it would have matched with traits.country equal to "DE" (it was missing)',
        "✓ event.total >= 500   (it is 700)",
        "✗ traits.country == 'DE'   (it is missing)",
        "open: age of the event, first of its set, address and consent",
        "had it matched: welcome would have left",
    ):
        assert line in said, line
    answer = ask(lived, "bo", "big-welcome")
    (rule,) = answer["rules"]
    assert (rule["occasions"], rule["missed_count"], rule["now"]) == ([], 1, None)
    assert rule["missed"][0]["nearest"] == ['with traits.country equal to "DE" (it was missing)']
    assert answer["again"] == {"is_same": True, "doubt": "", "doubtful_from": "", "lacking": []}


def test_a_rule_whose_event_never_came_is_looked_at_now_without_its_values(lived):
    (rule,) = ask(lived, "anonymous:a-1", "hello / big-welcome")["rules"]
    assert rule["sentence"] == "never woke: Bought has not happened"
    assert (rule["now"]["holds"], rule["now"]["event"]) == (False, "")
    said = run(lived, "a-1", "big-welcome").output
    assert "looked at NOW" in said
    assert "without an event" in said


def test_a_template_or_a_rule_may_be_named(lived):
    assert [rule["rule"] for rule in ask(lived, "ana", "welcome")["rules"]] == ["welcome", "big-welcome"]
    assert [rule["rule"] for rule in ask(lived, "ana", "hello/mark")["rules"]] == ["mark"]
    assert len(ask(lived, "ana")["rules"]) == 3


def test_what_fired_is_never_looked_at_again(lived):
    (fired,) = [rule for rule in ask(lived, "ana")["rules"] if rule["rule"] == "welcome"]
    assert fired["now"] is None
    assert fired["occasions"][0]["because"]["parts"][0]["value"] == 60


def test_who_or_what_is_unknown_is_said(lived):
    assert "nobody is known" in run(lived, "nobody").output
    assert "nobody is known" in run(lived, "nobody", "welcome").output
    done = run(lived, "ana", "welcom", "--json")
    assert done.exit_code == 1
    assert 'did you mean "' in json.loads(done.output)["hint"]


def test_without_the_rulebook_that_is_live_what_was_decided_is_told_and_no_more(lived, tmp_path):
    workspace = tmp_path / "copy"
    shutil.copytree(lived, workspace)
    (workspace / "rules" / "hello.yaml").write_text("ruleset: hello\nrules: [{nam: x}]\n")
    said = run(workspace, "bo").output
    assert "Why rules did not fire cannot be told: the files of the live rulebook, " in said
    assert "skipped: Returned happened meanwhile" in said


def test_a_workspace_without_a_server_ever_says_so(tmp_path, lived):
    shutil.copy(lived / "triggerfish.toml", tmp_path)
    done = run(tmp_path, "ana")
    assert (done.exit_code, "nothing is stored" in done.output) == (1, True)


@pytest.mark.docs
def test_the_docs_show_what_is_printed(lived):
    page = (Path(__file__).parents[2] / "docs" / "why.md").read_text()
    transcripts = re.findall(r"```\n\$ triggerfish (\w+) (.+)\n([\s\S]*?)```", page)
    assert [verb for verb, _, _ in transcripts] == ["why", "explain"]
    for verb, arguments, printed in transcripts:
        done = CliRunner().invoke(main, [verb, *arguments.split(), "--workspace", str(lived)])
        assert done.output.strip() == printed.strip()
