"""What a process counts while it runs, for operators: every meter that there is, declared in one place.

A meter belongs to a process, as a log does. Adapters, plugins' guards, the web and the processes write to it; the rooms
and the engine do not, they stay pure. `take` gives what all meters of this process show; web/metrics.py shows it to
Prometheus, that of the other processes, too. A meter is written to by one thread; any may `take`.

Labels come from small closed sets: names of routes, plugins, statuses. Never a person, a message or a text from
outside. Should one grow all the same, it stops at MOST_SERIES: what is more is counted under "other".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from msgspec import Struct

MOST_SERIES = 300
"""Combinations of labels that one meter keeps."""

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[str, ...]
Shown = list[tuple[Labels, list[float]]]
"""What a meter shows, by its labels: one number, or a histogram's buckets (each by itself) and behind them the sum."""

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
LONG_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)

METERS: dict[str, Meter] = {}
"""Every meter by its name."""
NOTED: list[Callable[[], None]] = []
"""Called before the meters are read: they count what was only noted so far."""


class Meter:
    """`says` is what operators read about it. A counter's name ends in `_total`, seconds and bytes are the units."""

    kind: Kind

    def __init__(self, name: str, says: str, *labels: str) -> None:
        self.name, self.says, self.labels = name, says, labels
        self._cells: dict[Labels, list[float]] = {}
        METERS[name] = self

    def shown(self) -> Shown:
        return [(labels, list(cell)) for labels, cell in list(self._cells.items())]

    def _cell(self, labels: Labels) -> list[float]:
        cell = self._cells.get(labels)
        if cell is None:
            if len(self._cells) >= MOST_SERIES:
                labels = ("other",) * len(self.labels)
            cell = self._cells.setdefault(labels, self._fresh())
        return cell

    def _fresh(self) -> list[float]:
        return [0.0]


class Counter(Meter):
    """Only grows."""

    kind = "counter"

    def add(self, amount: float = 1, *labels: str) -> None:
        self._cell(labels)[0] += amount

    def cell(self, *labels: str) -> list[float]:
        """The number itself, the one item of a list, for where every microsecond counts: add to it."""
        return self._cell(labels)


class Gauge(Meter):
    """How much there is now."""

    kind = "gauge"

    def set(self, value: float, *labels: str) -> None:
        self._cell(labels)[0] = value

    def replace(self, values: Mapping[Labels, float]) -> None:
        """Show these, and nothing else any more."""
        self._cells = {labels: [value] for labels, value in list(values.items())[:MOST_SERIES]}


class Histogram(Meter):
    """How large, or how long, things were: how many up to each of `bounds`."""

    kind = "histogram"

    def __init__(self, name: str, says: str, *labels: str, bounds: tuple[float, ...]) -> None:
        super().__init__(name, says, *labels)
        self.bounds = bounds

    def observe(self, value: float, *labels: str) -> None:
        cell = self._cell(labels)
        cell[bisect_left(self.bounds, value)] += 1
        cell[-1] += value

    def observe_all(self, values: list[float], *labels: str) -> None:
        """Many at once, which costs a third of one by one. Sorts `values`."""
        cell = self._cell(labels)
        values.sort()
        before = 0
        for place, bound in enumerate(self.bounds):
            upto = bisect_right(values, bound, before)
            cell[place] += upto - before
            before = upto
        cell[-2] += len(values) - before
        cell[-1] += sum(values)

    def _fresh(self) -> list[float]:
        return [0.0] * (len(self.bounds) + 2)


class Beat(Struct, kw_only=True):
    """A process's sign of life. `state` is what it is at, since `since`; `beaten` when it said so, `turned` when its
    event loop last came round: seconds of the machine's monotonic clock, the same for all processes. `meters` is what
    they show, `why` says more.
    """

    pid: int
    state: str
    since: float
    beaten: float
    turned: float
    why: str = ""
    meters: dict[str, Shown] = {}


def take() -> dict[str, Shown]:
    """What the meters of this process show, by name; those that nothing was written to are left out."""
    for count in NOTED:
        count()
    return {name: shown for name, meter in METERS.items() if (shown := meter.shown())}


