"""What leaves, what does not, and in which order: the last look at the hand-over."""

import asyncio
import dataclasses

import pytest
from msgspec.structs import replace

from postroom import Plain, Post, person
from triggerfish import walk
from triggerfish.clock import DAY, HOUR, MINUTE, SECOND
from triggerfish.deliver import Receipt
from triggerfish.engine import Outcome
from triggerfish.instructions import Given, Hold, Release, Resolve, Suppress
from triggerfish.lanes import Pace, WarmUp
from triggerfish.plugin.testing import MemoryOutbox
from triggerfish.profile import Consent, Merge
from worlds import NOON

CAPS = "policy: {caps: [{sends: 2, within: 1 day}]}"
QUIET = 'policy: {quiet_hours: {start: "22:00", end: "08:00"}}'


async def test_every_change_of_a_send_is_told_with_its_reason():
    post = Post(Plain(moods=("not handed over", "deliver")))
    post.due("a")
    await post.run()
    post.clock.at = post.of("a").due_at
    await post.run()
    assert post.story("a") == [
        ("sending", "attempt 1 over plain"),
        ("retrying", "attempt 1 did not get through: the provider cannot be reached"),
        ("sending", "attempt 2 over plain"),
        ("sent", ""),
    ]
    assert post.of("a").address == "p-a@example.com"
    assert post.of("a").handed_at == post.clock.at


async def test_who_opted_out_after_the_decision_gets_nothing():
    post = Post()
    post.due("a", "b")
    post.commit([person("p-a", "p-a@example.com", consent={"": Consent(False, NOON, "unsubscribe link")})])
    await post.run()
    assert post.delivered() == ["b"]
    assert post.of("a").status == "skipped"
    assert "opted out" in post.of("a").reason or "unsubscribed" in post.of("a").reason


