"""No personal data and no secret in what a server says about itself. Everything about a person, and every secret, has a
canary in it; it goes all ways, those that fail above all; then it must not be found in anything that was printed or
told to a stranger.
"""

from __future__ import annotations

import json
import os
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from running import ADMIN_KEY, WRITE_KEY, Running, identify, serving, track, wait_until, write_rules, write_workspace

CANARY = "kanarie"
EMAIL = f"{CANARY}.lima@birds.example"
ADDRESS = "203.0.113.77"
SECRET_KEY = "secret-of-the-tests-for-links"

PLUGIN = '''
import asyncio, sys, threading, warnings
from triggerfish import Action, Channel, Features, NotHandedOver, PluginConfig, Receipt, Source, hookimpl

class Leaky(Channel):
    """Tells everything it knows in each of its failures."""
    name = "leaky"
    features = Features(batch_size=1)

    class Config(PluginConfig, frozen=True):
        password: str = ""
        answers: int = 0

    def __init__(self, config):
        super().__init__(config)
        self.number = 0

    async def send(self, batch):
        message = batch[0]
        told = f"{message.to.email} {message.subject} {message.html} {self.config.password}"
        self.number += 1
        if self.number == 1:
            raise KeyError(told)
        if self.number == 2:
            asyncio.get_running_loop().call_soon(self.stumble, told)
            asyncio.ensure_future(self.forgotten(told))
            threading.Thread(target=self.stumble, args=(told,)).start()
            warnings.warn(f"deprecated for {message.to.email}")
            return [Receipt("another", "accepted"), told]
        if self.number == 3:
            raise NotHandedOver(f"no way to <{message.to.email}>")
        try:
            raise ConnectionError(told)
        except ConnectionError as error:
            raise ExceptionGroup(told, [ValueError(told)]) from error

    def stumble(self, told):
        raise RuntimeError(told)

    async def forgotten(self, told):
        raise LookupError(told)

class Noting(Action):
    name = "noting"
    async def run(self, calls):
        raise ValueError(repr(calls))

class Hook(Source):
    name = "leak"
    def verify(self, request):
        if b"unsigned" in request.body:
            raise ValueError(request.body)
        return True
    def read(self, request):
        raise RuntimeError(request.body)

@hookimpl
def register_channels():
    return [Leaky]

@hookimpl
def register_actions():
    return [Noting]

@hookimpl
def register_sources():
    return [Hook]

@hookimpl
def register_functions():
    return {"taste": taste}

@hookimpl
def register_filters():
    return {"sour": sour}

@hookimpl
def on_decision(profile_id, ruleset, rule, outcome, reason):
    raise ValueError(reason)

@hookimpl
def on_receipt(channel, message, receipt, verdict):
    raise ValueError(f"{message.to.email} {receipt.detail}")

def taste(value):
    if isinstance(value, str) and "bitter" in value:
        raise ValueError(f"cannot taste {value}")
    return True

def sour(value):
    if "kanarie" in value:
        raise RuntimeError(f"{value} is sour")
    return value
'''
RULES = """
    ruleset: birds
    mode: all
    rules:
      - name: welcome
        on: Landed
        when: taste(event.note)
        then: [{send: welcome}]
      - name: receipt
        on: Landed
        then: [{send: receipt}]
      - name: sour
        on: Soured
        then: [{send: sour}]
      - name: note
        on: Landed
        then: [{call: noting, with: {song: event.note}}]
"""
SETTINGS = """
fallback = "smtp"
fallback_seconds = 0
[limits]
batch_events = 50
[plugins.leaky]
password = "{canary}-password"
[plugins.noting]
[plugins.leak]
[plugins.smtp]
host = "127.0.0.1"
port = {port}
security = "none"
"""
PROVOKED = {
    "plugin.raised", "plugin.broke_contract", "plugin.hook_raised", "plugin.rests",
    "send.not_composed", "source.raised", "source.not_verified", "event.failed", "event.dead_letter", "batch.failed",
    "rulebook.refused", "rulebook.problem", "uncaught", "other", "worker.ended",
}  # fmt: skip
"""What the log has to tell at the end: else the canary was not where it should have been."""

pytestmark = pytest.mark.faults


class Quoting(socketserver.StreamRequestHandler):
    """A mail server that quotes whomever it does not know."""

    def handle(self) -> None:
        self.wfile.write(b"220 quoting\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"RCPT":
                said = line.strip().partition(b":")[2]
                self.wfile.write(b"550 5.1.1 " + said + b": there is nobody of this name, Kanarie Lima\r\n")
            elif verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 fine\r\n")


@pytest.fixture
def mail_port() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Quoting) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def server(tmp_path: Path, mail_port: int) -> Iterator[Running]:
    site = tmp_path / "site"
    info = site / "leaking-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "leaking.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: leaking\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[triggerfish]\nleaking = leaking\n")
    workspace = write_workspace(
        tmp_path / "shop",
        {"birds.yaml": RULES},
        channel="leaky",
        more_settings=SETTINGS.format(canary=CANARY, port=mail_port),
        welcome="marketing",
        receipt="transactional",
        sour="transactional",
    )
    sour = workspace / "templates" / "sour" / "email.mjml"
    sour.write_text(sour.read_text().replace("Hi {{", "Hi {{ profile.email | sour }} {{"))
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    with serving(workspace, env={"PYTHONPATH": path, "PYTHONWARNINGS": "always::UserWarning"}) as running:
        yield running


