"""DKIM signatures and return paths, checked by two other implementations: dkimpy and npm's mailauth."""

from __future__ import annotations

import email
import json
import logging
import subprocess
from functools import cache
from hashlib import sha256
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.mailsink import Sink
from triggerfish import SettingsWrong, to_mime
from triggerfish.plugin.channel import PluginContext
from triggerfish.plugin.settings import decode_config
from triggerfish.plugin.testing import START, SetClock, make_message
from triggerfish.verp import Verp
from triggerfish_smtp.channel import Smtp
from triggerfish_smtp.signing import SEALED, SIGNED, Key, read_key, relaxed_headers, signed, simple_body_hash

NODE = Path(__file__).parents[1] / "node"
AT = START // 1_000


@cache
def private(kind):
    if kind == "ed25519":
        return Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))


def write_key(file, key, lock=None):
    how = NoEncryption() if lock is None else BestAvailableEncryption(lock)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))
    return str(file)


def keys(*kinds):
    return [Key(f"k-{kind}", private(kind)) for kind in kinds]


def mail(**changes):
    return to_mime(make_message(**changes), date=START, message_id_domain="example.com")


def verified(content, *signers):
    """Whether each signature holds, for dkimpy."""
    records = {f"{key.selector}._domainkey.example.com.".encode(): key.record().encode() for key in signers}
    check = dkim.DKIM(content)
    try:
        found = [check.verify(idx=at, dnsfunc=lambda name, timeout: records.get(name)) for at in range(len(signers))]
    except dkim.ValidationError:
        return False
    return all(found)


@pytest.mark.parametrize("kinds", [["rsa2048"], ["ed25519"], ["rsa2048", "ed25519"]], ids="+".join)
def test_dkimpy_finds_every_signature_sound(kinds):
    signers = keys(*kinds)
    content = signed(mail(html="<p>two  blanks \nand\ta tab</p>\n\n\n", subject="Grüße"), "example.com", signers, AT)
    assert content.count(b"DKIM-Signature:") == len(kinds)
    assert verified(content, *signers)


@pytest.mark.node
@pytest.mark.parametrize("text", ["Hello\n", "Grüße  aus dem Riff \n.\n..dot\n\n\n", "Привет\n" * 50])
def test_mailauth_finds_every_signature_sound(text):
    signers = keys("rsa2048", "ed25519")
    content = signed(mail(text=text, html=f"<p>{text}</p>"), "example.com", signers, AT)
    told = mailauth(content, signers)
    assert [(one["result"], one["aligned"], one["body"]) for one in told] == [("pass", "example.com", True)] * 2
    assert [one["algo"] for one in told] == ["rsa-sha256", "ed25519-sha256"]
    assert all("list-unsubscribe" in one["headers"].lower() for one in told)
    broken = mailauth(content.replace(b"Subject: Your", b"Subject: My"), signers)
    assert [one["result"] for one in broken] == ["fail", "fail"]


def mailauth(content, signers):
    records = {f"{key.selector}._domainkey.example.com": key.record() for key in signers}
    command = ["node", "dkim.mjs", json.dumps(records)]
    return json.loads(subprocess.run(command, cwd=NODE, input=content, check=True, capture_output=True).stdout)


def test_the_signature_names_what_it_covers_and_seals_what_may_stand_once():
    content = signed(mail(), "example.com", keys("rsa2048"), AT)
    value = email.message_from_bytes(content)["DKIM-Signature"]
    tags = dict(tag.strip().split("=", 1) for tag in value.split(";"))
    assert {name: tags[name] for name in "vacdst"} == {
        "v": "1", "a": "rsa-sha256", "c": "relaxed/simple", "d": "example.com", "s": "k-rsa2048", "t": str(AT),
    }  # fmt: skip
    covered = "".join(tags["h"].split()).split(":")
    present = {name.lower() for name, _ in email.message_from_bytes(mail()).items()}
    assert {name: covered.count(name) for name in SIGNED} == {
        name: (name in present) + (name in SEALED) for name in SIGNED
    }
    assert all(len(line) <= 100 for line in content.partition(b"\r\nFrom:")[0].split(b"\r\n"))


@pytest.mark.parametrize("name", ["From", "To", "Subject", "Date", "Message-ID", "Content-Type", "List-Unsubscribe"])
def test_a_changed_header_breaks_the_signature(name):
    (signer,) = keys("rsa2048")
    content = signed(mail(), "example.com", [signer], AT)
    head = f"\r\n{name}: ".encode()
    assert head in content
    assert not verified(content.replace(head, head + b"x", 1), signer)


@pytest.mark.parametrize("name", ["From", "To", "Cc", "Subject", "Reply-To", "Content-Type"])
def test_an_added_header_breaks_the_signature(name):
    (signer,) = keys("rsa2048")
    content = signed(mail(), "example.com", [signer], AT)
    for added in (
        f"{name}: eve@example.net\r\n".encode() + content,
        content.replace(b"\r\nDate:", f"\r\n{name}: e\r\nDate:".encode(), 1),
    ):
        assert not verified(added, signer)


