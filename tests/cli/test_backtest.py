"""`triggerfish backtest`: it tells what the live worker would do, however the work is shared out, and only reads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from benchmarks.streams import shop
from click.testing import CliRunner
from hypothesis import Phase, given, settings

from histories import RULES, histories, store
from running import is_alive, wait_until, write_workspace
from triggerfish import ingest, walk
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.cli import main
from triggerfish.cli.backtest.words import spark
from triggerfish.clock import DAY, HOUR
from triggerfish.compose import load_workshop, open_house, prepare
from triggerfish.config import load_settings
from triggerfish.engine import Arrival
from triggerfish.plugin.testing import SetClock
from triggerfish.processes.backtesting import Task, open_bench, run
from triggerfish.processes.drafts import read_draft
from triggerfish.processes.survey import Survey
from triggerfish.rulefile.backtest import period_of
from worlds import NOON, identify, track

REPOSITORY = Path(__file__).parents[2]
FAR = 2**42
EVENTS = 1_500
TOLD = """\
2027-01-18T12:00 to 2027-01-20T12:00 UTC, 3 people, 7 events; rules of the workspace.
3 messages to 2 people, 10 a week; days are those of Europe/Berlin.

rule               sent    a week    people  by day
shop / cart           1       3.5         1  ▁█▁
    1 not sent, to 1 person: Order happened meanwhile
    e.g. bo
shop / thanks         2         7         1  █▁█
    e.g. ana
shop / idle           0         0         0
    acted 1
    1 not sent, to 1 person: no email address
Nothing came of: shop / again

segment     start       end   entered      left  size by day
buyers         0         1         1         0  ███
loyal          0         1         1         0  ▁▁█
idle           0         1         1         0  ▁██

