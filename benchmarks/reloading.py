"""How long a change of the rules takes until it is live, and how long nothing is decided meanwhile: 1,000 rules on a
real server that knows 100,000 people and has three events of each in its log.

Three changes: of one rule, of one segment (it is looked at again for everybody), and a new count (the whole log is read
again). The pause is the longest that an event waits to be decided, of events that are sent all the while. There is no
floor: nothing else does the same.
"""

from __future__ import annotations

import contextlib
import gc
import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from benchmarks.measuring import Figure, Wrong, fresh_process
from benchmarks.streams import ROOT, fill
from benchmarks.workspaces import Server, serving
from triggerfish import walk
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.adapters.sqlite.state import SqliteStateStore
from triggerfish.clock import HOUR, WallClock, to_iso
from triggerfish.compose import load_workshop, prepare
from triggerfish.config import load_settings

PEOPLE = 100_000
RULES, FILES, SEGMENTS = 1_000, 50, 20
PATIENCE = 900.0


def measure(quick: bool, folder: Path) -> list[Figure]:
    people = PEOPLE // 20 if quick else PEOPLE
    workspace = make_workspace(folder)
    fresh_process(populate, workspace, people)
    found = [Figure("rules checked", "rules/s", RULES / fresh_process(loading, workspace))]
    rules = workspace / "rules"
    changes: dict[str, Callable[[], None]] = {
        "one rule of 1,000": lambda: replace(rules / "set0.yaml", "event.value > 7 ", "event.value > 8 "),
        "one segment of 20": lambda: replace(rules / "segments.yaml", ">= 3", ">= 4"),
        "a new count": lambda: replace(rules / "segments.yaml", "count(Viewed, '1d')", "sum(Viewed.price, '1d')"),
    }
    with serving(workspace) as server, httpx.Client(base_url=server.url, timeout=120) as http:
        wait(lambda: get(server, http, "/v1/status")["lag"] == 0, "the start")
        for what, change in changes.items():
            live, pause = reload(server, http, change)
            found.append(Figure(f"{people:,} people, {what}: until it is live", "s", live))
            found.append(Figure("  of it nothing is decided for", "s", pause))
    return found


def reload(server: Server, http: httpx.Client, change: Callable[[], None]) -> tuple[float, float]:
    """Seconds until the changed rulebook is live and everything is decided, and the longest pause."""
    before = get(server, http, "/v1/rulebook")["version"]
    with pulse(server) as beats:
        began = time.perf_counter()
        change()

        def is_through() -> bool:
            return (
                get(server, http, "/v1/rulebook")["version"] != before
                and get(server, http, "/v1/status")["lag"] == 0
                and is_fitted(server)
            )

        wait(is_through, "the changed rulebook")
        seconds = time.perf_counter() - began
    state = get(server, http, "/v1/rulebook")["state"]
    if state != "live":
        raise Wrong(f"the rulebook is {state}")
    return seconds, max(beats)


@contextlib.contextmanager
def pulse(server: Server) -> Iterator[list[float]]:
    """Send an event ten times a second; gives how long each of them, sent one after another, waited to be decided."""
    waited: list[float] = [0.0]
    done = threading.Event()

    def beat() -> None:
        with (
            httpx.Client(base_url=server.url, timeout=120, auth=(server.write_key, "")) as http,
            contextlib.closing(sqlite3.connect(f"file:{state_of(server)}?mode=ro", uri=True)) as state,
            contextlib.closing(sqlite3.connect(f"file:{log_of(server)}?mode=ro", uri=True)) as log,
        ):
            while not done.is_set():
                http.post("/v1/track", json={"userId": "pulse", "event": "Beat"}).raise_for_status()
                began = time.perf_counter()
                (head,) = log.execute("SELECT max(position) FROM events").fetchone()
                while state.execute("SELECT position FROM progress").fetchone()[0] < head:
                    time.sleep(0.005)
                waited.append(time.perf_counter() - began)
                done.wait(0.1)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield waited
    finally:
        done.set()
        thread.join()