def test_a_changed_body_breaks_the_signature_and_blanks_in_headers_and_empty_lines_at_the_end_do_not():
    (signer,) = keys("rsa2048")
    content = signed(mail(), "example.com", [signer], AT)
    assert not verified(content.replace(b"cart is", b"card is"), signer)
    assert verified(content.replace(b"\r\nSubject: Your", b"\r\nSubject:  Your") + b"\r\n\r\n", signer)


@settings(max_examples=100)
@given(text=st.text("ab .\t\nFrom=", max_size=80), html=st.text("ab .\t\nFrom=é", max_size=80))
def test_no_line_of_a_body_ends_with_a_blank_that_a_relay_could_take_off(text, html):
    body = mail(text=text, html=html).partition(b"\r\n\r\n")[2]
    assert not any(line.endswith((b" ", b"\t")) for line in body.split(b"\r\n"))


BODIES = st.text(" \t\r\nab.", max_size=60).map(lambda text: text.replace("\r", "").replace("\n", "\r\n").encode())


@settings(max_examples=300)
@given(BODIES)
def test_bodies_are_read_as_dkimpy_reads_them(body):
    assert simple_body_hash(b"head" + body, 4) == sha256(Simple.canonicalize_body(body)).digest()


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.sampled_from(["Subject", "X-a", "TO"]), st.text(" \tab", max_size=20)),
        min_size=1,
        max_size=3,
        unique_by=lambda one: one[0],
    )
)
def test_headers_are_read_as_dkimpy_reads_them(headers):
    head = b"\r\n".join(f"{name}: x{value}\r\n {value}y".encode() for name, value in headers)
    theirs = Relaxed.canonicalize_headers(dkim.rfc822_parse(head + b"\r\n\r\nbody")[0])
    assert relaxed_headers(head) == {name.decode(): name + b":" + value for name, value in theirs}


def opened_config(sink, **given):
    table = {"host": "127.0.0.1", "port": sink.port, "security": "none", "timeout_seconds": 5} | given
    return Smtp(decode_config(Smtp.Config, table, "smtp"))


def context(tmp_path):
    return PluginContext(tmp_path, tmp_path, "https://events.example.com", SetClock(), Verp("the secret of this test"))


async def test_what_arrives_is_signed_and_its_return_path_names_the_send(tmp_path):
    dkim_keys = {
        "dkim_domain": "example.com", "dkim_selector": "k-rsa2048",
        "dkim_key_file": Path(write_key(tmp_path / "rsa.pem", private("rsa2048"))).name,
        "dkim_second_selector": "k-ed25519",
        "dkim_second_key_file": write_key(tmp_path / "ed.pem", private("ed25519")),
    }  # fmt: skip
    with Sink(pipelining=True) as sink:
        channel = opened_config(sink, verp="bounces+{token}@mail.example.com", **dkim_keys)
        await channel.open(context(tmp_path))
        (receipt,) = await channel.send([make_message("0123456789abcdef0123", text="Hi\n.\n..\n  .\nGrüße\n")])
        await channel.close()
    assert receipt.status == "accepted"
    ((return_path, _, content, _),) = sink.letters
    assert verified(content, *keys("rsa2048", "ed25519"))
    assert return_path.startswith("bounces+")
    assert Verp("the secret of this test").read(return_path) == "0123456789abcdef0123"


async def test_a_batch_uses_its_connections_at_once_and_each_message_has_its_own_result(tmp_path):
    with Sink(pipelining=True) as sink:
        sink.replies["RCPT"] = ["550 5.1.1 no such user"]
        sink.replies["EHLO"] = [None, "drop"]
        channel = opened_config(sink, connections=3)
        await channel.open(context(tmp_path))
        messages = [make_message(f"s{n}", to=f"person{n}@example.com") for n in range(50)]
        receipts = await channel.send(messages)
        await channel.close()
    assert [receipt.send_id for receipt in receipts] == [message.send_id for message in messages]
    assert sorted(receipt.status for receipt in receipts) == ["accepted"] * 49 + ["refused"]
    recipients = [letter[1][0] for letter in sink.letters]
    assert len(recipients) == len(set(recipients)) == 49
    assert len(sink.sessions) == 2  # of three connections one was turned away, and its message went over another