def add_up(taken: Iterable[dict[str, Shown]]) -> dict[str, Shown]:
    """What several processes' meters show together."""
    sums: dict[str, dict[Labels, list[float]]] = {}
    for each in taken:
        for name, shown in each.items():
            cells = sums.setdefault(name, {})
            for labels, cell in shown:
                known = cells.get(labels)
                cells[labels] = cell if known is None else [a + b for a, b in zip(known, cell, strict=True)]
    return {name: sorted(cells.items()) for name, cells in sums.items()}


# The api process.

HTTP_REQUESTS = Histogram(
    "triggerfish_http_request_seconds",
    "How long requests took from their head to the end of the answer, by route and status.",
    "route", "status",
    bounds=SECONDS,
)  # fmt: skip
HTTP_REFUSED = Counter("triggerfish_http_refused_total", "Requests answered with an error, by its code.", "code")
EVENTS_TAKEN = Counter("triggerfish_events_taken_total", "Events answered with 200, by call.", "call")
EVENTS_BYTES = Counter("triggerfish_events_received_bytes_total", "Bytes of the bodies that they came in, inflated.")
LOG_GROUP = Histogram(
    "triggerfish_log_group_events", "Events that one commit of the log made durable together.", bounds=SIZES
)
LOG_COMMIT = Histogram(
    "triggerfish_log_commit_seconds", "How long a commit of the log took, the disk's sync included.", bounds=SECONDS
)
LOG_FAILURES = Counter("triggerfish_log_failed_commits_total", "Commits of the log that the disk refused.")

# The worker.

WORKER_EVENTS = Counter("triggerfish_worker_events_total", "Events decided and committed.")
WORKER_BATCH = Histogram(
    "triggerfish_worker_batch_size", "Events and due people decided and committed together.", bounds=SIZES
)
WORKER_BATCH_SECONDS = Histogram(
    "triggerfish_worker_batch_seconds", "How long a batch took, from reading to the commit.", bounds=LONG_SECONDS
)
WORKER_ROOMS = Counter(
    "triggerfish_worker_room_seconds_total",
    "Time that the worker spent in each room, from ten looks a second at what it was doing.",
    "room",
)
AGENDA_OVERDUE = Gauge(
    "triggerfish_agenda_overdue_seconds", "How long the earliest due row of the agenda has been due; 0 when none is."
)
LANE_OVERDUE = Gauge(
    "triggerfish_lane_overdue_seconds",
    "How long the message that is first in line has been due, by lane; 0 when it is not due yet.",
    "channel", "class", "provider",
)  # fmt: skip
SENDS_SETTLED = Counter(
    "triggerfish_sends_settled_total",
    "Answers of channels and actions, by what they made of the message.",
    "channel", "class", "status",
)  # fmt: skip

# Plugins, in whichever process they run.

PLUGIN_CALLS = Histogram(
    "triggerfish_plugin_call_seconds", "How long calls of plugins took.", "plugin", "call", bounds=LONG_SECONDS
)
PLUGIN_ERRORS = Counter(
    "triggerfish_plugin_errors_total",
    "Calls of plugins that went wrong, by how: raised, deadline, not-handed-over, contract, resting, hung.",
    "plugin", "kind",
)  # fmt: skip
PLUGIN_RESTING = Gauge(
    "triggerfish_plugin_resting", "1: the plugin's channel or action rests after failures.", "plugin"
)
PLUGIN_HUNG = Gauge("triggerfish_plugin_hung_calls", "Calls that were given up and still hang.", "plugin")
PLUGIN_THREADS = Gauge("triggerfish_plugin_busy_threads", "Threads in which a blocking channel is at work.", "plugin")

# The supervisor.

RESTARTS = Counter(
    "triggerfish_process_restarts_total", "How often a process that had died was started again.", "process"
)
RELOADS = Counter(
    "triggerfish_rulebook_reloads_total", "Changes of the rulebook, by outcome: live or refused.", "outcome"
)

# Every process.

GC_SECONDS = Counter("triggerfish_gc_seconds_total", "Time that looking for garbage took.", "process")
GC_RUNS = Counter("triggerfish_gc_runs_total", "How often garbage was looked for.", "process", "generation")
