"""The embedded default channel: every message becomes a file `<data>/outbox/<send id>.eml`, and nobody gets mail.

A file appears whole (written beside, then renamed), and a send id has one file however often it is sent. Files are not
synced one by one: after a power cut the newest may be missing or empty, which an outbox for looking at can bear; the
folder is synced once a batch. Only the newest `keep` files stay.
"""

from __future__ import annotations

import email.policy
import heapq
import os
import re
from collections.abc import Iterator, Sequence
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from triggerfish import (
    BlockingChannel,
    Channel,
    Features,
    Kept,
    Message,
    PluginConfig,
    PluginContext,
    Receipt,
    Refused,
    hookimpl,
    to_mime,
)

_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_SUFFIX = ".eml"
_PARTIAL = ".partial"
_HEADER_BYTES = 16 * 1024


class Outbox(BlockingChannel):
    """Writes .eml files. One thread: the order of the files is the order of the sends."""

    name = "outbox"
    features = Features(is_idempotent=True, is_safe_for_demo=True, batch_size=500, can_look_up=True)
    threads = 1

    class Config(PluginConfig, frozen=True):
        """`keep` is how many files stay; the oldest go."""

        keep: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000

    config: Config

    async def open(self, context: PluginContext) -> None:
        self._context = context
        self._folder = context.data / "outbox"
        # Messages hold personal data.
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Read at the first send, and not here: the api process opens the outbox, too, to show it.
        self._names: dict[str, None] | None = None

    def send_blocking(self, batch: Sequence[Message]) -> list[Receipt]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._names is None:
            self._names = self._take_stock()
        receipts = [self._write(message, self._names) for message in batch]
        while len(self._names) > self.config.keep:
            oldest = next(iter(self._names))
            del self._names[oldest]
            (self._folder / (oldest + _SUFFIX)).unlink(missing_ok=True)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return receipts

    async def look_up(self, send_ids: Sequence[str]) -> dict[str, bool]:
        """Whether the file is there; of one that is not nothing is said: it may have been among the oldest."""
        return await self.in_thread(self._are_there, send_ids)

    def _are_there(self, send_ids: Sequence[str]) -> dict[str, bool]:
        safe = [send_id for send_id in send_ids if _SAFE_NAME.fullmatch(send_id)]
        # An empty file is what a power cut may leave.
        return {each: True for each in safe if _size(self._folder / (each + _SUFFIX)) > 0}

    def kept(self, limit: int) -> list[Kept]:
        """The newest files first; `kept_at` is when the file was written, by the machine's clock."""
        newest = heapq.nlargest(limit, self._files())
        return [kept for written, name in newest if (kept := self._look_at(name, written)) is not None]

    def read_kept(self, send_id: str) -> bytes | None:
        if not _SAFE_NAME.fullmatch(send_id):
            return None
        try:
            return (self._folder / (send_id + _SUFFIX)).read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, message: Message, names: dict[str, None]) -> Receipt:
        send_id = message.send_id
        if not _SAFE_NAME.fullmatch(send_id):
            return Receipt(send_id, "refused", detail="the send id is no safe file name")
        if send_id in names:
            return Receipt(send_id, "accepted", detail="it was there already")
        path = self._folder / (send_id + _SUFFIX)
        partial = path.with_name(f".{send_id}{_PARTIAL}")
        domain = message.sender.email.rpartition("@")[2]
        try:
            mime = to_mime(message, date=self._context.clock.now(), message_id_domain=domain)
        except Refused as refused:
            return Receipt(send_id, "refused", detail=refused.sentence)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
                file.write(mime)
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            return Receipt(send_id, "retry", detail=f"the file cannot be written: {error.strerror}")
        names[send_id] = None
        return Receipt(send_id, "accepted", provider_id=path.name)

    def _take_stock(self) -> dict[str, None]:
        """The names that are there, oldest first; what an interrupted write left is removed."""
        for entry in os.scandir(self._folder):
            if entry.name.endswith(_PARTIAL):
                Path(entry).unlink(missing_ok=True)
        return {name: None for _, name in sorted(self._files())}

    def _files(self) -> Iterator[tuple[int, str]]:
        """(written at, in nanoseconds; send id) of every file."""
        if not self._folder.is_dir():
            return
        for entry in os.scandir(self._folder):
            if entry.name.endswith(_SUFFIX) and not entry.name.startswith("."):
                try:
                    yield entry.stat(follow_symlinks=False).st_mtime_ns, entry.name.removesuffix(_SUFFIX)
                except FileNotFoundError:
                    continue  # removed meanwhile, as the oldest

    def _look_at(self, send_id: str, written: int) -> Kept | None:
        try:
            with (self._folder / (send_id + _SUFFIX)).open("rb") as file:
                head = file.read(_HEADER_BYTES)
                size = os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return None
        # The blank line ends the headers; what follows need not be parsed.
        headers = BytesHeaderParser(policy=email.policy.default).parsebytes(head.partition(b"\r\n\r\n")[0])
        return Kept(send_id, written // 1_000_000, size, str(headers["to"] or ""), str(headers["subject"] or ""))


def _size(path: Path) -> int:
    """Bytes; 0 when it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@hookimpl
def register_channels() -> Sequence[type[Channel]]:
    return [Outbox]
