"""Caps over rolling windows: of all marketing, or of one channel, purpose, rule set or group."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.clock import DAY, HOUR
from triggerfish.decisions import Reached, reached
from triggerfish.errors import RulebookBroken
from triggerfish.profile import SENT_LIMIT, Profile, Sent, remember_sent
from triggerfish.rules import Cap
from worlds import NOON, World, identify, rulebook, track

RULES = """
ruleset: carts
rules:
  - {name: cart, on: Cart, group: reminders, then: [{send: offer}]}
  - {name: browse, on: Browse, group: reminders, then: [{send: hello}]}
  - {name: receipt, on: Pay, then: [{send: receipt}]}
"""
NEWS = "{ruleset: news, rules: [{name: weekly, on: News, then: [{send: news}]}]}"


def world(caps: str) -> World:
    made = World(f"policy: {{caps: [{caps}]}}", RULES, NEWS)
    made.take(identify(NOON - DAY, email="ana@example.com"))
    return made


def test_a_cap_on_a_purpose_counts_and_holds_back_that_purpose_alone() -> None:
    it = world("{sends: 1, within: 1 day, purpose: news}")
    it.take(track("Cart", NOON), track("News", NOON + 1), track("News", NOON + 2), track("Cart", NOON + 3))
    assert it.told() == [
        ("offer", "due", ""), ("news", "due", ""), ("news", "skipped", "had 1 message for news within 1 day"),
        ("offer", "due", ""),
    ]  # fmt: skip


def test_a_cap_on_a_rule_set_and_on_a_group() -> None:
    it = world("{sends: 1, within: 1 day, ruleset: carts}")
    it.take(track("Cart", NOON), track("Browse", NOON + 1), track("News", NOON + 2))
    assert it.told()[1:] == [
        ("hello", "skipped", 'had 1 message of rule set "carts" within 1 day'), ("news", "due", ""),
    ]  # fmt: skip
    it = world("{sends: 1, within: 1 day, group: reminders}")
    it.take(track("Cart", NOON), track("Browse", NOON + 1), track("News", NOON + 2))
    assert it.told()[1] == ("hello", "skipped", 'had 1 message of group "reminders" within 1 day')
    assert it.told()[2][1] == "due"


def test_transactional_messages_neither_count_nor_are_held_back() -> None:
    it = world("{sends: 1, within: 1 day}")
    it.take(track("Pay", NOON), track("Cart", NOON + 1), track("Pay", NOON + 2), track("Browse", NOON + 3))
    assert [status for _, status, _ in it.told()] == ["due", "due", "due", "skipped"]


def test_a_window_rolls_to_the_millisecond() -> None:
    it = world("{sends: 1, within: 1 day}")
    it.take(track("Cart", NOON), track("Browse", NOON + DAY - 1), track("News", NOON + DAY))
    assert [status for _, status, _ in it.told()] == ["due", "skipped", "due"]


@pytest.mark.parametrize("key", ["purpose", "ruleset", "group"])
def test_a_name_that_no_message_has_is_a_problem(key: str) -> None:
    with pytest.raises(RulebookBroken) as broken:
        rulebook(f"policy: {{caps: [{{sends: 1, within: 1 day, {key}: nowhere}}]}}", RULES)
    assert [each.code for each in broken.value.problems if not each.is_warning] == ["TF640"]


def test_receipts_never_push_marketing_out_of_memory() -> None:
    ana = Profile("p", NOON, NOON)
    remember_sent(ana, Sent(NOON, "news", "weekly", True))
    for number in range(SENT_LIMIT + 50):
        remember_sent(ana, Sent(NOON + number, "carts", "receipt", False))
    assert ana.sent[0].is_marketing
    assert len(ana.sent) == SENT_LIMIT + 1
    assert ana.sent[1].at == NOON + 50


@dataclass
class Fact:
    """A message as a reference sees it."""

    at: int
    names: dict[str, str]


NAMES = st.fixed_dictionaries({key: st.sampled_from(["a", "b"]) for key in ("channel", "purpose", "ruleset", "group")})
CAPS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(1, 30),
        st.dictionaries(st.sampled_from(["channel", "purpose", "ruleset", "group"]), st.sampled_from(["a", "b"])),
    ),
    max_size=3,
)


@given(CAPS, st.lists(st.tuples(st.integers(0, 100), NAMES), max_size=30))
def test_what_the_caps_let_go_breaks_none_of_them_at_any_instant(caps, asked) -> None:
    """And what they hold back would have broken one; `until` is the very first instant at which it would not."""
    made = [Cap(sends, within, **names) for sends, within, names in caps]
    gone: list[Fact] = []

    def breaks(fact: Fact) -> bool:
        return any(
            all(fact.names[key] == value for key, value in names.items())
            and sum(
                1
                for each in gone
                if fact.at - within < each.at <= fact.at and all(each.names[key] == names[key] for key in names)
            )
            >= sends
            for sends, within, names in caps
        )

    def sent(fact: Fact) -> Sent:
        return Sent(fact.at, fact.names["ruleset"], "r", True, fact.names["purpose"], fact.names["channel"], "",
                    fact.names["group"])  # fmt: skip

    for at, names in sorted(asked, key=lambda each: each[0]):
        fact = Fact(at, names)
        found = reached(made, [sent(each) for each in gone], sent(fact))
        assert (found is not None) == breaks(fact)
        if found is None:
            gone.append(fact)
        else:
            assert breaks(Fact(found.until - 1, names))
            assert not breaks(Fact(found.until, names))


def test_a_message_that_is_handed_over_again_does_not_stand_in_its_own_way() -> None:
    first = Sent(NOON, "carts", "cart", True, send="s1")
    cap = Cap(1, HOUR)
    assert reached([cap], [first], Sent(NOON + 1, "carts", "cart", True, send="s1")) is None
    assert reached([cap], [first], Sent(NOON + 1, "carts", "cart", True, send="s2")) == Reached(
        "had 1 message within 1 hour", NOON + HOUR
    )
