"""How the whole is doing, as JSON and for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
from litestar import Response, get
from msgspec import Struct
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from triggerfish.compose import Desk
from triggerfish.health import RuleHealth
from triggerfish.quarantine import Counted
from triggerfish.reads import DeadLetterView, RuleView, StatusView
from triggerfish.reports import Outcome
from triggerfish.rulefile.problems import Problem
from triggerfish.versions import VersionView, views
from triggerfish.web.given import TheDesk
from triggerfish.web.keys import admin_only
from triggerfish.web.questions import Limit, Number, takes


class ProblemView(Struct, frozen=True):
    """A problem of a rule file or template; `text` is how `triggerfish check` prints it, caret and all."""

    code: str
    path: str
    line: int
    column: int
    sentence: str
    hint: str
    is_warning: bool
    text: str


class RulebookView(Struct, frozen=True):
    """Which rulebook is live, and since when. "broken": the files have changed and cannot be used as they are, for the
    `problems` (or the `error`); the rulebook that is live is the one of before. "none": nothing was ever live. `rules`
    are those that are live, each with its health.
    """

    state: Literal["live", "broken", "none"]
    version: str = ""
    loaded_at: str = ""
    error: str = ""
    problems: list[ProblemView] = []
    rules: list[RuleHealth] = []


class _Noted(Struct):
    """What the supervisor notes of the rulebook, as far as it is shown here."""

    state: Literal["live", "broken"] = "live"
    version: str = ""
    loaded_at: str = ""
    error: str = ""
    problems: list[Problem] = []


def rulebook_state(path: Path) -> RulebookView:
    """What the supervisor noted at `path`."""
    try:
        noted = msgspec.json.decode(path.read_bytes(), type=_Noted)
    except FileNotFoundError:
        return RulebookView("none")
    problems = [
        ProblemView(
            each.code, each.path, each.line, each.column, each.sentence, each.hint, each.is_warning, each.render()
        )
        for each in noted.problems
    ]
    return RulebookView(noted.state, noted.version, noted.loaded_at, noted.error, problems)


@get("/v1/rulebook", guards=[admin_only, takes()], sync_to_thread=True)
def rulebook(desk: TheDesk) -> RulebookView:
    """The state of the rulebook, with the problems of a change that could not go live, and how each rule is doing."""
    return msgspec.structs.replace(rulebook_state(desk.settings.rulebook_path), rules=desk.reads.health())


@get("/v1/rulebook/versions", guards=[admin_only, takes()], sync_to_thread=True)
def rulebook_versions(desk: TheDesk) -> list[VersionView]:
    """The versions of the rulebook that are kept, the one that was live last first."""
    return kept_versions(desk)


def kept_versions(desk: Desk) -> list[VersionView]:
    return views(desk.versions.all(), rulebook_state(desk.settings.rulebook_path).version)


@get("/v1/status", guards=[admin_only, takes()], sync_to_thread=True)
def status(desk: TheDesk) -> StatusView:
    """Events, lag, people, sends by status."""
    return desk.reads.status()


@get("/v1/results", guards=[admin_only, takes()], sync_to_thread=True)
def results(desk: TheDesk) -> list[RuleView]:
    """What each rule's messages came to."""
    return desk.reads.results()


@get("/v1/dead-letters", guards=[admin_only, takes("limit", "before")], sync_to_thread=True)
def dead_letters(desk: TheDesk, limit: Limit = 100, before: Number = None) -> list[DeadLetterView]:
    """Events that could not be decided and were put aside, newest first. `before` is the `position` of the last one."""
    return desk.reads.dead_letters(limit, before)


@get("/metrics", guards=[admin_only, takes()], sync_to_thread=True, include_in_schema=False)
def metrics(desk: TheDesk) -> Response[bytes]:
    """The same figures in Prometheus' text format, and those of this process."""
    registry = CollectorRegistry()
    registry.register(Figures(desk))
    ProcessCollector(registry=registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class Figures(Collector):
    """The state's figures at the moment of asking. Only what reports come to is counted in this process."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> Iterator[Metric]:
        now = self._desk.reads.status()
        yield CounterMetricFamily("triggerfish_events_stored", "Events that the log has taken.", value=now.events)
        yield GaugeMetricFamily("triggerfish_lag_events", "Events that are stored and not decided yet.", value=now.lag)
        yield GaugeMetricFamily("triggerfish_profiles", "People known.", value=now.profiles)
        yield GaugeMetricFamily("triggerfish_dead_letters", "Events put aside.", value=now.dead_letters)
        yield GaugeMetricFamily(
            "triggerfish_quarantined_events",
            "Events that the tracking plan put aside.",
            value=self._desk.quarantine.size(),
        )
        yield _violations(self._desk.quarantine.violations())
        sends = GaugeMetricFamily("triggerfish_sends", "Messages by status.", labels=["status"])
        for name, count in sorted(now.sends.items()):
            sends.add_metric([name], count)
        yield sends
        members = GaugeMetricFamily("triggerfish_segment_members", "People in a segment.", labels=["segment"])
        for name, count in _counts(self._desk.reads.segments()):
            members.add_metric([name], count)
        yield members
        rules = rulebook_state(self._desk.settings.rulebook_path)
        is_live = GaugeMetricFamily(
            "triggerfish_rulebook_live", "1: the files as they are now are live.", labels=["version"]
        )
        is_live.add_metric([rules.version], float(rules.state == "live"))
        yield is_live
        reports = CounterMetricFamily("triggerfish_reports", "Mails that report on messages.", labels=["outcome"])
        for outcome in get_args(Outcome):
            reports.add_metric([outcome], self._desk.mailroom.counts[outcome])
        yield reports
        streams = GaugeMetricFamily("triggerfish_stream_up", "1: the stream listens.", labels=["stream"])
        for name, stream in self._desk.streams.items():
            streams.add_metric([name], float(not stream.problem))
        yield streams
        yield from _health(self._desk.reads.health())


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


routes = [rulebook, rulebook_versions, status, results, dead_letters, metrics]
