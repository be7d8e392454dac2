"""The walkthrough in the docs is run as it stands: its files, its commands, and what they print."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import Struct

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "walkthrough.md"
PARTS = re.compile(
    r"^`(?P<path>[^`\n]+)`:\n\n```\w+\n(?P<text>.*?)^```$|^```console\n(?P<said>.*?)^```$", re.MULTILINE | re.DOTALL
)
PATIENCE_SECONDS = 30
AWAITED = ("grep", "triggerfish why")
"""Commands that look at what the server does by itself: asked again until they print what the page says."""
MASKS = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]\d{3}Z?", "TIME"),
    (r"version [0-9a-f]{12}", "version VERSION"),
    (r"\b(message |p)[0-9a-f]{20}\b", r"\1ID"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"[\d.]+ s\b", "N s"),
    (r"\d+ requests", "N requests"),
    (r"by \d+ process(es)?, [\d,]+ a second", "by N processes"),
    (r"={3,}", "==="),
)


class File(Struct):
    """A file that the page says to write, relative to the folder `draft`."""

    path: str
    text: str


class Command(Struct):
    """What stands behind `$ `, with its further lines, and what it prints."""

    line: str
    printed: str


def steps(page: str) -> Iterator[File | Command]:
    """The page's files and commands, in its order."""
    for found in PARTS.finditer(page):
        if found["path"]:
            yield File(found["path"], found["text"])
            continue
        for part in re.split(r"^\$ ", found["said"], flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            length = next((at for at in range(1, len(lines)) if not lines[at].startswith("    {")), len(lines))
            yield Command("\n".join(lines[:length]), "\n".join(lines[length:]))


def masked(text: str) -> str:
    for pattern, name in MASKS:
        text = re.sub(pattern, name, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def fits(printed: str, page: str) -> bool:
    """Whether that was printed which the page says; a line `…` stands for any lines, `…` within one for any text."""
    lines = masked(page).splitlines()
    any_lines, end = r"(?:.*\n)*?", r"\n"
    pattern = "".join(any_lines if line.strip() == "…" else re.escape(line).replace("…", ".*") + end for line in lines)
    return re.fullmatch(pattern, masked(printed) + "\n" if printed.strip() else "") is not None


class Shell:
    """One shell for all commands, so that `cd`, variables and jobs hold from one to the next."""

    def __init__(self, folder: Path) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.process = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env={**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\necho; echo that-was-it\n")
        self.process.stdin.flush()
        printed = list(iter(self.process.stdout.readline, "that-was-it\n"))
        return "".join(printed)

    def end(self) -> None:
        """End the shell and what it started, a server that the page did not get to stop included."""
        for stop in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, stop)
            time.sleep(0.5)
        self.process.communicate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def hour_zone(now: datetime) -> str:
    """A time zone in which it is about noon, so that the quiet hours hold nothing back."""
    ahead = 12 - now.hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


def play(page: str, folder: Path) -> Iterator[tuple[Command, str]]:
    """Do what the page says, in a folder beside the demo's data: each command with what it printed."""
    (folder / "demo").symlink_to(REPOSITORY / "demo")
    port, zone = str(free_port()), hour_zone(datetime.now(UTC))
    shell = Shell(folder)
    try:
        for step in steps(page):
            if isinstance(step, File):
                path = folder / "draft" / step.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(step.text, encoding="utf-8")
                continue
            line = step.line.replace("8400", port).replace("Europe/Berlin", zone)
            printed, deadline = shell.run(line), time.monotonic() + PATIENCE_SECONDS
            while line.startswith(AWAITED) and not fits(printed, step.printed) and time.monotonic() < deadline:
                time.sleep(0.2)
                printed = shell.run(line)
            if line.startswith("triggerfish new"):
                settings = folder / "shop" / "triggerfish.toml"
                settings.write_text(settings.read_text("utf-8").replace("port = 8400", f"port = {port}"), "utf-8")
            yield step, printed
    finally:
        shell.end()


def test_the_walkthrough_happens_as_it_is_told(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    played = list(play(page, tmp_path))
    assert len(played) > 15
    for command, printed in played:
        assert fits(printed, command.printed), f"$ {command.line}\n{printed}\nbut the page says:\n{command.printed}"


@pytest.mark.parametrize(
    ("printed", "page", "is_so"),
    [
        ("a\nb\nc\n", "a\n…\nc", True),
        ("a\nb\nc\n", "a\n…", True),
        ("a\nb\nc\n", "a\nc", False),
        ("a\nb\n", "a\n…\nc", False),
        ("one two three\n", "one … three", True),
        ("at 2026-11-22T08:00:00.000Z\n", "at 2024-01-01T00:00:00.000Z", True),
        ("sent 3\n", "sent 4", False),
        ("", "something", False),
        ("something", "", False),
    ],
)
def test_the_comparison_can_fail(printed, page, is_so):
    assert fits(printed, page) is is_so
