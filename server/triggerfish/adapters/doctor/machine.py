"""The machine that mail leaves from: its clock, its disk, and who may read its secrets."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sqlite3
import stat
import struct
import time
from collections.abc import Iterable
from pathlib import Path

from triggerfish.adapters.doctor.finding import Finding, error, fine, unknown, warning
from triggerfish.clock import Instant, to_iso

MB = 1_000_000
LEAST_FREE, BETTER_FREE = 200 * MB, 1_000 * MB
CLOCK_ERROR_SECONDS, CLOCK_WARNING_SECONDS = 300.0, 5.0
_NTP_EPOCH = 2_208_988_800
"""Seconds from 1900, where NTP begins, to 1970."""


def check_disk(path: Path) -> list[Finding]:
    """The room on the disk of a folder (or of the nearest one above it that exists)."""
    about = f"disk of {path}"
    while not path.exists():
        path = path.parent
    usage = shutil.disk_usage(path)
    inodes = os.statvfs(path)
    free = f"{usage.free // MB:,} MB of {usage.total // MB:,} MB are free"
    why = "when the disk is full no event is taken any more (TF121) and no message leaves"
    remedy = "make room, or move the data ([store] path)"
    if usage.free < LEAST_FREE or (inodes.f_files and inodes.f_favail < 1_000):
        return [
            error(
                about,
                free if usage.free < LEAST_FREE else f"{inodes.f_favail} files can be made still",
                why=why,
                remedy=remedy,
            )
        ]
    if usage.free < BETTER_FREE:
        return [warning(about, free, why=why, remedy=remedy)]
    return [fine(about, free)]


def check_clock_against_log(log: Path, now: Instant) -> list[Finding]:
    """Whether the clock is behind the newest event that is stored. `now` is the clock's time."""
    about = "the clock"
    if not log.is_file():
        return [unknown(about, "nothing is stored yet that it could be compared with")]
    try:
        with sqlite3.connect(f"file:{log}?mode=ro", uri=True, timeout=5) as database:
            (newest,) = database.execute("SELECT max(received_at) FROM events").fetchone()
        database.close()
    except sqlite3.Error as wrong:
        return [unknown(about, f"{log.name} cannot be read: {wrong}")]
    if newest is None:
        return [unknown(about, "no event is stored yet that it could be compared with")]
    behind = (newest - now) / 1_000
    if behind > CLOCK_WARNING_SECONDS:
        return [
            error(
                about,
                f"it shows {to_iso(now)}, and the newest event came at {to_iso(newest)}",
                why="time has gone back: until it has caught up nothing that waits becomes due",
                remedy="let the machine keep its time (chrony, systemd-timesyncd)",
            )
        ]
    return [fine(about, "it is not behind what is stored")]


def check_clock_against(server: str, *, port: int = 123, patience_seconds: float = 3.0) -> list[Finding]:
    """How far the clock is off by a time server (SNTP, RFC 4330)."""
    about = f"the clock, by {server}"
    try:
        off = clock_offset(server, port, patience_seconds)
    except OSError as wrong:
        return [unknown(about, f"could not be asked: {wrong.strerror or wrong}")]
    except ValueError as wrong:
        return [unknown(about, str(wrong))]
    said = f"it is {abs(off):.1f} s {'behind' if off > 0 else 'ahead'}"
    why = "signatures carry the time, and messages leave when it says so"
    remedy = "let the machine keep its time (chrony, systemd-timesyncd)"
    if abs(off) > CLOCK_ERROR_SECONDS:
        return [error(about, said, why=why, remedy=remedy)]
    if abs(off) > CLOCK_WARNING_SECONDS:
        return [warning(about, said, why=why, remedy=remedy)]
    return [fine(about, said)]


def clock_offset(server: str, port: int, patience_seconds: float) -> float:
    """Seconds that the clock is behind the server's. Raises OSError, and ValueError for an answer that is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        plug.settimeout(patience_seconds)
        plug.connect((server, port))
        nonce = secrets.token_bytes(8)
        began = time.time()
        # Version 4, client; our nonce stands where the time of sending would.
        plug.send(b"\x23" + bytes(39) + nonce)
        answer = plug.recv(512)
        ended = time.time()
    if len(answer) < 48 or answer[0] & 7 != 4 or answer[24:32] != nonce or not 0 < answer[1] < 16:
        raise ValueError("its answer makes no sense")
    received, sent = _ntp_time(answer[32:40]), _ntp_time(answer[40:48])
    return ((received - began) + (sent - ended)) / 2


def _ntp_time(raw: bytes) -> float:
    """A time stamp of 8 bytes as seconds from 1970."""
    seconds, fraction = struct.unpack("!II", raw)
    return float(seconds) + float(fraction) / 2**32 - _NTP_EPOCH


def check_secret_files(files: Iterable[Path]) -> list[Finding]:
    """Whether only their owner may read files and folders that hold secrets."""
    findings = []
    for file in files:
        about = f"the file {file}"
        try:
            mode = file.stat().st_mode
        except OSError as wrong:
            findings.append(unknown(about, f"cannot be looked at: {wrong.strerror}"))
            continue
        if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
            who = "everybody on this machine" if mode & (stat.S_IROTH | stat.S_IWOTH) else "its group"
            verb = "change" if mode & (stat.S_IWOTH | stat.S_IWGRP) else "read"
            better = "go-rwx" if stat.S_ISDIR(mode) else "600"
            findings.append(
                warning(
                    about,
                    f"{who} may {verb} it",
                    why="it holds secrets, or people's data",
                    remedy=f"chmod {better} {file}",
                )
            )
        else:
            findings.append(fine(about, "is closed to others"))
    return findings
