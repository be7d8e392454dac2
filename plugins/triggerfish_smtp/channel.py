"""The channel: batches over a few kept connections, messages signed and with return paths of their own."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from triggerfish import (
    BlockingChannel,
    Features,
    Inspection,
    Message,
    NotHandedOver,
    PluginContext,
    Receipt,
    Refused,
    SettingsWrong,
    Status,
    mail_address,
    to_mime,
)
from triggerfish_smtp.config import SmtpConfig
from triggerfish_smtp.connection import Connection, Envelope, Outcome
from triggerfish_smtp.signing import GOOD_RSA, BadKey, Key, read_key, signed

log = logging.getLogger("triggerfish.smtp")

# No new message of a batch is begun after this many seconds; the rest of the batch comes again.
_BATCH_SECONDS = 60.0
# Time for the guard to see our own answer rather than its deadline.
_MARGIN_SECONDS = 5.0
# A connection that was idle for longer may have been closed by the server.
_IDLE_SECONDS = 30.0
# A connection costs a few round trips, as many as a few messages.
_MESSAGES_PER_LANE = 8


class Smtp(BlockingChannel):
    """A batch goes out over several connections at once, each of which takes the next message when it is free; all
    batches together use `connections` at most.
    """

    name = "smtp"
    Config = SmtpConfig
    config: SmtpConfig

    def __init__(self, config: SmtpConfig) -> None:
        super().__init__(config)
        self.features = Features(batch_size=100, per_second=config.per_second)
        self.threads = config.connections
        self.deadline_seconds = _BATCH_SECONDS + 2 * config.timeout_seconds + _MARGIN_SECONDS
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._lanes = threading.BoundedSemaphore(config.connections)
        self._is_closed = False
        self._keys: list[Key] = []
        self._tls: ssl.SSLContext | None = None
        if config.security != "none":
            try:
                self._tls = ssl.create_default_context(cafile=config.ca_file or None)
            except OSError as error:
                sentence = f'[plugins.smtp] ca_file "{config.ca_file}" cannot be used: {error}'
                raise SettingsWrong(sentence, code="TF422", hint="name a PEM file with certificates") from error

    async def open(self, context: PluginContext) -> None:
        """Raises SettingsWrong for a key that cannot sign, and for a return path that cannot be."""
        self._clock = context.clock
        self._verp = context.verp
        self._is_wanted = context.is_wanted
        self._workspace = context.workspace
        self._keys = read_keys(self.config, context.workspace)
        if self.config.verp:
            try:
                context.verp.address(self.config.verp, "00" * 10)
            except (ValueError, Refused) as error:
                sentence = f'[plugins.smtp] verp "{self.config.verp}" makes no return path: {error}'
                hint = "write it like bounces+{token}@mail.shop.example"
                raise SettingsWrong(sentence, code="TF422", hint=hint) from error

    async def close(self) -> None:
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        if idle:
            await self.in_thread(_quit_all, idle)

    async def inspect(self) -> Inspection:
        """Connects, greets, secures, signs in, and says goodbye."""
        config = self.config
        domain = (config.verp or config.envelope_from).rpartition("@")[2]
        told = Inspection(
            return_path=domain,
            signatures={f"{key.selector}._domainkey.{config.dkim_domain}": key.record() for key in self._keys},
            secrets=[self._workspace / file for _, _, file in config.dkim_keys],
        )
        try:
            return replace(told, detail=await self.in_thread(self._visit))
        except NotHandedOver as error:
            return replace(told, trouble=str(error))

    def _visit(self) -> str:
        until = time.monotonic() + 2 * self.config.timeout_seconds
        connection = Connection(self.config, self._tls, until)
        connection.quit(until)
        return f"{self.config.host}:{self.config.effective_port} lets us in"

    def send_blocking(self, batch: Sequence[Message]) -> list[Receipt]:
        work = _Work(batch, self.deadline_seconds - _MARGIN_SECONDS)
        if not self._lanes.acquire(timeout=self.patience_seconds):
            raise NotHandedOver(f"all {self.config.connections} connections are busy")
        helpers = self._helpers(work)
        is_sound = self._lane(work)
        for helper in helpers:
            helper.join()
        if is_sound and work.queue and self._lanes.acquire(blocking=False):
            self._lane(work)  # what a lane gave back that got no connection
        return work.all_receipts(batch)

    def _helpers(self, work: _Work) -> list[threading.Thread]:
        """Further lanes for a long batch, as many as are free just now."""
        helpers: list[threading.Thread] = []
        wanted = len(work.queue) // _MESSAGES_PER_LANE - 1
        while len(helpers) < wanted and self._lanes.acquire(blocking=False):
            helper = threading.Thread(target=self._lane, args=[work], name="channel smtp", daemon=True)
            try:
                helper.start()
            except RuntimeError:  # no more threads: fewer lanes will do
                self._lanes.release()
                break
            helpers.append(helper)
        return helpers

    def _lane(self, work: _Work) -> bool:
        """Take messages of the batch, one after the other, over one connection at a time, until none is left. Whether
        it came so far: without a connection it gives up.
        """
        connection: Connection | None = None
        try:
            while (message := work.next()) is not None:
                if not self._is_wanted(message.send_id):
                    # It is looked at once more, at once: that says why.
                    work.note(Receipt(message.send_id, "retry", detail="called back before its turn"))
                    continue
                status: Status = "retry"
                try:
                    envelope = self._envelope(message)
                    status = "unknown"  # from here on it may have left
                    outcome, connection = self._transact(envelope, connection, work.until)
                except Refused as refused:
                    work.note(Receipt(message.send_id, "refused", detail=refused.sentence))
                except NotHandedOver as error:
                    connection = None
                    work.give_back(message, str(error))
                    return False
                except Exception as error:
                    # A mistake of ours at one message says nothing of those that others have sent already.
                    log.exception("send %s broke off", message.send_id)
                    work.note(
                        Receipt(message.send_id, status, detail=f"the channel failed with {type(error).__name__}")
                    )
                    if connection is not None:
                        connection.abort()
                        connection = None
                else:
                    status = "retry" if outcome.status == "lost" else outcome.status
                    work.note(Receipt(message.send_id, status, detail=outcome.detail))
            return True
        finally:
            if connection is not None:
                self._give_back(connection)
            self._lanes.release()

    def _transact(
        self, envelope: Envelope, connection: Connection | None, until: float
    ) -> tuple[Outcome, Connection | None]:
        """Send over `connection`, a kept one or a new one, and say which is left to go on with.

        A connection that has served before may have been closed by the server meanwhile; a message that was lost on
        such a one gets a second try on a fresh one.
        """
        connection = connection or self._take(until)
        is_fresh = connection.sent == 0
        outcome = connection.transact(envelope, until)
        if outcome.status == "lost" and not is_fresh:
            connection = Connection(self.config, self._tls, until)
            outcome = connection.transact(envelope, until)
        if connection.is_alive and connection.sent >= self.config.messages_per_connection:
            connection.quit(until)
        return outcome, connection if connection.is_alive else None

    def _take(self, until: float) -> Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return Connection(self.config, self._tls, until)
            if time.monotonic() - connection.used_at < _IDLE_SECONDS:
                return connection
            connection.abort()

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(connection)
                return
        connection.abort()

    def _envelope(self, message: Message) -> Envelope:
        """Raises Refused for addresses and headers that cannot go out."""
        now, config = self._clock.now(), self.config
        sender = config.envelope_from or message.sender.email
        content = to_mime(message, date=now, message_id_domain=message.sender.email.rpartition("@")[2])
        return Envelope(
            self._verp.address(config.verp, message.send_id) if config.verp else mail_address(sender),
            mail_address(message.to.email),
            signed(content, config.dkim_domain, self._keys, now // 1_000) if self._keys else content,
        )


class _Work:
    """A batch under way, shared by its lanes."""

    def __init__(self, batch: Sequence[Message], seconds: float) -> None:
        self._began = time.monotonic()
        self.until = self._began + seconds
        self.queue = deque(batch)
        self.trouble = ""
        self._receipts: dict[str, Receipt] = {}
        self._is_late = False

    def next(self) -> Message | None:
        if time.monotonic() - self._began > _BATCH_SECONDS:
            self._is_late = True
            return None
        try:
            return self.queue.popleft()
        except IndexError:
            return None

    def give_back(self, message: Message, trouble: str) -> None:
        """It was not handed over: another lane may have more luck."""
        self.trouble = trouble
        self.queue.appendleft(message)

    def note(self, receipt: Receipt) -> None:
        self._receipts[receipt.send_id] = receipt

    def all_receipts(self, batch: Sequence[Message]) -> list[Receipt]:
        """In the order of the batch. Raises NotHandedOver when the server got nothing of it."""
        if self.trouble and not self._receipts:
            raise NotHandedOver(self.trouble)
        late = "the batch took too long; this message's turn did not come"
        rest = late if self._is_late else self.trouble
        return [self._receipts.get(m.send_id) or Receipt(m.send_id, "retry", detail=rest) for m in batch]


def read_keys(config: SmtpConfig, workspace: Path) -> list[Key]:
    """The keys that sign. Raises SettingsWrong (TF425) for one that cannot; warns of one that is weak."""
    keys: list[Key] = []
    for selector, name, file in config.dkim_keys:
        try:
            key = read_key(workspace / file, selector)
        except BadKey as bad:
            sentence = f'[plugins.smtp] {name} "{file}" cannot sign: {bad}'
            raise SettingsWrong(
                sentence, code="TF425", hint="triggerfish doctor --new-dkim-key FILE makes one"
            ) from bad
        if key.algorithm in {other.algorithm for other in keys}:
            sentence = f"[plugins.smtp] {name}: both keys are {key.algorithm}"
            raise SettingsWrong(sentence, code="TF425", hint="one is RSA, for everybody, the other Ed25519")
        if key.algorithm == "rsa-sha256" and key.bits < GOOD_RSA:
            log.warning("[plugins.smtp] %s has %d bits; take a key of %d", name, key.bits, GOOD_RSA)
        keys.append(key)
    return keys


def _quit_all(connections: Sequence[Connection]) -> None:
    until = time.monotonic() + 2.0
    for connection in connections:
        connection.quit(until)
