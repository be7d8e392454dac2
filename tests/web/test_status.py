"""The whole in figures: status, results, rulebook, and what Prometheus gets."""

from dataclasses import replace

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from shop import ADMIN, connect
from triggerfish.adapters.versions import KeptVersions
from triggerfish.rulefile.problems import Problem
from triggerfish.web.status import rulebook_state

PROBLEM = Problem(
    path="rules/cart.yaml", line=9, column=9, code="TF214", sentence='unknown key "templat" in a send',
    hint='did you mean "template"?', source="        - templat: cart-vip", width=7,
)  # fmt: skip


async def test_the_status_counts_events_people_and_sends(reader):
    assert (await reader.get("/v1/status")).json() == {
        "events": 6,
        "lag": 0,
        "decided_until": "2026-01-01T02:00:00.000Z",
        "profiles": 3,
        "dead_letters": 0,
        "sends": {"sent": 1, "skipped": 1},
    }


async def test_results_say_what_a_rule_came_to_and_why_not(reader):
    (rule,) = (await reader.get("/v1/results")).json()
    assert (rule["ruleset"], rule["rule"], rule["sends"]) == ("hello", "welcome", {"sent": 1, "skipped": 1})
    assert rule["results"]["sent"] == 1
    assert rule["reasons"] == [{"status": "skipped", "reason": "Returned happened meanwhile", "count": 1}]


async def test_prometheus_gets_the_same_figures(reader):
    answer = await reader.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = list(text_string_to_metric_families(answer.text))
    figures = {(sample.name, *sample.labels.values()): sample.value for each in families for sample in each.samples}
    assert figures["triggerfish_events_stored_total",] == 6
    assert figures["triggerfish_lag_events",] == 0
    assert figures["triggerfish_profiles",] == 3
    assert figures["triggerfish_sends", "sent"] == 1
    assert figures["triggerfish_segment_members", "vip"] == 1
    assert [value for name, value in figures.items() if name[0] == "triggerfish_rulebook_live"] == [1]


async def test_a_broken_rulebook_is_told_as_check_prints_it(shop, tmp_path):
    desk = replace(shop, settings=msgspec.structs.replace(shop.settings, workspace=tmp_path))
    desk.settings.data_path.mkdir()
    noted = {"state": "broken", "version": "abc", "loaded_at": "2026-01-01T00:00:00.000Z"}
    desk.settings.rulebook_path.write_bytes(msgspec.json.encode(noted | {"problems": [PROBLEM], "segments": []}))
    async with connect(desk, headers=ADMIN) as client:
        told = (await client.get("/v1/rulebook")).json()
        page = (await client.get("/")).text
        metrics = (await client.get("/metrics")).text
    assert (told["state"], told["version"]) == ("broken", "abc")
    (problem,) = told["problems"]
    assert problem["text"] == PROBLEM.render()
    assert (problem["line"], problem["column"], problem["code"]) == (9, 9, "TF214")
    assert "^^^^^^^ did you mean &#34;template&#34;?" in page
    assert 'triggerfish_rulebook_live{version="abc"} 0.0' in metrics


async def test_the_versions_that_are_kept_are_told_and_shown(shop, tmp_path):
    settings = msgspec.structs.replace(shop.settings, workspace=tmp_path)
    desk = replace(shop, settings=settings, versions=KeptVersions(settings.versions_path))
    for minute, text in enumerate((b"one", b"two", b"<three>")):
        kept = desk.versions.keep({"rules/<b>.yaml": text}, "reload", f"2026-01-01T00:0{minute}:00.000Z")
    odd = desk.versions.keep({"rules/odd.yaml": b"x"}, "replaced", "2026-01-01T00:09:00.000Z")
    noted = {"state": "live", "version": kept.version, "loaded_at": kept.loaded_at}
    settings.rulebook_path.write_bytes(msgspec.json.encode(noted))
    async with connect(desk, headers=ADMIN) as client:
        told = (await client.get("/v1/rulebook/versions")).json()
        page = (await client.get("/rulebook")).text
    assert [each["state"] for each in told] == ["replaced", "live", "kept", "kept"]
    assert told[1]["changed"] == ["rules/<b>.yaml"]
    assert all(each["version"] in page for each in told)
    assert "never; replaced 2026-01-01 00:09:00" in page
    assert "rules/&lt;b&gt;.yaml" in page
    assert "<b>.yaml" not in page
    assert odd.version == told[0]["version"]


def test_before_anything_was_live_there_is_no_rulebook(tmp_path):
    assert rulebook_state(tmp_path / "rulebook.json").state == "none"


async def test_dead_letters_are_none_here(reader):
    assert (await reader.get("/v1/dead-letters")).json() == []


async def test_the_metrics_tell_what_reports_came_to(reader, shop):
    shop.mailroom.counts["unmatched"] += 2
    metrics = (await reader.get("/metrics")).text
    assert 'triggerfish_reports_total{outcome="unmatched"} 2.0' in metrics
    assert 'triggerfish_reports_total{outcome="heard"} 0.0' in metrics
