"""`triggerfish plan`: a first plan from the log, and what is put aside, on the workspace's files."""

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.cli import main
from triggerfish.cli.plan.observe import ENOUGH, MOST_EVENTS, MOST_FIELDS, MOST_VALUES, Observed
from triggerfish.cli.plan.writing import Known, events_text, short_name, traits_text
from triggerfish.compose import prepare
from triggerfish.config import load_settings
from triggerfish.ingest import Event
from triggerfish.plan import Checks
from triggerfish.quarantine import EXAMPLES, QUARANTINE_LIMIT, Aside, counted
from triggerfish.rulefile.check import check_files
from triggerfish.rulefile.plan import plan_of

PAGE = (Path(__file__).parents[2] / "docs" / "tracking-plan.md").read_text(encoding="utf-8")
JANUARY = 1_767_225_600_000
PLAN = """
events:
  purchase:
    name: Order Completed
    on_violation: quarantine
    properties:
      total: {type: number, required: true}
"""


def run(workspace, *arguments, code=0):
    done = CliRunner().invoke(main, ["plan", *arguments, "--workspace", str(workspace)])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def track(number, name, **properties):
    return Event("track", name, f"m{number}", JANUARY + 1_000 * number, f"user-{number % 7}", properties=properties)


def identify(number, **traits):
    return Event("identify", "identify", f"i{number}", JANUARY + 1_000 * number, f"user-{number}", traits=traits)


def store(workspace, events, aside=()):
    """Put events into the workspace's log, and others into its quarantine by the plan of its files."""
    settings = load_settings(workspace, {})
    prepare(settings)
    files = {"rules/plan.yaml": PLAN}
    checks = Checks(plan_of(form for form, _ in check_files(files).files))
    held = [Aside(event, event.timestamp, checks.look(event)) for event in aside]

    async def append():
        log = SqliteEventLog(settings.log_path)
        await log.append([(event, event.timestamp) for event in events], held)
        for each in held:
            log.note(counted([(each.event.message_id, one) for one in each.violations], each.at))
        log.close()

    asyncio.run(append())


def stored(workspace):
    log = SqliteEventLog(load_settings(workspace, {}).log_path)
    found = [entry.event for entry in log.read(0, 1_000)]
    log.close()
    return found


@pytest.fixture
def workspace(tmp_path):
    """A workspace that was never served, with no rules but the plan."""
    root = Path(__file__).parents[2]
    shutil.copy(root / "triggerfish.toml", tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "templates").mkdir()
    (tmp_path / "rules" / "plan.yaml").write_text(PLAN)
    return tmp_path


# --- a first plan -----------------------------------------------------------------------------------------------------


def observed(*events):
    found = Observed()
    for event in events:
        found.add(event, event.timestamp)
    return found


def form_of(text):
    checked = check_files({"rules/events.yaml": text})
    assert not checked.problems, [problem.render() for problem in checked.problems]
    return plan_of(form for form, _ in checked.files)


def test_types_what_is_always_there_and_the_few_values_are_found():
    kinds = ("A", "B", "C")
    events = [
        track(
            number, "Bought", total=number + 0.5, coupon=None if number % 2 else "X", kind=kinds[number % 3],
            order_id=f"o{number}", gift=True, items=[1], mixed=number if number % 2 else "x", user_email="a@b.example",
        )
        for number in range(60)
    ]  # fmt: skip
    fields = form_of(events_text(observed(*events), Known())).events["Bought"].properties
    assert {name: (field.type, field.required, field.allowed, field.sensitivity) for name, field in fields.items()} == {
        "total": ("number", True, (), ""),
        "coupon": ("text", False, (), ""),
        "kind": ("text", True, kinds, ""),
        "order_id": ("text", True, (), ""),
        "gift": ("boolean", True, (), ""),
        "items": ("list", True, (), ""),
        "mixed": (None, True, (), ""),
        "user_email": ("text", True, (), "personal"),
    }


def test_of_few_events_nothing_is_said_to_be_always_so():
    fields = form_of(events_text(observed(*(track(n, "X", a="b" * (n % 2 + 1)) for n in range(ENOUGH - 1))), Known()))
    field = fields.events["X"].properties["a"]
    assert (field.type, field.required, field.allowed) == ("text", False, ())


