"""What a profile keeps of its events: traits with their times, consent, what was seen; and that it stays small."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.activity import Activity
from triggerfish.clock import DAY
from triggerfish.profile import (
    MERGE_LIMIT,
    SEEN_LIMIT,
    TRAIT_LIMIT,
    Claim,
    Identity,
    Merge,
    Profile,
    Trait,
    Wait,
    fold,
    hear_consent,
    merge,
    new_profile,
    remember,
    set_traits,
)
from worlds import NOON, World, feedback, identify, track


def ana() -> Profile:
    return new_profile(Claim("user", "ana"), 1, NOON)


def test_the_newest_trait_wins_in_whatever_order_they_come():
    for order in ((0, 1), (1, 0)):
        profile = ana()
        for place in order:
            fold(profile, identify(NOON + place, city=f"city {place}"), [], NOON + 5)
        assert profile.trait("city") == "city 1"
        assert profile.traits["city"].set_at == NOON + 1


def test_a_removed_trait_does_not_come_back_with_a_late_event():
    profile = ana()
    set_traits(profile, {"city": None}, NOON + 1)
    set_traits(profile, {"city": "Köln"}, NOON)
    assert profile.trait("city") is None
    set_traits(profile, {"city": "Bonn"}, NOON + 2)
    assert profile.trait("city") == "Bonn"


def test_only_identify_sets_traits():
    profile = ana()
    fold(profile, track("View", NOON, traits={"city": "Köln"}), [], NOON)
    assert profile.traits == {}


def test_a_profile_has_only_so_many_traits():
    profile = ana()
    set_traits(profile, {f"t{number}": number for number in range(TRAIT_LIMIT + 10)}, NOON)
    assert len(profile.traits) == TRAIT_LIMIT
    set_traits(profile, {"t0": "changed", "one more": 1}, NOON + 1)
    assert (profile.trait("t0"), profile.trait("one more")) == ("changed", None)


def test_context_tells_time_zone_and_language_and_nonsense_is_left_out():
    profile = ana()
    fold(profile, identify(NOON, context={"timezone": "Asia/Tokyo", "locale": "ja-JP"}), [], NOON)
    for nonsense in ({"timezone": 9, "locale": ["de"]}, {"timezone": "x" * 65}, {"timezone": ""}):
        fold(profile, identify(NOON + 1, context=nonsense), [], NOON + 1)
    assert (profile.time_zone, profile.locale) == ("Asia/Tokyo", "ja-JP")


def test_an_older_opt_out_does_not_undo_a_newer_word():
    profile = ana()
    assert hear_consent(profile, feedback("Unsubscribed", NOON, "p", purpose="news"), {}) == [("withdrawn", "news")]
    assert hear_consent(profile, feedback("Unsubscribed", NOON - 5, "p", purpose="news"), {}) == []
    assert profile.consent["news"].at == NOON


def test_only_our_own_feedback_counts_as_an_opt_out():
    profile = ana()
    assert hear_consent(profile, track("Unsubscribed", NOON, properties={"purpose": ""}), {}) == []
    assert profile.consent == {}


def test_a_message_id_is_known_once_it_was_seen():
    profile = ana()
    assert not profile.has_seen("m")
    remember(profile, "m")
    assert profile.has_seen("m")
    assert not profile.has_seen("n")


def test_the_newest_message_ids_are_remembered():
    profile = ana()
    for number in range(SEEN_LIMIT + 5):
        remember(profile, f"m{number}")
    assert len(profile.seen) == 8 * SEEN_LIMIT
    assert not profile.has_seen("m4")
    assert all(profile.has_seen(f"m{number}") for number in (5, 500, SEEN_LIMIT + 4))


@given(st.lists(st.binary(min_size=8, max_size=8), max_size=5), st.integers(0, 7))
def test_a_message_id_is_never_found_across_two_others(digests: list[bytes], shift: int):
    """The ids stand one after another; a match that straddles two is none."""
    profile = ana()
    remember(profile, "wanted")
    wanted = profile.seen
    profile.seen = b"".join(digests)
    assert profile.has_seen("wanted") == (wanted in digests)
    if shift:
        profile.seen = b"\0" * shift + wanted + b"\0" * (8 - shift)
        assert not profile.has_seen("wanted") or any(profile.seen[at : at + 8] == wanted for at in (0, 8))


def test_a_copy_shares_nothing_that_can_change():
    counted = [Activity("k", "View", "View"), Activity("w", "View in a day", "View", window=DAY)]
    profile = Profile(
        "p",
        NOON,
        NOON,
        [Identity("user", "ana", NOON)],
        {"a": Trait(1, NOON)},
        {each.key: each.start() for each in counted},
    )
    before = msgspec.msgpack.encode(profile)
    copy = profile.copy()
    copy.identities.append(Identity("email", "e", NOON))
    set_traits(copy, {"a": 2, "b": 3}, NOON)
    fold(copy, track("View", NOON), counted, NOON)
    copy.memberships["s"] = NOON
    copy.waits.append(Wait(NOON, "r", "n", track("View", NOON), []))
    merge(copy, ana(), because="alias", message_id="m", now=NOON)
    assert msgspec.msgpack.encode(profile) == before


def test_a_profile_survives_being_stored():
    world = World("segments: [{name: a, when: 'count(View, \"1h\") >= 1 and sum(Order.total) < 9'}]", """
        ruleset: r
        rules: [{name: v, on: View, wait: 1 hour, then: [{send: hello}]}]
    """)  # fmt: skip
    world.take(
        identify(NOON, email="a@b.example", tags=["x", {"y": None}], size=1.5, anon="x", context={"locale": "de"})
    )
    world.take(track("View", NOON, properties={"total": 2**63}), track("Order", NOON, properties={"total": 3}))
    profile = world.who()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(profile), type=Profile) == profile


def test_a_blob_written_before_a_field_was_added_still_reads():
    whole = msgspec.msgpack.decode(msgspec.msgpack.encode(ana()))
    for fields in (3, 8, Profile.__struct_fields__.index("recheck_at")):
        read = msgspec.msgpack.decode(msgspec.msgpack.encode(whole[:fields]), type=Profile)
        assert (read.id, read.recheck_at) == (ana().id, None)


def test_merging_keeps_the_older_birthday_the_earlier_membership_and_the_latest_merges():
    one, other = ana(), new_profile(Claim("user", "bo"), 2, NOON - DAY)
    one.memberships, other.memberships = {"a": NOON}, {"a": NOON - 5, "b": NOON}
    other.merges = [Merge(NOON, f"p{number}", [], "alias", "m") for number in range(MERGE_LIMIT)]
    other.time_zone = "Asia/Tokyo"
    merge(one, other, because="alias", message_id="m", now=NOON)
    assert one.created_at == NOON - DAY
    assert one.memberships == {"a": NOON - 5, "b": NOON}
    assert len(one.merges) == MERGE_LIMIT
    assert one.merges[-1].profile == other.id
    assert one.time_zone == "Asia/Tokyo"


def test_a_profile_wakes_for_its_earliest_reason():
    profile = ana()
    assert profile.wake_at == profile.created_at, "where a new person is, nobody has looked yet"
    profile.recheck_at = NOON + 5
    profile.waits = [
        Wait(NOON + 9, "r", "n", track("View", NOON), []),
        Wait(NOON + 3, "r", "n", track("View", NOON), []),
    ]
    assert profile.wake_at == NOON + 3
    profile.waits = []
    assert profile.wake_at == NOON + 5
    profile.recheck_at = None
    assert profile.wake_at is None
