"""Why not, asked of a running server, across a change of the rules and a worker that was killed."""

from __future__ import annotations

from running import identify, serving, track, wait_until, write_rules, write_workspace

RULES = """
    ruleset: r
    mode: first
    rules:
      - {name: big, priority: 5, on: Order, when: event.total > 200, then: [{send: offer}]}
      - {name: any, on: Order, when: traits.plan == "gold", then: [{send: offer}]}
      - {name: path, on: Look, when: event.price > 10, steps: [{wait: 1 hour}, {send: offer}]}
"""
CHANGED = RULES.replace("event.total > 200", "'event.total > 100 and count(Order, \"1d\") >= 3'")


def test_each_rulebook_answers_for_its_own_time_also_after_a_crash(tmp_path):
    workspace = write_workspace(tmp_path / "shop", {"r.yaml": RULES}, offer="marketing")
    with serving(workspace) as server:
        server.take(identify("ana", email="ana@example.com"), track("ana", "Order", properties={"total": 184.5}))
        server.quiet()
        first = server.get("/v1/rulebook")["version"]
        write_rules(workspace, "r.yaml", CHANGED)
        wait_until(lambda: server.get("/v1/rulebook")["version"] != first, "the changed rulebook")
        server.kill("worker")
        server.take(track("ana", "Order", properties={"total": 90}), track("ana", "Look", properties={"price": 3}))
        server.take(track("ana", "Order", properties={"total": 190}))
        server.sent("offer", "ana")
        second = server.get("/v1/rulebook")["version"]
        why = server.get("/v1/profiles/ana/why")
        assert why["again"] == {"is_same": True, "doubt": "", "doubtful_from": "", "lacking": []}
        big, path = (next(rule for rule in why["rules"] if rule["rule"] == name) for name in ("big", "path"))
        assert [(missed["rulebook"], missed["nearest"], missed["reigned"]) for missed in big["missed"]] == [
            (
                second,
                ["with event.total over 100 (it was 90)", "with one more Order within 1 day (there were 2)"],
                True,
            ),
            (first, ["with event.total over 200 (it was 184.5)"], True),
        ]
        assert len(big["occasions"]) == 1
        assert path["missed"][0]["otherwise"].startswith("entered; waiting: until ")
        page = server.ask("/people/ana").text
        assert "it would have matched with event.price over 10 (it was 3)" in page
        health = {rule["rule"]: rule for rule in server.get("/v1/rulebook")["rules"]}
        assert (health["big"]["by_day"][-1], health["any"]["last_fired"]) == (1, None)
        assert 'triggerfish_rule_stopped{rule="big",ruleset="r"} 0.0' in server.ask("/metrics").text
        assert (
            "When Look happens, and the event&#39;s price is over 10, a journey begins:" in server.ask("/rulebook").text
        )
