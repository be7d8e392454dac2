"""The channel: batches over a few kept connections."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Sequence

from triggerfish import (
    BlockingChannel,
    Features,
    Message,
    NotHandedOver,
    PluginContext,
    Receipt,
    Refused,
    SettingsWrong,
    mail_address,
    to_mime,
)
from triggerfish_smtp.config import SmtpConfig
from triggerfish_smtp.connection import Connection, Envelope, Outcome

# No new message of a batch is begun after this many seconds; the rest of the batch comes again.
_BATCH_SECONDS = 60.0
# Time for the guard to see our own answer rather than its deadline.
_MARGIN_SECONDS = 5.0
# A connection that was idle for longer may have been closed by the server.
_IDLE_SECONDS = 30.0


class Smtp(BlockingChannel):
    """One batch takes one connection at a time; `connections` batches can be under way at once."""

    name = "smtp"
    Config = SmtpConfig
    config: SmtpConfig

    def __init__(self, config: SmtpConfig) -> None:
        super().__init__(config)
        self.features = Features(batch_size=50, per_second=config.per_second)
        self.threads = config.connections
        self.deadline_seconds = _BATCH_SECONDS + 2 * config.timeout_seconds + _MARGIN_SECONDS
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._is_closed = False
        self._tls: ssl.SSLContext | None = None
        if config.security != "none":
            try:
                self._tls = ssl.create_default_context(cafile=config.ca_file or None)
            except OSError as error:
                sentence = f'[plugins.smtp] ca_file "{config.ca_file}" cannot be used: {error}'
                raise SettingsWrong(sentence, code="TF422", hint="name a PEM file with certificates") from error

    async def open(self, context: PluginContext) -> None:
        self._clock = context.clock

    async def close(self) -> None:
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        if idle:
            await self.in_thread(_quit_all, idle)

    def send_blocking(self, batch: Sequence[Message]) -> list[Receipt]:
        start = time.monotonic()
        until = start + self.deadline_seconds - _MARGIN_SECONDS
        receipts: list[Receipt] = []
        connection: Connection | None = None
        trouble = ""
        for message in batch:
            if time.monotonic() - start > _BATCH_SECONDS:
                trouble = trouble or "the batch took too long; this message's turn did not come"
            if trouble:
                receipts.append(Receipt(message.send_id, "retry", detail=trouble))
                continue
            try:
                envelope = self._envelope(message)
            except Refused as refused:
                receipts.append(Receipt(message.send_id, "refused", detail=refused.sentence))
                continue
            try:
                outcome, connection = self._transact(envelope, connection, until)
            except NotHandedOver as error:
                if not receipts:
                    raise
                connection, trouble = None, str(error)
                receipts.append(Receipt(message.send_id, "retry", detail=trouble))
                continue
            status = "retry" if outcome.status == "lost" else outcome.status
            receipts.append(Receipt(message.send_id, status, detail=outcome.detail))
        if connection is not None:
            self._give_back(connection)
        return receipts

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
        domain = message.sender.email.rpartition("@")[2]
        return Envelope(
            mail_address(self.config.envelope_from or message.sender.email),
            mail_address(message.to.email),
            to_mime(message, date=self._clock.now(), message_id_domain=domain),
        )


def _quit_all(connections: Sequence[Connection]) -> None:
    until = time.monotonic() + 2.0
    for connection in connections:
        connection.quit(until)
