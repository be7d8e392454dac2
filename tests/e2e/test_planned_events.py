"""The tracking plan on a whole server: what breaks it is put aside, mended by the command, and decided at once."""

import json
import os
import subprocess

from running import COMMAND, serving, track, wait_until, write_rules, write_workspace

PLAN = """
    events:
      purchase:
        name: Order Completed
        on_violation: quarantine
        properties:
          total: {type: number, required: true}
    segments:
      - name: big
        when: sum(purchase.total) > 10
"""
RULES = {"plan.yaml": PLAN}


def plan(workspace, *arguments):
    done = subprocess.run(
        [*COMMAND, "plan", *arguments, "--workspace", str(workspace), "--json"],
        capture_output=True, text=True, check=False, env={**os.environ},
    )  # fmt: skip
    return json.loads(done.stdout)


def test_what_was_put_aside_is_mended_and_decided_while_the_server_runs(tmp_path):
    workspace = write_workspace(tmp_path / "shop", RULES)
    with serving(workspace) as server:
        server.take(track("ana", "Order Completed", properties={"total": "12.50"}, messageId="m1"))
        server.take(track("ana", "Order Completed", properties={"total": 1}, messageId="m2"))
        server.quiet()
        assert server.profile("ana")["segments"] == []
        assert [held["event"]["message_id"] for held in plan(workspace, "quarantine")] == ["m1"]
        assert plan(workspace, "replay", "--set", "total=number") == {"released": 1, "kept": 0, "reasons": {}}
        # Nobody else rings the bell: the replay has.
        wait_until(lambda: server.profile("ana")["segments"] == ["big"], "the segment")
        # Its sender sends the same event again, right this time: it counts once.
        server.take(track("ana", "Order Completed", properties={"total": 12.5}, messageId="m1"))
        server.quiet()
        purchases = [line for line in server.timeline("ana") if line.get("event") == "Order Completed"]
        assert sorted(line["message_id"] for line in purchases) == ["m1", "m2"]
        assert plan(workspace, "violations")[0]["quarantined"] == 1


def test_a_changed_plan_holds_from_the_moment_it_is_live(tmp_path):
    workspace = write_workspace(tmp_path / "shop", RULES)
    with serving(workspace) as server:
        write_rules(workspace, "plan.yaml", PLAN.replace("quarantine", "reject"))

        def is_refused():
            answer = server.post(track("ana", "Order Completed", properties={"total": "5"}))
            return answer if answer.status_code == 400 else None

        answer = wait_until(is_refused, "the refusal")
        assert (answer.json()["code"], answer.json()["field"]) == ("TF117", "batch[0].properties.total")