def is_fitted(server: Server) -> bool:
    """Whether one worker is left: the one that has taken over."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    names = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children]
    return sum(b"triggerfish.processes.worker" in name for name in names) == 1


def state_of(server: Server) -> Path:
    return server.workspace / "data" / "state.sqlite3"


def log_of(server: Server) -> Path:
    return server.workspace / "data" / "log.sqlite3"


def get(server: Server, http: httpx.Client, path: str) -> dict[str, object]:
    answer = http.get(path, headers={"Authorization": f"Bearer {server.admin_key}"})
    answer.raise_for_status()
    told: dict[str, object] = answer.json()
    return told


def wait(found: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not found():
        if time.monotonic() > until:
            raise Wrong(f"{what} did not come within {PATIENCE:g} s")
        time.sleep(0.05)


def replace(path: Path, old: str, new: str) -> None:
    """Change a file at once."""
    text = path.read_text()
    if old not in text:
        raise Wrong(f"{path} does not hold {old!r}")
    fresh = path.with_name(f".{path.name}.tmp")
    fresh.write_text(text.replace(old, new, 1))
    fresh.replace(path)


# --- what is measured on ----------------------------------------------------------------------------------------------


def make_workspace(folder: Path) -> Path:
    """RULES rules in FILES rule sets and SEGMENTS segments, with the starter's templates."""
    workspace = folder / "workspace"
    shutil.copytree(ROOT / "templates", workspace / "templates")
    shutil.copy(ROOT / "triggerfish.toml", workspace)
    (workspace / "rules").mkdir()
    for place in range(FILES):
        rules = [rule(place * RULES // FILES + number) for number in range(RULES // FILES)]
        text = f"ruleset: set{place}\nmode: {'first' if place % 2 else 'all'}\nrules:\n{''.join(rules)}"
        (workspace / "rules" / f"set{place}.yaml").write_text(text)
    segments = [
        f"  - name: viewers-{days}\n    when: count(Viewed, '{days}d') >= {1 + days % 3}\n"
        for days in range(1, SEGMENTS + 1)
    ]
    (workspace / "rules" / "segments.yaml").write_text("segments:\n" + "".join(segments))
    return workspace


def rule(number: int) -> str:
    when = (
        f"event.value > {number % 300} and traits.country in ['DE', 'FR']"
        f" and count(Bought, '{1 + number % 60}d') >= {1 + number % 5}"
    )
    return (
        f"  - name: rule-{number}\n    on: Asked {number % 40}\n    when: {when}\n"
        "    wait: 30 minutes\n    unless: Bought\n    then: [{send: welcome}]\n"
    )


def calls(people: int) -> Iterator[bytes]:
    """An identify, a view and a purchase of each person, an hour ago."""
    at = to_iso(WallClock().now() - HOUR)
    for number in range(people):
        who = {"userId": f"person-{number}", "timestamp": at}
        traits = {"email": f"person-{number}@example.com", "country": "DE" if number % 2 else "IT"}
        yield json.dumps({**who, "type": "identify", "messageId": f"i{number}", "traits": traits}).encode()
        for name in ("Viewed", "Bought"):
            properties = {"price": number % 90, "total": number % 300}
            event = {"type": "track", "event": name, "messageId": f"{name}{number}", "properties": properties}
            yield json.dumps({**who, **event}).encode()


def populate(workspace: Path, people: int) -> None:
    """Let everybody's events happen, as the worker does."""
    settings = load_settings(workspace, {})
    prepare(settings)
    rulebook = load_workshop(settings).rulebook
    with (
        contextlib.closing(SqliteEventLog(settings.log_path)) as log,
        contextlib.closing(SqliteStateStore(settings.state_path)) as store,
    ):
        fill(log, calls(people))
        gc.freeze()
        gc.disable()
        house = walk.House(
            log=log, store=store, clock=WallClock(), rulebook=rulebook, templates={}, channel=None, links=None,
            dice=None, batch_events=1_000,
        )  # type: ignore[arg-type]  # fmt: skip
        walk.fit(house)
        while walk.follow(house):
            pass


def loading(workspace: Path) -> float:
    """Seconds to read, check and compile the whole rulebook."""
    settings = load_settings(workspace, {})
    began = time.perf_counter()
    load_workshop(settings)
    return time.perf_counter() - began
