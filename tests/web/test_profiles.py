"""People, segments and sends over HTTP: the shapes that others rely on, and what is refused."""

import httpx
import pytest

from triggerfish.reads import LONGEST_PAGE
from triggerfish.web.questions import MOST_ROWS

PATHS = [
    "/v1/profiles/ana", "/v1/profiles/ana/timeline", "/v1/profiles/ana/why", "/v1/segments", "/v1/segments/vip",
    "/v1/segments/vip/members", "/v1/sends", "/v1/rulebook", "/v1/status", "/v1/results", "/v1/dead-letters",
    "/metrics",
]  # fmt: skip


async def ask(reader, path):
    answer = await reader.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("identity", ["ana", "ana@example.com", "ANA@example.com", "email:ana@example.com", "user:ana"])
async def test_a_profile_is_found_by_any_identity(reader, identity):
    found = await ask(reader, f"/v1/profiles/{identity}")
    assert list(found) == ["id", "identities", "traits", "segments", "segment", "updated_at", "consent", "suppressed"]
    assert found["identities"] == [{"kind": "user", "value": "ana"}, {"kind": "email", "value": "ana@example.com"}]
    assert found["traits"] == {"email": "ana@example.com", "name": "Ana Lima"}
    assert (found["segments"], found["segment"]) == (["customers"], "customers")
    assert found["updated_at"] == "2026-01-01T00:01:00.000Z"
    assert await ask(reader, f"/v1/profiles/{found['id']}") == found


async def test_nobody_is_a_404_that_says_what_to_try(reader):
    for path in ("/v1/profiles/nobody", "/v1/profiles/email:ana", "/v1/profiles/nobody/timeline"):
        answer = await reader.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "TF130"


async def test_a_timeline_comes_newest_first_and_in_pages(reader):
    whole = await ask(reader, "/v1/profiles/bo/timeline")
    assert {"event", "segment", "decision", "send"} == {line["kind"] for line in whole}
    assert [line["id"] for line in whole] == sorted((line["id"] for line in whole), reverse=True)
    first = await ask(reader, "/v1/profiles/bo/timeline?limit=3")
    rest = await ask(reader, f"/v1/profiles/bo/timeline?before={first[-1]['id']}")
    assert first + rest == whole
    (decision,) = [line for line in whole if line["kind"] == "decision" and line["rule"] == "hello / welcome"]
    assert decision["outcome"] == "waiting"
    assert decision["because"]["parts"][0] == {"condition": "event.total > 10", "holds": True, "value": 700}


async def test_sends_have_the_agreed_shape_and_filters(reader):
    sends = await ask(reader, "/v1/sends")
    assert [list(each) for each in sends] == [
        ["id", "profile", "ruleset", "rule", "template", "channel", "status", "reason", "due_at", "sent_at"]
    ] * 2
    skipped, sent = sends
    assert (skipped["status"], skipped["reason"]) == ("skipped", "Returned happened meanwhile")
    assert (sent["status"], sent["template"], sent["channel"]) == ("sent", "welcome", "outbox")
    for query, found in {
        "status=sent": [sent], "profile=ana": [sent], "profile=bo@example.com": [skipped], "template=welcome": sends,
        "rule=welcome": sends, "rule=hello / welcome": sends, "rule=hello/welcome": sends, "rule=other / welcome": [],
        "template=x": [], "profile=nobody": [], f"before={skipped['id']}": [sent], "limit=1": [skipped],
    }.items():  # fmt: skip
        assert await ask(reader, f"/v1/sends?{query}") == found, query


async def test_one_send_says_what_it_answers_and_how_it_went(reader):
    (sent,) = await ask(reader, "/v1/sends?status=sent")
    found = await ask(reader, f"/v1/sends/{sent['id']}")
    assert found.items() >= sent.items()
    assert (found["event"], found["properties"], found["attempt"]) == ("Bought", {"total": 60}, 1)
    assert [line["status"] for line in found["history"]] == ["sent", "sending", "due", "scheduled"]
    assert (await reader.get("/v1/sends/none")).status_code == 404


async def test_segments_are_a_tree_with_counts(reader):
    vip = {"name": "vip", "count": 1, "priority": 50, "children": []}
    customers = {"name": "customers", "count": 2, "priority": 0, "children": [vip]}
    empty = {"name": "empty", "count": 0, "priority": 0, "children": []}
    assert await ask(reader, "/v1/segments") == [customers, empty]
    assert await ask(reader, "/v1/segments/vip") == vip
    bo = (await ask(reader, "/v1/profiles/bo"))["id"]
    assert await ask(reader, "/v1/segments/vip/members") == [{"profile": bo, "since": "2026-01-01T01:01:00.000Z"}]
    assert await ask(reader, f"/v1/segments/vip/members?after={bo}") == []
    for path in ("/v1/segments/none", "/v1/segments/none/members"):
        assert (await reader.get(path)).status_code == 404


async def test_why_tells_what_fired_with_its_condition_and_what_never_did(reader):
    why = await ask(reader, "/v1/profiles/bo/why?template=welcome")
    fired, never = why["rules"]
    assert why["is_whole"]
    assert (fired["rule"], fired["sentence"]) == ("welcome", "skipped: Returned happened meanwhile")
    (occasion,) = fired["occasions"]
    assert occasion["because"]["parts"][0]["value"] == 700
    (message,) = occasion["messages"]
    assert [change["status"] for change in message["changes"]] == ["scheduled", "skipped"]
    assert (never["rule"], never["occasions"]) == ("big-welcome", [])
    assert never["sentence"].startswith("never fired: Bought came in vain once")


async def test_why_of_one_rule_leaves_the_others_out(reader):
    for rule in ("mark", "hello / mark", "hello/mark"):
        why = await ask(reader, f"/v1/profiles/ana/why?rule={rule}")
        assert [each["rule"] for each in why["rules"]] == ["mark"]
    answer = await reader.get("/v1/profiles/ana/why?template=welcom")
    assert answer.status_code == 404
    assert answer.json()["hint"] == 'did you mean "welcome"?'


@pytest.mark.parametrize(
    "question",
    [
        "/v1/sends?limit=0", f"/v1/sends?limit={MOST_ROWS + 1}", "/v1/sends?limit=x", "/v1/sends?status=lost",
        "/v1/sends?colour=red", "/v1/sends?limit=1&limit=2", "/v1/profiles/ana?verbose=1", "/v1/status?x",
        "/v1/profiles/ana/timeline?before=0", "/v1/profiles/ana/timeline?before=99999999999999999999",
        f"/v1/sends?template={'x' * 300}",
    ],
)  # fmt: skip
async def test_a_question_that_makes_no_sense_is_refused(reader, question):
    answer = await reader.get(question)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_largest_page_fits_what_reads_give():
    assert MOST_ROWS <= LONGEST_PAGE


@pytest.mark.parametrize("path", PATHS)
async def test_reads_need_the_admin_key(reader, path):
    assert (await reader.get(path)).status_code == 200
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}):
        answer = await httpx.AsyncClient(transport=reader._transport, base_url="http://shop.test").get(
            path, headers=given
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "TF114")


async def test_the_api_describes_its_answers(reader):
    schema = await ask(reader, "/schema/openapi.json")
    names = set(schema["components"]["schemas"])
    assert {"ProfileView", "SendView", "SegmentView", "EventLine", "DecisionLine", "WhyView"} <= names
    assert "/v1/profiles/{identity}/timeline" in schema["paths"]
