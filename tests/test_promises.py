"""The promises of delivery, over random histories: channels that fail in every way, opt-outs, holds, caps, crashes."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom import Plain, Post, person
from triggerfish import walk
from triggerfish.clock import DAY, HOUR, MINUTE
from triggerfish.instructions import Hold, Release
from triggerfish.profile import Consent
from worlds import NOON

CAP, WITHIN = 2, 6 * HOUR
POLICY = "policy: {caps: [{sends: 2, within: 6 hours}]}"
MOODS = (
    "deliver",
    "deliver",
    "deliver",
    "refuse",
    "retry",
    "raise",
    "not handed over",
    "no receipts",
    "taken, then lost",
)


class Recorder(Plain):
    """Notes what it took and when, whatever it says then."""

    def __init__(self, name, moods, is_idempotent=False):
        super().__init__(moods=moods)
        self.name = name
        self.is_idempotent = is_idempotent
        self.took: list[tuple[str, int]] = []
        self.clock = None

    async def send(self, batch):
        lost = self.moods[0] == "taken, then lost"
        if lost or self.moods[0] in ("deliver", "raise"):
            # "raise" breaks off after the first message went out.
            for message in batch if self.moods[0] != "raise" else batch[:1]:
                self.took.append((message.send_id, self.clock.at))
        if lost:
            self.moods = self.moods[1:] or ["deliver"]
            raise RuntimeError("the connection broke")
        return await super().send(batch)


class Died(Exception):
    """The worker dies here."""


dues = st.tuples(
    st.just("due"), st.sampled_from("ab"), st.sampled_from(["marketing", "marketing", "transactional"]),
    st.sampled_from(["main", "other"]),
)  # fmt: skip
steps = st.lists(
    st.one_of(
        dues, dues, dues,
        st.tuples(st.just("pass"), st.integers(1, 8 * 60)),
        st.tuples(st.just("opt out"), st.sampled_from("ab")),
        st.tuples(st.just("hold"), st.booleans()),
        st.tuples(st.just("crash"), st.sampled_from(["before the answer", "after the answer"])),
    ),
    min_size=4, max_size=30,
)  # fmt: skip

moods = st.lists(st.sampled_from(MOODS), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(steps, moods, moods, st.booleans())
def test_nobody_gets_marketing_twice_or_after_an_opt_out_and_caps_hold(history, of_main, of_other, has_fallback):
    asyncio.run(_play(history, [*of_main, "deliver"], [*of_other, "deliver"], has_fallback))


async def _play(history, of_main, of_other, has_fallback):
    main, other = Recorder("main", of_main), Recorder("other", of_other)
    post = Post(main, other, policy=POLICY, fallback="other" if has_fallback else "", fallback_after=5 * MINUTE)
    main.clock = other.clock = post.clock
    opted_out: dict[str, int] = {}
    classes: dict[str, str] = {}
    for number, step in enumerate(history):
        match step:
            case ("due", who, class_, channel):
                name = f"{who}{number}"
                classes[name] = class_
                rest = {"consent": {"": Consent(False, opted_out[who], "link")}} if who in opted_out else {}
                post.due(name, profile=who, class_=class_, channel=channel)
                post.commit([person(who, f"{who}@example.com", **rest)])
            case ("pass", minutes):
                post.clock.at += minutes * MINUTE
            case ("opt out", who):
                opted_out.setdefault(who, post.clock.at)
                said = Consent(False, post.clock.at, "link")
                post.commit([person(who, f"{who}@example.com", consent={"": said})])
            case ("hold", True):
                post.tell(Hold("set"))
            case ("hold", False):
                post.tell(Release("set"))
            case ("crash", when):
                await _crash(post, when)
        await post.run()
    post.tell(Release("set"))
    for _ in range(14):
        post.clock.at += 6 * HOUR
        await post.run()
    took = sorted([*main.took, *other.took], key=lambda each: each[1])
    _check(post, took, classes, opted_out)


async def _crash(post, when):
    """The worker dies with a batch on the way; another one takes over."""
    marked = post.store.mark
    calls = 0

    def mark(sends, moments):
        nonlocal calls
        calls += 1
        if calls == (1 if when == "before the answer" else 2):
            if when == "before the answer":
                marked(sends, moments)
            raise Died
        marked(sends, moments)

    post.store.mark = mark
    try:
        while await post.send():
            pass
    except Died:
        pass
    finally:
        post.store.mark = marked
    await walk.recover(post.house)


def _check(post, took, classes, opted_out):
    marketing = [each for each in took if classes[each[0]] == "marketing"]
    names = [send for send, _ in marketing]
    assert len(names) == len(set(names)), f"marketing that arrived twice: {names}"
    for who, since in opted_out.items():
        late = [each for each in marketing if each[0].startswith(who) and each[1] > since]
        assert not late, f"{who} opted out at {since}: {late}"
    for who in "ab":
        instants = [at for send, at in marketing if send.startswith(who)]
        for first in instants:
            within = [at for at in instants if first <= at < first + WITHIN]
            assert len(within) <= CAP, f"{who} got {len(within)} within {WITHIN}"
    for name, class_ in classes.items():
        due = post.of(name)
        arrived = [each for each in took if each[0] == name]
        assert due.status in ("sent", "skipped", "failed", "uncertain"), f"{name} is still {due.status}"
        if due.status == "sent":
            assert arrived, f"{name} is told to be sent, and nobody took it"
        if class_ == "marketing" and arrived:
            assert due.status in ("sent", "uncertain"), f"{name} was taken, and is {due.status}"


def test_the_check_finds_what_breaks_a_promise():
    post = Post()
    post.due("a1", profile="a")
    post.of("a1").status = "sent"
    classes = {f"a{number}": "marketing" for number in range(4)}
    twice = [("a1", NOON), ("a1", NOON + DAY)]
    with pytest.raises(AssertionError, match="arrived twice"):
        _check(post, twice, classes, {})
    with pytest.raises(AssertionError, match="opted out"):
        _check(post, twice[:1], classes, {"a": NOON - 1})
    with pytest.raises(AssertionError, match="got 3"):
        _check(post, [(f"a{number}", NOON + number) for number in range(3)], classes, {})
    with pytest.raises(AssertionError, match="nobody took it"):
        _check(post, [], {"a1": "marketing"}, {})
