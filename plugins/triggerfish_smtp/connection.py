"""One connection to an SMTP server, and one mail transaction on it at a time."""

from __future__ import annotations

import smtplib
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from triggerfish import NotHandedOver
from triggerfish_smtp.config import SmtpConfig

# Set-up trouble that the operator can mend, so the message must not be given up: authentication wanted or refused, TLS
# wanted (RFC 4954, RFC 3207).
_OUR_FAULT = frozenset({530, 534, 535, 538})
_LONGEST_REPLY = 300
_LONGEST_LINE = 4_096
_MOST_LINES = 100


class Outcome(Struct, frozen=True):
    """What became of one transaction. "lost": the connection broke before the final dot left, so nothing was taken."""

    status: Literal["accepted", "refused", "retry", "unknown", "lost"]
    detail: str


class Envelope(Struct, frozen=True):
    """RFC 5321's envelope and content. Addresses are checked and ASCII; `content` is as `to_mime` writes it: 7 bits,
    lines that end with CRLF, no other CR or LF (which some servers would take for the end of a message).
    """

    sender: str
    recipient: str
    content: bytes


class _Broken(Exception):
    """The server answered something that ends this transaction."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


class _Plain(smtplib.SMTP):
    """smtplib's client, which would read a reply of any length into memory."""

    def getreply(self) -> tuple[int, bytes]:
        """One reply (RFC 5321, 4.2.1): its code, and its lines without it. A broken one ends the connection."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        if self.file is None:
            self.file = self.sock.makefile("rb")
        lines: list[bytes] = []
        for _ in range(_MOST_LINES):
            try:
                line = self.file.readline(_LONGEST_LINE)
            except OSError as error:
                self.close()
                raise smtplib.SMTPServerDisconnected(f"no answer: {error}") from error
            if not line.endswith(b"\n"):
                self.close()
                raise smtplib.SMTPServerDisconnected("the server hung up, or its line is too long")
            if not line[:3].isdigit():
                return -1, line.strip()
            lines.append(line[4:].strip())
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)
        self.close()
        raise smtplib.SMTPServerDisconnected("a reply without an end")


class _Secure(_Plain, smtplib.SMTP_SSL):
    """The same with TLS from the first byte."""


class Connection:
    """Connects, greets, secures and signs in. Raises NotHandedOver when that fails, whatever the cause.

    `until` is an instant of `time.monotonic()`: no step waits past it.
    """

    def __init__(self, config: SmtpConfig, tls: ssl.SSLContext | None, until: float) -> None:
        self._timeout = config.timeout_seconds
        self.sent = 0
        self.used_at = time.monotonic()
        self.is_alive = True
        where = f"{config.host}:{config.effective_port}"
        try:
            self._smtp = self._connect(config, tls, self._patience(until))
        except (smtplib.SMTPException, OSError) as error:
            raise NotHandedOver(f"{where} cannot be reached: {_said(error)}") from error
        try:
            # Without it, Nagle's algorithm holds the final dot back until the server has acknowledged the text.
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._greet(until)
            if config.security == "starttls":
                self._limit(until)
                self._smtp.starttls(context=tls)
                # What was said before is forgotten: it could have been put in by somebody else (RFC 3207, 4.2).
                self._greet(until)
            if config.username:
                self._limit(until)
                self._smtp.login(config.username, config.password)
        except (smtplib.SMTPException, OSError) as error:
            self._smtp.close()
            raise NotHandedOver(f"{where} did not let us in: {_said(error)}") from error

    @staticmethod
    def _connect(config: SmtpConfig, tls: ssl.SSLContext | None, timeout: float) -> smtplib.SMTP:
        name = config.ehlo or _own_name()
        if config.security == "tls":
            return _Secure(config.host, config.effective_port, local_hostname=name, timeout=timeout, context=tls)
        return _Plain(config.host, config.effective_port, local_hostname=name, timeout=timeout)

    @property
    def _sock(self) -> socket.socket:
        if self._smtp.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        return self._smtp.sock

    def _greet(self, until: float) -> None:
        self._limit(until)
        code, reply = self._smtp.ehlo()
        if code != 250:
            raise smtplib.SMTPHeloError(code, reply)

    def transact(self, envelope: Envelope, until: float) -> Outcome:
        """Send one message. Never raises; `is_alive` says whether the connection can take another."""
        has_left = False
        try:
            self._prepare(envelope, until)
            # The text first and the final dot by itself: as long as the dot has not left, the server must not take the
            # message (RFC 5321, 4.1.1.4).
            self._limit(until)
            self._smtp.send(_stuffed(envelope.content))
            self._limit(until)
            has_left = True
            self._smtp.send(b".\r\n")
            code, reply = self._smtp.getreply()
            self.sent += 1
            self.used_at = time.monotonic()
            return self._judge(code, reply)
        except _Broken as broken:
            return broken.outcome
        except (smtplib.SMTPException, OSError) as error:
            self.abort()
            return Outcome("unknown" if has_left else "lost", f"the connection broke: {_said(error)}")

    def _prepare(self, envelope: Envelope, until: float) -> None:
        """MAIL, RCPT, DATA: up to where the server waits for the text. Raises _Broken when it does not want it.

        A server that offers PIPELINING (RFC 2920) gets the three at once, which saves two of four round trips.
        """
        options = f" SIZE={len(envelope.content)}" if self._smtp.has_extn("size") else ""
        commands = [f"MAIL FROM:<{envelope.sender}>{options}", f"RCPT TO:<{envelope.recipient}>", "DATA"]
        is_ahead = self._smtp.has_extn("pipelining")
        if is_ahead:
            self._say(commands, until)
        refusal: Outcome | None = None
        try:
            for command in commands:
                if not is_ahead:
                    self._say([command], until)
                self._limit(until)
                code, reply = self._smtp.getreply()
                if _is_wanted(command, code):
                    if refusal is not None and command == "DATA":
                        # It waits for a text although it refused the envelope. It must not get any, not even none.
                        self.abort()
                    continue
                refusal = refusal or self._judge(code, reply)
                if not (is_ahead and self.is_alive):
                    break
            if refusal is not None and self.is_alive:
                self._limit(until)
                if self._smtp.rset()[0] != 250:
                    self.abort()
        except (smtplib.SMTPException, OSError):
            if refusal is None:
                raise
            self.abort()
        if refusal is not None:
            # A 2xx that is not what the step calls for is no acceptance.
            detail = refusal.detail
            raise _Broken(Outcome("retry", detail) if refusal.status in ("accepted", "unknown") else refusal)

    def _say(self, commands: Sequence[str], until: float) -> None:
        self._limit(until)
        self._smtp.send("".join(f"{command}\r\n" for command in commands))

    def _judge(self, code: int, reply: bytes) -> Outcome:
        said = f"{code} {reply.decode('utf-8', 'replace')}"[:_LONGEST_REPLY]
        if code == 421:
            # The server is about to hang up (RFC 5321, 3.8).
            self.abort()
        if code in _OUR_FAULT or 400 <= code < 500:
            return Outcome("retry", said)
        if 200 <= code < 300:
            return Outcome("accepted", said)
        if 500 <= code < 600:
            return Outcome("refused", said)
        self.abort()
        return Outcome("unknown", f"an answer that makes no sense: {said}")

    def _limit(self, until: float) -> None:
        sock, patience = self._sock, self._patience(until)
        if sock.gettimeout() != patience:
            sock.settimeout(patience)

    def _patience(self, until: float) -> float:
        return max(0.05, min(self._timeout, until - time.monotonic()))

    def quit(self, until: float) -> None:
        """Say goodbye, as RFC 5321 asks; a server that does not answer any more is left anyway."""
        if not self.is_alive:
            return
        try:
            self._limit(until)
            self._smtp.docmd("QUIT")
        except (smtplib.SMTPException, OSError):
            pass  # it is over either way
        self.abort()

    def abort(self) -> None:
        self.is_alive = False
        self._smtp.close()


def _is_wanted(command: str, code: int) -> bool:
    if command == "DATA":
        return code == 354
    return code == 250 or (code == 251 and command.startswith("RCPT"))


def _stuffed(content: bytes) -> bytes:
    """`content` with dots at line starts doubled (RFC 5321, 4.5.2), and a line end at its end."""
    content = content.replace(b"\r\n.", b"\r\n..")
    if content.startswith(b"."):
        content = b"." + content
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def _own_name() -> str:
    """The machine's own name if it is a full one. No lookup: that can take long, and servers hardly look at it."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_error
        text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
        return f"{error.smtp_code} {text}"[:_LONGEST_REPLY]
    return f"{type(error).__name__}: {error}"[:_LONGEST_REPLY]