def person(number: int, **properties: object) -> list[dict[str, object]]:
    """Somebody all of whose data are canaries, and what they do."""
    who = f"{CANARY}-{number}"
    context = {"ip": ADDRESS, "userAgent": f"{CANARY}/9.9", "page": {"url": f"https://birds.example/?q={CANARY}"}}
    return [
        identify(who, email=f"{number}.{EMAIL}", firstName=f"Kanarie {number}", song=f"{CANARY} song"),
        track(who, "Landed", properties={"note": f"{CANARY} note", **properties}, context=context),
    ]


def strangers(server: Running) -> list[httpx.Response]:
    """What those get to hear who have no key, a wrong one, or nothing sensible to say."""
    say = {"userId": CANARY, "event": CANARY, "traits": {"email": EMAIL}}
    wrong = {"Authorization": f"Bearer {CANARY}-admin"}
    http = server.http
    return [
        http.post("/v1/track", json=say),
        http.post("/v1/track", json=say, auth=(f"{CANARY}-key", "")),
        http.post("/v1/batch", json={"batch": [say], "writeKey": f"{CANARY}-key"}),
        http.get(f"/v1/profiles/{EMAIL}"),
        http.get(f"/v1/profiles/{EMAIL}", headers=wrong),
        http.get("/v1/sends", headers=wrong),
        http.get("/metrics", headers=wrong),
        http.get(f"/t/o/{CANARY}.gif"),
        http.get(f"/t/c/{CANARY}"),
        http.post("/v1/hooks/leak", content=f"{CANARY} unsigned {EMAIL}"),
        http.post("/v1/hooks/leak", content=f"{CANARY} {EMAIL}"),
        http.get("/readyz"),
        http.get("/readyz/worker"),
        http.get("/healthz"),
    ]


def test_nothing_personal_and_no_secret_is_told(server):
    server.take(*person(9)[:1], track(f"{CANARY}-9", "Soured"))
    wait_until(lambda: server.sends(status="failed"), "a message that cannot be composed")
    for number in range(4):
        server.take(*person(number))
    server.take(*person(5, note=f"bitter {CANARY}"))
    refused = server.post({"type": "track", "userId": CANARY, "event": CANARY, "timestamp": f"{CANARY} o'clock"})
    assert refused.status_code == 400
    heard = strangers(server)
    assert {answer.status_code for answer in heard} >= {200, 401, 500}

    write_rules(
        server.workspace, "more.yaml", f"# {EMAIL}\nruleset: more\nrules: [{{name: x, on: y, when: '{EMAIL}'}}]\n"
    )
    wait_until(lambda: "rulebook.refused" in server.said(), "the word that the change is refused")
    (server.workspace / "rules" / "more.yaml").unlink()
    wait_until(lambda: server.get("/v1/dead-letters"), "the event that was put aside")
    wait_until(lambda: "plugin.rests" in server.said(), "the rest of the plugin")
    server.kill("worker")
    wait_until(lambda: events(server) >= PROVOKED, "all that was to go wrong")
    assert heard_of(server, EMAIL), "the record of the person has what the log has not"

    metrics = server.ask("/metrics")
    opened = server.http.get(
        "/metrics", headers={"Authorization": f"Bearer {ADMIN_KEY}", "Accept": "application/openmetrics-text"}
    )
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    server.stop()
    assert server.process.stdout is not None
    told = {
        "the log": server.said(),
        "stdout": server.process.stdout.read(),
        "the metrics": metrics.text + opened.text,
        "answers to strangers": "\n".join(f"{answer.headers} {answer.text}" for answer in heard),
    }
    for where, text in told.items():
        for secret in (CANARY, ADDRESS, WRITE_KEY, ADMIN_KEY, SECRET_KEY):
            found = [line for line in text.splitlines() if secret in line.lower()]
            assert not found, f"{where}: {found[:3]}"


def events(server: Running) -> set[str]:
    """Names of what the log told; each line is an object that says who speaks."""
    lines = [json.loads(line) for line in server.said().splitlines()]
    keys = {"time", "level", "logger", "process", "pid", "event", "message"}
    assert all(keys <= line.keys() for line in lines)
    return {line["event"] for line in lines}


def heard_of(server: Running, address: str) -> bool:
    return any(address in json.dumps(server.profile(f"{CANARY}-{number}")) for number in range(2))
