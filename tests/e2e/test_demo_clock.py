"""`serve --demo`: the clock follows the events' own time until they have caught up with the wall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from running import serving, track, write_workspace

RULES = {
    "shop.yaml": """
        policy:
          time_zone: UTC
          quiet_hours: {start: "21:00", end: "08:00"}
        segments:
          - name: recent
            when: count(Basket Left, "1h") >= 1
        ruleset: baskets
        rules:
          - name: reminder
            on: Basket Left
            wait: 30 minutes
            unless: Order Completed
            then: [send: reminder]
          - name: thanks
            on: Order Paid
            wait: 1 second
            then: [send: receipt]
    """.replace("count(Basket Left", 'count("Basket Left"')
}


def at(day: datetime, clock: str) -> str:
    hour, minute = map(int, clock.split(":"))
    return (day + timedelta(hours=hour, minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_waits_and_quiet_hours_follow_the_events_time_and_then_the_wall(tmp_path):
    workspace = write_workspace(tmp_path / "shop", RULES, reminder="marketing", receipt="transactional")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = today - timedelta(days=3)
    with serving(workspace, "--demo") as server:

        def event(person: str, name: str, when: str, **more: object) -> None:
            server.take(
                {"type": "identify", "userId": person, "traits": {"email": f"{person}@example.org"}, "timestamp": when},
                track(person, name, timestamp=when, **more),
            )

        event("ana", "Basket Left", at(day, "10:00"))
        event("ben", "Basket Left", at(day, "10:10"))
        server.quiet()
        assert server.sends(profile="ana")[0]["status"] == "scheduled"
        assert server.profile("ana")["segments"] == ["recent"]
        event("ben", "Order Completed", at(day, "10:29"))
        event("cleo", "Basket Left", at(day, "20:45"))
        server.quiet()
        sent = server.sent("reminder", "ana")
        assert sent["due_at"] == at(day, "10:30")
        assert sent["sent_at"] >= sent["due_at"]
        assert server.sends(profile="ben")[0]["reason"] == "Order Completed happened meanwhile"
        assert server.profile("ana")["segments"] == []
        left = next(line for line in server.timeline("ana") if line["kind"] == "segment")
        assert (left["change"], left["at"]) == ("left", at(day, "11:00"))

        # Half past nine in the evening: held until eight.
        event("dora", "Page Seen", at(day, "22:00"))
        server.quiet()
        held = server.sends(profile="cleo")[0]
        assert (held["status"], held["reason"], held["due_at"]) == (
            "scheduled",
            "quiet hours",
            at(day + timedelta(days=1), "08:00"),
        )
        event("dora", "Page Seen", at(day + timedelta(days=1), "08:01"))
        server.sent("reminder", "cleo")

        # An event of now: from here on time runs by itself.
        server.take({"type": "identify", "userId": "emil", "traits": {"email": "emil@example.org"}})
        server.take(track("emil", "Order Paid"))
        server.quiet()
        line = next(line for line in server.timeline("emil") if line["kind"] == "decision")
        assert line["outcome"] == "waiting"
        waited = server.sends(profile="emil", template="receipt")[0]
        sent = server.sent("receipt", "emil")
        assert sent["id"] == waited["id"]