def test_a_rare_stray_type_is_told_in_a_comment():
    text = events_text(observed(*(track(n, "X", a="?" if n == 7 else n) for n in range(200))), Known())
    assert "# of 200, 1 are of another type than most: 1 text" in text
    assert form_of(text).events["X"].properties["a"].type == "number"


def test_traits_are_personal_by_name_or_by_what_they_hold():
    people = [identify(n, email=f"p{n}@x.example", contact=f"p{n}@x.example", city="Kiel", vip=True) for n in range(40)]
    traits = form_of(traits_text(observed(*people), Known())).traits
    assert {name: (trait.type, trait.sensitivity) for name, trait in traits.items()} == {
        "email": ("text", "personal"),
        "contact": ("text", "personal"),
        "city": ("text", ""),
        "vip": ("boolean", ""),
    }


def test_strange_names_make_a_file_that_can_be_read():
    names = [
        "true",
        "1st Visit",
        "on",
        "page",
        'Ärger: "no" #1',
        "x" * 200,
        "😀",
        "a\nb",
        "Order Completed",
        "order-completed",
    ]
    events = [track(n, name, **{name: "v", "": 1, "on": "NO", "x" * 600: 1}) for n, name in enumerate(names)]
    plan = form_of(events_text(observed(*events), Known()))
    assert set(plan.events) == set(names) - {"a\nb"}
    assert plan.events["on"].properties["on"].type == "text"


def test_whatever_comes_memory_is_bounded():
    events = [track(n, f"E{n % 1_000}", **{f"p{n}": "v" * n}) for n in range(3_000)]
    found = observed(*events, *(track(n, "E1", kind=f"v{n}", **{f"q{n}": 1}) for n in range(1_000)))
    assert len(found.events) == MOST_EVENTS
    assert found.left_out == 3 * (1_000 - MOST_EVENTS)
    assert len(found.events["E1"].fields) == MOST_FIELDS
    assert found.events["E1"].fields["kind"].values is None
    assert found.total == 4_000


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Order Completed", "order_completed_2"),
        ("page", "page_event"),
        ("42", "e_42"),
        ("***", "event"),
        ("É", "event"),
    ],
)
def test_a_short_name_is_a_word_that_is_free(name, short):
    assert short_name(name, {"order_completed"}) == short


def test_what_is_written_is_accepted_and_keeps_the_names_that_rules_use(workspace):
    (workspace / "rules" / "plan.yaml").unlink()
    (workspace / "rules" / "events.yaml").write_text(
        "events: {purchase: {name: Order Completed, description: 'Sold.'}}\n"
    )
    (workspace / "rules" / "more.yaml").write_text("events: {seen: Product Viewed}\ntraits: {vip: boolean}\n")
    (workspace / "rules" / "x.yaml").write_text(
        "ruleset: x\nrules: [{name: r, on: purchase, when: 'sum(purchase.total) > 5', then: [{emit: done}]}]\n"
    )
    store(workspace, [*(track(n, "Order Completed", total=5) for n in range(40)), track(40, "Product Viewed", a=1),
                      track(41, "Left", a=1), identify(42, vip=True, name="Ana")])  # fmt: skip
    said = json.loads(run(workspace, "infer", "--json", code=1))
    assert (said["code"], "is there already" in said["sentence"]) == ("TF609", True)
    assert "Sold." in (workspace / "rules" / "events.yaml").read_text()
    printed = run(workspace, "infer", "--print")
    assert "purchase:\n    name: Order Completed\n    description:" in printed
    run(workspace, "infer", "--force")
    written = (workspace / "rules" / "events.yaml").read_text()
    assert written in printed
    assert "Sold." in (workspace / "rules" / "events.yaml.before").read_text()
    assert "Product Viewed" not in written
    assert "vip" not in (workspace / "rules" / "traits.yaml").read_text()
    checked = CliRunner().invoke(main, ["check", "--workspace", str(workspace)])
    assert checked.exit_code == 0, checked.output


def test_a_file_that_holds_more_than_a_plan_is_never_replaced(workspace):
    (workspace / "rules" / "events.yaml").write_text("events: {a: A}\nsegments: [{name: all}]\n")
    store(workspace, [track(1, "A", b=1)])
    assert "holds more than a plan (segments)" in run(workspace, "infer", "--force", code=1)
    assert "segments" in (workspace / "rules" / "events.yaml").read_text()


