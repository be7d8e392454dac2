"""The SMTP channel against a real server that refuses, delays, drops and stalls at every step."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import socket
import ssl
import threading
import time

import pytest

import triggerfish_smtp.channel
from plugins.mailsink import Sink
from triggerfish import NotHandedOver, SettingsWrong
from triggerfish.plugin.guard import GuardedChannel
from triggerfish.plugin.settings import decode_config
from triggerfish.plugin.testing import ChannelContract, SetClock, make_context, make_message
from triggerfish_smtp.channel import Smtp


def make(sink, **settings):
    table = {"host": "127.0.0.1", "port": sink.port, "security": "none", "timeout_seconds": 5} | settings
    return Smtp(decode_config(Smtp.Config, table, "smtp"))


@pytest.fixture
async def opened(tmp_path):
    """Opens channels, and closes them at the end."""
    channels = []

    async def open_one(sink, **settings):
        channel = make(sink, **settings)
        await channel.open(make_context(tmp_path))
        channels.append(channel)
        return channel

    yield open_one
    for channel in channels:
        await channel.close()


def batch(count):
    return [make_message(f"s{n}", to=f"person{n}@example.com") for n in range(count)]


async def statuses(channel, count=1):
    return [receipt.status for receipt in await channel.send(batch(count))]


class TestSmtpContract(ChannelContract):
    @pytest.fixture
    def channel(self, sink):
        self.sink = sink
        return make(sink)

    def delivered(self, channel):
        letters = [email.message_from_bytes(content) for _, _, content, _ in self.sink.letters]
        return [letter["Message-ID"].strip("<>").partition("@")[0] for letter in letters]


async def test_a_message_arrives_whole(opened, sink):
    channel = await opened(sink, ehlo="shop.example.com", envelope_from="bounces@example.com")
    message = make_message("s1", text="first\n.\n..second dot\n.hidden\nÜmläut\n", subject="Grüße")
    (receipt,) = await channel.send([message])
    assert (receipt.status, receipt.detail) == ("accepted", "250 OK queued as 1")
    ((sender, recipients, content, session),) = sink.letters
    assert (sender, recipients, session.host_name) == ("bounces@example.com", ["ana@example.com"], "shop.example.com")
    letter = email.message_from_bytes(content, policy=email.policy.default)
    assert letter["Subject"] == "Grüße"
    assert letter["From"] == "The Shop <shop@example.com>"
    assert letter["Date"].datetime.year == 2026
    assert letter.get_body(["plain"]).get_content().replace("\r\n", "\n") == message.text
    assert b"\r" not in content.replace(b"\r\n", b"")


async def test_the_envelope_sender_is_the_messages_unless_set(opened, sink):
    await statuses(await opened(sink))
    assert sink.letters[0][0] == "shop@example.com"


async def test_one_connection_takes_many_messages_and_is_kept_for_the_next_batch(opened, sink):
    channel = await opened(sink, connections=1)
    assert await statuses(channel, 20) == ["accepted"] * 20
    assert await statuses(channel, 20) == ["accepted"] * 20
    assert len(sink.sessions) == 1


async def test_a_connection_is_given_up_after_its_share_of_messages(opened, sink):
    channel = await opened(sink, messages_per_connection=3)
    assert await statuses(channel, 10) == ["accepted"] * 10
    assert len(sink.sessions) == 4


async def test_each_message_has_a_result_of_its_own(opened, sink):
    sink.replies["RCPT"] = [None, "451 4.7.1 greylisted, come back later", "550 5.1.1 no such user", None]
    sink.replies["BODY"] = [None, "554 5.6.0 spam"]
    channel = await opened(sink)
    receipts = await channel.send(batch(4))
    assert [receipt.status for receipt in receipts] == ["accepted", "retry", "refused", "refused"]
    assert receipts[1].detail == "451 4.7.1 greylisted, come back later"
    assert receipts[2].detail == "550 5.1.1 no such user"
    assert len(sink.sessions) == 1
    assert await statuses(channel) == ["accepted"]


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "BODY"])
@pytest.mark.parametrize(
    ("reply", "status"),
    [("451 later", "retry"), ("452 full", "retry"), ("550 never", "refused"), ("530 sign in first", "retry")],
)
async def test_4xx_comes_again_5xx_does_not_and_our_own_set_up_is_not_the_messages_fault(
    opened, sink, step, reply, status
):
    sink.replies[step] = [reply]
    channel = await opened(sink)
    assert await statuses(channel, 2) == [status, "accepted"]


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
async def test_a_2xx_that_the_step_does_not_call_for_is_no_acceptance(opened, sink, step):
    sink.replies[step] = ["299 whatever"]
    assert await statuses(await opened(sink)) == ["retry"]
    assert not sink.letters


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
async def test_a_server_that_hangs_up_before_the_text_has_taken_nothing(opened, sink, step):
    sink.replies[step] = ["drop"]
    channel = await opened(sink)
    assert await statuses(channel, 2) == ["retry", "accepted"]


async def test_a_server_that_hangs_up_after_the_final_dot_may_have_taken_it(opened, sink):
    sink.replies["BODY"] = ["drop"]
    channel = await opened(sink)
    assert await statuses(channel, 2) == ["unknown", "accepted"]


async def test_a_server_that_is_silent_after_the_final_dot_may_have_taken_it(opened, sink):
    sink.replies["BODY"] = ["stall"]
    channel = await opened(sink, timeout_seconds=0.3)
    assert await statuses(channel) == ["unknown"]


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
async def test_a_server_that_is_silent_before_the_text_has_taken_nothing(opened, sink, step):
    sink.replies[step] = ["stall"]
    channel = await opened(sink, timeout_seconds=0.3)
    assert await statuses(channel) == ["retry"]


async def test_a_connection_that_breaks_in_the_middle_of_a_long_text_has_delivered_nothing(opened, sink):
    sink.replies["DATA"] = ["354 drop"]
    channel = await opened(sink)
    long = make_message("s1", text="x" * 60 + "\n", html="<p>" + "word " * 2_000_000 + "</p>")
    (receipt,) = await channel.send([long])
    assert receipt.status == "retry"


async def test_a_message_that_met_a_stale_connection_goes_out_over_a_fresh_one(opened, sink):
    channel = await opened(sink)
    assert await statuses(channel) == ["accepted"]
    sink.drop_connections()
    assert await statuses(channel) == ["accepted"]
    assert len(sink.letters) == 2


async def test_an_idle_connection_is_not_trusted(opened, sink, monkeypatch):
    channel = await opened(sink)
    await statuses(channel)
    monkeypatch.setattr(triggerfish_smtp.channel, "_IDLE_SECONDS", 0.0)
    assert await statuses(channel) == ["accepted"]
    assert len(sink.sessions) == 2


async def test_421_ends_the_connection_and_the_rest_goes_over_another(opened, sink):
    sink.replies["RCPT"] = [None, "421 4.3.2 shutting down"]
    channel = await opened(sink)
    assert await statuses(channel, 3) == ["accepted", "retry", "accepted"]
    assert len(sink.sessions) == 2


class Nowhere:
    """A port at which nobody listens."""

    def __init__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]


async def test_a_server_that_cannot_be_reached_got_nothing(opened):
    nowhere = Nowhere()
    channel = await opened(nowhere)
    with pytest.raises(NotHandedOver, match=f"127.0.0.1:{nowhere.port} cannot be reached: ConnectionRefusedError"):
        await statuses(channel, 3)


async def test_when_the_server_goes_away_within_a_batch_the_rest_comes_again(opened, sink):
    sink.replies["BODY"] = [None, "drop"]
    sink.replies["EHLO"] = [None, "drop", "drop"]
    channel = await opened(sink)
    assert await statuses(channel, 5) == ["accepted", "unknown", "retry", "retry", "retry"]
    assert sink.commands.count("EHLO") == 2


async def test_a_batch_that_takes_too_long_gives_its_rest_back(opened, sink, monkeypatch):
    monkeypatch.setattr(triggerfish_smtp.channel, "_BATCH_SECONDS", 0.0)
    channel = await opened(sink)
    receipts = await channel.send(batch(3))
    assert {receipt.status for receipt in receipts} == {"retry"}
    assert "too long" in receipts[0].detail


async def test_starttls_and_a_password(opened, secure_sink, ca_file):
    secure = {"security": "starttls", "ca_file": ca_file, "username": "triggerfish", "password": "letmein-please"}
    channel = await opened(secure_sink, **secure)
    assert await statuses(channel, 2) == ["accepted", "accepted"]
    session = secure_sink.letters[0][3]
    assert session.ssl is not None
    assert session.authenticated


async def test_tls_from_the_first_byte(opened, tls_sink, ca_file):
    channel = await opened(tls_sink, security="tls", ca_file=ca_file)
    assert await statuses(channel, 2) == ["accepted", "accepted"]


async def test_a_wrong_password_hands_nothing_over_and_is_not_shown(opened, secure_sink, ca_file):
    wrong = {"security": "starttls", "ca_file": ca_file, "username": "triggerfish", "password": "not-the-password"}
    channel = await opened(secure_sink, **wrong)
    with pytest.raises(NotHandedOver, match="did not let us in: 535") as refused:
        await statuses(channel)
    assert "not-the-password" not in str(refused.value)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_of_an_unknown_authority_is_not_trusted(opened, secure_sink, tls_sink, security):
    sink = secure_sink if security == "starttls" else tls_sink
    channel = await opened(sink, security=security)
    with pytest.raises(NotHandedOver, match="CERTIFICATE_VERIFY_FAILED"):
        await statuses(channel)
    assert not sink.letters


async def test_a_certificate_for_another_host_is_not_trusted(opened, authority, ca_file):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example.com").configure_cert(context)
    with Sink(tls_from_start=context) as sink:
        channel = await opened(sink, security="tls", ca_file=ca_file)
        with pytest.raises(NotHandedOver, match="CERTIFICATE_VERIFY_FAILED"):
            await statuses(channel)


async def test_a_server_without_starttls_gets_nothing_in_the_clear(opened, sink):
    channel = await opened(sink, security="starttls")
    with pytest.raises(NotHandedOver, match="STARTTLS extension not supported"):
        await statuses(channel)
    assert "MAIL" not in sink.commands


async def test_a_server_that_wants_tls_gets_the_message_later_and_not_in_the_clear(opened, secure_sink):
    channel = await opened(secure_sink)
    (receipt,) = await channel.send(batch(1))
    assert (receipt.status, receipt.detail[:3]) == ("retry", "530")
    assert not secure_sink.letters


async def test_what_was_slipped_in_before_starttls_is_forgotten(opened, ca_file, server_tls):
    """CVE-2011-0411: a reply that came with the go-ahead, in the clear, must not pass for one inside TLS."""
    heard = []

    def serve(listener):
        plain, _ = listener.accept()
        with plain:
            plain.sendall(b"220 hi\r\n")
            plain.recv(4096)
            plain.sendall(b"250-sink\r\n250 STARTTLS\r\n")
            plain.recv(4096)
            plain.sendall(b"220 go ahead\r\n250-sink\r\n250 INJECTED\r\n")
            with server_tls.wrap_socket(plain, server_side=True) as secure:
                heard.append(secure.recv(4096))
                secure.sendall(b"250 sink\r\n")
                heard.append(secure.recv(4096))
                secure.sendall(b"421 bye\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener], daemon=True)
        thread.start()
        channel = await opened(At(listener), security="starttls", ca_file=ca_file, ehlo="me.example")
        assert await statuses(channel) == ["retry"]
        thread.join(5)
    assert heard == [b"ehlo me.example\r\n", b"MAIL FROM:<shop@example.com>\r\n"]


class At:
    """Where a listening socket is."""

    def __init__(self, listener):
        self.port = listener.getsockname()[1]


async def test_a_server_that_talks_nonsense_gets_nothing(opened):
    def serve(listener):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
            connection.recv(100)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=[listener], daemon=True).start()
        channel = await opened(At(listener))
        with pytest.raises(NotHandedOver, match="cannot be reached"):
            await statuses(channel)


@pytest.mark.parametrize("flood", [b"220-more\r\n" * 200, b"220-" + b"x" * 10_000], ids=["lines", "one long line"])
async def test_a_reply_without_an_end_is_not_read_for_ever(opened, flood):
    sent = []

    def serve(listener):
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while True:
                sent.append(connection.send(flood))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener], daemon=True)
        thread.start()
        channel = await opened(At(listener))
        with pytest.raises(NotHandedOver, match="cannot be reached"):
            await statuses(channel)
        thread.join(5)
    assert not thread.is_alive()


async def test_a_server_that_takes_no_passwords_gets_none(opened, tls_sink, ca_file):
    channel = await opened(tls_sink, security="tls", ca_file=ca_file, username="u", password="p")
    with pytest.raises(NotHandedOver, match="AUTH extension not supported"):
        await statuses(channel)


async def test_a_reply_of_many_lines_is_one_reply(opened, sink):
    sink.replies["RCPT"] = ["550-5.1.1 no such user\r\n550 5.1.1 really not"]
    channel = await opened(sink)
    (receipt,) = await channel.send(batch(1))
    assert (receipt.status, receipt.detail) == ("refused", "550 5.1.1 no such user\n5.1.1 really not")
    assert await statuses(channel) == ["accepted"]


async def test_an_answer_to_the_text_that_makes_no_sense_is_unknown(opened, sink):
    sink.replies["BODY"] = ["999 eh"]
    assert await statuses(await opened(sink), 2) == ["unknown", "accepted"]


@pytest.mark.parametrize(
    "address",
    ["ana@example.com>\r\nRCPT TO:<eve@example.com", "ana@example.com\nDATA", "ana@example.com> SIZE=1", "no-at-sign",
     '"a b"@example.com', "", "ana@", "@example.com", "ana@exa mple.com", "ana@example.com\x00"],
)  # fmt: skip
async def test_an_address_that_could_smuggle_a_command_is_refused_without_a_word_to_the_server(opened, sink, address):
    channel = await opened(sink)
    receipts = await channel.send([make_message("s1", to=address), make_message("s2")])
    assert [receipt.status for receipt in receipts] == ["refused", "accepted"]
    assert len(sink.letters) == 1
    assert sink.commands.count("RCPT") == 1


async def test_a_domain_in_other_letters_goes_out_in_its_ascii_form(opened, sink):
    channel = await opened(sink)
    await channel.send([make_message("s1", to="ana@bücher.example")])
    assert sink.letters[0][1] == ["ana@xn--bcher-kva.example"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"security": "none", "host": "mail.example.com", "username": "a", "password": "b"}, "not sent without TLS"),
        ({"username": "a"}, "username and password go together"),
        ({"host": "mail.example.com\r\nX"}, "host"),
        ({"security": "ssl"}, "security"),
        ({"port": 0}, "port"),
        ({"envelope_from": "a b@example.com"}, "envelope_from"),
        ({"ehlo": "me\r\nMAIL FROM:<x>"}, "ehlo"),
        ({"prot": 25}, 'did you mean "port"'),
        ({"ca_file": "/nowhere.pem", "security": "tls"}, "ca_file"),
    ],
)
def test_settings_that_cannot_work_or_are_not_safe_are_refused(settings, says):
    table = {"host": "127.0.0.1"} | settings
    with pytest.raises(SettingsWrong) as wrong:
        Smtp(decode_config(Smtp.Config, table, "smtp"))
    assert says in str(wrong.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_a_password_may_go_to_this_machine_in_the_clear(host):
    table = {"host": host, "security": "none", "username": "a", "password": "b"}
    assert decode_config(Smtp.Config, table, "smtp").effective_port == 25


def test_the_password_is_not_shown():
    config = decode_config(Smtp.Config, {"host": "h", "username": "u", "password": "hunter2"}, "smtp")
    assert "hunter2" not in repr(config)
    assert config.effective_port == 587


async def test_batches_at_once_use_a_connection_each(opened, sink):
    channel = await opened(sink, connections=3)
    sent = await asyncio.gather(*(channel.send([make_message(f"a{n}")]) for n in range(12)))
    assert {receipts[0].status for receipts in sent} == {"accepted"}
    assert 1 <= len(sink.sessions) <= 3


async def test_messages_do_not_wait_for_delayed_acknowledgements(opened, sink):
    channel = await opened(sink)
    await statuses(channel)
    took = []
    while min(took, default=2.0) >= 1.9 and len(took) < 20:
        began = time.monotonic()
        assert await statuses(channel, 50) == ["accepted"] * 50
        took.append(time.monotonic() - began)
    # Nagle's algorithm and delayed acknowledgements together would cost 40 ms a message: two seconds, each time. A busy
    # machine may take as long, but not always.
    assert min(took) < 1.9


async def test_the_guard_rests_a_server_that_is_away(tmp_path):
    guard = GuardedChannel(make(Nowhere()), plugin="smtp", clock=SetClock())
    await guard.open(make_context(tmp_path))
    for _ in range(5):
        assert await statuses(guard, 2) == ["retry", "retry"]
    (receipt,) = await guard.send(batch(1))
    assert receipt.detail == "the channel rests after repeated failures"
    await guard.close()


async def test_closing_says_goodbye(opened, sink):
    channel = await opened(sink)
    await statuses(channel)
    (connection,) = channel._idle
    await channel.close()
    assert not connection.is_alive
    assert not channel._idle
