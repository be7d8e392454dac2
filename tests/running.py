"""A server as an operator has it: `triggerfish serve` in processes of its own, on a workspace that a test wrote."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeVar

import httpx

WRITE_KEY = "write-key-of-the-tests"
ADMIN_KEY = "admin-key-of-the-tests"
COMMAND = (sys.executable, "-m", "triggerfish.cli")
LISTENING = "Triggerfish is listening on "
PATIENCE = 60.0
"""Seconds that a test waits for what must come. The machine may be busy."""

SETTINGS = f"""
engine = "durable"
[server]
port = 0
[keys]
write = ["{WRITE_KEY}"]
admin = "{ADMIN_KEY}"
secret = "secret-of-the-tests-for-links"
[delivery]
channel = "CHANNEL"
sender = "The Shop <shop@shop.example>"
company = "The Shop"
address = "1 Reef Street, 12345 Lagoon"
"""

MARKETING = """
class: marketing
purpose: newsletter
subject: "SUBJECT"
preheader: There is something for you.
"""
TRANSACTIONAL = """
class: transactional
purpose: orders
subject: "SUBJECT"
preheader: There is something for you.
"""
BODY = """
<mjml><mj-head><mj-raw><meta name="color-scheme" content="light"></mj-raw></mj-head><mj-body>
  <mj-section><mj-column>
    <mj-text>Hi {{ profile.first_name | default: "there" }}. <a href="https://shop.example/offer?a=1&amp;b=2">Look</a></mj-text>
    <mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a> {{ company.address }}</mj-text>
  </mj-column></mj-section>
</mj-body></mjml>
"""
SAMPLE = "traits: {email: ana@example.com, firstName: Ana}\n"

T = TypeVar("T")


def write_workspace(
    folder: Path, rules: Mapping[str, str], *, channel: str = "outbox", more_settings: str = "", **templates: str
) -> Path:
    """A workspace: `rules` by file name; `templates` by name, each "marketing" or "transactional"."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = SETTINGS.replace("CHANNEL", channel) + dedent(more_settings)
    (folder / "triggerfish.toml").write_text(settings)
    for name, text in rules.items():
        write_rules(folder, name, text)
    for name, class_ in templates.items():
        place = folder / "templates" / name
        place.mkdir(parents=True)
        head = MARKETING if class_ == "marketing" else TRANSACTIONAL
        body = BODY if class_ == "marketing" else BODY.replace('<a href="{{ unsubscribe_url }}">Unsubscribe</a> ', "")
        front = head.replace("SUBJECT", f"The {name}")
        (place / "email.mjml").write_text(f"---{front}---{body}")
        (place / "sample.yaml").write_text(SAMPLE)
    return folder


def write_rules(workspace: Path, name: str, text: str) -> None:
    """Put a rule file in place at once, as careful editors do."""
    path = workspace / "rules" / name
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_name(f".{name}.tmp")
    fresh.write_text(dedent(text).lstrip())
    fresh.replace(path)


