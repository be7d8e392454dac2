"""Everything that Prometheus gets: what the processes count (meters.py), and what the stores, the disk and the system
say at the moment of asking.
"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import Any, get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from triggerfish import meters
from triggerfish.clock import SECOND
from triggerfish.compose import Desk
from triggerfish.health import RuleHealth
from triggerfish.meters import Histogram, Meter, Shown
from triggerfish.quarantine import Counted
from triggerfish.reports import Outcome

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def exposition(desk: Desk, *, accept: str, is_live: tuple[str, bool], ready: Mapping[str, bool]) -> tuple[bytes, str]:
    """All metrics and their media type: Prometheus' text format, or OpenMetrics where `accept` asks for it. `is_live`
    is the rulebook's version and whether the files as they are now are live; `ready` says which parts are fit.
    """
    registry = CollectorRegistry()
    registry.register(Figures(desk, is_live=is_live, ready=ready))
    ProcessCollector(registry=registry)
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class Figures(Collector):
    """What all processes count, and the stores' figures at the moment of asking."""

    def __init__(self, desk: Desk, *, is_live: tuple[str, bool], ready: Mapping[str, bool]) -> None:
        self._desk = desk
        self._is_live = is_live
        self._ready = ready

    def collect(self) -> Iterator[Metric]:
        beats = self._desk.beats()
        pids = {"api": os.getpid(), **{place: beat.pid for place, beat in beats.items()}}
        build = {
            "version": version("triggerfish"),
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
        }
        yield _gauge("triggerfish_build_info", "What runs here.", [(build, 1)])
        yield _gauge(
            "triggerfish_ready",
            "1: this part is fit, as GET /readyz tells.",
            [({"part": part}, float(is_fit)) for part, is_fit in self._ready.items()],
        )
        yield from self._log()
        yield from self._state()
        yield from _processes(pids)
        yield from self._rest()
        yield from _health(self._desk.reads.health())
        shown = meters.add_up([meters.take(), *(beat.meters for beat in beats.values())])
        for name, meter in meters.METERS.items():
            yield _family(meter, shown.get(name, []))

    def _log(self) -> Iterator[Metric]:
        """The log, its queue and the files."""
        queue = self._desk.queue()
        yield _gauge("triggerfish_log_queue_events", "Events that wait for the disk.", [({}, queue.events)])
        yield _gauge("triggerfish_log_queue_limit_events", "The most that may wait.", [({}, queue.most_events)])
        yield _gauge("triggerfish_log_queue_bytes", "Bytes that wait for the disk.", [({}, queue.bytes)])
        yield _gauge("triggerfish_log_queue_limit_bytes", "The most that may wait.", [({}, queue.most_bytes)])
        settings = self._desk.settings
        files = {"log": settings.log_path, "state": settings.state_path}
        files |= {f"{name}-wal": path.with_name(f"{path.name}-wal") for name, path in files.items()}
        sizes = [({"file": name}, _size(path)) for name, path in files.items()]
        yield _gauge("triggerfish_file_bytes", "Sizes of the log, the state and their write-ahead logs.", sizes)
        free = shutil.disk_usage(settings.data_path).free
        yield _gauge("triggerfish_disk_free_bytes", "Room on the disk of the data folder.", [({}, free)])

    def _state(self) -> Iterator[Metric]:
        reads = self._desk.reads
        now = reads.status()
        at = self._desk.front.clock.now()
        lag, agenda = self._desk.backlog.lag(at), self._desk.backlog.agenda(at)
        yield CounterMetricFamily("triggerfish_events_stored", "Events that the log has taken.", value=now.events)
        yield _gauge("triggerfish_lag_events", "Events that are stored and not decided yet.", [({}, lag.events)])
        age: list[tuple[dict[str, str], float]] = [({}, lag.age / SECOND)]
        yield _gauge("triggerfish_lag_seconds", "How long the oldest of them has been stored.", age)
        yield _gauge("triggerfish_agenda_rows", "People for whom something waits for its time.", [({}, agenda.waiting)])
        yield _gauge("triggerfish_agenda_due", "Those of them whose time has come.", [({}, agenda.due)])
        yield _gauge("triggerfish_profiles", "People known.", [({}, now.profiles)])
        yield _gauge("triggerfish_dead_letters", "Events put aside.", [({}, now.dead_letters)])
        sends = [({"status": name}, float(count)) for name, count in sorted(now.sends.items())]
        yield _gauge("triggerfish_sends", "Messages by status.", sends, ["status"])
        members = [({"segment": name}, float(count)) for name, count in _counts(reads.segments())]
        yield _gauge("triggerfish_segment_members", "People in a segment.", members, ["segment"])

    def _rest(self) -> Iterator[Metric]:
        desk = self._desk
        aside = desk.quarantine.size()
        yield _gauge("triggerfish_quarantined_events", "Events that the tracking plan put aside.", [({}, aside)])
        yield _violations(desk.quarantine.violations())
        live, is_live = self._is_live
        says = "1: the files as they are now are live."
        yield _gauge("triggerfish_rulebook_live", says, [({"version": live}, float(is_live))])
        reports = CounterMetricFamily("triggerfish_reports", "Mails that report on messages.", labels=["outcome"])
        for outcome in get_args(Outcome):
            reports.add_metric([outcome], desk.mailroom.counts[outcome])
        yield reports
        streams = [({"stream": name}, float(not stream.problem)) for name, stream in desk.streams.items()]
        yield _gauge("triggerfish_stream_up", "1: the stream listens.", streams, ["stream"])


