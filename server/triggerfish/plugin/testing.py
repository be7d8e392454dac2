"""For the tests of plugins: a clock to set, messages to send, a channel that misbehaves on demand, and the contract
that every channel has to keep.

    from triggerfish.plugin.testing import ChannelContract

    class TestMyChannel(ChannelContract):
        @pytest.fixture
        def channel(self):
            return MyChannel(MyChannel.Config(host="127.0.0.1"))
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from triggerfish.clock import Instant
from triggerfish.deliver import Features, Receipt
from triggerfish.errors import Refused
from triggerfish.measure import Hit
from triggerfish.mime import to_mime
from triggerfish.plugin.channel import Channel, NotHandedOver, PluginContext
from triggerfish.plugin.guard import check_receipts
from triggerfish.plugin.settings import PluginConfig
from triggerfish.render import Address, Class, Message
from triggerfish.reports import MailHeard

START: Instant = 1_767_225_600_000
"""2026-01-01T00:00:00Z: where a SetClock starts unless told."""


class SetClock:
    """A clock that shows what it was set to."""

    def __init__(self, at: Instant = START) -> None:
        self.at = at

    def now(self) -> Instant:
        return self.at

    def wall(self) -> Instant:
        return self.at

    def done_at(self, due_at: Instant) -> Instant:
        return self.at

    def wall_of(self, instant: Instant) -> Instant | None:
        return instant

    def receipt_of(self, event_time: Instant, arrived_at: Instant) -> Instant:
        return arrived_at


def make_context(folder: Path) -> PluginContext:
    """A context below `folder`."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    return PluginContext(workspace=folder, data=data, public_url="http://127.0.0.1:8400", clock=SetClock())


def make_message(
    send_id: str = "s1",
    *,
    to: str = "ana@example.com",
    subject: str = "Your cart is waiting",
    text: str = "Hello Ana,\n\nyour cart is waiting.\n",
    html: str = "<p>Hello Ana,</p><p>your cart is waiting.</p>",
    class_: Class = "marketing",
) -> Message:
    """A message as the server would compose it."""
    return Message(
        send_id=send_id,
        to=Address(to, "Ana Lima"),
        sender=Address("shop@example.com", "The Shop"),
        subject=subject,
        html=html,
        text=text,
        headers={"List-Unsubscribe": "<https://shop.example.com/t/u/x>"},
        class_=class_,
        template="cart-reminder",
        profile_id="p1",
    )


Mood = Literal["deliver", "refuse", "retry", "raise", "not handed over", "hang", "ignore cancellation", "no receipts"]


class MemoryOutbox(Channel):
    """Keeps messages in `delivered`. `moods` are taken one a call, the last stays; `lag_seconds` is waited first."""

    name = "memory"
    features = Features(is_idempotent=True, is_safe_for_demo=True, batch_size=10)

    def __init__(self, config: PluginConfig | None = None, *, moods: Sequence[Mood] = ("deliver",)) -> None:
        super().__init__(config or PluginConfig())
        self.delivered: dict[str, Message] = {}
        self.moods = list(moods)
        self.lag_seconds = 0.0
        self.calls = 0
        self.is_open = False

    async def open(self, context: PluginContext) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    async def send(self, batch: Sequence[Message]) -> list[Receipt]:
        self.calls += 1
        mood = self.moods.pop(0) if len(self.moods) > 1 else self.moods[0]
        await asyncio.sleep(self.lag_seconds)
        match mood:
            case "deliver":
                return [self._take(message) for message in batch]
            case "refuse":
                return [Receipt(message.send_id, "refused", detail="550 no such user") for message in batch]
            case "retry":
                return [Receipt(message.send_id, "retry", retry_after_seconds=60.0) for message in batch]
            case "not handed over":
                raise NotHandedOver("the provider cannot be reached")
            case "no receipts":
                return []
            case "hang":
                await asyncio.Event().wait()
            case "ignore cancellation":
                for _ in range(3):
                    try:
                        await asyncio.Event().wait()
                    except asyncio.CancelledError:
                        continue
        raise RuntimeError("the memory outbox was told to fail")

    def _take(self, message: Message) -> Receipt:
        """Keep it, if it can be written as mail at all."""
        try:
            to_mime(message, date=START, message_id_domain="example.com")
        except Refused as refused:
            return Receipt(message.send_id, "refused", detail=refused.sentence)
        self.delivered[message.send_id] = message
        return Receipt(message.send_id, "accepted")


class MemoryDoor:
    """A `Door` that keeps what a stream tells it: `told` (with its nonce) and `mails`. `moods` are taken one a call:
    None takes it, an exception is raised. `answer` is what is said of each mail.
    """

    def __init__(self, folder: Path, *moods: Exception | None) -> None:
        self.context = make_context(folder)
        self.told: list[tuple[str, Hit | Mapping[str, Any]]] = []
        self.mails: list[bytes] = []
        self.moods = list(moods)
        self.answer = MailHeard("heard", "bounced", "return path", "s1", "ana@example.com", "5.1.1", True, 1)

    async def tell(self, told: Sequence[Hit | Mapping[str, Any]], *, nonce: str) -> int:
        await self._mood()
        self.told += [(nonce, each) for each in told]
        return len(told)

    async def tell_mail(self, raw: bytes, came_to: Sequence[str] = ()) -> MailHeard:
        await self._mood()
        self.mails.append(raw)
        return self.answer

    async def _mood(self) -> None:
        await asyncio.sleep(0)
        if self.moods and (mood := self.moods.pop(0)) is not None:
            raise mood


