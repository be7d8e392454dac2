"""A bounce comes back to a server that runs, by a pipe and by a mailbox, and nothing more goes to that address."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import trustme

from plugins.imapserver import PASSWORD
from plugins.imapserver import running as imap_running
from plugins.mailsink import Sink
from reports.letters import bounce, complaint, mail
from running import COMMAND, WRITE_KEY, Running, identify, serving, track, wait_until, write_workspace
from triggerfish.verp import Verp

SECRET = "secret-of-the-tests-for-links"
PATTERN = "bounces+{token}@mail.shop.example"
RULES = {
    "shop.yaml": """
    ruleset: shop
    mode: all
    rules:
      - name: news
        on: Wanted News
        then: [{send: news}]
      - name: receipt
        on: Bought
        then: [{send: receipt}]
      - name: noticed
        on: Email Bounced
        then: [{set: {bounced_with: {value: event.status}}}]
    """
}
TEMPLATES = {"news": "marketing", "receipt": "transactional"}


def pipe(server: Running, raw: bytes, *options: str, **environ: str) -> dict[str, object]:
    """What a mail server does."""
    done = subprocess.run(
        [*COMMAND, "bounce", "--json", *options], input=raw, capture_output=True, timeout=60, check=False,
        env={**os.environ, **environ}, cwd=server.workspace.parent,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    told: dict[str, object] = json.loads(done.stdout)
    return told


def send_of(server: Running, person: str, template: str = "news") -> str:
    """A message that this person, whom nobody knows yet, got."""
    event = "Wanted News" if template == "news" else "Bought"
    server.take(identify(person, email=f"{person}@example.com"), track(person, event))
    return str(server.sent(template, person)["id"])


def came_to(send_id: str) -> str:
    return Verp(SECRET).address(PATTERN, send_id)


def has_heard(server: Running, person: str, event: str) -> None:
    wait_until(lambda: [line for line in server.timeline(person) if line.get("event") == event], f"{event} of {person}")


def test_a_bounce_from_a_pipe_stops_all_mail_to_the_address(tmp_path):
    workspace = write_workspace(tmp_path / "shop", RULES, **TEMPLATES)
    with serving(workspace) as server:
        send = send_of(server, "ana")
        told = pipe(server, bounce(), "--workspace", str(workspace), ORIGINAL_RECIPIENT=came_to(send))
        assert (told["outcome"], told["send_id"], told["is_permanent"]) == ("heard", send, True)
        has_heard(server, "ana", "Email Bounced")
        wait_until(lambda: server.profile("ana")["traits"].get("bounced_with") == "5.1.1", "the rule saw it")
        server.take(track("ana", "Bought"))
        assert "bounce" in server.sent("receipt", "ana", "skipped")["reason"]

        # One for a full mailbox stops nothing, and what proves nothing neither.
        send = send_of(server, "bo")
        pipe(server, bounce(to=came_to(send), status="5.2.2", said="552 5.2.2 full"), "--workspace", str(workspace))
        has_heard(server, "bo", "Email Bounced")
        forged = pipe(server, bounce(recipient="bo@example.com"), "--workspace", str(workspace))
        assert forged["outcome"] == "unmatched"
        server.take(track("bo", "Bought"))
        server.sent("receipt", "bo")

        # Without a workspace; a complaint, proved by the link in the very message.
        send = send_of(server, "cyd")
        letter = server.letter(send)
        quoted = "\n".join(f"{name}: {' '.join(str(letter[name]).split())}" for name in ("From", "List-Unsubscribe"))
        told = pipe(server, complaint(returned=quoted), "--server", server.address, TRIGGERFISH_WRITE_KEY=WRITE_KEY)
        assert (told["outcome"], told["kind"], told["by"]) == ("heard", "complained", "link")
        has_heard(server, "cyd", "Email Marked as Spam")
        server.take(track("cyd", "Wanted News"), track("cyd", "Bought"))
        server.sent("receipt", "cyd")
        wait_until(
            lambda: {each["status"] for each in server.sends(template="news", profile="cyd")} == {"sent", "skipped"},
            "no marketing for whom complained",
        )


@pytest.mark.faults
def test_bounces_of_the_mail_that_left_are_heard_from_a_mailbox_whatever_is_killed_meanwhile(tmp_path):
    with imap_running(trustme.CA()) as imap, Sink() as sink:
        account = imap.account()
        settings = f"""
        [plugins.smtp]
        host = "127.0.0.1"
        port = {sink.port}
        security = "none"
        verp = "{PATTERN}"
        [plugins.mailbox]
        host = "127.0.0.1"
        port = {imap.port}
        username = "{account.user}"
        password = "{PASSWORD}"
        ca_file = "{imap.ca_file}"
        """
        workspace = write_workspace(tmp_path / "shop", RULES, channel="smtp", more_settings=settings, **TEMPLATES)
        people = [f"p{n}" for n in range(6)]
        with serving(workspace) as server:
            for person in people:
                send_of(server, person)
            # As the mail server of whoever got it writes it: to the return path, about the last address on the way.
            bounces = [bounce(to=path, recipient="forwarded@example.org") for path, *_ in sink.letters]
            assert len(bounces) == len(set(bounces)) == 6
            account.put(*bounces[:3], mail("Subject: Hi\n\nWhere is my order?"))
            server.kill("api")
            account.put(*bounces[3:])
            server.kill("api")
            wait_until(lambda: account.count("INBOX") == 0, "all mails are put away")
            assert (account.count("Processed"), account.count("Unmatched")) == (6, 1)
            server.quiet()
            for person in people:
                heard = [line for line in server.timeline(person) if line.get("event") == "Email Bounced"]
                (event,) = [line for line in heard if line["kind"] == "event"]
                assert event["properties"]["recipient"] == f"{person}@example.com"
            assert 'triggerfish_stream_up{stream="mailbox"} 1.0' in server.ask("/metrics").text
