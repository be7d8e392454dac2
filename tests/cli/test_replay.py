"""`triggerfish replay` into a real front door: mappings, order, ids, refusals and everything that is tried again."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sdks.harness import running
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.cli import main
from triggerfish.cli.replay import parse_speed, replay
from triggerfish.cli.replay import rows as rows_module
from triggerfish.cli.replay.calls import Call, calls_of
from triggerfish.cli.replay.mapping import MappingBroken, Template, read_mapping
from triggerfish.cli.replay.rows import Rows
from triggerfish.cli.replay.sending import BATCH_BYTES, BATCH_CALLS, Sender, batches_of, paced
from triggerfish.clock import WallClock, to_iso
from triggerfish.errors import Busy, Refused, Unavailable
from triggerfish.ingest import LARGEST_BATCH, Event
from triggerfish.walk import FrontDoor
from triggerfish.web.app import build_app
from triggerfish.web.serve import bind, make_server

REPOSITORY = Path(__file__).parents[2]
KEY = "a-write-key"
MAPPING = """\
source: shop
format: csv
sort: true
time: "{when}"
user: "{who}"
traits:
  email: "{who}@example.com"
  plan: "{plan}"
event: "{what}"
events:
  bought: Order Completed
  home: {page: Home}
properties:
  total: {number: "{total}"}
  currency: EUR
context:
  device.type: "{device}"
"""
DATA = """\
who,what,when,total,plan,device
ana,bought,2024-01-01 10:00:00,12.50,gold,phone
ana,home,2024-01-01 11:00:00,,gold,
bob,home,2024-01-01 09:00:00,,,tablet
"""


class Moody(MemoryEventLog):
    """A log that raises what `moods` says, one an append; before it takes anything, or after that when it `is_late`."""

    def __init__(self) -> None:
        super().__init__()
        self.moods: list[Exception] = []
        self.is_late = False
        self.batches: list[list[Event]] = []

    async def append(self, entries: Any, aside: Any = ()) -> Any:
        if entries:
            self.batches.append([event for event, _ in entries])
        mood = self.moods.pop(0) if self.moods and entries else None
        if mood and not self.is_late:
            raise mood
        answer = await super().append(entries, aside)
        if mood:
            raise mood
        return answer

    @property
    def events(self) -> list[Event]:
        return [entry.event for entry in self.read(0, 100_000)]


@contextmanager
def front_door() -> Iterator[tuple[str, Moody]]:
    log = Moody()
    front = FrontDoor(
        log=log, clock=WallClock(), ring=lambda: None, write_keys=frozenset({KEY}), admin_key="an-admin-key"
    )
    sock = bind("127.0.0.1", 0)
    with running(make_server(build_app(front)), sock):
        yield f"http://127.0.0.1:{sock.getsockname()[1]}", log


@pytest.fixture
def door() -> Iterator[tuple[str, Moody]]:
    with front_door() as opened:
        yield opened


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    def write(data: str = DATA, mapping: str = MAPPING) -> tuple[Path, Path]:
        (tmp_path / "data.csv").write_text(data)
        (tmp_path / "mapping.yaml").write_text(mapping)
        return tmp_path / "data.csv", tmp_path / "mapping.yaml"

    return write


def made(data: Path, mapping: str = MAPPING, shift: int = 0) -> list[dict[str, Any]]:
    with Rows(data, read_mapping(mapping, "mapping.yaml")) as rows:
        return [json.loads(call.json) for call in calls_of(rows, rows.mapping, shift)]


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)], catch_exceptions=False)


# What rows become.


def test_rows_become_events_in_order_of_time_with_one_identify_a_person(files: Any) -> None:
    data, _ = files()
    calls = made(data)
    assert [(call["type"], call["userId"], call.get("event") or call.get("name")) for call in calls] == [
        ("identify", "bob", None),
        ("page", "bob", "Home"),
        ("identify", "ana", None),
        ("track", "ana", "Order Completed"),
        ("page", "ana", "Home"),
    ]
    assert calls[2]["traits"] == {"email": "ana@example.com", "plan": "gold"}
    assert calls[3]["timestamp"] == "2024-01-01T10:00:00.000Z"
    assert calls[3]["properties"] == {"total": 12.5, "currency": "EUR"}
    assert calls[3]["context"] == {"device": {"type": "phone"}}


def test_what_a_row_does_not_have_is_left_out(files: Any) -> None:
    data, _ = files()
    calls = made(data)
    assert calls[0]["traits"] == {"email": "bob@example.com"}
    assert calls[4]["properties"] == {"currency": "EUR"}
    assert "context" not in calls[4]


def test_message_ids_follow_from_the_rows_alone(files: Any) -> None:
    data, _ = files(DATA + "bob,home,2024-01-01 09:00:00,,,tablet\n")
    first, again, shifted = made(data), made(data), made(data, shift=86_400_000)
    ids = [call["messageId"] for call in first]
    assert len(set(ids)) == len(ids) == 6
    assert ids == [call["messageId"] for call in again] == [call["messageId"] for call in shifted]
    assert shifted[-1]["timestamp"] == "2024-01-02T11:00:00.000Z"


def test_rows_of_the_same_time_keep_the_order_of_the_file(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    lines = [f"ana,home,2024-01-01T00:00:0{9 - n // 10},{n},gold,x" for n in range(100)]
    data.write_text("\n".join(["who,what,when,total,plan,device", *lines]))
    totals = [call["properties"]["total"] for call in made(data) if call["type"] == "page"]
    assert totals == [ten * 10 + n for ten in reversed(range(10)) for n in range(10)]


def test_many_rows_are_sorted_on_disk_and_as_often_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "PART_ROWS", 7)
    data = tmp_path / "data.csv"
    times = [(n * 37) % 101 for n in range(100)]
    lines = [f"p{n},home,2024-01-01T00:{t // 60:02d}:{t % 60:02d},{n},{'x' * 9000},d" for n, t in enumerate(times)]
    data.write_text("\n".join(["who,what,when,total,plan,device", *lines]))
    with Rows(data, read_mapping(MAPPING, "m")) as rows:
        once, twice = [row.number for row in rows], [row.number for row in rows]
    assert once == twice == [n + 1 for n in sorted(range(100), key=lambda n: (times[n], n))]


def test_a_day_without_a_time_gets_one_and_its_rows_stand_apart(tmp_path: Path) -> None:
    data = tmp_path / "orders.txt"
    data.write_text(" id day\n 1 19970101\n 1 19970101\n 1 19970102\n 2 19970102\n")
    mapping = """\
