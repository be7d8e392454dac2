"""Half of the top load, for long, while rules are reloaded, processes killed and the provider is slow or fails: memory,
open files, threads, WALs and lag stay as they are, every acknowledged event is decided once, no message leaves twice.

TRIGGERFISH_SOAK_MINUTES says how long (1 unless said; `make soak` takes 30); the report goes to TRIGGERFISH_SOAK_REPORT
as JSON, if that names a file. For half of the time everything happens. Then, once the worker has caught up, the
processes are let be, so that what each makes of itself shows; only the provider stays as it is. A third of that later
the bounded caches of a young worker are full (SQLite's pages, profiles at hand, people's windows), and the judging
begins.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from faults.flatness import growth, slope
from faults.soaking import Load, Provider, Sampler, Visitors
from running import Running, identify, serving, wait_until, write_rules, write_workspace

MINUTES = float(os.environ.get("TRIGGERFISH_SOAK_MINUTES", "1"))
IS_LONG = MINUTES >= 10
PEOPLE = 2_000
BATCH = 50
RULES = """
    events:
      step: Step Taken
    segments:
      - name: walkers
        when: count(step, "10m") >= 3
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
    "memory, MB": 10.0 if IS_LONG else 40.0,
    "open files": 3.0 if IS_LONG else 8.0,
    "threads": 2.0 if IS_LONG else 4.0,
    "WAL, MB": 10.0 if IS_LONG else 40.0,
    "queue, events": 500.0,
}
"""What the trend of a series may make of it within the time that is judged."""
LAG_SECONDS = 2 if IS_LONG else 20
"""In the short form other tests take the processor, for seconds at a time."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(MINUTES * 60 + 1_800)]


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
                    since = sampler.elapsed() + MINUTES * 60 / 6
                    let_be(provider, load, dice)
                load.stop()
                assert load.problem is None, repr(load.problem)
                settled(server)
            report = report_of(sampler, since, load, top, done, visitors.visits)
            print("\n".join(table(report)))
            if path := os.environ.get("TRIGGERFISH_SOAK_REPORT"):
                Path(path).write_text(json.dumps(report | {"seed": seed}, indent=1))
            check_people(server, load)
            check_sends(server, provider, load)
            check_flat(report)


def top_rate(server: Running, load: Load) -> float:
    """Events a second that go the whole way, decided and committed, when as many come as can."""
    seconds = 20.0 if IS_LONG else 4.0
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
    """Wait until the worker is at it again and has decided what had gathered."""
    most = 2 * (load.rate or 0.0)
    wait_until(
        lambda: server.http.get("/readyz").status_code == 200 and server.get("/v1/status")["lag"] <= most,
        "a worker that has caught up",
        300,
    )


def let_be(provider: Provider, load: Load, dice: random.Random) -> None:
    """Half of the time, in which the provider alone has bad times."""
    until = time.monotonic() + MINUTES * 60 / 2
    while (now := time.monotonic()) < until:
        assert load.problem is None, repr(load.problem)
        provider.have_a_bad_time(dice, 20)
        time.sleep(min(until - now, 100.0))


def settled(server: Running) -> None:
    def found() -> bool:
        status = server.get("/v1/status")
        return not status["lag"] and not any(status["sends"].get(each) for each in ("scheduled", "due", "sending"))

    wait_until(found, "an end of all messages", 240)


def report_of(
    sampler: Sampler, since: float, load: Load, top: float, done: dict[str, int], visits: int
) -> dict[str, Any]:
    """Each series: as it began, at most, and over the time that is judged, from `since` on."""
    series = {}
    for name, values in sorted(sampler.series.items()):
        times, judged = sampler.window(name, since)
        if judged:
            series[name] = {
                "first": round(values[0], 2),
                "median": round(statistics.median(judged), 2),
                "most": round(max(values), 2),
                "last": round(judged[-1], 2),
                "growth": round(growth(times, judged), 3),
                "an hour": round(slope(times, judged) * 3600, 2),
            }
    return {
        "minutes": MINUTES, "top events/s": round(top), "load events/s": round(load.rate or 0.0),
        "events": load.events, "messages wanted": sum(load.acked.values()), "opens and clicks": visits,
        "happened": done, "refused": dict(load.refused), "unready": dict.fromkeys(sorted(set(sampler.readings))),
        "series": series,
    }  # fmt: skip


def table(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    head = [f"  {name}: {value}" for name, value in report.items() if name != "series"]
    columns = ("first", "median", "most", "last", "growth", "an hour")
    lines = [f"  {'':<24}" + "".join(f"{each:>12}" for each in columns)]
    for name, row in report["series"].items():
        lines.append(f"  {name:<24}" + "".join(f"{row[each]:>12,.2f}" for each in columns))
    return head + lines


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
    grown = {
        name: row["growth"]
        for name, row in report["series"].items()
        for kind, most in MOST_GROWTH.items()
        if name.endswith(kind) and row["growth"] > most
    }
    assert not grown, f"these grow: {grown}"
    lag = report["series"]["lag, events"]
    # What comes within some seconds may be on its way, and it does not get more.
    assert lag["median"] <= LAG_SECONDS * report["load events/s"]
    assert lag["growth"] <= LAG_SECONDS * report["load events/s"]


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