class ChannelContract:
    """What every channel has to keep. Subclass it as `Test…` with a pytest fixture `channel` that gives one, not opened
    yet, whose provider works. Override `delivered` if the test can see what arrived.
    """

    def delivered(self, channel: Channel) -> Collection[str] | None:
        """The send ids that arrived, each as often as it did; None when the test cannot see them."""
        return None

    def test_it_declares_what_it_is(self, channel: Channel) -> None:
        _must(bool(channel.name), "a channel needs a name")
        _must(channel.features.batch_size >= 1, "features.batch_size is at least 1")
        _must(channel.deadline_seconds > 0, "deadline_seconds is more than 0")
        _must(issubclass(channel.Config, PluginConfig), "Config is a subclass of PluginConfig")

    def test_it_can_be_closed_without_having_been_opened(self, channel: Channel) -> None:
        asyncio.run(channel.close())

    def test_it_can_be_closed_twice(self, channel: Channel, tmp_path: Path) -> None:
        async def run() -> None:
            await channel.open(make_context(tmp_path))
            await channel.close()
            await channel.close()

        asyncio.run(run())

    def test_every_message_of_a_full_batch_gets_a_receipt(self, channel: Channel, tmp_path: Path) -> None:
        batch = [make_message(f"full-{n}") for n in range(min(channel.features.batch_size, 50))]
        receipts = self._send(channel, tmp_path, batch)
        _must(all(each.status == "accepted" for each in receipts), f"all are accepted: {receipts}")
        arrived = self.delivered(channel)
        _must(arrived is None or sorted(arrived) == sorted(m.send_id for m in batch), f"all arrive once: {arrived}")

    def test_batches_can_be_sent_at_once(self, channel: Channel, tmp_path: Path) -> None:
        batches = [[make_message(f"many-{n}")] for n in range(8)]
        receipts = self._send(channel, tmp_path, *batches)
        _must(all(each.status == "accepted" for each in receipts), f"all are accepted: {receipts}")

    def test_odd_texts_do_no_harm(self, channel: Channel, tmp_path: Path) -> None:
        batch = [
            make_message(
                "odd-unicode", subject="Grüße 🎁 – 你好", text="Ünïcödé\n.\n..\n.leading dot\n", html="<p>🎁</p>"
            ),
            make_message("odd-long", subject="x" * 150, text="y" * 20_000, html="<p>" + "z" * 20_000 + "</p>"),
            make_message("odd-empty", subject="", text="", html=""),
        ][: channel.features.batch_size]
        receipts = self._send(channel, tmp_path, batch)
        _must(all(each.status == "accepted" for each in receipts), f"all are accepted: {receipts}")

    def test_one_bad_message_is_refused_and_the_others_go_out(self, channel: Channel, tmp_path: Path) -> None:
        if channel.features.batch_size < 3:
            return
        smuggler = make_message("bad-1", to="ana@example.com>\r\nBcc: eve@example.com")
        injected = make_message("bad-2", subject="Hi\r\nBcc: eve@example.com")
        good = make_message("good-1")
        receipts = {each.send_id: each.status for each in self._send(channel, tmp_path, [smuggler, injected, good])}
        _must(receipts == {"bad-1": "refused", "bad-2": "refused", "good-1": "accepted"}, f"statuses: {receipts}")

    def test_an_idempotent_channel_delivers_a_send_once(self, channel: Channel, tmp_path: Path) -> None:
        if not channel.features.is_idempotent:
            return
        receipts = self._send(channel, tmp_path, [make_message("twice")], [make_message("twice")])
        _must(all(each.status == "accepted" for each in receipts), f"both are accepted: {receipts}")
        arrived = self.delivered(channel)
        _must(arrived is None or list(arrived) == ["twice"], f"it arrives once: {arrived}")

    def test_a_channel_that_can_be_asked_knows_what_it_sent(self, channel: Channel, tmp_path: Path) -> None:
        if not channel.features.can_look_up:
            return

        async def run() -> Mapping[str, bool]:
            await channel.open(make_context(tmp_path))
            try:
                await channel.send([make_message("asked-1")])
                return await channel.look_up(["asked-1", "never-sent"])
            finally:
                await channel.close()

        known = asyncio.run(run())
        _must(known.get("asked-1") is True, f"look_up says True of what was accepted: {known}")
        _must(known.get("never-sent") is not True, f"and not of what was never sent: {known}")

    def _send(self, channel: Channel, folder: Path, *batches: Sequence[Message]) -> list[Receipt]:
        """Open, send the batches at once, close; the receipts, checked for their form."""

        async def run() -> list[Receipt]:
            await channel.open(make_context(folder))
            try:
                given = await asyncio.gather(*(channel.send(batch) for batch in batches))
            finally:
                await channel.close()
            receipts = []
            for batch, answer in zip(batches, given, strict=True):
                checked, faults = check_receipts(batch, answer)
                _must(not faults, f"one valid receipt a message: {faults}")
                receipts += checked
            return receipts

        return asyncio.run(run())


def _must(is_so: bool, claim: str) -> None:
    if not is_so:
        raise AssertionError(claim)