source: orders
format: blank
time: {text: "{day}", format: "%Y%m%d", at: "12:00", apart: 1 minute}
user: "{id}"
event: Order Completed
properties: {order_id: "o-{row}"}
"""
    calls = made(data, mapping)
    assert [call["timestamp"][:16] for call in calls] == [
        "1997-01-01T12:00", "1997-01-01T12:01", "1997-01-02T12:00", "1997-01-02T12:00",
    ]  # fmt: skip
    assert [call["properties"]["order_id"] for call in calls] == ["o-1", "o-2", "o-3", "o-4"]


def test_json_lines_keep_their_types_and_are_reached_inside(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl.gz"
    row = {"at": 1_700_000_000, "user": {"id": 7}, "name": "Ping", "flag": True, "items": [{"sku": "a"}], "n": 3}
    data.write_bytes(gzip.compress(json.dumps(row).encode() + b"\n\n"))
    mapping = """\
source: app
format: jsonl
time: {text: "{at}", format: seconds}
user: "{user.id}"
event: "{name}"
properties: {flag: "{flag}", items: "{items}", n: "{n}", label: "{{{n}}}", gone: "{not.there}"}
"""
    (call,) = made(data, mapping)
    assert call["userId"] == "7"
    assert call["timestamp"] == "2023-11-14T22:13:20.000Z"
    assert call["properties"] == {"flag": True, "items": [{"sku": "a"}], "n": 3, "label": "{3}"}


@given(st.lists(st.tuples(st.text("ab{}", max_size=5), st.sampled_from(["x", "y"])), max_size=4), st.text("ab{}"))
def test_a_template_puts_texts_and_columns_together_as_written(parts: list[tuple[str, str]], end: str) -> None:
    def escaped(text: str) -> str:
        return text.replace("{", "{{").replace("}", "}}")

    written = "".join(f"{escaped(text)}{{{column}}}" for text, column in parts) + escaped(end)
    cells = {"x": "1", "y": "{x}"}
    mapping = MAPPING.replace('plan: "{plan}"', f"plan: {json.dumps('-' + written)}")
    found = dict(read_mapping(mapping, "m").traits)
    template = found[("plan",)]
    assert isinstance(template, Template)
    assert template.fill(cells) == "-" + "".join(text + cells[column] for text, column in parts) + end


@pytest.mark.parametrize("packs", [lambda text: text.encode(), lambda text: gzip.compress(text.encode())])
def test_a_file_without_a_line_of_names_gets_them_from_the_mapping(tmp_path: Path, packs: Any) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(packs("\ufeff" + DATA.partition("\n")[2]))
    named = made(data, MAPPING.replace("sort: true", "sort: true\ncolumns: [who, what, when, total, plan, device]"))
    assert [call["userId"] for call in named] == ["bob", "bob", "ana", "ana", "ana"]


# What is refused, before anything is sent.


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("source: shop", "source: shop\nsurce: x", 'unknown key "surce"'),
        ("format: csv", "format: xls", '"format" is "blank", "csv" or "jsonl"'),
        ('user: "{who}"', "user: ana", "every row would be the same person"),
        ('"{who}@example.com"', '"{who@example.com"', '"{" stands alone'),
        ('"{who}@example.com"', '"{}@example.com"', "no column is named in these braces"),
        ('time: "{when}"', 'time: {text: "{when}", at: "25:00"}', "is no time of day"),
        ('time: "{when}"', 'time: {text: "{when}", apart: soon}', "is no length of time"),
        ("  device.type:", '  device: "x"\n  device.type:', "is both a value and an object"),
        ("currency: EUR", "currency: [EUR]", '"currency" is'),
    ],
)
def test_a_broken_mapping_is_told_with_its_place(old: str, new: str, says: str) -> None:
    assert old in MAPPING
    with pytest.raises(MappingBroken) as broken:
        read_mapping(MAPPING.replace(old, new), "demo/mapping.yaml")
    rendered = "\n".join(problem.render() for problem in broken.value.problems)
    assert says in rendered
    assert rendered.startswith("demo/mapping.yaml:")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (DATA.replace("who,what", "whom,what"), 'no column "who"'),
        (DATA.replace("2024-01-01 09:00:00", "yesterday"), "row 3 of"),
        (DATA.replace("12.50", "12,50"), "row 1 of"),
        (DATA.replace("12.50", "dear"), "properties.total is no number"),
        (DATA.replace("12.50", "inf"), "properties.total is no number"),
        (DATA.replace("bob,home", "bob,gone"), 'what the event "gone" is called'),
        (DATA.replace("bob,home", ",home"), "row 3 has no user"),
        (DATA.replace("bob,home", "bob,home,away"), "row 3 of"),
        (DATA.replace("phone", "x" * 40_000), "more than 32 KB"),
        (DATA.replace("phone", "x" * 200_000), "is no CSV"),
        (DATA.replace("phone", "x" * 2_000_000), "is longer than 1024 KB"),
        (DATA.replace("2024-01-01 09:00:00", "1924-01-01"), "before 1970"),
    ],
)
def test_a_row_that_makes_no_event_is_found_before_anything_is_sent(
    door: Any, files: Any, data: str, says: str
) -> None:
    url, log = door
    assert data != DATA
    data_path, mapping = files(data)
    answer = run(data_path, "--mapping", mapping, "--to", url, "--key", KEY)
    assert answer.exit_code == 1
    assert says in answer.output
    assert log.events == []


def test_a_file_out_of_order_is_refused_unless_the_mapping_sorts_it(files: Any) -> None:
    data, _ = files()
    with pytest.raises(Refused, match="sort: true") as refused:
        made(data, MAPPING.replace("sort: true", "sort: false"))
    assert refused.value.code == "TF442"


@pytest.mark.parametrize(
    "content", [b"\x1f\x8bnot gzip at all", gzip.compress(DATA.encode(), mtime=0)[:-20], b"\xff\xfe"]
)
def test_a_damaged_file_is_told_as_such(tmp_path: Path, content: bytes) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(content)
    with pytest.raises(Refused) as refused:
        made(data)
    assert refused.value.code == "TF441"


# On the way.


def test_a_replay_arrives_whole_and_in_order(door: Any, files: Any) -> None:
    url, log = door
    data, mapping = files()
    answer = run(data, "--mapping", mapping, "--to", url, "--key", KEY, "--json")
    told = json.loads(answer.output)
    assert (told["events"], told["people"], told["batches"], told["repeats"]) == (3, 2, 1, 0)
    assert (told["first"], told["last"]) == ("2024-01-01T09:00:00.000Z", "2024-01-01T11:00:00.000Z")
    assert [event.name for event in log.events] == ["identify", "page", "identify", "Order Completed", "page"]
    assert to_iso(log.events[-1].timestamp) == "2024-01-01T11:00:00.000Z"


def test_it_ends_with_what_was_sent_in_one_line(door: Any, files: Any) -> None:
    url, _ = door
    data, mapping = files()
    answer = run(data, "--mapping", mapping, "--to", url, "--key", KEY, "--limit", 1)
    assert answer.output.startswith("Sent 1 events of one person in 1 requests and ")
    assert answer.output.count("\n") == 1


def test_shifted_to_now_the_last_event_happens_now(door: Any, files: Any) -> None:
    url, log = door
    data, mapping = files()
    before = WallClock().now()
    run(data, "--mapping", mapping, "--to", url, "--key", KEY, "--shift-to-now")
    times = [event.timestamp for event in log.events]
    assert before <= times[-1] <= WallClock().now()
    assert times[-1] - times[0] == 2 * 3_600_000


def test_busy_and_broken_answers_are_waited_out_and_the_same_ids_are_sent_again(door: Any, files: Any) -> None:
    url, log = door
    data, mapping = files()
    log.moods = [Busy("full", retry_after_seconds=7), Unavailable("the disk is full"), Unavailable("still")]
    slept: list[float] = []
    with Sender(url, KEY, sleep=slept.append) as sender:
        done = replay(data, read_mapping(mapping.read_text(), "m"), url, KEY, sender=sender)
    assert done.repeats == 3
    assert slept[0] == 7
    assert len(slept) == 3
    assert len({tuple(event.message_id for event in batch) for batch in log.batches}) == 1
    assert len(log.events) == 5


def test_an_answer_that_is_lost_leads_to_the_same_ids_twice_and_no_new_ones(door: Any, files: Any) -> None:
    url, log = door
    data, mapping = files()
    log.moods, log.is_late = [Unavailable("stored, and then the answer was lost")], True
    with Sender(url, KEY, sleep=lambda _: None) as sender:
        replay(data, read_mapping(mapping.read_text(), "m"), url, KEY, sender=sender)
    ids = [event.message_id for event in log.events]
    assert len(ids) == 10
    assert ids[:5] == ids[5:]


def test_a_server_that_stays_away_is_given_up_after_five_minutes(files: Any) -> None:
    data, mapping = files()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        passed = [0.0]

        def sleep(seconds: float) -> None:
            passed[0] += seconds

        with (
            Sender(url, KEY, sleep=sleep, now=lambda: passed[0]) as sender,
            pytest.raises(Unavailable, match="no connection") as gone,
        ):
            replay(data, read_mapping(mapping.read_text(), "m"), url, KEY, sender=sender)
    assert gone.value.code == "TF444"
    assert 200 < passed[0] <= 300


def test_a_wrong_key_is_told_with_the_servers_own_words(door: Any, files: Any) -> None:
    url, log = door
    data, mapping = files()
    answer = run(data, "--mapping", mapping, "--to", url, "--key", "another-one")
    assert answer.exit_code == 1
    assert "the server answered 401: this write key is not known" in answer.output
    assert log.events == []


@pytest.mark.parametrize("url", ["127.0.0.1:8400", "ftp://127.0.0.1", "http://", "http://[::1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="no address"):
        Sender(url, KEY)


def test_without_an_address_it_goes_where_the_workspace_says(door: Any, files: Any, tmp_path: Path) -> None:
    url, log = door
    data, mapping = files()
    settings = (REPOSITORY / "triggerfish.toml").read_text()
    port = url.rpartition(":")[2]
    settings = settings.replace("port = 8400", f"port = {port}").replace('["demo-write-key"]', f'["{KEY}"]')
    (tmp_path / "triggerfish.toml").write_text(settings)
    assert run(data, "--mapping", mapping, "--workspace", tmp_path).exit_code == 0
    assert len(log.events) == 5


@given(st.lists(st.integers(1, 40_000), max_size=60))
def test_batches_hold_everything_in_order_and_fit_into_a_request(sizes: list[int]) -> None:
    calls = [Call(place, b"x" * size) for place, size in enumerate(sizes)]
    batches = list(batches_of(calls))
    assert [call for batch in batches for call in batch] == calls
    assert all(0 < len(batch) <= BATCH_CALLS for batch in batches)
    assert all(sum(len(call.json) + 1 for call in batch) < BATCH_BYTES + 61 <= LARGEST_BATCH for batch in batches)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=30).map(sorted), st.floats(0.5, 100))
def test_at_a_speed_nothing_is_sent_before_its_time_nor_much_later(times: list[int], speed: float) -> None:
    clock = [100.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    sent: list[tuple[float, Call]] = []
    for batch in paced([Call(at, b"{}") for at in times], speed, sleep, lambda: clock[0]):
        sent += [(clock[0], call) for call in batch]
    assert [call.at for _, call in sent] == times
    for at, call in sent:
        due = 100 + (call.at - times[0]) / 1000 / speed
        assert at == pytest.approx(due, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("3600x", 3600.0), ("0.5x", 0.5), ("60", 60.0)])
def test_a_speed_is_read_as_written(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "fast", "-1x", "0x", "1e9", "x"])
def test_what_is_no_speed_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is no speed"):
        parse_speed(text)
