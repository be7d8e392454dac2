"""Half of the top load, for long, while rules are reloaded, processes killed and the provider is slow or fails: memory,
open files, threads, WALs and lag stay as they are, every acknowledged event is decided once, no message leaves twice.

TRIGGERFISH_SOAK_MINUTES says how long (1 unless said; `make soak` takes 30); the report goes to TRIGGERFISH_SOAK_REPORT
as JSON, and, if all went well, into the document TRIGGERFISH_SOAK_DOCS, if they name files. The load is half of what
this machine has just shown to take, measured at the beginning and again before the second half. For half of the time
everything happens. Then, once the worker has caught up, the processes are let be, so that what each makes of itself
shows; only the provider stays as it is. The judging begins when the young worker's bounded caches are full: SQLite's
pages once so much was written, people's windows by their length. If that takes longer than the other half, the trend
may have what is left of the bound, and no more.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faults.flatness import growth
from faults.soak_report import document, report_of, series_of, table, write_into
from faults.soaking import Load, Provider, Sampler, Visitors
from running import Running, identify, serving, wait_until, write_rules, write_workspace
from triggerfish.adapters.sqlite.state import CACHE_KIB

MINUTES = float(os.environ.get("TRIGGERFISH_SOAK_MINUTES", "1"))
IS_LONG = MINUTES >= 10
PEOPLE = 2_000
WINDOW_SECONDS = 120
"""The longest window of the rules."""
BATCH = 50
RULES = """
    events:
      step: Step Taken
    segments:
      - name: walkers
        when: count(step, "2m") >= 3
      - name: eager
        when: score(step, half_life="5m") > 4
    ruleset: shop
    max_age: 1 day
    rules:
      - name: counted
        on: step
        then:
          - set: {steps: {value: count(step)}, worth: {value: sum(step.worth)}}
      - name: offer
        on: Offer Wanted
        then: [send: offer]
      - name: reminder
        on: Basket Left
        wait: 2 seconds
        while_waiting: each
        then: [send: reminder]
      - name: receipt
        on: Order Completed
        then: [send: receipt]
"""
CHANGING = """
    ruleset: changing
    rules:
      - name: never
        on: Step Taken
        when: event.worth > {number}
        then: [{{set: {{impossible: true}}}}]
"""
TEMPLATES = {"offer": "marketing", "reminder": "marketing", "receipt": "transactional"}
WANTED = {"Offer Wanted": "offer", "Basket Left": "reminder", "Order Completed": "receipt"}
SETTINGS = """
    [delivery.guard]
    most_at_once = 0
    times_ever = 0
    [limits]
    profile_cache = 1000
    [plugins.resend]
    api_key = "{api_key}"
    url = "{url}"
    timeout_seconds = 4
    per_second = 200
"""
MOST_GROWTH = {
    "memory, MB": 10.0 if IS_LONG else 30.0,
    "open files": 3.0 if IS_LONG else 8.0,
    "threads": 2.0 if IS_LONG else 4.0,
    "WAL, MB": 10.0 if IS_LONG else 40.0,
    "queue, events": 500.0,
}
"""What the trend of a series may make of it within the time that is judged."""
PAGES_MB = CACHE_KIB * 1024 / 1e6
"""The largest cache that a young worker fills: pages of the state."""
MEASURED = (
    *(f"{each} {what}" for each in ("api", "supervisor", "worker") for what in ("memory, MB", "open files", "threads")),
    "lag, events", "log WAL, MB", "state WAL, MB",
)  # fmt: skip
LAG_SECONDS = 2 if IS_LONG else 20
"""In the short form other tests take the processor, for seconds at a time."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(MINUTES * 60 + 3_600)]


