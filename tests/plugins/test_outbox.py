"""The outbox: a file a message, whole, once, and not for ever."""

from __future__ import annotations

import email
import email.policy
import os
import stat
import time

import pytest

from triggerfish import SettingsWrong
from triggerfish.clock import to_datetime
from triggerfish.plugin.settings import decode_config
from triggerfish.plugin.testing import START, ChannelContract, MemoryOutbox, make_context, make_message
from triggerfish_outbox import Outbox


def make(**table):
    return Outbox(decode_config(Outbox.Config, table, "outbox"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data" / "outbox"


@pytest.fixture
async def outbox(tmp_path):
    channel = make(keep=5)
    await channel.open(make_context(tmp_path))
    return channel


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class TestOutboxContract(ChannelContract):
    @pytest.fixture
    def channel(self, folder):
        self.folder = folder
        return make()

    def delivered(self, channel):
        return [path.stem for path in self.folder.iterdir()]


class TestMemoryOutboxContract(ChannelContract):
    @pytest.fixture
    def channel(self):
        return MemoryOutbox()

    def delivered(self, channel):
        return list(channel.delivered)


async def test_a_file_is_named_by_its_send_and_holds_the_message(outbox, folder):
    message = make_message("s1", subject="Grüße", text="Hällo\n")
    (receipt,) = await outbox.send([message])
    assert (receipt.status, receipt.provider_id) == ("accepted", "s1.eml")
    letter = email.message_from_bytes((folder / "s1.eml").read_bytes(), policy=email.policy.default)
    assert (letter["Subject"], letter["To"]) == ("Grüße", "Ana Lima <ana@example.com>")
    assert letter["Date"].datetime == to_datetime(START)
    assert letter["List-Unsubscribe"] == "<https://shop.example.com/t/u/x>"
    assert letter.get_body(["plain"]).get_content() == "Hällo\r\n"


async def test_nobody_else_on_the_machine_can_read_the_messages(outbox, folder):
    await outbox.send([make_message("s1")])
    assert stat.S_IMODE((folder / "s1.eml").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_send_that_comes_again_keeps_its_file(outbox, folder, tmp_path):
    await outbox.send([make_message("s1", subject="first")])
    before = (folder / "s1.eml").read_bytes()
    (receipt,) = await outbox.send([make_message("s1", subject="second")])
    assert receipt.status == "accepted"
    restarted = make()
    await restarted.open(make_context(tmp_path))
    assert (await restarted.send([make_message("s1", subject="third")]))[0].status == "accepted"
    assert (folder / "s1.eml").read_bytes() == before


async def test_only_the_newest_stay(outbox, folder, tmp_path):
    for n in range(8):
        await outbox.send([make_message(f"s{n}")])
        os.utime(folder / f"s{n}.eml", (n, n))
    assert names(folder) == [f"s{n}.eml" for n in range(3, 8)]
    restarted = make(keep=2)
    await restarted.open(make_context(tmp_path))
    await restarted.send([make_message("s9")])
    assert names(folder) == ["s7.eml", "s9.eml"]


async def test_what_an_interrupted_write_left_goes_at_the_next_start(outbox, folder):
    (folder / ".s0.partial").write_bytes(b"half")
    await outbox.send([make_message("s1")])
    assert names(folder) == ["s1.eml"]


@pytest.mark.parametrize("send_id", ["../evil", "a/b", ".hidden", "", "a\0b", "x" * 201, "ü"])
async def test_a_send_id_that_is_no_file_name_is_refused(outbox, folder, send_id):
    receipts = await outbox.send([make_message(send_id), make_message("s1")])
    assert [receipt.status for receipt in receipts] == ["refused", "accepted"]
    assert names(folder) == ["s1.eml"]
    assert outbox.read_kept(send_id) is None


async def test_a_link_in_the_folder_leads_nowhere(outbox, folder, tmp_path):
    target = tmp_path / "target"
    (folder / ".s1.partial").symlink_to(target)
    outbox._names = {}
    (receipt,) = await outbox.send([make_message("s1")])
    assert receipt.status == "retry"
    assert not target.exists()


async def test_a_disk_that_refuses_one_file_is_a_retry_for_that_message(outbox, folder):
    (folder / "s1.eml").mkdir()
    receipts = await outbox.send([make_message("s0"), make_message("s2")])
    assert [receipt.status for receipt in receipts] == ["accepted", "accepted"]
    outbox._names.pop("s1", None)
    (receipt,) = await outbox.send([make_message("s1")])
    assert (receipt.status, receipt.detail) == ("retry", "the file cannot be written: Is a directory")
    assert ".s1.partial" not in names(folder)


async def test_a_folder_that_was_removed_comes_back(outbox, folder):
    await outbox.send([make_message("s1")])
    (folder / "s1.eml").unlink()
    folder.rmdir()
    assert outbox.kept(10) == []
    assert (await outbox.send([make_message("s2")]))[0].status == "accepted"
    assert names(folder) == ["s2.eml"]


async def test_the_newest_are_listed_first_with_what_a_page_shows(outbox, folder, tmp_path):
    for n in range(4):
        await outbox.send([make_message(f"s{n}", subject=f"Grüße {n}")])
        os.utime(folder / f"s{n}.eml", (1000 + n, 1000 + n))
    (folder / "notes.txt").write_text("not a message")
    reader = make()
    await reader.open(make_context(tmp_path))
    newest, second = reader.kept(2)
    assert (newest.send_id, newest.to, newest.subject) == ("s3", "Ana Lima <ana@example.com>", "Grüße 3")
    assert newest.kept_at == 1_003_000
    assert newest.size == (folder / "s3.eml").stat().st_size
    assert second.send_id == "s2"
    assert reader.read_kept("s3") == (folder / "s3.eml").read_bytes()
    assert reader.read_kept("s99") is None


async def test_a_file_that_is_no_message_is_listed_and_does_no_harm(outbox, folder):
    (folder / "junk.eml").write_bytes(os.urandom(2000))
    (folder / "empty.eml").write_bytes(b"")
    assert {kept.send_id for kept in outbox.kept(10)} == {"junk", "empty"}


def test_keep_is_at_least_one():
    with pytest.raises(SettingsWrong, match="keep: Expected int >= 1"):
        make(keep=0)


async def test_a_full_batch_takes_milliseconds(tmp_path):
    channel = make()
    await channel.open(make_context(tmp_path))
    batch = [make_message(f"s{n}", html="<p>" + "word " * 8_000 + "</p>") for n in range(500)]
    began = time.monotonic()
    receipts = await channel.send(batch)
    assert {receipt.status for receipt in receipts} == {"accepted"}
    # About 0.5 s here with 40 KB a message; the bound only catches a sync for every file.
    assert time.monotonic() - began < 10
