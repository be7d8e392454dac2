"""The stream `mailbox`: bounces and complaints from a mailbox, over IMAP."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from triggerfish import Door, Refused, Source, StreamSource, hookimpl
from triggerfish_mailbox.config import MailboxConfig
from triggerfish_mailbox.mailbox import Mailbox

log = logging.getLogger("triggerfish.plugin.mailbox")


class BounceMailbox(StreamSource):
    """One folder of one mailbox. A mail stays where it is until what it tells is on disk; then it is put away. After a
    crash it is told again, which changes nothing.
    """

    name = "mailbox"
    Config = MailboxConfig
    config: MailboxConfig

    async def run(self, door: Door) -> None:
        mailbox = Mailbox(self.config)
        try:
            await self.in_thread(mailbox.open)
            log.info("listening to %s", mailbox)
            while True:
                for uid in await self.in_thread(mailbox.pending):
                    await self._take(mailbox, uid, door)
                await self.in_thread(mailbox.wait)
        finally:
            # Also ends a thread that still waits for the server.
            mailbox.close()

    async def _take(self, mailbox: Mailbox, uid: int, door: Door) -> None:
        raw = await self.in_thread(mailbox.read, uid)
        if raw is None:
            return  # somebody else took it meanwhile
        try:
            heard = await door.tell_mail(raw)
        except Refused as refused:
            log.warning("a mail was refused: %s", refused)
            is_understood = False
        else:
            is_understood = heard.outcome != "unmatched"
        await self.in_thread(mailbox.put_away, uid, self.config.processed if is_understood else self.config.unmatched)


@hookimpl
def register_sources() -> Sequence[type[Source | StreamSource]]:
    return [BounceMailbox]