@pytest.mark.parametrize(("where", "status"), [("_envelope", "retry"), ("_transact", "unknown")])
async def test_a_mistake_of_ours_at_one_message_is_its_own(tmp_path, monkeypatch, caplog, where, status):
    with Sink(pipelining=True) as sink:
        channel = opened_config(sink, connections=2)
        await channel.open(context(tmp_path))
        usual, calls = getattr(channel, where), []

        def mistaken(*given):
            calls.append(given)
            if len(calls) == 3:
                raise ArithmeticError("a mistake")
            return usual(*given)

        monkeypatch.setattr(channel, where, mistaken)
        receipts = await channel.send([make_message(f"s{n}", to=f"person{n}@example.com") for n in range(20)])
        await channel.close()
    assert sorted(receipt.status for receipt in receipts) == sorted(["accepted"] * 19 + [status])
    assert len(sink.letters) == 19
    assert "broke off" in caplog.text


async def test_a_server_that_waits_for_a_text_after_it_refused_the_recipient_gets_none(tmp_path):
    with Sink(pipelining=True) as sink:
        sink.replies["RCPT"] = ["550 5.1.1 no such user"]
        sink.replies["DATA"] = ["354 go on anyway"]
        channel = opened_config(sink)
        await channel.open(context(tmp_path))
        receipts = await channel.send([make_message("s1"), make_message("s2")])
        await channel.close()
    assert [receipt.status for receipt in receipts] == ["refused", "accepted"]
    assert [letter[1] for letter in sink.letters] == [["ana@example.com"]]
    assert len(sink.sessions) == 2


def bad_key(tmp_path, kind):
    file = tmp_path / "key.pem"
    match kind:
        case "missing":
            return str(file)
        case "no key":
            file.write_text("-----BEGIN NONSENSE-----")
        case "huge":
            file.write_bytes(b"x" * 100_000)
        case "locked":
            write_key(file, private("ed25519"), b"a password")
        case "elliptic":
            write_key(file, ec.generate_private_key(ec.SECP256R1()))
        case "public":
            file.write_bytes(
                private("ed25519").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            )
    return str(file)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "cannot be read: No such file"),
        ("no key", "holds no private key in PEM form"),
        ("public", "holds no private key in PEM form"),
        ("huge", "too long to be a key"),
        ("locked", "locked with a password"),
        ("elliptic", "DKIM does not know"),
    ],
)
async def test_a_key_that_cannot_sign_stops_the_start_with_what_to_do(tmp_path, kind, says):
    table = {"dkim_domain": "example.com", "dkim_selector": "s1", "dkim_key_file": bad_key(tmp_path, kind)}
    channel = opened_config(type("Nowhere", (), {"port": 25}), **table)
    with pytest.raises(SettingsWrong) as wrong:
        await channel.open(context(tmp_path))
    assert wrong.value.code == "TF425"
    assert says in wrong.value.sentence
    assert "dkim_key_file" in wrong.value.sentence
    assert "--new-dkim-key" in wrong.value.hint


async def test_a_weak_key_signs_with_a_warning(tmp_path, caplog):
    table = {"dkim_domain": "example.com", "dkim_selector": "s1"}
    table["dkim_key_file"] = write_key(tmp_path / "weak.pem", private("rsa1024"))
    with caplog.at_level(logging.WARNING):
        await opened_config(type("Nowhere", (), {"port": 25}), **table).open(context(tmp_path))
    assert "has 1024 bits; take a key of 2048" in caplog.text


async def test_two_keys_of_one_kind_are_a_mistake(tmp_path):
    file = write_key(tmp_path / "key.pem", private("ed25519"))
    table = {"dkim_domain": "example.com", "dkim_selector": "a", "dkim_key_file": file}
    table |= {"dkim_second_selector": "b", "dkim_second_key_file": file}
    with pytest.raises(SettingsWrong, match="both keys are ed25519-sha256"):
        await opened_config(type("Nowhere", (), {"port": 25}), **table).open(context(tmp_path))


def test_a_key_is_not_shown(tmp_path):
    key = read_key(Path(write_key(tmp_path / "key.pem", private("rsa2048"))), "s1")
    assert str(private("rsa2048").private_numbers().p) not in repr(key)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"dkim_domain": "example.com"}, "go together"),
        ({"dkim_second_selector": "b", "dkim_second_key_file": "f"}, "beside a first key"),
        ({"envelope_from": "a@example.com", "verp": "b+{token}@example.com"}, "leave envelope_from out"),
        ({"dkim_domain": "example com", "dkim_selector": "a", "dkim_key_file": "f"}, "dkim_domain"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(table, says):
    with pytest.raises(SettingsWrong) as wrong:
        decode_config(Smtp.Config, {"host": "mail.example.com"} | table, "smtp")
    assert says in str(wrong.value)


async def test_a_return_path_without_a_place_for_the_token_stops_the_start(tmp_path):
    channel = opened_config(type("Nowhere", (), {"port": 25}), verp="bounces@example.com")
    with pytest.raises(SettingsWrong, match=r"it has \{token\} once") as wrong:
        await channel.open(context(tmp_path))
    assert "bounces+{token}@mail.shop.example" in wrong.value.hint
