"""`triggerfish doctor`, against a real DNS server, a real mail server and a real time server."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import stat
import struct
import threading
import time
from pathlib import Path

import dkim
import pytest
from click.testing import CliRunner

from cli.nameserver import NameServer
from plugins.mailsink import Sink
from triggerfish.adapters.doctor import machine, names
from triggerfish.adapters.doctor.machine import (
    check_clock_against,
    check_clock_against_log,
    check_disk,
    check_secret_files,
)
from triggerfish.adapters.doctor.workspace import check_keys, check_public_url
from triggerfish.cli import main

SETTINGS = """
[keys]
write = ["a-write-key-of-the-test"]
admin = "an-admin-key-that-is-long-enough-for-all"
secret = "a-secret-for-links-that-is-long-enough-too"

[server]
public_url = "https://events.shop.example"

[delivery]
channel = "smtp"
sender = "Shop <hello@shop.example>"

[plugins.smtp]
host = "127.0.0.1"
port = {port}
security = "none"
verp = "bounces+{{token}}@mail.shop.example"
timeout_seconds = 2
{more}
"""
DKIM = 'dkim_domain = "shop.example"\ndkim_selector = "tf1"\ndkim_key_file = "keys/dkim.pem"'
ZONES = {
    "mail.shop.example": {"TXT": ["v=spf1 ip4:192.0.2.7 -all"], "MX": ["10 mx.shop.example."]},
    "mx.shop.example": {"A": ["192.0.2.8"]},
    "7.2.0.192.in-addr.arpa": {"PTR": ["out.shop.example."]},
    "out.shop.example": {"A": ["192.0.2.7"]},
    "_dmarc.shop.example": {"TXT": ["v=DMARC1; p=quarantine; rua=mailto:dmarc@shop.example"]},
}


@pytest.fixture
def workspace(tmp_path):
    """A function that writes a workspace whose mail server listens at a port."""

    def write(port, more=DKIM):
        (tmp_path / "rules").mkdir(exist_ok=True)
        (tmp_path / "templates").mkdir(exist_ok=True)
        (tmp_path / "data").mkdir(mode=0o700, exist_ok=True)
        file = tmp_path / "triggerfish.toml"
        file.write_text(SETTINGS.format(port=port, more=more))
        file.chmod(0o600)
        return tmp_path

    return write


def run(workspace, *words):
    return CliRunner().invoke(main, ["doctor", "--workspace", str(workspace), *words])


def new_key(workspace, *words):
    result = run(workspace, "--new-dkim-key", "keys/dkim.pem", "--json", *words)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_a_sender_that_has_it_all_is_well_and_what_it_sends_can_be_checked(workspace, tmp_path):
    with Sink() as sink:
        made = new_key(workspace(sink.port))
        assert made["name"] == "tf1._domainkey.shop.example"
        assert stat.S_IMODE((tmp_path / "keys" / "dkim.pem").stat().st_mode) == 0o600
        with NameServer(ZONES | {made["name"]: {"TXT": [made["record"]]}}) as dns:
            result = run(tmp_path, "--nameserver", dns.address, "--sending-ip", "192.0.2.7", "--time-server", "")
        assert not sink.letters
        assert len(sink.sessions) == 1
    assert result.exit_code == 0, result.output
    told = result.output.replace(str(sink.port), "PORT").replace(str(tmp_path), "WORKSPACE")
    told = "\n".join(line for line in told.splitlines() if " disk of " not in line)
    assert told == (Path(__file__).parents[1] / "golden" / "doctor-fine.txt").read_text().rstrip("\n")


def test_each_fault_is_said_with_why_it_matters_and_what_to_do(workspace, tmp_path):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    made = new_key(workspace(port))
    with NameServer({"mail.shop.example": {"TXT": ["v=spf1 +all"]}}) as dns:
        result = run(tmp_path, "--nameserver", dns.address, "--time-server", "", "--json")
    assert result.exit_code == 1
    sections = {section["title"]: section["findings"] for section in json.loads(result.output)}
    assert sections["the channel"][0]["state"] == "error"
    assert "cannot be reached" in sections["the channel"][0]["sentence"]
    states = {finding["about"]: finding["state"] for finding in sections["mail from shop.example"]}
    assert states == {
        "SPF of mail.shop.example": "error",
        "DKIM tf1._domainkey.shop.example": "error",
        "DMARC of shop.example": "error",
        "MX of mail.shop.example": "error",
    }
    for findings in sections.values():
        for finding in findings:
            assert finding["state"] in ("fine", "unknown") or (finding["why"] and finding["remedy"])
    (about_dkim,) = (one for one in sections["mail from shop.example"] if one["about"].startswith("DKIM"))
    assert made["record"] in about_dkim["remedy"]


def test_warnings_alone_end_with_3(workspace, tmp_path):
    with Sink() as sink, NameServer(ZONES) as dns:
        result = run(workspace(sink.port, more=""), "--nameserver", dns.address, "--time-server", "")
    assert result.exit_code == 3, result.output
    assert "warn   alignment with shop.example: only SPF is" in result.output


def test_without_network_nothing_is_an_error_but_what_is_here(workspace, monkeypatch):
    monkeypatch.setattr(names, "PATIENCE_SECONDS", 0.3)
    with Sink() as sink, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{silent.getsockname()[1]}"
        silent.close()
        result = run(workspace(sink.port, more=""), "--nameserver", closed, "--time-server", "127.0.0.1")
    assert result.exit_code == 0, result.output
    assert "SPF of mail.shop.example: could not be looked up: mail.shop.example TXT: no answer" in result.output
    assert "MX of mail.shop.example: could not be looked up: the name server does not answer" in result.output


def test_a_key_that_cannot_sign_is_a_finding(workspace, tmp_path):
    result = run(workspace(25), "--time-server", "")
    assert result.exit_code == 1
    assert 'dkim_key_file "keys/dkim.pem" cannot sign: it cannot be read' in result.output


def test_a_channel_that_delivers_nothing_needs_no_dns_and_is_not_even_opened(workspace, tmp_path):
    workspace(25)
    file = tmp_path / "triggerfish.toml"
    file.write_text(file.read_text().replace('channel = "smtp"', 'channel = "outbox"'))
    result = run(tmp_path, "--time-server", "", "--nameserver", "127.0.0.1:1")
    assert result.exit_code == 0, result.output
    assert "delivers nothing" in result.output
    assert not (tmp_path / "data" / "outbox").exists()


def test_a_sender_without_a_real_domain_is_an_error(workspace, tmp_path):
    with Sink() as sink:
        workspace(sink.port, more="")
        file = tmp_path / "triggerfish.toml"
        file.write_text(file.read_text().replace("hello@shop.example", "hello@localhost"))
        result = run(tmp_path, "--time-server", "")
    assert result.exit_code == 1
    assert "the sender's domain localhost: it is no name that others know" in result.output


def test_a_new_key_says_what_to_publish_and_set_and_replaces_none(workspace, tmp_path):
    workspace(25, more="")
    result = run(tmp_path, "--new-dkim-key", "keys/dkim.pem", "--selector", "x1")
    assert result.exit_code == 0
    assert 'x1._domainkey.shop.example. IN TXT "v=DKIM1; k=rsa; p=' in result.output
    assert 'dkim_domain = "shop.example"\ndkim_selector = "x1"\ndkim_key_file = "keys/dkim.pem"' in result.output
    assert "PRIVATE" not in result.output
    strings = result.output.partition("IN TXT ")[2].partition("\n")[0].split('" "')
    assert all(len(string.strip('"')) <= 255 for string in strings)
    record = "".join(string.strip('"') for string in strings)
    assert dkim.evaluate_pk("x", record)[1] == 2048
    again = run(tmp_path, "--new-dkim-key", "keys/dkim.pem")
    assert (again.exit_code, "TF428" in again.output) == (1, True)


def test_a_small_key_goes_beside_the_first(workspace, tmp_path):
    workspace(25, more="")
    result = run(tmp_path, "--new-dkim-key", "ed.pem", "--selector", "x2", "--kind", "ed25519")
    assert "k=ed25519" in result.output
    assert 'dkim_second_selector = "x2"\ndkim_second_key_file = "ed.pem"' in result.output


@pytest.mark.parametrize(
    "words",
    [["--nameserver", "ns.example"], ["--sending-ip", "here"], ["--new-dkim-key", "k.pem", "--selector", "a b"]],
    ids=["nameserver", "sending-ip", "selector"],
)
def test_an_option_that_makes_no_sense_is_refused(workspace, words):
    assert run(workspace(25), *words).exit_code == 2


def test_a_nearly_full_disk_is_found(tmp_path, monkeypatch):
    assert check_disk(tmp_path / "not" / "there" / "yet")[0].state == "fine"
    monkeypatch.setattr(machine, "BETTER_FREE", 10**18)
    assert check_disk(tmp_path)[0].state == "warning"
    monkeypatch.setattr(machine, "LEAST_FREE", 10**18)
    assert check_disk(tmp_path)[0].state == "error"


NOW = 1_767_225_600_000


@pytest.mark.parametrize(
    ("newest", "state"), [(NOW - 1, "fine"), (NOW + 4_000, "fine"), (NOW + 60_000, "error"), (None, "unknown")]
)
def test_a_clock_behind_the_newest_event_is_found(tmp_path, newest, state):
    log = tmp_path / "log.sqlite3"
    with sqlite3.connect(log) as database:
        database.execute("CREATE TABLE events (received_at INTEGER)")
        database.execute("INSERT INTO events SELECT ? WHERE ?", (newest, newest is not None))
    database.close()
    assert check_clock_against_log(log, NOW)[0].state == state


def test_a_log_that_is_not_there_or_broken_is_no_fault_of_the_clock(tmp_path):
    assert check_clock_against_log(tmp_path / "log.sqlite3", NOW)[0].state == "unknown"
    (tmp_path / "log.sqlite3").write_text("this is no database" * 100)
    assert check_clock_against_log(tmp_path / "log.sqlite3", NOW)[0].state == "unknown"


@pytest.fixture
def time_server():
    """A function that starts an SNTP server whose clock is off by some seconds; gives its port."""
    sockets = []

    def start(off, change=lambda answer: answer):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))
        sockets.append(server)

        def serve():
            query, peer = server.recvfrom(512)
            stamp = struct.pack("!II", int(time.time() + off + 2_208_988_800), 0)
            server.sendto(change(b"\x24\x02" + bytes(22) + query[40:48] + stamp + stamp), peer)

        threading.Thread(target=serve, daemon=True).start()
        return server.getsockname()[1]

    yield start
    for server in sockets:
        server.close()


@pytest.mark.parametrize(
    ("off", "state", "says"),
    [(0, "fine", ""), (60, "warning", "s behind"), (-60, "warning", "s ahead"), (3_600, "error", "s behind")],
)
def test_a_clock_that_is_wrong_is_found(time_server, off, state, says):
    (found,) = check_clock_against("127.0.0.1", port=time_server(off))
    assert found.state == state
    assert says in found.sentence


@pytest.mark.parametrize(
    "change",
    [lambda answer: answer[:20], lambda answer: b"\x23" + answer[1:], lambda answer: answer[:24] + bytes(24),
     lambda answer: answer[:1] + b"\x00" + answer[2:]],
    ids=["short", "no server", "somebody else's", "kiss of death"],
)  # fmt: skip
def test_an_answer_that_is_no_time_says_nothing_of_the_clock(time_server, change):
    (found,) = check_clock_against("127.0.0.1", port=time_server(3_600, change))
    assert (found.state, found.sentence) == ("unknown", "its answer makes no sense")


@pytest.mark.parametrize(
    ("mode", "state", "says"),
    [(0o600, "fine", ""), (0o640, "fine", ""), (0o644, "warning", "everybody on this machine may read it"),
     (0o620, "warning", "its group may change it"), (0o602, "warning", "everybody on this machine may change it")],
)  # fmt: skip
def test_a_file_with_secrets_that_others_may_read_is_found(tmp_path, mode, state, says):
    file = tmp_path / "dkim.pem"
    file.write_text("secret")
    os.chmod(file, mode)  # noqa: PTH101
    (found,) = check_secret_files([file])
    assert found.state == state
    assert says in found.sentence
    assert check_secret_files([tmp_path / "gone"])[0].state == "unknown"


def test_keys_are_looked_at_and_never_shown():
    good = {"write": ["w" * 10], "admin": "a" * 40, "secret": "s" * 40, "are_demo": False}
    assert [each.state for each in check_keys(**good)] == ["fine"]
    short = check_keys(**good | {"secret": "hunter2-hunter2-"})
    assert [each.state for each in short] == ["warning"]
    assert "hunter2" not in repr(short)
    assert [each.state for each in check_keys(**good | {"admin": "s" * 40})] == ["error"]
    assert [each.state for each in check_keys(**good | {"are_demo": True})] == ["warning"]


@pytest.mark.parametrize(
    ("url", "state"),
    [("https://events.shop.example", "fine"), ("http://events.shop.example", "error"), ("", "error"),
     ("https://localhost:8400", "error"), ("https://192.168.1.5", "error"), ("https://[::1]", "error"),
     ("https://8.8.8.8", "fine"), ("https://shop", "error")],
)  # fmt: skip
def test_links_must_lead_to_where_people_can_go(url, state):
    assert check_public_url(url)[0].state == state
