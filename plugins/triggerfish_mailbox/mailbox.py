"""A mailbox over IMAP4rev1 (RFC 3501). All calls block; one at a time, but for `close`."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Iterator

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

from triggerfish_mailbox.config import MailboxConfig

LARGEST = 1024 * 1024
"""Bytes of a mail that are fetched; what a server returns of the message itself comes last and may be cut off."""

IDLE_SECONDS = 300.0
"""How long one IDLE (RFC 2177) lasts. Then it is looked whether mail came just when it began, and that the connection
still stands.
"""
LOOK_SECONDS = 60.0
"""How often it is looked for mail where the server has no IDLE."""

_MOST_AT_ONCE = 1_000

logging.getLogger("imapclient").setLevel(logging.WARNING)  # below that it writes the mails themselves


class Mailbox:
    """One connection with one folder selected."""

    def __init__(self, config: MailboxConfig) -> None:
        self._config = config
        self._client: IMAPClient | None = None
        self._closed = threading.Event()
        self._in_use = threading.Lock()

    def __str__(self) -> str:
        return f'the folder "{self._config.folder}" at {self._config.host}:{self._config.effective_port}'

    def open(self) -> None:
        """Connect, sign in, select the folder, and make the others if they are not there. Raises OSError and
        IMAPClientError, whose texts have no password in them.
        """
        config = self._config
        tls = ssl.create_default_context(cafile=config.ca_file or None)
        self._client = IMAPClient(
            config.host,
            config.effective_port,
            ssl=config.security == "tls",
            ssl_context=tls if config.security == "tls" else None,
            timeout=config.timeout_seconds,
        )
        with self._using() as imap:
            if config.security == "starttls":
                imap.starttls(tls)
            try:
                imap.login(config.username, config.password)
            except LoginError as error:
                sentence = f"the mailbox server refuses the user name or password: {error}"
                raise LoginError(sentence.replace(config.password, "…")) from None
            for folder in {config.processed, config.unmatched} - {""}:
                if not imap.folder_exists(folder):
                    imap.create_folder(folder)
            imap.select_folder(config.folder)

    def pending(self) -> list[int]:
        """The mails to be read, oldest first, at most a thousand at once."""
        with self._using() as imap:
            uids = set(imap.search(["UNDELETED"]))
            if not (self._config.processed and self._config.unmatched):
                # Some stay where they are when they were read.
                uids &= set(imap.search(["UNSEEN"]))
        return sorted(uids)[:_MOST_AT_ONCE]

    def read(self, uid: int) -> bytes | None:
        """A mail, of a large one the first bytes. Its size is asked for first. None: it is gone."""
        with self._using() as imap:
            size = imap.fetch([uid], ["RFC822.SIZE"]).get(uid, {}).get(b"RFC822.SIZE")
            if size is None:
                return None
            wanted = "BODY.PEEK[]" if size <= LARGEST else f"BODY.PEEK[]<0.{LARGEST}>"
            found = imap.fetch([uid], [wanted]).get(uid, {})
        return next((bytes(value) for name, value in found.items() if name.startswith(b"BODY[]")), None)

    def put_away(self, uid: int, folder: str) -> None:
        """Mark a mail as seen, and move it to `folder`, if one is named."""
        with self._using() as imap:
            imap.add_flags([uid], [b"\\Seen"], silent=True)
            if not folder:
                return
            if imap.has_capability("MOVE"):
                imap.move([uid], folder)
                return
            imap.copy([uid], folder)
            imap.add_flags([uid], [b"\\Deleted"], silent=True)
            if imap.has_capability("UIDPLUS"):
                imap.uid_expunge([uid])

    def wait(self) -> None:
        """Return when there may be news. Raises OSError or IMAPClientError when the connection is gone."""
        with self._using() as imap:
            if not imap.has_capability("IDLE"):
                self._closed.wait(LOOK_SECONDS)
                imap.noop()
                return
            imap.idle()
            imap.idle_check(IDLE_SECONDS)
            imap.idle_done()

    def close(self) -> None:
        """Let go of the connection, whatever another thread does with it. May come twice, and never waits."""
        self._closed.set()
        if self._client is not None:
            # Wakes a thread that waits for the server. To close it as well is for whoever uses it: the kernel may give
            # its number to another connection while that thread still asks for this one.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._client.socket(), socket.SHUT_RDWR)
        self._let_go()

    @contextlib.contextmanager
    def _using(self) -> Iterator[IMAPClient]:
        try:
            with self._in_use:
                if self._client is None or self._closed.is_set():
                    raise ConnectionError("the mailbox is closed")
                yield self._client
        finally:
            if self._closed.is_set():
                self._let_go()

    def _let_go(self) -> None:
        if self._client is not None and self._in_use.acquire(blocking=False):
            try:
                with contextlib.suppress(OSError, IMAPClientError):
                    self._client.shutdown()
            finally:
                self._in_use.release()