def wait_until(found: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """What `found` gives as soon as it is true; it may fail to reach a server that starts again meanwhile."""
    deadline = time.monotonic() + seconds
    while True:
        seen: Any = None
        with contextlib.suppress(httpx.TransportError):
            seen = found()
            if seen:
                return seen  # type: ignore[no-any-return]
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s; the last answer was {seen!r}"
        time.sleep(0.05)


def children_of(pid: int) -> dict[int, str]:
    """The living children of a process, and what each runs."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(parent) == pid and state != "Z":
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@dataclass
class Running:
    """A server that runs. `errors` is the file of its stderr."""

    workspace: Path
    process: subprocess.Popen[str]
    address: str
    errors: Path
    http: httpx.Client
    numbers: Iterator[int] = field(default_factory=itertools.count)

    # Its processes.

    def children(self, what: str) -> list[int]:
        """The processes of one kind, "api" or "worker". While rules are reloaded there are two workers for a moment."""
        return [pid for pid, ran in children_of(self.process.pid).items() if f"triggerfish.processes.{what}" in ran]

    def child(self, what: str) -> int:
        """The one process of this kind, once there is one."""
        return wait_until(lambda: self.children(what), f"the {what} process")[0]

    def kill(self, what: str) -> int:
        """Kill the process of this kind and wait until another one took its place. Returns the new one's id."""
        old = self.child(what)
        os.kill(old, signal.SIGKILL)
        return wait_until(lambda: [pid for pid in self.children(what) if pid != old], f"another {what} process")[0]

    def stop(self) -> int:
        """End it as an operator does; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE)

    def said(self) -> str:
        return self.errors.read_text()

    # What goes in and comes out.

    def post(self, *events: Mapping[str, Any], call: str = "batch") -> httpx.Response:
        """Post events as one batch (or import)."""
        return self.http.post(f"/v1/{call}", json={"batch": list(events)}, headers=write_key_header())

    def take(self, *events: Mapping[str, Any], call: str = "batch") -> None:
        """Post events, which must be taken."""
        answer = self.post(*events, call=call)
        assert (answer.status_code, answer.json()) == (200, {"success": True}), answer.text

    def get(self, path: str, **questions: Any) -> Any:
        """A read, which must be answered."""
        answer = self.ask(path, **questions)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask(self, path: str, **questions: Any) -> httpx.Response:
        return self.http.get(path, params=questions, headers={"Authorization": f"Bearer {ADMIN_KEY}"})

    def profile(self, identity: str) -> dict[str, Any]:
        """A person, once the server knows them."""
        return wait_until(lambda: self._known(f"/v1/profiles/{identity}"), f'the profile of "{identity}"')

    def timeline(self, identity: str) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = self.get(f"/v1/profiles/{identity}/timeline", limit=500)
        return lines

    def _known(self, path: str) -> Any:
        answer = self.ask(path)
        return answer.json() if answer.status_code == 200 else None

    def quiet(self) -> dict[str, Any]:
        """The status, once every event is decided and no message is on its way."""

        def settled() -> dict[str, Any] | None:
            status: dict[str, Any] = self.get("/v1/status")
            is_busy = status["lag"] or any(status["sends"].get(each) for each in ("due", "sending"))
            return None if is_busy else status

        return wait_until(settled, "quiet", 120)

    def sends(self, **wanted: str) -> list[dict[str, Any]]:
        return self.get("/v1/sends", **wanted)  # type: ignore[no-any-return]

    def sent(self, template: str, identity: str, status: str = "sent") -> dict[str, Any]:
        """The newest message of this template to a person, once it has this status."""

        def found() -> dict[str, Any] | None:
            known = self.sends(template=template, profile=identity)
            return known[0] if known and known[0]["status"] == status else None

        return wait_until(found, f'the message "{template}" to "{identity}" as {status}')

    def letter(self, send_id: str) -> EmailMessage:
        """What the outbox wrote for a message."""
        raw = (self.workspace / "data" / "outbox" / f"{send_id}.eml").read_bytes()
        return message_from_bytes(raw, policy=policy.default)  # type: ignore[return-value]


def write_key_header(key: str = WRITE_KEY) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


def track(user: str, event: str, **more: Any) -> dict[str, Any]:
    return {"type": "track", "userId": user, "event": event, **more}


def identify(user: str, **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user, "traits": traits}


def start(workspace: Path, *options: str, env: Mapping[str, str] | None = None) -> Running:
    """Start a server on this workspace and wait until it listens."""
    process, errors = launch(workspace, *options, env=env)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith(LISTENING), f"{line!r}\n{errors.read_text()}"
    address = line.removeprefix(LISTENING).strip()
    return Running(workspace, process, address, errors, httpx.Client(base_url=address, timeout=30))


def launch(workspace: Path, *options: str, env: Mapping[str, str] | None = None) -> tuple[subprocess.Popen[str], Path]:
    """Start `triggerfish serve`, and say where its stderr goes."""
    errors = workspace.with_name(f"{workspace.name}.{time.monotonic_ns()}.err")
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--workspace", str(workspace), *options],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, **(env or {})},
        )
    return process, errors


def refuse(workspace: Path, *options: str) -> tuple[int, str]:
    """Start a server that is expected not to start; its exit code and what it said on stderr."""
    process, errors = launch(workspace, *options)
    out, _ = process.communicate(timeout=PATIENCE)
    assert LISTENING not in out
    return process.returncode, errors.read_text()


@contextlib.contextmanager
def serving(workspace: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """A server for the time of a test; it must end well, unless the test ended it already."""
    server = start(workspace, *options, env=env)
    try:
        yield server
        was_ended = server.process.poll() is not None
        code = server.stop()
        assert was_ended or code == 0, server.said()
    finally:
        server.http.close()
        leave_nothing(server)


def leave_nothing(server: Running) -> None:
    """Kill what is left of a server after a failure; processes that this test started, and no others."""
    ours: Sequence[int] = [server.process.pid, *children_of(server.process.pid)]
    if server.process.poll() is None:
        for pid in ours:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.process.wait()
    if server.process.stdout is not None:
        server.process.stdout.close()


def post_as_sdks_do(client: httpx.Client, batch: Sequence[dict[str, Any]], refused: Counter[str]) -> None:
    """The same batch with the same message ids until the answer is 200; what came instead is counted."""
    while True:
        try:
            answer = client.post("/v1/batch", json={"batch": batch}, headers=write_key_header())
        except httpx.TransportError as error:
            refused[type(error).__name__] += 1
            time.sleep(0.05)
            continue
        if answer.status_code == 200:
            return
        refused[str(answer.status_code)] += 1
        assert answer.status_code in (429, 503), answer.text
        time.sleep(float(answer.headers.get("Retry-After", 1)))
