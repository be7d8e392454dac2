"""GET /metrics: every family is sound for Prometheus, and told in docs/operating.md with its labels; the alerts name
nothing else.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from shop import ADMIN, connect
from triggerfish import meters
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.meters import Beat
from triggerfish.processes.pulse import ROOMS
from triggerfish.web.serve import make_server

DOCS = Path(__file__).parents[2] / "docs"
OPERATING = (DOCS / "operating.md").read_text(encoding="utf-8")
TOLD = {
    name: set(filter(None, (labels or "").strip("{}").split(",")))
    for name, labels in re.findall(r"`(triggerfish_\w+)(\{[^}]*\})?`", OPERATING)
}
OPEN = {"Accept": "application/openmetrics-text; version=1.0.0"}


async def families(client, **headers):
    answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    return {each.name: each for each in text_string_to_metric_families(answer.text)}


async def test_every_family_is_told_with_its_labels(reader):
    for name, family in (await families(reader)).items():
        if not name.startswith("triggerfish"):
            assert name.startswith("process_"), name
            continue
        full = f"{name}_total" if family.type == "counter" else name
        assert full in TOLD, name
        assert family.documentation
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == TOLD[full], sample


async def test_openmetrics_is_spoken_to_whom_asks_for_it(reader):
    answer = await reader.get("/metrics", headers=OPEN)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    names = {each.name for each in open_families(answer.text)}
    assert {"triggerfish_events_stored", "triggerfish_build_info", "triggerfish_http_request_seconds"} <= names


async def test_what_the_other_processes_count_is_there(shop, monkeypatch):
    monkeypatch.setattr(meters, "take", dict)
    figures = {
        "triggerfish_worker_events_total": [((), [41.0])],
        "triggerfish_worker_batch_seconds": [((), [1.0, 2.0, *[0.0] * 12, 0.75])],
        "triggerfish_worker_room_seconds_total": [(("rules",), [2.5])],
    }
    worker = Beat(pid=2**22 + 1, state="working", since=0, beaten=0, turned=0, meters=figures)
    async with connect(replace(shop, beats=lambda: {"worker": worker}), headers=ADMIN) as client:
        text = (await client.get("/metrics")).text
    assert "\ntriggerfish_worker_events_total 41.0\n" in text
    assert 'triggerfish_worker_room_seconds_total{room="rules"} 2.5' in text
    assert 'triggerfish_worker_batch_seconds_bucket{le="0.01"} 3.0' in text
    assert "\ntriggerfish_worker_batch_seconds_count 3.0\n" in text
    assert "\ntriggerfish_worker_batch_seconds_sum 0.75\n" in text
    assert 'triggerfish_process_up{process="worker"} 0.0' in text
    assert 'triggerfish_process_up{process="api"} 1.0' in text


async def test_events_and_refusals_are_counted_by_call_route_and_code(shop):
    def now():
        known = {name: dict(shown) for name, shown in meters.take().items()}
        taken = known["triggerfish_events_taken_total"].get(("batch",), [0.0])[0]
        refused = known.get("triggerfish_http_refused_total", {}).get(("TF110",), [0.0])[0]
        requests = known["triggerfish_http_request_seconds"].get(("/v1/batch", "401"), [0.0])[:-1]
        return taken, refused, sum(requests)

    before = now()
    # Into a log of its own: the shop is everybody's.
    async with connect(replace(shop, front=replace(shop.front, log=MemoryEventLog()))) as client:
        batch = {"batch": [{"type": "track", "userId": "m", "event": "Metered"}] * 3}
        assert (await client.post("/v1/batch", json=batch, auth=("a write key", ""))).status_code == 200
        assert (await client.post("/v1/batch", json=batch, auth=("another", ""))).status_code == 401
    assert [after - earlier for after, earlier in zip(now(), before, strict=True)] == [3, 1, 1]


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/v1/profiles/ana", "/v1/profiles/{identity}", "200"),
        ("/nothing/here", "none", "404"),
        ("/healthz", "/healthz", "200"),
    ],
)
async def test_other_requests_are_counted_by_the_route_and_not_by_what_was_asked(shop, path, route, status):
    def count():
        shown = dict(meters.HTTP_REQUESTS.shown())
        return sum(shown.get((route, status), [0.0])[:-1])

    before = count()
    async with connect(shop, headers=ADMIN) as client:
        metered = make_server(client._transport.app).config.app
        client._transport.app = metered
        await client.get(path)
    assert count() == before + 1
    assert not any("ana" in labels[0] for labels, _ in meters.HTTP_REQUESTS.shown())


def test_the_rooms_are_told():
    told = re.search(r"room\}` \| time in each room: ([^|]*) \|", OPERATING)
    assert told
    assert set(re.findall(r"[a-z]+", re.sub(r"\([^)]*\)", "", told[1]))) == set(ROOMS)


@pytest.mark.docs
def test_every_alert_is_about_figures_that_there_are():
    page = YAML(typ="safe").load((DOCS / "prometheus-alerts.yaml").read_text(encoding="utf-8"))
    (group,) = page["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(names) == len(set(names)) > 10
    for rule in group["rules"]:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "warn")
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
        named = re.findall(r"(triggerfish_\w+?)(?:_bucket)?\b(\{[^}]*\})?", rule["expr"])
        assert named
        for name, matchers in named:
            assert set(re.findall(r"(\w+)=", matchers)) <= TOLD[name], rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")")
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert any(label in TOLD[name] for name, _ in named)
