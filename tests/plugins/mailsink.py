"""A real SMTP server (aiosmtpd) in a thread, that can misbehave at every step."""

from __future__ import annotations

import asyncio
import threading

from aiosmtpd.smtp import SMTP


class Sink:
    """Takes mail on 127.0.0.1. `replies` maps a step ("EHLO", "MAIL", "RCPT", "DATA", "BODY") to the replies that it
    gives there first, in order; "drop" hangs up instead, "stall" says nothing. "BODY" is after the final dot. With
    `pipelining` it offers to take commands before it has answered those before (RFC 2920).
    """

    def __init__(self, *, pipelining=False, **options):
        self.pipelining = pipelining
        self.letters = []
        self.replies = {}
        self.sessions = []
        self.commands = []
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections = set()

    def __enter__(self):
        self._thread.start()
        tls = self._options.pop("tls_from_start", None)
        starting = self._loop.create_server(self._make, "127.0.0.1", 0, ssl=tls)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(5)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        async def stop():
            self._server.close()
            for connection in self._connections:
                if connection.transport is not None:
                    connection.transport.abort()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _make(self):
        connection = Connection(self, hostname="sink.example", loop=self._loop, **self._options)
        self._connections.add(connection)
        return connection

    def drop_connections(self):
        """Hang up on everybody, as a server does with those that are idle."""
        for connection in self._connections:
            if connection.transport is not None:
                self._loop.call_soon_threadsafe(connection.transport.abort)

    async def reply_at(self, step, server):
        """The reply that the test wants here, or None for the usual one."""
        self.commands.append(step)
        wanted = self.replies.get(step)
        if not wanted:
            return None
        reply = wanted.pop(0)
        if reply == "drop":
            server.transport.abort()
            await asyncio.Event().wait()
        if reply == "stall":
            await asyncio.Event().wait()
        return reply

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802 - aiosmtpd's names
        await self.reply_at("EHLO", server)
        session.host_name = hostname
        self.sessions.append(session)
        return [responses[0], *(["250-PIPELINING"] if self.pipelining else []), *responses[1:]]

    async def handle_MAIL(self, server, session, envelope, address, mail_options):  # noqa: N802
        if (reply := await self.reply_at("MAIL", server)) is not None:
            return reply
        envelope.mail_from, envelope.mail_options = address, mail_options
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):  # noqa: N802
        if (reply := await self.reply_at("RCPT", server)) is not None:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if (reply := await self.reply_at("BODY", server)) is not None:
            return reply
        self.letters.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content, session))
        return f"250 OK queued as {len(self.letters)}"


class Connection(SMTP):
    """aiosmtpd's server, which has no hook before it answers DATA with 354."""

    def __init__(self, sink, **options):
        super().__init__(sink, **options)
        self.sink = sink

    async def smtp_DATA(self, arg):  # noqa: N802
        reply = await self.sink.reply_at("DATA", self)
        if reply is None:
            await super().smtp_DATA(arg)
        elif reply == "354 drop":
            await self.push("354 go on")
            self.transport.abort()
        else:
            await self.push(reply)