def test_nothing_grows_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    seed = int(os.environ.get("TRIGGERFISH_FAULTS_SEED", random.SystemRandom().randrange(2**32)))
    print(f"\nseed {seed}, {MINUTES:g} minutes")
    dice = random.Random(seed)
    with Provider() as provider:
        settings = SETTINGS.format(api_key=provider.api_key, url=provider.url)
        rules = {"shop.yaml": RULES, "changing.yaml": CHANGING.format(number=1_000)}
        workspace = write_workspace(
            tmp_path / "shop", rules, channel="resend", more_settings=settings, **TEMPLATES
        )  # fmt: skip
        with serving(workspace) as server:
            everybody = [identify(f"p{number}", email=f"p{number}@example.org") for number in range(PEOPLE)]
            for start in range(0, PEOPLE, 500):
                server.take(*everybody[start : start + 500])
            server.quiet()
            with Load(server, PEOPLE, BATCH, random.Random(seed + 1)) as load, Visitors(provider) as visitors:
                top = top_rate(server, load)
                # The short form stands beside other tests: it is about what happens, not about the load.
                load.rate = top / 2 if IS_LONG else min(top / 4, 300.0)
                with Sampler(server) as sampler:
                    done = disturb(server, provider, load, dice)
                    caught_up(server, load)
                    if IS_LONG:
                        # What others do on this machine may have changed meanwhile: the judged load is half of what it
                        # takes now, if that is less.
                        top = min(top, top_rate(server, load))
                        load.rate = top / 2
                    let_be(provider, load, dice, lambda began: is_filled(sampler, began))
                    since, left = sampler.elapsed(), sampler.unfilled(PAGES_MB)
                    judged_from = time.monotonic()
                    let_be(provider, load, dice, lambda began: time.monotonic() - began >= MINUTES * 60 / 3)
                    judged = (time.monotonic() - judged_from) / 60
                load.stop()
                assert load.problem is None, repr(load.problem)
                settled(server)
                left = min(left, sampler.state_mb())
            lag = LAG_SECONDS * (load.rate or 0.0)
            allowed = MOST_GROWTH | {"worker memory, MB": MOST_GROWTH["memory, MB"] + left, "lag, events": lag}
            report = {"minutes": sampler.elapsed() / 60, "judged minutes": round(judged, 2)}
            report |= report_of(load, top, done, visitors.visits, sampler)
            report |= {"series": series_of(sampler, since, allowed)}
            print("\n".join([*table(report), "", *document(report)]))
            if path := os.environ.get("TRIGGERFISH_SOAK_REPORT"):
                Path(path).write_text(json.dumps(report | {"seed": seed}, indent=1))
            check_people(server, load)
            check_sends(server, provider, load)
            check_flat(report)
            if path := os.environ.get("TRIGGERFISH_SOAK_DOCS"):
                write_into(Path(path), document(report))


def top_rate(server: Running, load: Load) -> float:
    """Events a second that go the whole way, decided and committed, when as many come as can."""
    seconds = 40.0 if IS_LONG else 4.0
    began, before = time.monotonic(), load.events
    load.rate = None
    time.sleep(seconds)
    load.rate = 0.0
    wait_until(lambda: server.get("/v1/status")["lag"] == 0, "the end of the lag", 600)
    return (load.events - before) / (time.monotonic() - began)


def disturb(server: Running, provider: Provider, load: Load, dice: random.Random) -> dict[str, int]:
    """Let all kinds of things happen for half of the time; how often each did."""
    whole = MINUTES * 60 / 2
    done = {"reloads": 0, "workers killed": 0, "apis killed": 0, "bad times of the provider": 0}
    every = {"reload": 60.0, "worker": 90.0, "api": 240.0, "provider": 100.0}
    if not IS_LONG:
        # A worker takes seconds to start: it shall do some work in between.
        every = {"reload": whole / 2, "worker": whole / 1.5, "api": whole / 1.5, "provider": whole / 2}
    next_at = {name: seconds * dice.uniform(0.2, 0.9) for name, seconds in every.items()}
    began = time.monotonic()
    while (now := time.monotonic() - began) < whole:
        assert load.problem is None, repr(load.problem)
        for name, at in next_at.items():
            if now < at:
                continue
            next_at[name] = now + every[name] * dice.uniform(0.7, 1.3)
            if name == "reload":
                done["reloads"] += 1
                write_rules(server.workspace, "changing.yaml", CHANGING.format(number=1_000 + done["reloads"]))
            elif name == "provider":
                done["bad times of the provider"] += 1
                provider.have_a_bad_time(dice, 20)
            else:
                done[f"{name}s killed"] += 1
                server.kill(name)
        time.sleep(0.2)
    return done


