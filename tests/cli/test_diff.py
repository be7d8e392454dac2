"""`triggerfish diff`: what changed, in words, and what it would do; from folders and from git, which runs nothing."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner

from histories import RULES, store
from running import write_workspace
from triggerfish.adapters.git import commit_of, copy_commit
from triggerfish.cli import main
from triggerfish.clock import DAY, MINUTE
from triggerfish.errors import NotFound, Refused
from triggerfish.rulefile.diff import changes
from worlds import NOON, identify, track

TEMPLATES = {"hello": "marketing", "offer": "marketing", "receipt": "transactional"}
NEW = RULES.replace('"5d") >= 2', '"5d") >= 1').replace("cooldown: 2 hours", "cooldown: 1 minute")
AUTHOR = {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(folder: Path, *arguments: str, given: bytes | None = None) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], input=given, capture_output=True, check=True, env=os.environ | AUTHOR
    )
    return done.stdout.decode().strip()


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """A workspace in a folder of a repository: RULES are committed, NEW are in the folder."""
    repository = tmp_path_factory.mktemp("repository")
    workspace = write_workspace(repository / "shop", {"shop.yaml": RULES}, **TEMPLATES)
    (workspace / ".gitignore").write_text("data/\n")
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "one")
    (workspace / "rules" / "shop.yaml").write_text(NEW)
    events = [
        identify(NOON + place, user=name, email=f"{name}@example.com") for place, name in enumerate(("ana", "bo"))
    ]
    events += [track("Order", NOON + place * 10 * MINUTE, message_id=f"order {place}") for place in (1, 2)]
    events += [track("View", NOON + DAY, user="bo"), track("Order", NOON + 2 * DAY, user="bo")]
    store(workspace, [(event, event.timestamp) for event in events])
    return workspace


def diff(workspace: Path, *arguments: str) -> str:
    done = CliRunner().invoke(main, ["diff", "--workspace", str(workspace), *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def refusal(workspace: Path, *arguments: str) -> dict:
    done = CliRunner().invoke(main, ["diff", "--workspace", str(workspace), "--json", *arguments])
    assert done.exit_code == 1
    return json.loads(done.output)


def test_definitions_come_first_and_then_what_they_do_to_whom(shop: Path):
    head = git(shop, "rev-parse", "HEAD")[:10]
    *said, took = diff(shop, "HEAD", "--since", "all").splitlines()
    assert (
        "\n".join(said)
        == f"""\
From HEAD ({head}) to the workspace:
  segment "loyal" changed  (rules/shop.yaml:9)
      when: count(Order, '5d') >= 2 → count(Order, '5d') >= 1
  rule "thanks" of "shop" changed  (rules/shop.yaml:14)
      cooldown: 2 hours → 1 minute

Played from 2027-01-18T12:00 to 2027-01-20T12:00 UTC, 2 people, 6 events:
+1 enter loyal; 3.5 more messages a week; 1 person would get two in one day

segment, at the end    before     after
loyal                       1         2  +1 enter
    enter, e.g. bo

messages         before     after    a week
shop / thanks         2         3      +3.5
all                   3         4      +3.5

