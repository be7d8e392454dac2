"""The mailbox stream against a real IMAP server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

import pytest
from imapclient.exceptions import LoginError

import triggerfish_mailbox.mailbox as mailbox_module
from plugins.imapserver import PASSWORD, running
from reports.letters import bounce, mail
from triggerfish import MailHeard, Refused
from triggerfish.errors import SettingsWrong
from triggerfish.plugin.settings import decode_config
from triggerfish.plugin.streams import GuardedStream
from triggerfish.plugin.testing import MemoryDoor
from triggerfish_mailbox import BounceMailbox
from triggerfish_mailbox.config import MailboxConfig
from triggerfish_mailbox.mailbox import LARGEST, Mailbox

PATIENCE = 60.0


@pytest.fixture(scope="module")
def server(authority):
    with running(authority) as server:
        yield server


@pytest.fixture
def account(server):
    return server.account()


def config_of(account, **more) -> MailboxConfig:
    given = {"host": "127.0.0.1", "port": account.server.port, "username": account.user, "password": PASSWORD}
    return decode_config(MailboxConfig, given | {"ca_file": account.server.ca_file} | more, "mailbox")


class Listener(MemoryDoor):
    """A door that takes reports for what they are, and nothing else."""

    async def tell_mail(self, raw, came_to=()):
        heard = await super().tell_mail(raw, came_to)
        return heard if b"multipart/report" in raw else MailHeard("unmatched", "other")


@pytest.fixture
def door(tmp_path):
    return Listener(tmp_path)


@contextlib.asynccontextmanager
async def listening(account, door, **more):
    """The stream runs, under its guard."""
    stream = GuardedStream(BounceMailbox(config_of(account, **more)), plugin="mailbox", first_rest_seconds=0.1)
    task = asyncio.create_task(stream.run(door))
    try:
        yield stream
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await asyncio.to_thread(is_so):
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


async def test_mails_that_wait_are_told_and_put_away(account, door):
    letters = [bounce(recipient=f"r{n}@example.com") for n in range(3)]
    account.put(*letters, mail("Subject: Hi\n\nWhere is my order?"))
    async with listening(account, door):
        await until(lambda: account.count("INBOX") == 0, "the folder is empty")
    assert door.mails[:3] == letters
    assert (account.count("Processed", "SEEN"), account.count("Unmatched", "SEEN")) == (3, 1)


async def test_news_is_told_at_once(account, door):
    async with listening(account, door):
        await until(lambda: account.count("Processed") == 0, "it has signed in")
        await asyncio.sleep(0.5)  # so that it waits in IDLE
        for number in range(1, 4):
            account.put(bounce())
            # Without being told, it would look after five minutes.
            await until(lambda number=number: len(door.mails) == number, "the news is told")
            await until(lambda number=number: account.count("Processed") == number, "it is put away")


async def test_what_is_not_on_disk_yet_stays_and_is_told_again(account, tmp_path):
    account.put(bounce())
    door = Listener(tmp_path, RuntimeError("the log is gone"), RuntimeError("still"))
    async with listening(account, door):
        await until(lambda: account.count("Processed") == 1, "it is told in the end")
    assert len(door.mails) == 1
    assert account.count("INBOX") == 0


async def test_nothing_is_put_away_while_the_door_waits(account, door):
    account.put(bounce())
    is_open = asyncio.Event()
    heard = door.tell_mail

    async def wait(raw, came_to=()):
        await is_open.wait()
        return await heard(raw)

    door.tell_mail = wait
    async with listening(account, door):
        await asyncio.sleep(1)
        assert account.count("INBOX", "UNSEEN") == 1
        is_open.set()
        await until(lambda: account.count("INBOX") == 0, "it is put away")


async def test_what_is_refused_is_put_aside_and_does_not_stop_the_rest(account, tmp_path):
    account.put(bounce(), bounce())
    door = Listener(tmp_path, Refused("it makes no sense"))
    async with listening(account, door):
        await until(lambda: account.count("Processed") == 1, "the second is told")
    assert account.count("Unmatched") == 1


async def test_it_survives_a_restart_of_the_server(authority, tmp_path):
    door = Listener(tmp_path)
    with running(authority) as server:
        account = server.account()
        async with listening(account, door) as stream:
            account.put(bounce())
            await until(lambda: len(door.mails) == 1, "the first is told")
            server.stop()
            await until(lambda: bool(stream.problem), "it notices")
            server.start()
            account.put(bounce())
            await until(lambda: account.count("Processed") == 2, "the second is told")
        assert not stream.problem


async def test_a_server_that_can_do_little_is_enough(authority, tmp_path, monkeypatch):
    monkeypatch.setattr(mailbox_module, "LOOK_SECONDS", 0.2)
    door = Listener(tmp_path)
    with running(authority, capability="IMAP4rev1") as server:
        account = server.account()
        account.put(bounce())
        async with listening(account, door):
            await until(lambda: account.count("INBOX", "UNDELETED") == 0, "the first is put away")
            account.put(bounce())
            await until(lambda: account.count("Processed") == 2, "the second is told")
            await until(lambda: account.count("INBOX", "UNDELETED") == 0, "and put away")
            await asyncio.sleep(0.5)
    assert len(door.mails) == 2


async def test_mails_may_stay_where_they_are(account, door):
    account.put(bounce(), mail("Subject: Hi\n\nHello"))
    async with listening(account, door, processed="", unmatched=""):
        await until(lambda: account.count("INBOX", "SEEN") == 2, "both are seen")
    async with listening(account, door, processed="", unmatched=""):
        account.put(bounce())
        await until(lambda: account.count("INBOX", "SEEN") == 3, "the third is seen")
    assert len(door.mails) == 3


async def test_of_a_huge_mail_the_first_is_fetched(account, door):
    account.put(bounce() + b"x" * (3 * LARGEST))
    async with listening(account, door):
        await until(lambda: account.count("Processed") == 1, "it is put away")
    assert len(door.mails[0]) == LARGEST
    assert door.mails[0].startswith(b"From: Mail Delivery System")


async def test_starttls_is_as_good(account, door, server):
    account.put(bounce())
    async with listening(account, door, port=server.plain_port, security="starttls"):
        await until(lambda: account.count("Processed") == 1, "it is told")


async def test_it_ends_at_once_though_it_waits(account, door):
    def waiting() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "stream mailbox"]

    async with listening(account, door):
        await until(lambda: bool(waiting()), "it listens")
        await asyncio.sleep(1)
        began = time.monotonic()
    assert time.monotonic() - began < 60, "it would wait for five minutes"
    await until(lambda: not waiting(), "its thread ends")


def test_a_certificate_that_nobody_vouches_for_is_refused(account):
    mailbox = Mailbox(config_of(account, ca_file=""))
    with contextlib.closing(mailbox), pytest.raises(OSError, match="certificate verify failed"):
        mailbox.open()


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_wrong_password_is_said_and_not_shown(account, server, security):
    port = server.port if security == "tls" else server.plain_port
    mailbox = Mailbox(config_of(account, password="hunter2-hunter2", port=port, security=security))
    with contextlib.closing(mailbox), pytest.raises(LoginError, match="refuses the user name or password") as caught:
        mailbox.open()
    assert "hunter2" not in str(caught.value)


def test_a_closed_mailbox_says_so(account):
    mailbox = Mailbox(config_of(account))
    mailbox.close()
    with pytest.raises(ConnectionError):
        mailbox.pending()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"security": "none", "host": "imap.example.com"}, "without TLS"),
        ({"folder": "Processed"}, "different folders"),
        ({"folder": "x\r\ny"}, "folder"),
        ({"port": 0}, "port"),
        ({"password": ""}, "password"),
    ],
)
def test_settings_that_cannot_work_are_refused(given, says):
    whole = {"host": "127.0.0.1", "username": "u", "password": "p"} | given
    with pytest.raises(SettingsWrong, match=says):
        decode_config(MailboxConfig, whole, "mailbox")