@pytest.mark.parametrize(
    ("told", "class_", "reason"),
    [
        (Suppress("P-A@example.com", reason="hard bounce"), "transactional", "suppressed: hard bounce"),
        (Suppress("@example.com", reason="hard bounce"), "transactional", "suppressed: hard bounce (@example.com)"),
        (Suppress("p-a@example.com"), "marketing", "suppressed: manual"),
        (Suppress("p-a@example.com", "marketing"), "marketing", "suppressed: manual"),
        (Suppress("p-a@example.com", "news"), "marketing", ""),
        (Suppress("p-a@example.com", reason="complaint"), "transactional", ""),
        (Suppress("@other.example"), "marketing", ""),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_the_suppression_list_is_asked_at_the_hand_over(told, class_, reason):
    post = Post()
    post.due("a", class_=class_)
    post.tell(told)
    await post.run()
    assert (post.of("a").reason, post.delivered()) == (reason, [] if reason else ["a"])


async def test_caps_count_what_was_really_handed_over():
    """Three were decided on three days and all leave today, after the channel's long rest: the cap lets two go."""
    post = Post(policy=CAPS)
    for number in range(3):
        post.clock.at = NOON + number * 12 * HOUR
        post.due(f"s{number}", profile="ana", at=post.clock.at)
    post.clock.at = NOON + 25 * HOUR
    await post.run()
    assert post.delivered() == ["s0", "s1"]
    assert post.of("s2").due_at == post.clock.at + DAY
    assert post.of("s2").reason == "had 2 messages within 1 day"
    post.clock.at += DAY - 1
    await post.run()
    assert post.delivered() == ["s0", "s1"]
    post.clock.at += 1
    await post.run()
    assert post.delivered() == ["s0", "s1", "s2"]


async def test_caps_follow_people_through_a_merge():
    post = Post(policy=CAPS)
    post.due("a", "b", profile="old")
    await post.run()
    merged = person("ana", "ana@example.com", merges=[Merge(NOON, "old", [], "the same user", "m")])
    post.due("c", profile="ana")
    post.commit([merged])
    await post.run()
    assert post.delivered() == ["a", "b"]
    assert post.of("c").status == "due"


async def test_what_a_cap_would_hold_for_too_long_is_skipped_with_that_reason():
    post = Post(policy="policy: {caps: [{sends: 1, within: 7 days}]}")
    post.due("a", "b", profile="ana")
    await post.run()
    assert post.status("a", "b") == ["sent", "skipped"]
    assert post.of("b").reason == "had 1 message within 7 days"


async def test_a_retry_in_quiet_hours_waits_for_the_morning_and_a_receipt_does_not():
    post = Post(Plain(moods=("retry", "deliver")), policy=QUIET)
    midnight = NOON + 12 * HOUR
    post.clock.at = NOON + 9 * HOUR
    post.due("a", at=post.clock.at)
    await post.over("marketing")
    post.clock.at = NOON + 11 * HOUR
    await post.run()
    assert (post.of("a").status, post.of("a").due_at) == ("retrying", midnight + 8 * HOUR)
    assert post.of("a").reason == "quiet hours"
    post.due("b", class_="transactional")
    await post.run()
    assert post.delivered() == ["b"]
    post.clock.at = midnight + 8 * HOUR
    await post.run()
    assert post.delivered() == ["b", "a"]


async def test_marketing_that_could_not_leave_for_days_is_not_wanted_any_more():
    post = Post()
    post.due("a")
    post.due("b", class_="transactional")
    post.clock.at = NOON + 3 * DAY + 1
    await post.run()
    assert post.delivered() == ["b"]
    assert post.story("a") == [("skipped", "it could not leave for more than 3 days")]


async def test_a_held_rule_waits_and_holds_up_nobody():
    post = Post()
    post.due(*(f"h{number}" for number in range(25)), rule="big")
    post.due("other")
    post.tell(Hold("set", "big", "looks odd"))
    await post.run()
    assert post.delivered() == ["other"]
    assert post.story("h3") == [("due", "held: looks odd")]
    assert await post.send() == 0, "what is held is not looked at again and again"
    post.tell(Release("set", "big"))
    await post.run()
    assert len(post.delivered()) == 26
    assert post.of("h3").lane == "plain marketing other"


async def test_a_held_rule_set_holds_all_its_rules():
    post = Post()
    post.due("a")
    post.due("b", ruleset="free")
    post.tell(Hold("set"))
    await post.run()
    assert (post.delivered(), post.of("a").reason) == (["b"], "held by admin key")


async def test_transactional_mail_leaves_before_marketing_that_is_due_longer():
    post = Post()
    post.due(*(f"m{number}" for number in range(30)), at=NOON - HOUR)
    post.due("t", class_="transactional")
    await post.send()
    assert post.delivered()[0] == "t"


async def test_those_due_leave_by_due_time_and_priority_over_all_lanes():
    post = Post()
    post.due("c", at=NOON - 1, email="c@gmail.com")
    post.due("a", at=NOON - 5, email="a@example.com")
    post.due("d", at=NOON - 1, email="d@web.de", priority=9)
    post.due("b", at=NOON - 3, email="b@hotmail.com")
    await post.run()
    assert post.delivered() == ["a", "b", "d", "c"]


async def test_a_throttled_provider_holds_up_nobody_else():
    post = Post(paces={"plain": Pace(providers={"google": 2.0})})
    post.due(*(f"g{number}" for number in range(6)), at=NOON - 1, email="someone@gmail.com")
    post.due(*(f"o{number}" for number in range(6)), email="someone@example.com")
    await post.run()
    assert post.delivered() == ["g0", "g1", *(f"o{number}" for number in range(6))]
    post.clock.at += SECOND
    await post.run()
    assert [name for name in post.delivered() if name.startswith("g")] == ["g0", "g1", "g2", "g3"]


async def test_a_channels_pace_lets_transactional_mail_pass():
    post = Post(paces={"plain": Pace(per_second=3.0)})
    post.due(*(f"m{number}" for number in range(8)))
    await post.run()
    assert post.delivered() == ["m0", "m1", "m2"]
    post.due("t", class_="transactional")
    await post.run()
    assert post.delivered() == ["m0", "m1", "m2", "t"]


async def test_a_warming_channel_sends_what_its_day_allows():
    warm = WarmUp(since=NOON, first_day=3, factor=2.0, until=10)
    post = Post(paces={"plain": Pace(warm_up=warm)})
    post.due(*(f"m{number:02}" for number in range(40)))
    post.due("t", class_="transactional")
    sent = []
    for day in range(3):
        post.clock.at = NOON + day * DAY
        await post.run()
        sent.append(len(post.delivered()))
    assert sent == [3, 9, 41], "three with the transactional one, six more, and then no limit: 12 is more than 10"


async def test_nothing_is_awaited_between_the_last_look_and_the_hand_over():
    """Whoever commits an opt-out is in this thread: it can only come before the look, or after the channel has it."""
    channel = Plain()
    post = Post(channel)
    channel.lag_seconds = 60.0
    post.due("a")
    steps = post.send()
    loop_task = asyncio.ensure_future(steps)
    while not channel.calls:
        await asyncio.sleep(0)
        if not channel.calls:
            assert post.of("a").status in ("due", "sending")
    assert post.of("a").status == "sending"
    loop_task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop_task


@pytest.mark.parametrize("class_", ["marketing", "transactional"])
async def test_a_message_that_the_main_channel_certainly_did_not_take_goes_over_the_fallback(class_):
    main, other = Plain(moods=("not handed over",)), MemoryOutbox()
    post = Post(main, other, fallback="memory", fallback_after=MINUTE)
    post.due("a", class_=class_)
    await post.run()
    assert (post.of("a").status, post.delivered(1)) == ("retrying", [])
    post.clock.at += 2 * MINUTE
    await post.run()
    assert post.delivered(1) == ["a"]
    assert ('goes over "memory"' in post.story("a")[3][1], post.of("a").channel) == (True, "memory")


async def test_a_resting_channels_mail_goes_over_the_fallback_after_a_while():
    main, other = Plain(moods=("not handed over",)), MemoryOutbox()
    post = Post(main, other, fallback="memory")
    for number in range(5):
        post.due(f"x{number}")
        await post.over("marketing")
    post.due("a")
    await post.run()
    assert post.delivered(1) == []
    post.clock.at = NOON + MINUTE + 1
    post.house.channel._breaker._until = post.clock.at + HOUR  # type: ignore[attr-defined]
    await post.run()
    assert "a" in post.delivered(1)
    assert post.story("a")[0] == ("due", 'goes over "memory": "plain" rests after failures')


async def test_marketing_whose_outcome_is_unknown_never_goes_over_the_fallback():
    post = Post(Plain(moods=("raise",)), MemoryOutbox(), fallback="memory", fallback_after=0)
    post.due("a")
    await post.run()
    post.clock.at += DAY
    await post.run()
    assert (post.of("a").status, post.delivered(1)) == ("uncertain", [])


class Idempotent(MemoryOutbox):
    name = "exact"


async def test_marketing_that_an_idempotent_channel_may_have_stays_with_that_channel():
    post = Post(Idempotent(moods=("raise", "not handed over")), MemoryOutbox(), fallback="memory", fallback_after=0)
    post.due("a")
    for _ in range(4):
        await post.run()
        post.clock.at += DAY
    assert (post.of("a").is_tied, post.delivered(1)) == (True, [])


class Asked(Plain):
    """A channel whose provider can be asked."""

    features = replace(Plain.features, can_look_up=True)

    def __init__(self, knows, **more):
        super().__init__(**more)
        self.knows = knows

    async def look_up(self, send_ids):
        return {send_id: self.knows[send_id] for send_id in send_ids if send_id in self.knows} | {"stray": True}


@pytest.mark.parametrize(
    ("knows", "status"), [({"a": True}, "sent"), ({"a": False}, "retrying"), ({}, "uncertain"), ({"a": 1}, "uncertain")]
)
async def test_a_provider_that_can_be_asked_is_asked_before_an_outcome_is_uncertain(knows, status):
    post = Post(Asked(knows, moods=("raise",)))
    post.due("a")
    await post.run()
    assert post.status("a") == [status]


@pytest.mark.parametrize(("knows", "status"), [({"a": True}, "sent"), ({"a": False}, "retrying"), ({}, "uncertain")])
async def test_after_a_crash_the_provider_is_asked_as_well(knows, status):
    post = Post(Asked(knows))
    post.due("a")
    [due] = post.store.to_send(NOON, 1)
    post.store.mark([replace(due, status="sending", channel="plain", attempt=1)], [])
    assert await walk.recover(post.house) == 1
    assert post.status("a") == [status]


async def test_an_uncertain_send_that_is_to_go_again_is_looked_at_as_ever():
    post = Post(Plain(moods=("raise", "deliver")))
    post.due("a")
    await post.run()
    post.clock.at += HOUR
    post.tell(Resolve("a", "again"))
    await post.run()
    assert post.delivered() == ["a"]
    assert [status for status, _ in post.story("a")] == ["sending", "uncertain", "due", "sending", "sent"]


async def test_messages_of_a_channel_that_is_gone_leave_over_the_main_one():
    post = Post()
    post.due("a", channel="former")
    assert post.of("a").lane == "former marketing other"
    await post.run()
    assert (post.delivered(), post.of("a").channel) == (["a"], "plain")


class Slow(Plain):
    """A channel that takes its time over a batch, and asks before each message; `between` happens after the first."""

    def __init__(self):
        super().__init__()
        self.between = self.is_wanted = None

    async def send(self, batch):
        receipts = []
        for number, message in enumerate(batch):
            if self.is_wanted(message.send_id):
                receipts.append(self._take(message))
            else:
                receipts.append(Receipt(message.send_id, "retry", detail="called back"))
            if number == 0:
                self.between()
        return receipts


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (Suppress("p-c@example.com"), "suppressed: manual"),
        (Suppress("@EXAMPLE.com", reason="hard bounce"), "suppressed: hard bounce (@example.com)"),
        (Hold("set", "careful"), "held by admin key"),
        (None, "opted out of marketing (unsubscribe link)"),
    ],
    ids=["an address", "a domain", "a rule", "an opt-out"],
)
async def test_what_a_channel_has_and_has_not_begun_to_hand_on_is_called_back(what, reason):
    """The opt-out comes through the log, and is committed, while the first message of the batch is on the wire."""
    channel = Slow()
    post = Post(channel)
    channel.is_wanted = post.house.underway.is_wanted
    post.due("a", "b")
    post.due("c", rule="careful")

    def between():
        if what is not None:
            outcome = Outcome({}, {}, {}, [], [], [], instructions=[Given(what, NOON, "admin key")])
        else:
            opted_out = person("p-c", "p-c@example.com", consent={"": Consent(False, NOON, "unsubscribe link")})
            outcome = Outcome({"p-c": opted_out}, {}, {}, [], [], [])
        post.store.commit(outcome, 50, NOON)
        post.house.underway.look_again(outcome.profiles, {}, outcome.instructions, post.house.rulebook.policy)

    channel.between = between
    await post.over("marketing")
    delivered = ["a"] if getattr(what, "address", "").startswith("@") else ["a", "b"]
    assert post.delivered() == delivered
    assert post.status("c") == ["retrying"]
    assert post.of("c").reason == "called back before it was handed on"
    await post.run()  # no time has passed
    assert (post.delivered(), post.of("c").reason) == (delivered, reason)
    assert post.house.underway.is_wanted("c"), "nothing is kept of what the channel has answered for"


