"""People opt out while a thousand messages are on their way: from the commit of an opt-out on, nothing of it is handed
over. The state's own order of commits is the judge: each person's moments are numbered as they were committed.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from faults.step_sink import StepSink
from faults.test_killed_workers import all_sends
from running import Running, identify, serving, track, wait_until, write_workspace
from triggerfish.config import load_settings
from triggerfish.measure import Signer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

PEOPLE = 1_000
RULES = {
    "shop.yaml": """
        ruleset: shop
        max_age: 1 day
        rules:
          - name: news
            on: News Wanted
            then: [send: news]
          - name: receipt
            on: Order Completed
            then: [send: receipt]
    """
}


def opt_out(client: httpx.Client, server: Running, signer: Signer, profile: str) -> None:
    """What a mail program does when somebody presses its button (RFC 8058)."""
    address = signer.links("some-earlier-mail", profile, "newsletter", server.address).unsubscribe()
    head = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.post(address, content=b"List-Unsubscribe=One-Click", headers=head)
    assert answer.status_code == 200, answer.text


def moments(server: Running) -> list[tuple[int, str, str, dict[str, Any]]]:
    """(number, profile, kind, body) of all, in the order in which they were committed."""
    state = server.workspace / "data" / "state.sqlite3"
    with closing(sqlite3.connect(f"{state.as_uri()}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT id, profile, kind, body FROM moments ORDER BY id").fetchall()
    return [(number, profile, kind, json.loads(body)) for number, profile, kind, body in rows]


def test_nothing_is_handed_over_after_the_commit_of_an_opt_out(tmp_path: Path) -> None:
    with StepSink(pause=0.02) as sink:
        settings = f"""
            [plugins.smtp]
            host = "127.0.0.1"
            port = {sink.port}
            security = "none"
            connections = 1
            """
        workspace = write_workspace(
            tmp_path / "shop", RULES, channel="smtp", more_settings=settings, news="marketing", receipt="transactional"
        )
        signer = Signer(load_settings(workspace, {}).keys.secret.reveal())
        with serving(workspace) as server:
            names = [f"p{number}" for number in range(PEOPLE)]
            for start in range(0, PEOPLE, 100):
                server.take(*(identify(name, email=f"{name}@example.org") for name in names[start : start + 100]))
            server.quiet()
            ids = {name: server.get(f"/v1/profiles/{name}")["id"] for name in names[::2]}
            for start in range(0, PEOPLE, 100):
                server.take(*(track(name, "News Wanted") for name in names[start : start + 100]))
            wait_until(lambda: len(sink.accepted) > 20, "the first letters")

            def leave(share: list[str]) -> None:
                with httpx.Client(timeout=30) as client:
                    for profile in share:
                        opt_out(client, server, signer, profile)

            leaving = list(ids.values())
            threads = [threading.Thread(target=leave, args=(leaving[part::4],)) for part in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
            # Who opted out still gets what they bought.
            server.take(*(track(name, "Order Completed") for name in names[:10]))
            server.quiet()
            # What was called back from the channel asks again at once, and hears of the opt-out.
            wait_until(lambda: not server.get("/v1/status")["sends"].get("retrying"), "those called back", 60)

            opted_out: dict[str, int] = {}
            late = []
            for number, profile, kind, body in moments(server):
                if kind == "event" and body["event"] == "Unsubscribed":
                    opted_out.setdefault(profile, number)
                if kind == "send" and body["status"] == "sending" and body["template"] == "news":
                    late += [(profile, number)] if profile in opted_out else []
            assert set(opted_out) == set(leaving)
            assert late == []
            sends = all_sends(server)
            news = [send for send in sends if send["template"] == "news"]
            skipped = [send for send in news if send["status"] == "skipped"]
            assert {send["status"] for send in news} == {"sent", "skipped"}
            assert all("newsletter" in send["reason"] for send in skipped), skipped[:2]
            assert len(skipped) > PEOPLE // 20, "the race was over before it began"
            assert [send["status"] for send in sends if send["template"] == "receipt"] == ["sent"] * 10
            assert sink.accepted == {send["id"]: 1 for send in sends if send["status"] == "sent"}
            print(f"\n  {len(leaving)} of {PEOPLE} opted out during the sending; {len(skipped)} were in time")