def _gauge(
    name: str, says: str, values: Sequence[tuple[dict[str, str], float]], labels: Sequence[str] | None = None
) -> GaugeMetricFamily:
    names = labels if labels is not None else list(values[0][0]) if values else []
    gauge = GaugeMetricFamily(name, says, labels=names)
    for of, value in values:
        gauge.add_metric([of[each] for each in names], value)
    return gauge


def _family(meter: Meter, shown: Shown) -> Metric:
    """A meter as Prometheus has it."""
    if isinstance(meter, Histogram):
        histogram = HistogramMetricFamily(meter.name, meter.says, labels=meter.labels)
        bounds = [*(f"{bound:g}" for bound in meter.bounds), "+Inf"]
        for labels, cell in shown:
            buckets = list(zip(bounds, accumulate(cell[:-1]), strict=True))
            histogram.add_metric(list(labels), buckets, cell[-1])
        return histogram
    kind = CounterMetricFamily if meter.kind == "counter" else GaugeMetricFamily
    family = kind(meter.name, meter.says, labels=meter.labels)
    for labels, cell in shown:
        family.add_metric(list(labels), cell[0])
    return family


def _processes(pids: Mapping[str, int]) -> Iterator[Metric]:
    """What the system says of the server's processes; nothing where it has no /proc."""
    up = GaugeMetricFamily("triggerfish_process_up", "1: the process is there.", labels=["process"])
    memory = GaugeMetricFamily("triggerfish_process_resident_bytes", "Memory in use.", labels=["process"])
    cpu = CounterMetricFamily("triggerfish_process_cpu_seconds", "Processor time taken.", labels=["process"])
    files = GaugeMetricFamily("triggerfish_process_open_files", "Open files and sockets.", labels=["process"])
    threads = GaugeMetricFamily("triggerfish_process_threads", "Threads.", labels=["process"])
    for name, pid in pids.items():
        place = Path(f"/proc/{pid}")
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            descriptors = sum(1 for _ in (place / "fd").iterdir())
        except OSError:
            up.add_metric([name], 0)
            continue
        up.add_metric([name], float(fields[0] != "Z"))
        memory.add_metric([name], int(fields[21]) * _PAGE)
        cpu.add_metric([name], (int(fields[11]) + int(fields[12])) / _TICKS)
        files.add_metric([name], descriptors)
        threads.add_metric([name], int(fields[17]))
    if Path("/proc/self/stat").exists():
        yield from (up, memory, cpu, files, threads)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _health(rules: Sequence[RuleHealth]) -> Iterator[Metric]:
    fired = GaugeMetricFamily(
        "triggerfish_rule_last_fired_seconds", "When a rule fired last, since 1970.", labels=["ruleset", "rule"]
    )
    matches = GaugeMetricFamily(
        "triggerfish_rule_matches_a_day", "How often a rule matches, mean of 7 days.", labels=["ruleset", "rule"]
    )
    errors = GaugeMetricFamily(
        "triggerfish_rule_errors", "Messages of a rule that failed in 7 days.", labels=["ruleset", "rule"]
    )
    share = GaugeMetricFamily(
        "triggerfish_rule_time_share", "A rule's share of what conditions take.", labels=["ruleset", "rule"]
    )
    stopped = GaugeMetricFamily(
        "triggerfish_rule_stopped", "1: the rule used to fire and has stopped.", labels=["ruleset", "rule"]
    )
    held = GaugeMetricFamily("triggerfish_rule_held", "1: the rule's messages are held.", labels=["ruleset", "rule"])
    for each in rules:
        labels = [each.ruleset, each.rule]
        if each.last_fired is not None:
            fired.add_metric(labels, datetime.fromisoformat(each.last_fired).timestamp())
        matches.add_metric(labels, each.matches_a_day_7)
        errors.add_metric(labels, each.errors_7)
        stopped.add_metric(labels, float(each.has_stopped))
        held.add_metric(labels, float(bool(each.held)))
        if each.share_of_time is not None:
            share.add_metric(labels, each.share_of_time)
    yield from (fired, matches, errors, share, stopped, held)


def _violations(counted: Sequence[Counted]) -> Metric:
    """By what was wrong and what became of the event. Names of events come from outside, so they are no labels."""
    figures = Counter[tuple[str, str]]()
    for one in counted:
        for action, number in (("refused", one.refused), ("quarantined", one.quarantined), ("warned", one.warned)):
            figures[action, one.what or "others"] += number
    said = "Ways in which events broke the tracking plan."
    metric = CounterMetricFamily("triggerfish_plan_violations", said, labels=["action", "what"])
    for (action, what), number in sorted(figures.items()):
        metric.add_metric([action, what], number)
    return metric


def _counts(tree: list[Any]) -> Iterator[tuple[str, int]]:
    for each in tree:
        yield each.name, each.count
        yield from _counts(each.children)