class Refusing(Plain):
    """A channel whose server refuses every address in these words."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words

    async def send(self, batch):
        return [Receipt(message.send_id, "refused", detail=self.words) for message in batch]


async def test_an_address_of_which_the_server_says_that_there_is_nobody_gets_nothing_more():
    post = Post(Refusing("550 5.1.1 <p-a@example.com>: Recipient address rejected: User unknown"))
    post.due("a")
    await post.run()
    assert post.of("a").status == "failed"
    line = post.store.suppressed(["P-A@example.com"])["P-A@example.com"][0]
    assert (line.reason, line.by, line.at) == ("hard bounce", "plain", NOON)
    assert line.note.startswith("550 5.1.1")
    post.due("b", profile="p-a", class_="transactional")
    await post.run()
    assert (post.of("b").status, post.of("b").reason) == ("skipped", "suppressed: hard bounce")


@pytest.mark.parametrize(
    "words",
    [
        "552 5.2.2 mailbox full",
        "550 5.7.1 blocked by policy",
        "554 5.6.0 message rejected",
        "550 no",
        "450 4.1.1 unknown",
    ],
    ids=lambda words: words[:9],
)
async def test_no_other_refusal_is_held_against_an_address(words: str):
    post = Post(Refusing(words))
    post.due("a")
    await post.run()
    assert post.of("a").status == "failed"
    assert post.store.suppressed(["p-a@example.com"]) == {}


async def test_what_was_due_before_a_backup_was_restored_may_have_left_and_leaves_only_if_it_may_twice():
    post = Post()
    post.due("lost", at=NOON - HOUR)
    post.due("receipt", at=NOON - HOUR, class_="transactional", purpose="orders")
    post.due("later", at=NOON + MINUTE)
    post.house = dataclasses.replace(post.house, restored_at=NOON - 1)
    post.clock.at = NOON + MINUTE
    await post.run()
    assert post.status("lost", "receipt", "later") == ["uncertain", "sent", "sent"]
    assert post.story("lost") == [
        ("uncertain", "the data was restored from a backup after this was due: it may have left before")
    ]
    assert post.of("lost").handed_at == NOON - HOUR, "caps count it"
    post.tell(Resolve("lost", "again"))
    await post.run()
    assert post.of("lost").status == "sent"