1 person would get more messages: ana (1 before, 2 now)
1 person would get two in one day who did not before: ana (2 messages on 2027-01-18)
Caps hold 0 messages back; before it was 0"""
    )
    assert took.startswith("6 events played in ")


def test_a_pull_request_gets_markdown_in_which_nothing_is_taken_for_markup(shop: Path, tmp_path: Path):
    said = diff(shop, "HEAD", "--since", "all", "--format", "markdown", "--sample", "0")
    for line in (
        "**+1 enter loyal; 3.5 more messages a week; 1 person would get two in one day**",
        "- segment \"loyal\" changed (`rules/shop.yaml:9`)",
        "  - when: count(Order, '5d') \\>= 2 → count(Order, '5d') \\>= 1",
        "| loyal | 1 | 2 | 1 | 0 |  |",
        "| shop / thanks | 2 | 3 | +3.5 |",
    ):  # fmt: skip
        assert line in said.splitlines(), said
    assert "ana" not in said.replace("example", "")
    hostile = NEW.replace("then: [{send: hello}]", "description: '| <img src=x> [a](b)', then: [{send: hello}]")
    other = write_workspace(tmp_path / "other", {"shop.yaml": hostile}, **TEMPLATES)
    said = diff(shop, str(shop), str(other), "--format", "markdown")
    assert "now \\| \\<img src=x\\> \\[a\\](b)" in said


def test_programs_get_both_reports_and_the_difference(shop: Path):
    told = json.loads(diff(shop, "HEAD", "--since", "all", "--json"))
    assert [change["name"] for change in told["changes"]] == ["loyal", "thanks"]
    assert (told["before"]["sent"], told["after"]["sent"], told["effect"]["a_week"]) == (3, 4, 3.5)
    (segment,) = told["effect"]["segments"]
    assert (segment["segment"], segment["entered"]["people"], segment["left"]["people"]) == ("loyal", 1, 0)
    assert segment["entered"]["examples"][0]["name"] == "bo"
    assert told == json.loads(diff(shop, "HEAD", "--since", "all", "--format", "json", "--processes", "2"))


def test_rules_that_say_the_same_are_not_played(shop: Path, tmp_path: Path):
    other = write_workspace(tmp_path / "other", {"a.yaml": "# moved\n" + NEW.replace("1 hour", "60m")}, **TEMPLATES)
    (other / "templates" / "hello" / "email.txt").write_text("Hi")
    said = diff(shop, str(shop), str(other))
    assert "The definitions say the same, so nothing was played." in said
    assert "Other contents, which are not compared here: templates hello" in said
    assert "events played" not in said


def test_a_template_of_another_class_makes_a_difference(shop: Path, tmp_path: Path):
    other = write_workspace(tmp_path / "other", {"shop.yaml": NEW}, **TEMPLATES | {"hello": "transactional"})
    told = json.loads(diff(shop, str(shop), str(other), "--json"))
    assert told["changes"] == [
        {
            "what": "template", "name": "hello", "change": "changed", "of": "", "place": "",
            "details": ["class: marketing → transactional", "purpose: newsletter → orders"],
        }
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["nowhere", "--upload-pack=touch x", "-h", "HEAD;ls", "main..main", "HEAD:shop", ""])
def test_a_name_that_is_no_revision_is_refused_whatever_it_looks_like(shop: Path, name: str):
    told = refusal(shop, "--", name)
    assert told["code"] == "TF622", told


def test_outside_a_repository_only_folders_can_be_named(tmp_path: Path):
    with pytest.raises(NotFound, match="is in no git repository") as error:
        commit_of(tmp_path, "HEAD")
    assert error.value.code == "TF622"


def test_without_git_only_folders_can_be_named(shop: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Refused, match="git is not installed"):
        commit_of(shop, "HEAD")


def test_of_a_revision_only_ordinary_files_are_read_and_nothing_is_checked_out(shop: Path, tmp_path: Path):
    before = git(shop, "status", "--porcelain")
    blob = git(shop, "hash-object", "-w", "--stdin", given=b"/etc/passwd")
    rules = git(shop, "ls-tree", "-r", "HEAD", "rules/")
    content = rules.split()[2]
    inner = git(shop, "mktree", given=f"120000 blob {blob}\tlink.yaml\n100644 blob {content}\tshop.yaml\n".encode())
    top = git(shop, "mktree", given=f"040000 tree {inner}\trules\n".encode())
    outer = git(shop, "mktree", given=f"040000 tree {top}\tshop\n".encode())
    commit = git(shop, "commit-tree", outer, "-m", "links")
    copy_commit(shop, commit_of(shop, commit), ("rules", "templates"), tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        "rules/shop.yaml"
    ]
    assert (tmp_path / "rules" / "shop.yaml").read_text() == dedent(RULES).lstrip()
    assert git(shop, "status", "--porcelain") == before


def test_a_revision_with_more_files_than_any_needs_is_refused(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("triggerfish.adapters.git.MOST_FILES", 3)
    with pytest.raises(Refused) as error:
        copy_commit(shop, commit_of(shop, "HEAD"), ("rules", "templates"), tmp_path)
    assert error.value.code == "TF623"


# --- definitions ------------------------------------------------------------------------------------------------------


def changed(old: str, new: str) -> list[str]:
    """Every change as lines: its sentence, then its details."""
    found = changes({"rules/a.yaml": old}, {"rules/a.yaml": new})
    return [line for change in found for line in (change.sentence, *change.details)]


RULE = (
    "ruleset: r\nrules:\n  - {name: a, on: X, wait: 1 hour, when: 'event.x > 1 and traits.y == 2', then: [{send: t}]}\n"
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("wait: 1 hour", "wait: 60m"),
        ("wait: 1 hour", "wait:  1  hour"),
        ("on: X", "on: [X]"),
        ("event.x > 1 and traits.y == 2", "event.x>1 and (traits.y==2)"),
        ("name: a, on: X", "on: X, name: a, priority: 0, while_waiting: restart, unless: []"),
        ("ruleset: r\n", "# a comment\nruleset: r\nmode: all\nmax_age: 60 minutes\n"),
    ],
)
def test_another_way_to_say_it_is_no_change(old: str, new: str):
    assert old in RULE
    assert changed(RULE, RULE.replace(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("1 hour", "90m", ["wait: 1 hour → 1 hour 30 minutes"]),
        ("send: t", "send: u", ["then, 1: send: t → u"]),
        ("[{send: t}]", "[{send: t}, {set: {z: 1}}]", ["then: now set: {z: 1}"]),
        ("wait: 1 hour, ", "", ["wait: no longer 1 hour"]),
        ("wait: 1 hour", "wait: 1 hour, limit: {sends: 1, within: 7d}", ["limit: now [sends: 1, within: 7 days]"]),
        ("on: X", "on: [X, Y]", ["on: now Y"]),
        ("then: [{send: t}]", "steps: [{send: t}, {wait: 1 day}]", [
            "then: no longer [send: t]", "steps: now [send: t, wait: 1 day]"]),
    ],
)  # fmt: skip
def test_what_changed_within_a_rule_is_said_in_its_own_words(old: str, new: str, says: list[str]):
    assert old in RULE
    assert changed(RULE, RULE.replace(old, new)) == ['rule "a" of "r" changed', *says]


def test_a_change_deep_in_a_journey_is_told_with_its_place():
    steps = (
        "ruleset: r\nrules:\n  - name: j\n    on: X\n    steps:\n      - send: a\n      - branch:\n"
        "          - {name: vip, when: traits.x == 1, steps: [{wait: 1 day}, {send: b}]}\n"
        "          - {steps: [{send: c}]}\n"
    )
    assert changed(steps, steps.replace("1 day", "2 days").replace("send: c", "send: d")) == [
        'rule "j" of "r" changed',
        "steps, 2: branch, vip: steps, 1: wait: 1 day → 2 days",
        "steps, 2: branch, 2: steps, 1: send: c → d",
    ]


def test_things_come_and_go_and_change_places():
    segments = (
        "segments:\n  - name: p\n    segments: [{name: a, when: traits.x == 1}, {name: b, when: traits.x == 2}]\n"
    )
    swapped = "segments:\n  - name: p\n    segments: [{name: b, when: traits.x == 2}, {name: a, when: traits.x == 1}]\n"
    assert changed(segments, swapped) == ['segment "p" changed', "segments: now in the order b, a"]
    moved = "segments:\n  - {name: p, segments: [{name: a, when: traits.x == 1}]}\n  - {name: b, when: traits.x == 2}\n"
    assert changed(segments, moved) == ['segment "b" changed', "within: no longer p"]
    assert changed(segments, RULE) == [
        'segment "a" removed', 'segment "b" removed', 'segment "p" removed', 'rule set "r" added', "rules: a",
        'rule "a" of "r" added', "on: X", "then: [send: t]", "when: event.x > 1 and traits.y == 2", "wait: 1 hour",
    ]  # fmt: skip


def test_purposes_are_told_of():
    """To ask for consent where none was asked for stops messages: a reader of the diff has to see it."""
    old = "purposes: {news: News, tips: {title: {en: Tips}, consent: opt_in}, gone: {}}"
    new = "purposes: {news: {title: News, consent: double_opt_in}, tips: {title: {en: Hints}, consent: opt_in}}"
    found = changes({"rules/a.yaml": old}, {"rules/a.yaml": new})
    assert [line for change in found for line in (change.sentence, *change.details)] == [
        'purpose "gone" removed',
        'purpose "news" changed', "consent: now double_opt_in",
        'purpose "tips" changed', "title, en: Tips → Hints",
    ]  # fmt: skip


def test_definitions_lists_events_and_policy_are_told_of():
    old = (
        "define: {eu: [DE, FR], far: {file: far.txt}}\nevents: {buy: Order}\n"
        "policy: {caps: [{sends: 2, within: 1 day}]}\n"
    )
    new = old.replace("FR", "ES").replace("Order", "Bought").replace("sends: 2, within: 1 day", "sends: 3, within: 24h")
    found = changes(
        {"rules/a.yaml": old, "rules/far.txt": "AU\nNZ\n"}, {"rules/a.yaml": new, "rules/far.txt": "NZ\nAU\nFJ\n"}
    )
    assert [line for change in found for line in (change.sentence, *change.details)] == [
        'event "buy" changed', "name: Order → Bought",
        'definition "eu" changed', "is: FR → ES",
        'list "rules/far.txt" changed', "items: now FJ",
        "policy changed", "caps, 1: sends: 2 → 3",
    ]  # fmt: skip
    assert found[0].place == "rules/a.yaml:2"
