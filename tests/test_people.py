"""Whose event is it? And when are two profiles one person?"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from triggerfish.clock import HOUR, MINUTE
from triggerfish.profile import IDENTITY_LIMIT, Claim, claims_of, new_profile, previous_claims
from worlds import NOON, World, alias, feedback, identify, track

CART = """
    ruleset: cart
    rules:
      - {name: cart, on: Cart, wait: 1 hour, unless: Order, then: [{send: receipt}]}
"""


def names(world: World, value: str = "ana", kind: str = "user") -> set[tuple[str, str]]:
    return {(held.kind, held.value) for held in world.who(value, kind).identities}


def test_one_name_is_one_profile():
    world = World()
    world.take(track("View", NOON), track("View", NOON + 1))
    world.take(track("View", NOON + 2), track("View", NOON + 2, user="bo"))
    assert len(world.memory.profiles) == 2
    assert world.id_of("ana") != world.id_of("bo")


def test_an_anonymous_visitor_who_identifies_keeps_the_profile():
    world = World()
    world.take(track("View", NOON, user=None, anon="x"))
    before = world.id_of("x", "anonymous")
    world.take(identify(NOON + 1, user="ana", anon="x"))
    assert world.id_of("ana") == before
    assert names(world) == {("user", "ana"), ("anonymous", "x")}
    assert world.moments("merge") == []


def test_a_second_device_of_a_known_user_becomes_part_of_them():
    world = World()
    world.take(track("View", NOON), track("View", NOON + 1, user=None, anon="phone"))
    phone = world.id_of("phone", "anonymous")
    world.take(track("View", NOON + 2, user="ana", anon="phone"))
    assert names(world) == {("user", "ana"), ("anonymous", "phone")}
    assert phone not in world.memory.profiles
    assert world.id_of(phone, "profile") == world.id_of("ana")
    (merge,) = world.moments("merge")
    assert merge.body == {"profile": phone, "because": "track with anonymous phone"}
    (noted,) = world.who().merges
    assert (noted.profile, noted.because, [held.value for held in noted.identities]) == (
        phone,
        merge.body["because"],
        ["phone"],
    )


def test_two_users_on_one_browser_stay_two_and_the_browser_goes_to_the_last_one():
    world = World()
    world.take(track("View", NOON, anon="shared"), track("View", NOON + 1, user="bo", anon="shared"))
    world.take(track("View", NOON + 2, user=None, anon="shared"))
    assert world.id_of("shared", "anonymous") == world.id_of("bo") != world.id_of("ana")
    assert names(world) == {("user", "ana")}
    assert names(world, "bo") == {("user", "bo"), ("anonymous", "shared")}


def test_an_email_of_two_users_stays_with_the_first():
    world = World()
    world.take(identify(NOON, email="us@example.com"), identify(NOON + 1, user="bo", email="us@example.com"))
    assert world.id_of("us@example.com", "email") == world.id_of("ana")
    assert world.who("bo").trait("email") == "us@example.com"


def test_an_email_joins_a_visitor_to_the_user_who_has_it_however_it_is_written():
    world = World()
    world.take(
        identify(NOON, email="Ana@Example.com "), identify(NOON + 1, user=None, anon="x", email="ana@example.COM")
    )
    assert names(world) == {("user", "ana"), ("anonymous", "x"), ("email", "ana@example.com")}


def test_what_is_no_email_names_nobody():
    for email in ("nobody", 7, None, "", ["a@b.example"]):
        assert claims_of(identify(NOON, email=email)) == [Claim("user", "ana")]


def test_an_email_in_a_track_call_names_nobody():
    world = World()
    world.take(track("View", NOON, traits={"email": "a@b.example"}))
    assert names(world) == {("user", "ana")}


def test_alias_joins_two_users():
    world = World()
    world.take(track("View", NOON, user="old"), track("View", NOON + 1, user="new"))
    world.take(alias(NOON + 2, "new", "old"))
    assert world.id_of("old") == world.id_of("new")
    assert names(world, "new") == {("user", "new"), ("user", "old")}
    assert world.moments("merge")[0].body["because"] == "alias"


def test_alias_of_a_name_that_was_never_seen_waits_for_its_late_events():
    world = World()
    world.take(alias(NOON, "ana", "device"), track("View", NOON + 1, user=None, anon="device"))
    assert len(world.memory.profiles) == 1


def test_alias_of_oneself_changes_nothing():
    world = World()
    world.take(track("View", NOON))
    before = world.id_of("ana")
    world.take(alias(NOON + 1, "ana", "ana"))
    assert (world.id_of("ana"), names(world)) == (before, {("user", "ana")})
    assert previous_claims(alias(NOON, "a", "b")) == [Claim("user", "b"), Claim("anonymous", "b")]


def test_a_merge_unites_what_they_did_and_the_newest_trait_wins():
    world = World(
        "segments: [{name: fans, when: count(View) >= 3}, {name: big, when: 'sum(Order.total, \"30d\") > 100'}]"
    )
    world.take(
        identify(NOON, user=None, anon="x", city="Köln", plan="free"),
        track("View", NOON + 1, user=None, anon="x"),
        track("Order", NOON + 2, user=None, anon="x", properties={"total": 60}),
        identify(NOON + 3, city="Bonn"),
        identify(NOON + 4, user=None, anon="x", plan="paid"),
        track("View", NOON + 5),
        track("Order", NOON + 6, properties={"total": 70}),
    )
    assert world.segments() == []
    world.take(track("View", NOON + 7, anon="x"))
    assert world.segments() == ["fans", "big"]
    assert {name: trait.value for name, trait in world.who().traits.items()} == {"city": "Bonn", "plan": "paid"}


def test_messages_that_wait_go_along_with_a_merge_in_the_same_batch_or_later():
    for together in (True, False):
        world = World(CART)
        first = identify(NOON, user=None, anon="x", email="x@example.com")
        events = [
            track("View", NOON),
            first,
            track("Cart", NOON, user=None, anon="x"),
            identify(NOON + MINUTE, anon="x"),
        ]
        if together:
            world.take(*events)
        else:
            for event in events:
                world.take(event)
        (send,) = world.sends
        assert (send.profile, send.status) == (world.id_of("ana"), "scheduled")
        world.wait_until(NOON + HOUR)
        assert world.told() == [("receipt", "due", "")]


def test_a_wait_that_came_with_a_merge_is_cancelled_by_what_the_person_does():
    world = World(CART)
    world.take(track("Cart", NOON, user=None, anon="x"), track("Order", NOON + 1, anon="x"), track("View", NOON + 2))
    assert world.told() == [("receipt", "skipped", "Order happened meanwhile")]


def test_messages_let_go_under_a_name_that_is_merged_belong_to_the_one_who_is_left():
    text = "{ruleset: all, rules: [{name: view, on: View, then: [{send: receipt}]}]}"
    for together in (True, False):
        world = World(text)
        hello = identify(NOON, user=None, anon="x", email="x@example.com")
        events = [track("Other", NOON), hello, track("View", NOON, user=None, anon="x"), identify(NOON + 1, anon="x")]
        for batch in [events] if together else [[event] for event in events]:
            world.take(*batch)
        assert [(due.profile, due.status) for due in world.sends] == [(world.id_of("ana"), "due")]


def test_an_event_about_a_former_profile_finds_the_one_that_took_it_in():
    world = World()
    world.take(track("View", NOON, user=None, anon="a"))
    first = world.id_of("a", "anonymous")
    world.take(track("View", NOON, user=None, anon="b"), alias(NOON + 1, "u1", "a"), alias(NOON + 2, "u2", "u1"))
    world.take(alias(NOON + 3, "u3", "u2"), feedback("Unsubscribed", NOON + 4, first, send_id="s"))
    assert not world.who("u3").consent[""].is_given
    assert first not in world.memory.profiles


def test_an_event_about_a_profile_that_is_gone_is_nobodys():
    world = World()
    outcome = world.take(feedback("Email Opened", NOON, "p00", send_id="s"))
    assert not outcome.profiles
    assert not world.memory.moments


def test_a_repeated_event_moves_no_name():
    """A shared browser: its old event, sent again, must not take the name back."""
    world = World()
    mine, theirs = track("View", NOON, anon="shared"), track("View", NOON + 1, user="bo", anon="shared")
    world.take(mine)
    world.take(theirs)
    outcome = world.take(mine, at=NOON + 2)
    assert outcome.repeats == 1
    assert world.id_of("shared", "anonymous") == world.id_of("bo")


def test_an_event_sent_again_after_its_name_changed_hands_is_still_a_repeat():
    world = World("segments: [{name: seen, when: count(View) >= 1}]")
    alone = track("View", NOON + 1, user=None, anon="shared")
    login = track("Login", NOON + 2, user="bo", anon="shared")
    world.take(track("Login", NOON, anon="shared"), alone, login)
    outcome = world.take(alone, login, at=NOON + 3)
    assert outcome.repeats == 2
    assert world.segments("bo") == []
    assert world.segments("ana") == ["seen"]


def test_a_person_has_only_so_many_names_and_gives_up_the_oldest_devices_first():
    world = World()
    world.take(identify(NOON, email="ana@example.com"))
    world.take(*(track("View", NOON + 1 + n, anon=f"d{n}") for n in range(IDENTITY_LIMIT + 10)))
    held = names(world)
    assert len(held) == IDENTITY_LIMIT
    assert {("user", "ana"), ("email", "ana@example.com"), ("anonymous", f"d{IDENTITY_LIMIT + 9}")} <= held
    assert Claim("anonymous", "d0") not in world.memory.owners
    # The name may come back: as somebody new, never as a profile that there is already.
    world.take(track("View", NOON + HOUR, user=None, anon="d0"))
    assert world.id_of("d0", "anonymous") != world.id_of("ana")
    assert len(names(world)) == IDENTITY_LIMIT


def test_no_number_of_emails_makes_a_profile_grow_without_end():
    world = World()
    world.take(*(identify(NOON + n, email=f"e{n}@example.com") for n in range(IDENTITY_LIMIT + 50)))
    assert len(names(world)) == IDENTITY_LIMIT
    assert ("user", "ana") in names(world)


def test_merging_keeps_to_the_limit_of_names():
    world = World()
    for user in ("u1", "u2"):
        world.take(*(track("View", NOON + n, user=user, anon=f"{user}-{n}") for n in range(IDENTITY_LIMIT - 1)))
    world.take(alias(NOON + HOUR, "u1", "u2"))
    assert len(names(world, "u1")) == IDENTITY_LIMIT
    assert {claim for claim, owner in world.memory.owners.items() if claim.kind != "profile"} == {
        Claim(*name) for name in names(world, "u1")
    }


def test_a_name_that_comes_back_after_it_was_given_up_never_gets_a_former_profiles_id():
    world = World()
    world.take(track("View", NOON, user=None, anon="d0"))
    first = world.id_of("d0", "anonymous")
    world.take(*(track("View", NOON + 1 + n, anon=f"d{n}") for n in range(IDENTITY_LIMIT + 1)))
    assert world.id_of("ana") == first
    world.take(track("View", NOON + HOUR, user=None, anon="d0"))
    assert world.id_of("d0", "anonymous") != first
    assert len(names(world)) == IDENTITY_LIMIT


def test_a_profiles_id_follows_from_its_first_event_alone():
    claim = Claim("user", "ana")
    assert new_profile(claim, 5, NOON).id == new_profile(claim, 5, NOON + 1).id
    ids = {new_profile(Claim(kind, "ana"), place, NOON).id for kind in ("user", "anonymous") for place in (1, 2)}
    assert len(ids) == 4


people = st.lists(
    st.tuples(
        st.sampled_from(("track", "identify", "alias")),
        st.sampled_from((None, "u1", "u2")),
        st.sampled_from(("a1", "a2", "a3")),
        st.sampled_from((None, "e1@example.com", "e2@example.com")),
    ),
    max_size=20,
)


@settings(max_examples=60)
@given(people)
def test_every_name_has_one_owner_who_knows_of_it(calls: list[tuple[str, str | None, str, str | None]]):
    world = World()
    for number, (call, user, anon, email) in enumerate(calls):
        at = NOON + number
        if call == "alias":
            world.take(alias(at, user or "u3", anon))
        elif call == "identify":
            world.take(identify(at, user=user, anon=anon, **({"email": email} if email else {})))
        else:
            world.take(track("View", at, user=user, anon=anon))
    held = {}
    for profile in world.memory.profiles.values():
        for identity in profile.identities:
            claim = Claim(identity.kind, identity.value)
            assert claim not in held, "two profiles hold one name"
            held[claim] = profile.id
    owners = {claim: owner for claim, owner in world.memory.owners.items() if claim.kind != "profile"}
    assert owners == held
    for former in {claim.value for claim in world.memory.owners if claim.kind == "profile"}:
        assert world.id_of(former, "profile") in world.memory.profiles
        assert former not in world.memory.profiles
    if not any(call == "alias" for call, *_ in calls):
        for profile in world.memory.profiles.values():
            assert sum(identity.kind == "user" for identity in profile.identities) <= 1