def test_another_folder_takes_the_files_too(workspace, tmp_path):
    store(workspace, [track(1, "Other", b=1)])
    run(workspace, "infer", "--out", str(tmp_path / "new"))
    assert "other:" in (tmp_path / "new" / "events.yaml").read_text()


def test_a_workspace_without_a_log_says_so(workspace):
    for verb in ("infer", "violations", "quarantine"):
        assert "TF412" in run(workspace, verb, code=1)


# --- what is put aside ------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(workspace):
    """Two orders with text as their total are put aside, as on the page; one good one is stored."""
    aside = [track(1, "Order Completed", total="9.90"), track(2, "Order Completed", total="12.50")]
    store(workspace, [track(3, "Order Completed", total=5)], aside)
    return workspace


def told(command):
    """What the page says that a command prints."""
    return re.search(rf"(?ms)^\$ {re.escape(command)}\n(.*?)^```", PAGE)[1]


def test_violations_are_told_as_the_page_says(broken):
    assert run(broken, "violations") == told("triggerfish plan violations")
    (one,) = json.loads(run(broken, "violations", "--json"))
    assert (one["quarantined"], len(one["examples"])) == (2, 2)


def test_the_quarantine_is_told_with_the_reasons(broken):
    lines = run(broken, "quarantine", "--limit", "1").splitlines()
    assert lines == [
        "2  2026-01-01T00:00:02.000Z  Order Completed  (message m2)",
        '    "total" of "Order Completed" is text, and a number is expected',
        "2 events in the quarantine, 1 more (--limit).",
    ]
    assert [held["event"]["message_id"] for held in json.loads(run(broken, "quarantine", "--json"))] == ["m2", "m1"]
    assert run(broken, "quarantine", "--event", "Other") == "2 events in the quarantine.\n"


def test_what_is_mended_goes_into_the_log_once_with_its_own_id_and_time(broken):
    said = run(broken, "replay", code=1)
    assert "0 events went into the log, 2 stay" in said
    assert run(broken, "replay", "--set", "total=number") == told("triggerfish plan replay --set total=number")
    assert [(event.message_id, event.properties["total"], event.timestamp - JANUARY) for event in stored(broken)] == [
        ("m3", 5, 3_000),
        ("m1", 9.9, 1_000),
        ("m2", 12.5, 2_000),
    ]
    assert "0 events went into the log, 0 stay" in run(broken, "replay")
    assert len(stored(broken)) == 3


def test_a_mended_plan_needs_no_mended_events(broken):
    (broken / "rules" / "plan.yaml").write_text(PLAN.replace("type: number", "type: text"))
    assert json.loads(run(broken, "replay", "--json")) == {"released": 2, "kept": 0, "reasons": {}}


def test_a_broken_plan_replays_nothing(broken):
    (broken / "rules" / "plan.yaml").write_text("events: [")
    assert "TF200" in run(broken, "replay", code=1)
    assert len(stored(broken)) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--set", "total"], "is no pair"),
        (["--set", "total=numbr"], "neither a type nor JSON"),
        (["--rename", "=x"], "is no pair"),
        (["--set", f"total={10**30}"], "too large"),
    ],
)
def test_a_change_that_cannot_be_read_changes_nothing(broken, arguments, says):
    said = run(broken, "replay", *arguments, code=1)
    assert "TF609" in said
    assert says in said
    assert len(stored(broken)) == 1


def test_discarding_asks_first(broken):
    refused = CliRunner().invoke(main, ["plan", "discard", "--workspace", str(broken)], input="n\n")
    assert refused.exit_code == 1
    assert run(broken, "discard", "--yes", "--event", "Other") == "Deleted 0 events.\n"
    assert run(broken, "discard", "--yes") == "Deleted 2 events.\n"
    assert run(broken, "quarantine") == "0 events in the quarantine.\n"


@pytest.mark.docs
@pytest.mark.parametrize(
    "sentence",
    [
        f"at most {MOST_EVENTS} events of {MOST_FIELDS} properties",
        f"`required` and `allowed` need {ENOUGH} events, `allowed` at most {MOST_VALUES} different values",
        f"at most {QUARANTINE_LIMIT:,} of them",
        f"up to {EXAMPLES} examples",
    ],
)
def test_the_limits_on_the_page_are_those_of_the_code(sentence):
    assert sentence in " ".join(PAGE.split())