Caps hold nothing back
Nobody would get two messages or more on one day
Most messages: ana (2 messages), bo (1 message)"""
TEMPLATES = {"hello": "marketing", "offer": "marketing", "receipt": "transactional"}


def backtest(workspace: Path, *options: str) -> str:
    done = CliRunner().invoke(main, ["backtest", "--workspace", str(workspace), *options])
    assert done.exit_code == 0, done.output
    return done.output


def report(workspace: Path, *options: str) -> dict:
    return json.loads(backtest(workspace, "--json", *options))


def refusal(workspace: Path, *options: str) -> dict:
    done = CliRunner().invoke(main, ["backtest", "--workspace", str(workspace), "--json", *options])
    assert done.exit_code == 1
    return json.loads(done.output)


@pytest.fixture(scope="module")
def cart(tmp_path_factory) -> Path:
    """A workspace with three people: ana buys, bo leaves a cart, and a third one only looks."""
    workspace = write_workspace(tmp_path_factory.mktemp("cart") / "shop", {"shop.yaml": RULES}, **TEMPLATES)
    events = [
        identify(NOON, email="ana@example.com"),
        identify(NOON + 1, user="bo", email="bo@example.com"),
        track("View", NOON + 2, user=None, anon="someone"),
        track("Cart", NOON + HOUR), track("Order", NOON + HOUR + 1),
        track("Cart", NOON + DAY, user="bo"),
        track("Order", NOON + 2 * DAY),
    ]  # fmt: skip
    store(workspace, [(event, event.timestamp) for event in events])
    migrate(workspace / "empty.sqlite3", REPOSITORY / "migrations" / "log.py")
    return workspace


async def live_through(workspace: Path, calls: list[bytes]) -> None:
    """The whole way of a live server, one event after another, and its worker awake whenever something is due."""
    given = load_settings(workspace, {})
    workshop = load_workshop(given)
    prepare(given)
    body = b'{"batch":[' + b",".join(calls) + b"]}"
    clock = SetClock()
    async with open_house(given, workshop, public_url="http://127.0.0.1:1") as opened:
        house = replace(opened, clock=clock)
        opened.channel._clock = clock

        async def until(instant: int) -> None:
            while (due := house.store.next_due()) is not None and due <= instant:
                clock.at = due
                await work()
            clock.at = instant
            await work()

        async def work() -> None:
            while walk.follow(house) or await walk.send(house):
                pass

        events = ingest.accept(body, "import", FAR, new_message_id=str)
        for event in events:
            await until(event.timestamp - 1)
            await house.log.append([(event, event.timestamp)])
            await until(event.timestamp)


def test_a_backtest_of_the_whole_log_tells_exactly_what_the_live_worker_sent(tmp_path: Path):
    workspace = tmp_path / "shop"
    for part in ("rules", "templates"):
        shutil.copytree(REPOSITORY / part, workspace / part)
    shutil.copy(REPOSITORY / "triggerfish.toml", workspace)
    asyncio.run(live_through(workspace, list(islice(shop(), EVENTS))))
    given = load_settings(workspace, {})
    with contextlib.closing(sqlite3.connect(given.state_path)) as state:
        sent = Counter(state.execute("SELECT ruleset, rule, template, sent_at FROM sends WHERE status = 'sent'"))
        others = dict(state.execute("SELECT status, count(*) FROM sends WHERE status <> 'sent' GROUP BY 1"))
        members = dict(state.execute("SELECT segment, count(*) FROM memberships GROUP BY 1"))
        caps = state.execute("SELECT count(*) FROM sends WHERE reason LIKE 'had % message%'").fetchone()[0]
    assert sent.total() > 100
    assert others.keys() <= {"skipped", "scheduled"}
    draft, rulebook = read_draft(given)
    told = report(workspace, "--since", "all", "--processes", "1")
    assert Counter((line["ruleset"], line["rule"]) for line in told["rules"] for _ in range(line["sent"])) == Counter(
        (ruleset, rule) for ruleset, rule, _, _ in sent.elements()
    )
    assert {line["segment"]: line["end"] for line in told["segments"] if line["end"]} == members
    assert sum(line["waiting"] for line in told["rules"]) == others.get("scheduled", 0)
    assert told["caps"]["times"] == caps
    # And message by message, to the millisecond.
    with contextlib.closing(SqliteEventLog(given.log_path)) as log:
        entries = log.read(0, EVENTS * 2)
    first, last = entries[0].received_at, entries[-1].received_at
    task = Task(
        log_path=given.log_path, drafts=(draft,), tables=frozenset(), channel="outbox",
        period=period_of(first, last + 1, rulebook.policy.time_zone), sample=0,
    )  # fmt: skip
    with open_bench(task) as bench:
        (stories,) = bench.stories([[Arrival(entry.position, entry.received_at, entry.event) for entry in entries]])
    played = Counter(
        (*message.rule.split(" / "), message.template, message.at) for story in stories for message in story.sent
    )
    assert played == sent


def tell(log_path: Path, drafts, period, folder: Path, *, shard: int, processes: int = 1):
    survey = Survey(folder)
    with contextlib.closing(SqliteEventLog(log_path)) as log:
        survey.read(log, "received", None, lambda done, total: None)
    task = Task(
        log_path=log_path, drafts=drafts, tables=frozenset(), channel="outbox", period=period, sample=2
    )  # fmt: skip
    found = run(task, survey, processes=processes, events_a_shard=shard)
    return found.events, found.before, found.result


@settings(max_examples=20, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(entries=histories())
def test_however_the_work_is_shared_out_the_answer_is_the_same(cart: Path, entries):
    given = load_settings(cart, {})
    draft, _ = read_draft(given)
    middle = entries[len(entries) // 2].received_at
    period = period_of(middle, entries[-1].received_at + DAY, "Europe/Berlin")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        log_path = Path(folder) / "log.sqlite3"
        shutil.copy(cart / "empty.sqlite3", log_path)
        with contextlib.closing(SqliteEventLog(log_path)) as log:
            asyncio.run(log.append([(entry.event, entry.received_at) for entry in entries]))
        for place, shard in enumerate((1, 4, 1_000)):
            part = Path(folder) / str(place)
            part.mkdir()
            found.append(tell(log_path, (draft, draft), period, part, shard=shard))
            assert not list(part.iterdir()), "what a shard was is gone when it was played"
    assert found[0] == found[1] == found[2]
    assert found[0][2].effect.segments == {}, "the same rules make no difference"


def test_processes_come_to_what_one_does(cart: Path, tmp_path: Path):
    given = load_settings(cart, {})
    draft, _ = read_draft(given)
    period = period_of(NOON, NOON + 3 * DAY, "UTC")
    found = []
    for processes in (1, 2):
        part = tmp_path / str(processes)
        part.mkdir()
        found.append(tell(given.log_path, (draft,), period, part, shard=1, processes=processes))
    assert found[0] == found[1]
    assert found[0][2].tallies[0].rules["shop / thanks"].people == 1


def test_a_large_circle_is_played_in_parts(cart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    given = load_settings(cart, {})
    draft, _ = read_draft(given)
    period = period_of(NOON, NOON + 3 * DAY, "UTC")
    whole = tell(given.log_path, (draft,), period, tmp_path, shard=1_000)
    monkeypatch.setattr("triggerfish.processes.backtesting.CHUNK", 2)
    assert tell(given.log_path, (draft,), period, tmp_path, shard=1_000) == whole


def test_it_says_who_would_have_got_what_and_what_held_the_rest_back(cart: Path):
    *said, took = backtest(cart, "--since", "all", "--processes", "1").splitlines()
    assert "\n".join(said) == TOLD
    assert re.fullmatch(r"7 events played in \d+\.\d s by 1 process, [\d,.]+ a second\.", took)


def test_the_period_is_told_of_and_what_was_before_counts(cart: Path):
    told = report(cart, "--since", "36h")
    assert (told["events"], told["before"], told["people"]) == (2, 5, 3)
    lines = {line["rule"]: line for line in told["rules"]}
    assert (lines["thanks"]["sent"], lines["cart"]["sent"], lines["cart"]["skipped"]) == (1, 1, [])
    segments = {line["segment"]: line for line in told["segments"]}
    assert (segments["buyers"]["start"], segments["loyal"]["start"], segments["loyal"]["end"]) == (1, 0, 1)
    assert report(cart, "--since", "2027-01-19", "--until", "2027-01-20")["days"] == ["2027-01-19"]
    assert report(cart, "--since", "2027-01-19T12:00", "--until", "2027-01-19T13:00+01:00")["since"][:16] == (
        "2027-01-19T11:00"
    )  # fmt: skip


def test_history_that_was_imported_at_once_can_be_played_when_it_happened(tmp_path: Path):
    workspace = write_workspace(tmp_path / "shop", {"shop.yaml": RULES}, **TEMPLATES)
    events = [track("Order", NOON + 3 * DAY), identify(NOON, email="ana@example.com"), track("Order", NOON + DAY)]
    store(workspace, [(event, NOON + 30 * DAY) for event in events])
    received = report(workspace, "--since", "all")
    assert sum(line["sent"] for line in received["rules"]) == 0, "all of it is too old to act upon"
    happened = report(workspace, "--since", "all", "--clock", "event")
    assert {line["rule"]: line["sent"] for line in happened["rules"]}["thanks"] == 2
    assert (happened["since"][:10], happened["until"][:10]) == ("2027-01-18", "2027-01-21")


def test_other_rules_than_the_workspaces_can_be_named(cart: Path, tmp_path: Path):
    (tmp_path / "drafts").mkdir()
    (tmp_path / "drafts" / "one.yaml").write_text(
        "ruleset: one\nrules: [{name: any, on: Cart, then: [{send: receipt}]}]\n"
    )
    told = report(cart, "--rules", str(tmp_path / "drafts"), "--since", "all")
    assert [(line["rule"], line["sent"]) for line in told["rules"]] == [("any", 2)]
    other = write_workspace(tmp_path / "other", {"shop.yaml": RULES.replace("wait: 1 hour", "wait: 1 ms")}, **TEMPLATES)
    told = report(cart, "--rules", str(other), "--since", "all")
    assert {line["rule"]: line["sent"] for line in told["rules"]}["cart"] == 2


def test_nobody_is_named_when_no_examples_are_wanted_and_never_by_address(cart: Path):
    assert "ana" not in backtest(cart, "--since", "all", "--sample", "0")
    assert "example.com" not in backtest(cart, "--since", "all")


def test_nothing_is_changed(cart: Path):
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in cart.rglob("*") if path.is_file() and path.suffix != ".sqlite3-shm"}

    before = contents()
    report(cart, "--since", "all")
    after = contents()
    assert {path: content for path, content in after.items() if content or path in before} == before


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--since", "soon"], "TF621", '"soon" is no time for --since'),
        (["--until", "2027-13-01"], "TF621", '"2027-13-01" is no time for --until'),
        (["--since", "2028-01-01"], "TF621", "the period would be from 2028-01-01"),
        (["--until", "2001-01-01T01:00"], "TF620", "no events are stored from before 2001-01-01T00:00"),
        (["--rules", "nowhere"], "TF622", '"nowhere" is no folder and no git revision'),
    ],
)
def test_what_cannot_be_played_is_refused_with_a_way_out(cart: Path, options: list[str], code: str, says: str):
    told = refusal(cart, *options)
    assert (told["code"], says in told["sentence"]) == (code, True), told


def test_a_workspace_without_events_says_so(tmp_path: Path):
    workspace = write_workspace(tmp_path / "shop", {"shop.yaml": RULES}, **TEMPLATES)
    assert refusal(workspace)["code"] == "TF412"
    prepare(load_settings(workspace, {}))
    assert refusal(workspace)["code"] == "TF620"


def test_a_folder_without_rules_and_rules_with_problems_are_refused(cart: Path, tmp_path: Path):
    assert refusal(cart, "--rules", str(tmp_path))["code"] == "TF622"
    (tmp_path / "broken.yaml").write_text("ruleset: one\nrules: [{nam: x}]\n")
    told = refusal(cart, "--rules", str(tmp_path))
    assert (told["code"], told["problems"][0]["line"]) == ("TF200", 2)


def test_an_event_that_the_log_lost_meanwhile_is_no_wrong_answer(cart: Path, tmp_path: Path):
    given = load_settings(cart, {})
    draft, _ = read_draft(given)
    copy = tmp_path / "log.sqlite3"
    shutil.copy(given.log_path, copy)
    survey = Survey(tmp_path)
    with contextlib.closing(SqliteEventLog(copy)) as log:
        survey.read(log, "received", None, lambda done, total: None)
    with contextlib.closing(sqlite3.connect(copy)) as db, db:
        db.execute("DELETE FROM events WHERE position = 4")
    task = Task(
        log_path=copy, drafts=(draft,), tables=frozenset(), channel="outbox", sample=1,
        period=period_of(NOON, NOON + DAY, "UTC"),
    )  # fmt: skip
    with pytest.raises(Exception, match="the log lost events"):
        run(task, survey, processes=1)


def test_the_survey_takes_no_event_that_came_while_it_read(tmp_path: Path):
    log = MemoryEventLog()
    asyncio.run(log.append([(track("View", NOON + place), NOON + place) for place in range(3)]))
    real = log.read

    def read(after: int, limit: int):
        if len(real(0, 9)) == 3:
            asyncio.run(log.append([(track("View", NOON + 9), NOON + 9)]))
        return real(after, limit)

    log.read = read
    survey = Survey(tmp_path)
    survey.read(log, "received", None, lambda done, total: None)
    assert (survey.first, survey.last) == (NOON, NOON + 2)
    assert survey.deal(NOON + 1, NOON + 3, 10).events == 2


def test_processes_end_with_the_one_that_started_them(cart: Path, tmp_path: Path):
    """Even when it is killed and can tell them nothing."""
    code = (
        "import multiprocessing, os, signal, time\n"
        "from triggerfish.processes.backtesting import _end_with_parent\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('spawn').Process(target=_end_with_parent)\n"
        "    child.start()\n"
        "    print(child.pid, flush=True)\n"
        "    time.sleep(1)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "parent.py").write_text(code)
    done = subprocess.run([sys.executable, tmp_path / "parent.py"], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    child = int(done.stdout)
    wait_until(lambda: not is_alive(child), "the child's end")


def test_a_small_picture_begins_at_nothing_and_shortens_what_is_long():
    assert spark([0, 1, 50, 100]) == "▁▂▅█"
    assert spark([0, 0]) == "▁▁"
    assert spark([]) == ""
    assert spark([1, 3] * 40) == "█" * 40, "days are put together, and each two have as many"
    assert spark([9, 4] * 40, is_size=True) == "█" * 40, "of sizes the last one counts"