def caught_up(server: Running, load: Load) -> None:
    """Wait until the worker is at it again and has decided what had gathered; in the long form nothing comes then."""
    most = 0.0 if IS_LONG else 2 * (load.rate or 0.0)
    load.rate = load.rate if most else 0.0
    wait_until(
        lambda: server.http.get("/readyz").status_code == 200 and server.get("/v1/status")["lag"] <= most,
        "a worker that has caught up",
        900,
    )


def let_be(provider: Provider, load: Load, dice: random.Random, is_over: Callable[[float], bool]) -> None:
    """The provider alone has bad times, until `is_over`, which is told when this began."""
    began = next_at = time.monotonic()
    while not is_over(began):
        assert load.problem is None, repr(load.problem)
        if time.monotonic() >= next_at:
            provider.have_a_bad_time(dice, 20)
            next_at += 100.0
        time.sleep(0.5)


def is_filled(sampler: Sampler, began: float) -> bool:
    """Whether there is no cache left that fills, or it has been waited for long enough."""
    waited = time.monotonic() - began
    least, most = (WINDOW_SECONDS, MINUTES * 60 / 2) if IS_LONG else (MINUTES * 10, MINUTES * 10)
    return waited >= most or (waited >= least and not sampler.unfilled(PAGES_MB))


def settled(server: Running) -> None:
    def found() -> bool:
        status = server.get("/v1/status")
        return not status["lag"] and not any(status["sends"].get(each) for each in ("scheduled", "due", "sending"))

    wait_until(found, "an end of all messages", 240)


def check_people(server: Running, load: Load) -> None:
    """Every acknowledged event was decided exactly once."""
    for person in (f"p{number}" for number in range(PEOPLE)):
        traits = server.get(f"/v1/profiles/{person}")["traits"]
        told = (traits.get("steps", 0), traits.get("worth", 0), traits.get("impossible"))
        assert told == (load.steps[person], load.worth[person], None), person
    assert server.get("/v1/status")["dead_letters"] == 0


def check_sends(server: Running, provider: Provider, load: Load) -> None:
    """Every message that was asked for is on record; none was delivered twice, each that is said to be sent once."""
    found: list[dict[str, Any]] = []
    while page := server.sends(limit="500", **({"before": found[-1]["id"]} if found else {})):
        found += page
    for event, template in WANTED.items():
        assert sum(each["template"] == template for each in found) == load.acked[event], event
    # What the provider did not take at first is tried again, later and later; that may be just now.
    assert {each["status"] for each in found} <= {"sent", "retrying", "sending", "due"}
    assert provider.taken.keys() <= {each["id"] for each in found}
    assert set(provider.taken.values()) <= {1}
    assert all(provider.taken[each["id"]] == 1 for each in found if each["status"] == "sent")


def check_flat(report: dict[str, Any]) -> None:
    series = report["series"]
    # What was not measured did not stay as it is: it is not known.
    seconds = report["judged minutes"] * 60
    for name in MEASURED:
        assert name in series, f"{name} was not measured"
        assert series[name]["points"] >= seconds / 3, f"{name} was measured {series[name]['points']} times only"
    grown = {name: row["growth"] for name, row in series.items() if row["growth"] > row["allowed"]}
    assert not grown, f"these grow: {grown}"
    # What comes within some seconds may be on its way, and it does not get more.
    assert series["lag, events"]["median"] <= LAG_SECONDS * report["load events/s"]


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ([5.0] * 100, 0.0),
        ([float(each) for each in range(100)], 99.0),
        ([5.0 if each % 4 else 500.0 for each in range(100)], 0.0),
        ([each / 10 if each % 5 else -400.0 for each in range(100)], 9.9),
    ],
)
def test_a_trend_is_seen_through_what_stands_out(values: list[float], made: float) -> None:
    assert growth([float(each) for each in range(100)], values) == pytest.approx(made, abs=0.2)
