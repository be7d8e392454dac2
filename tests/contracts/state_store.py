"""What every StateStore must do. Each adapter's tests run this over a store of its own."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from triggerfish.blast import Alarm, Alarmed, Traffic
from triggerfish.clock import DAY, HOUR, MINUTE
from triggerfish.engine import Membership, Moment, Outcome, StateStore, Withdrawal
from triggerfish.instructions import Allow, Given, Held, Hold, Release, Resolve, Suppress, Suppression
from triggerfish.people import Loaded
from triggerfish.profile import Claim, Identity, Profile, Sent, Trait, Wait
from triggerfish.schedule import Due, Merged
from worlds import NOON, World, follow, identify, rulebook, state_of, track

ANA, BO = Claim("user", "ana"), Claim("user", "bo")


def profile(name: str, *, wake_at: int | None = None, **more) -> Profile:
    return Profile(name, NOON, NOON, [Identity("user", name, NOON)], recheck_at=wake_at, **more)


def outcome(*profiles: Profile, **more) -> Outcome:
    given = {"merged": {}, "owners": {}, "memberships": [], "sends": [], "moments": []} | more
    return Outcome(profiles={each.id: each for each in profiles}, **given)


def send(name: str, status: str = "due", *, due_at: int = NOON, **more) -> Due:
    return Due(
        id=name, profile="ana", ruleset="set", rule="rule", template="hello", status=status, due_at=due_at, **more
    )


class StateStoreContract:
    """Subclasses give a fixture `store`: an empty StateStore."""

    def test_an_empty_store_is_before_the_first_position(self, store: StateStore):
        assert store.position() == (0, 0)
        assert store.load([ANA], ["ana"]) == Loaded({}, {})
        assert store.agenda(NOON, 10) == []
        assert store.to_send(NOON, 10) == []
        assert store.in_flight() == []
        assert (store.next_due(), store.next_send()) == (None, None)

    def test_a_committed_profile_is_loaded_by_name_and_by_id(self, store: StateStore):
        trigger = track("View", NOON, properties={"total": 12.5, "tags": ["a", None]})
        ana = profile(
            "ana", traits={"city": Trait("Köln", NOON)}, waits=[Wait(NOON, "set", "rule", trigger, {"1": "s"})]
        )
        store.commit(outcome(ana, profile("bo"), owners={ANA: "ana", BO: "bo"}), 7, NOON)
        assert store.position() == (7, NOON)
        assert store.load([ANA], []) == Loaded({"ana": ana}, {ANA: "ana"})
        assert store.load([], ["ana"]) == Loaded({"ana": ana}, {})
        assert store.load([ANA, BO, Claim("user", "nobody")], ["ana", "nobody"]).profiles.keys() == {"ana", "bo"}

    def test_what_everybody_s_opens_weigh_by_hour_adds_up(self, store: StateStore):
        assert store.load([], []).hours == ()
        store.commit(outcome(profile("ana"), hours={9: 500, 23: 1_000}), 1, NOON)
        store.commit(outcome(hours={9: 250}), 2, NOON)
        expected = [0] * 24
        expected[9], expected[23] = 750, 1_000
        assert list(store.load([], []).hours) == expected

    def test_many_profiles_are_loaded_at_once(self, store: StateStore):
        people = [profile(f"p{number}") for number in range(1_300)]
        owners = {Claim("user", each.id): each.id for each in people}
        store.commit(outcome(*people, owners=owners), 1, NOON)
        loaded = store.load(list(owners), [])
        assert loaded.owners == owners
        assert loaded.profiles == {each.id: each for each in people}

    def test_a_name_that_changes_hands_has_its_new_owner_and_one_given_up_has_none(self, store: StateStore):
        store.commit(outcome(profile("ana"), profile("bo"), owners={ANA: "ana", BO: "bo"}), 1, NOON)
        store.commit(outcome(owners={ANA: "bo", BO: None}), 2, NOON)
        assert store.load([ANA, BO], []).owners == {ANA: "bo"}

    def test_the_agenda_gives_what_is_due_the_earliest_first(self, store: StateStore):
        people = [profile("c", wake_at=NOON + 3), profile("a", wake_at=NOON + 1), profile("b", wake_at=NOON + 2)]
        store.commit(outcome(*people, profile("never")), 1, NOON)
        assert store.next_due() == NOON + 1
        assert store.agenda(NOON + 2, 10) == [(NOON + 1, "a"), (NOON + 2, "b")]
        assert store.agenda(NOON + 9, 1) == [(NOON + 1, "a")]
        assert store.agenda(NOON, 10) == []

    def test_the_agenda_follows_the_profile(self, store: StateStore):
        store.commit(outcome(profile("a", wake_at=NOON + 1)), 1, NOON)
        store.commit(outcome(profile("a", wake_at=NOON + 5)), 2, NOON)
        assert store.agenda(NOON + 1, 10) == []
        assert store.next_due() == NOON + 5
        store.commit(outcome(profile("a", wake_at=NOON - 5)), 3, NOON)
        assert store.agenda(NOON, 10) == [(NOON - 5, "a")]
        store.commit(outcome(profile("a")), 4, NOON)
        assert (store.agenda(NOON + HOUR, 10), store.next_due()) == ([], None)

    def test_working_through_the_agenda_comes_to_an_end(self, store: StateStore):
        """No row stays behind: what is due is decided, and what it waits for next is later."""
        rules = rulebook("""
            segments:
              - {name: active, when: 'count(View, "15 minutes") >= 1'}
              - {name: idle, when: 'minutes_since(View) > 30'}
        """)
        world = World(store=store)
        world.rulebook = rules
        for number in range(20):
            world.take(track("View", NOON + number * MINUTE, user=f"u{number % 7}"))
        rounds = 0
        while store.agenda(NOON + 3 * HOUR, 3):
            at = store.agenda(NOON + 3 * HOUR, 3)[-1][0]
            follow(store, rules, [], at)
            rounds += 1
            assert rounds < 200, "a row of the agenda stays behind"
        assert world.segments("u1") == ["idle"]

    def test_the_instant_of_the_agenda_never_goes_back(self, store: StateStore):
        store.commit(outcome(), 1, NOON)
        store.commit(outcome(), 2, NOON - HOUR)
        assert store.position() == (2, NOON)

    def test_a_merged_profile_is_gone_and_its_name_leads_to_the_one_that_took_it_in(self, store: StateStore):
        bo = profile("bo", wake_at=NOON, memberships={"active": NOON})
        member = Membership("active", "bo", NOON)
        store.commit(outcome(profile("ana"), bo, owners={ANA: "ana", BO: "bo"}, memberships=[member]), 1, NOON)
        former = Claim("profile", "bo")
        store.commit(outcome(profile("ana"), merged={"bo": "ana"}, owners={BO: "ana", former: "ana"}), 2, NOON)
        loaded = store.load([BO, former], ["bo"])
        assert loaded.owners == {BO: "ana", former: "ana"}
        assert loaded.profiles.keys() == {"ana"}
        assert store.agenda(NOON, 10) == []

    def test_the_name_of_a_profile_merged_long_ago_leads_through_all_merges(self, store: StateStore):
        store.commit(outcome(profile("a"), profile("b"), profile("c")), 1, NOON)
        store.commit(outcome(profile("b"), merged={"a": "b"}, owners={Claim("profile", "a"): "b"}), 2, NOON)
        store.commit(outcome(profile("c"), merged={"b": "c"}, owners={Claim("profile", "b"): "c"}), 3, NOON)
        loaded = store.load([Claim("profile", "a")], [])
        assert loaded.owners == {Claim("profile", "a"): "c"}
        assert loaded.profiles.keys() == {"c"}

    def test_a_living_profiles_id_is_a_name_too(self, store: StateStore):
        store.commit(outcome(profile("ana")), 1, NOON)
        assert store.load([Claim("profile", "ana")], []).profiles.keys() == {"ana"}

    def test_messages_on_their_way_go_along_with_a_merge_and_finished_ones_stay(self, store: StateStore):
        names = ("scheduled", "due", "retrying", "sending", "sent", "failed", "skipped", "uncertain")
        first = [replace(send(name, "due"), profile="bo") for name in names if name != "scheduled"]
        waiting = replace(send("scheduled", "scheduled"), profile="bo")
        store.commit(outcome(profile("ana"), profile("bo"), sends=[*first, waiting]), 1, NOON)
        store.mark([replace(due, status=due.id) for due in first], [])
        store.commit(outcome(profile("ana"), merged={"bo": "ana"}), 2, NOON)
        owner = {due.id: due.profile for due in (*store.to_send(NOON, 10), *store.in_flight())}
        assert owner == {"due": "ana", "retrying": "ana", "sending": "ana"}
        store.commit(outcome(sends=[replace(waiting, profile="ana", status="due")]), 3, NOON)
        assert {due.id: due.profile for due in store.to_send(NOON, 10)}["scheduled"] == "ana"

    def test_due_and_retrying_messages_come_out_when_their_time_has_come(self, store: StateStore):
        trigger = track("View", NOON, properties={"total": 3})
        later = send("later", due_at=NOON + 5, trigger=trigger, channel="outbox", purpose="news")
        store.commit(outcome(sends=[later, send("now", due_at=NOON), send("waits", "scheduled")]), 1, NOON)
        assert store.next_send() == NOON
        assert [due.id for due in store.to_send(NOON, 10)] == ["now"]
        assert [due.id for due in store.to_send(NOON + 5, 10)] == ["now", "later"]
        assert [due.id for due in store.to_send(NOON + 5, 1)] == ["now"]
        assert store.to_send(NOON + 5, 10)[1] == later
        store.mark([replace(later, status="retrying", due_at=NOON + HOUR, attempt=1)], [])
        assert [due.id for due in store.to_send(NOON + 5, 10)] == ["now"]
        retry = store.to_send(NOON + HOUR, 10)[1]
        assert (retry.id, retry.status, retry.attempt, retry.trigger) == ("later", "retrying", 1, trigger)

    def test_messages_handed_over_are_in_flight_until_they_are_marked(self, store: StateStore):
        store.commit(outcome(sends=[send("one"), send("two")]), 1, NOON)
        one, two = store.to_send(NOON, 10)
        store.mark([replace(one, status="sending", channel="outbox", attempt=1)], [])
        assert [(due.id, due.channel, due.attempt) for due in store.in_flight()] == [("one", "outbox", 1)]
        assert store.to_send(NOON, 10) == [two]
        store.mark([replace(one, status="sent", sent_at=NOON)], [])
        assert store.in_flight() == []
        assert store.next_send() == NOON

    def test_what_comes_out_may_be_changed_without_changing_the_store(self, store: StateStore):
        store.commit(outcome(sends=[send("one")]), 1, NOON)
        store.to_send(NOON, 10)[0].status = "sent"
        assert [due.status for due in store.to_send(NOON, 10)] == ["due"]

    def test_a_message_that_is_not_there_stays_away(self, store: StateStore):
        store.mark([send("erased", "retrying")], [])
        assert store.to_send(NOON, 10) == []

    @pytest.mark.parametrize("status", ["due", "sending", "sent", "retrying", "failed", "skipped", "uncertain"])
    def test_deciding_again_never_changes_a_message_that_is_due_or_further(self, store: StateStore, status: str):
        store.commit(outcome(sends=[send("one")]), 1, NOON)
        store.mark([replace(send("one"), status=status, reason="so it is")], [])
        store.commit(outcome(sends=[send("one", due_at=NOON + 1, reason="again")]), 2, NOON)
        store.commit(outcome(sends=[send("one", "skipped", reason="again")]), 3, NOON)
        open_now = {due.id: due.reason for due in (*store.to_send(NOON + 9, 9), *store.in_flight())}
        assert open_now == ({"one": "so it is"} if status in ("due", "retrying", "sending") else {})

    def test_a_scheduled_message_may_become_due_or_be_skipped(self, store: StateStore):
        waiting = [send("one", "scheduled"), send("two", "scheduled", channel="outbox", purpose="news")]
        store.commit(outcome(sends=waiting), 1, NOON)
        # A rule that is gone no longer says what it would have sent.
        store.commit(outcome(sends=[send("one"), replace(send("two"), template="", purpose="")]), 2, NOON)
        one, two = store.to_send(NOON, 10)
        assert (one.id, one.template) == ("one", "hello")
        assert (two.id, two.template, two.channel, two.purpose) == ("two", "hello", "outbox", "news")

    def test_attempts_are_counted_until_the_position_is_passed(self, store: StateStore):
        store.commit(outcome(), 4, NOON)
        assert [store.attempt(5), store.attempt(5), store.attempt(6)] == [1, 2, 1]
        store.commit(outcome(), 5, NOON)
        assert store.attempt(6) == 2
        store.commit(outcome(), 6, NOON)
        assert store.attempt(6) == 1

    def test_burying_an_event_goes_past_it(self, store: StateStore):
        store.commit(outcome(), 4, NOON)
        store.attempt(5)
        store.bury(5, "it killed the worker", NOON + 1)
        assert store.position() == (5, NOON)
        store.commit(outcome(profile("ana")), 6, NOON + 2)
        assert store.position() == (6, NOON + 2)

    def test_a_person_struck_from_the_agenda_is_left_alone_until_something_happens_to_them(self, store: StateStore):
        people = [profile("a", wake_at=NOON + 1), profile("b", wake_at=NOON + 2)]
        store.commit(outcome(*people), 4, NOON)
        assert [store.attempt(4), store.attempt(4)] == [1, 2]
        store.strike(Moment("a", NOON + 1, "decision", {"outcome": "stopped", "reason": "it cannot be decided"}))
        assert store.position() == (4, NOON)
        assert store.attempt(4) == 1, "the notes at this position are forgotten"
        assert store.agenda(NOON + HOUR, 10) == [(NOON + 2, "b")]
        assert store.next_due() == NOON + 2
        assert store.load([], ["a"]).profiles["a"].wake_at == NOON + 1, "what waits is still in the profile"
        store.commit(outcome(profile("a", wake_at=NOON + 3)), 5, NOON)
        assert store.agenda(NOON + HOUR, 10) == [(NOON + 2, "b"), (NOON + 3, "a")]

    @pytest.mark.parametrize("status", ["scheduled", "due", "retrying"])
    def test_a_message_that_no_channel_has_is_withdrawn_with_its_moment(self, store: StateStore, status: str):
        store.commit(outcome(profile("ana"), sends=[send("one"), send("other")]), 1, NOON)
        if status != "due":
            store.mark([send("one", status)], [])
        moment = Moment("ana", NOON + 1, "send", {"send": "one", "status": "skipped", "rule": "set / rule"})
        withdrawal = Withdrawal("one", "ana", "a purchase happened", NOON + 1, 0)
        store.commit(outcome(withdrawals=[withdrawal], moments=[moment]), 2, NOON + 1)
        assert [each.id for each in store.to_send(NOON + HOUR, 10)] == ["other"]

    @pytest.mark.parametrize("status", ["sending", "sent", "failed", "uncertain", "skipped"])
    def test_a_message_that_a_channel_has_or_had_is_not_withdrawn(self, store: StateStore, status: str):
        store.commit(outcome(profile("ana"), sends=[send("one")]), 1, NOON)
        store.mark([send("one", status, channel="outbox")], [])
        moment = Moment("ana", NOON + 1, "send", {"send": "one", "status": "skipped", "rule": "set / rule"})
        withdrawal = Withdrawal("one", "ana", "a purchase happened", NOON + 1, 0)
        store.commit(outcome(withdrawals=[withdrawal], moments=[moment]), 2, NOON + 1)
        assert [each.status for each in store.in_flight()] == (["sending"] if status == "sending" else [])
        store.mark([send("one", "retrying")], [])
        assert [each.reason for each in store.to_send(NOON + HOUR, 10)] == [""], "its row was left as it was"

    def test_a_call_keeps_its_name_and_values(self, store: StateStore):
        call = send("one", call="crm-note", data={"total": 12.5, "tags": ["a", None]})
        store.commit(outcome(profile("ana"), sends=[call]), 1, NOON)
        assert store.to_call("crm-note", NOON, 10) == [call]
        assert store.calls_due(NOON) == ["crm-note"]
        assert store.to_send(NOON, 10) == store.to_call("other", NOON, 10) == []
        assert store.next_send() == NOON
        store.mark([replace(call, status="sending")], [])
        assert store.calls_due(NOON) == []

    def test_owners_are_told_as_loading_tells_them(self, store: StateStore):
        first, second = profile("ana"), profile("bo")
        names = {Claim("user", "ana"): "ana", Claim("email", "a@x.example"): "ana", Claim("user", "bo"): "bo"}
        store.commit(outcome(first, second, owners=names), 1, NOON)
        asked = [*names, Claim("user", "nobody"), Claim("profile", "ana")]
        assert store.owners_of(asked) == store.load(asked, []).owners == names
        store.commit(outcome(second, merged={"ana": "bo"}, owners={Claim("profile", "ana"): "bo"}), 2, NOON)
        assert store.owners_of([Claim("profile", "ana")]) == {Claim("profile", "ana"): "bo"}

    def test_what_a_store_gave_is_never_changed_by_what_follows(self, store: StateStore):
        """The engine works on copies; the store keeps what it committed."""
        world = World(store=store)
        world.rulebook = rulebook("segments: [{name: active, when: 'count(View, \"1h\") >= 1'}]")
        world.take(track("View", NOON), identify(NOON, email="ana@example.com", city="Köln"))
        loaded = world.who()
        before = repr(loaded)
        world.take(track("View", NOON + MINUTE), identify(NOON + MINUTE, city="Bonn"))
        assert repr(loaded) == before
        assert world.who().trait("city") == "Bonn"

    def test_a_store_of_any_kind_comes_to_the_same_state(self, store: StateStore):
        """A small life, with a merge, the same as in memory."""
        text = """
            segments: [{name: active, when: 'count(View, "1h") >= 1'}]
        """
        ours, memory = World(text, store=store), World(text)
        for world in (ours, memory):
            world.take(track("View", NOON, user=None, anon="x"), track("View", NOON + 1, user="ana"))
            world.take(identify(NOON + MINUTE, anon="x", email="Ana@Example.com"), track("View", NOON + MINUTE))
            world.take(track("View", NOON + 2 * MINUTE, user=None, anon="y"))
            world.take(identify(NOON + 3 * MINUTE, user=None, anon="y", email="ana@example.com"))
            world.wait_until(NOON + 5 * HOUR)
        claims = [Claim("user", "ana"), Claim("anonymous", "x"), Claim("anonymous", "y"), *memory.memory.owners]
        assert ours.store.load(claims, []) == memory.store.load(claims, [])
        assert ours.store.position() == memory.store.position()
        assert state_of(memory.memory)["profiles"].keys() == ours.store.load(claims, []).profiles.keys()

    def test_a_suppressed_address_is_found_in_any_case_and_so_is_its_domain(self, store: StateStore):
        told = [Given(Suppress("Ana@Example.com", note="asked by phone"), NOON, "admin key"),
                Given(Suppress("@example.com", "news"), NOON + 1, "page")]  # fmt: skip
        store.commit(outcome(instructions=told), 1, NOON)
        found = store.suppressed(["ana@EXAMPLE.com", "bo@example.com", "cy@example.org"])
        assert {address: {line.address for line in lines} for address, lines in found.items()} == {
            "ana@EXAMPLE.com": {"ana@example.com", "@example.com"},
            "bo@example.com": {"@example.com"},
        }
        assert (
            Suppression("ana@example.com", "", "manual", "asked by phone", "admin key", NOON)
            in found["ana@EXAMPLE.com"]
        )

    def test_an_address_that_is_allowed_again_is_off_the_list_for_that_purpose(self, store: StateStore):
        given = [Suppress("ana@example.com"), Suppress("ana@example.com", "news"), Allow("ANA@example.com")]
        store.commit(outcome(instructions=[Given(each, NOON) for each in given]), 1, NOON)
        assert [line.purpose for line in store.suppressed(["ana@example.com"])["ana@example.com"]] == ["news"]

    def test_a_hard_bounce_is_replaced_by_nothing_weaker(self, store: StateStore):
        given = [Suppress("a@example.com", reason="hard bounce"), Suppress("a@example.com", reason="complaint")]
        store.commit(outcome(instructions=[Given(each, NOON) for each in given]), 1, NOON)
        assert [line.reason for line in store.suppressed(["a@example.com"])["a@example.com"]] == ["hard bounce"]

    def test_rules_are_held_until_they_are_released(self, store: StateStore):
        held = [Hold("carts", "vip", "too many"), Hold("news"), Hold("carts", "vip", "again")]
        store.commit(outcome(instructions=[Given(each, NOON + at, "guard") for at, each in enumerate(held)]), 1, NOON)
        assert store.holds() == [
            Held("carts", "vip", "too many", "guard", NOON),
            Held("news", "", "", "guard", NOON + 1),
        ]
        store.commit(outcome(instructions=[Given(Release("carts", "vip"), NOON + 9)]), 2, NOON)
        assert store.holds() == [Held("news", "", "", "guard", NOON + 1)]

    @pytest.mark.parametrize(("said", "status"), [("sent", "sent"), ("failed", "failed"), ("again", "due")])
    def test_a_send_whose_outcome_is_uncertain_is_settled_by_hand(self, store: StateStore, said: str, status: str):
        store.commit(outcome(sends=[send("a", "uncertain"), send("b", "failed")]), 1, NOON)
        told = [Given(Resolve(each, said), NOON + 5, "admin key") for each in ("a", "b", "nobody")]
        store.commit(outcome(instructions=told), 2, NOON)
        due = store.to_send(NOON + 5, 9)
        assert [each.id for each in due] == (["a"] if status == "due" else [])
        store.commit(outcome(instructions=[Given(Resolve("a", "again"), NOON + 6)]), 3, NOON)
        assert store.to_send(NOON + 6, 9) == due

    def test_a_message_that_was_opened_is_uncertain_no_longer(self, store: StateStore):
        store.commit(outcome(sends=[send("a", "uncertain"), send("b", "uncertain")]), 1, NOON)
        opened = Moment("ana", NOON, "event", {"event": "Email Opened", "send": "a"}, 2)
        bounced = Moment("ana", NOON, "event", {"event": "Email Bounced", "send": "b"}, 2)
        store.commit(outcome(moments=[opened, bounced]), 2, NOON)
        given = [Given(Resolve(each, "again"), NOON + 6) for each in ("a", "b")]
        store.commit(outcome(instructions=given), 3, NOON)
        assert [each.id for each in store.to_send(NOON + 6, 9)] == ["b"]

    def test_of_two_messages_due_at_one_instant_the_one_with_the_higher_priority_is_first(self, store: StateStore):
        store.commit(outcome(sends=[send("a"), send("b", priority=5), send("c", due_at=NOON - 1)]), 1, NOON)
        assert [each.id for each in store.to_send(NOON, 9)] == ["c", "b", "a"]
        assert [each.id for each in store.to_send(NOON, 2)] == ["c", "b"]

    def test_what_became_part_of_a_message_is_kept_with_it(self, store: StateStore):
        also = [Merged("carts", "vip", "offer", {"total": 12.5})]
        store.commit(outcome(sends=[send("a", lane="smtp marketing gmail", also=also)]), 1, NOON)
        due = store.to_send(NOON, 1)[0]
        assert (due.lane, due.also) == ("smtp marketing gmail", also)
        due.address = "ana@example.com"
        store.mark([due], [])
        assert store.to_send(NOON, 1)[0].address == "ana@example.com"

    def test_messages_stand_in_lanes_and_come_out_of_those_asked_for(self, store: StateStore):
        sends = [
            send("a", lane="smtp marketing google", due_at=NOON + 1),
            send("b", lane="smtp marketing google", priority=3, due_at=NOON + 1),
            send("c", lane="smtp marketing other", due_at=NOON + 2),
            send("d", lane="smtp transactional other", due_at=NOON + HOUR),
            send("e", "scheduled", lane="smtp marketing yahoo"),
            send("f", call="crm-note", data={}),
        ]
        store.commit(outcome(sends=sends), 1, NOON)
        assert store.lanes() == {
            "smtp marketing google": NOON + 1,
            "smtp marketing other": NOON + 2,
            "smtp transactional other": NOON + HOUR,
        }
        assert [each.id for each in store.to_send(NOON + 5, 9)] == ["b", "a", "c"]
        assert [each.id for each in store.to_send(NOON + 5, 9, {"smtp marketing other": None})] == ["c"]
        both: dict[str, int | None] = {"smtp marketing google": 1, "smtp marketing other": None}
        assert [each.id for each in store.to_send(NOON + 5, 9, both)] == ["b", "c"]
        assert [each.id for each in store.to_send(NOON + 5, 1, both)] == ["b"]
        assert store.to_send(NOON + 5, 9, {"smtp marketing google": 0, "nobody": None}) == []
        assert (store.next_send(), store.next_call()) == (NOON, NOON)
        first = store.to_send(NOON + 5, 1)[0]
        store.mark([replace(first, lane="smtp marketing other")], [])
        assert [each.id for each in store.to_send(NOON + 5, 9, {"smtp marketing other": None})] == ["b", "c"]

    def test_what_was_handed_over_is_known_with_its_instant(self, store: StateStore):
        statuses = ("sending", "sent", "uncertain", "retrying", "failed", "skipped")
        first = [send(each, purpose="news") for each in statuses]
        store.commit(outcome(sends=first), 1, NOON)
        for number, due in enumerate(first):
            store.mark([replace(due, status=due.id, channel="smtp", handed_at=NOON + number)], [])
        handed = store.handed_over(["ana", "bo"], NOON - 1)
        assert handed["bo"] == []
        assert [(each.send, each.at) for each in handed["ana"]] == [
            ("sending", NOON), ("sent", NOON + 1), ("uncertain", NOON + 2)
        ]  # fmt: skip
        assert handed["ana"][0] == Sent(NOON, "set", "rule", True, "news", "smtp", "sending")
        assert [each.send for each in store.handed_over(["ana"], NOON + 1)["ana"]] == ["uncertain"]

    def test_what_is_handed_over_is_counted_by_channel_and_day_and_by_rule_and_hour(self, store: StateStore):
        store.commit(outcome(sends=[send(f"s{number}") for number in range(5)]), 1, NOON)
        for number in range(5):
            at = NOON - HOUR if number < 3 else NOON
            store.mark([replace(send(f"s{number}", "sending"), channel="smtp", handed_at=at)], [])
            store.mark([replace(send(f"s{number}", "sent"), channel="smtp", handed_at=at)], [])
        assert (store.handed_on("smtp", NOON // DAY), store.handed_on("smtp", NOON // DAY + 1)) == (5, 0)
        assert store.handed_on("outbox", NOON // DAY) == 0
        traffic = store.traffic("set", "rule", NOON)
        assert (traffic.this_hour, traffic.busiest, traffic.complaints, traffic.bounces) == (2, 3, (5, 0), (5, 0))
        assert store.traffic("set", "other", NOON) == Traffic()

    def test_complaints_and_bounces_are_counted_once_a_message(self, store: StateStore):
        store.commit(outcome(sends=[send("a"), send("b", class_="transactional")]), 1, NOON)
        store.mark([replace(send("a", "sending"), channel="smtp", handed_at=NOON)], [])
        told = [
            Moment("ana", NOON, "event", {"event": name, "send": id_}, 2)
            for id_ in ("a", "b", "nobody")
            for name in ("Email Marked as Spam", "Email Bounced", "Email Marked as Spam", "Email Opened")
        ]
        store.commit(outcome(moments=told), 2, NOON)
        traffic = store.traffic("set", "rule", NOON)
        assert (traffic.complaints, traffic.bounces) == ((1, 1), (1, 1))

    def test_an_alarm_holds_the_rule_and_rates_begin_anew_from_there(self, store: StateStore):
        store.commit(outcome(sends=[send("a"), send("b", due_at=NOON + HOUR)]), 1, NOON)
        store.mark([replace(send("a", "sending"), channel="smtp", handed_at=NOON)], [])
        held = Held("set", "rule", "too many", "guard", NOON + 5)
        store.alarm(held, Alarm("complaints", 7, "too many"))
        store.alarm(held, Alarm("complaints", 7, "too many"))
        assert store.holds() == [held]
        traffic = store.traffic("set", "rule", NOON + 6)
        assert traffic.alarms == {"complaints": Alarmed(7, NOON + 5)}
        assert (traffic.complaints, traffic.bounces) == ((0, 0), (1, 0))

    def test_what_waits_of_a_rule_within_an_hour_is_counted_up_to_a_number(self, store: StateStore):
        sends = [send(f"s{number}", due_at=NOON + number * 30 * MINUTE) for number in range(4)]
        store.commit(outcome(sends=[*sends, send("x", "scheduled"), send("call", call="crm")]), 1, NOON)
        assert store.waiting("set", "rule", NOON, 10) == 2
        assert store.waiting("set", "rule", NOON, 1) == 1
        assert store.waiting("set", "rule", NOON + 1, 10) == 2
        assert store.waiting("set", "other", NOON, 10) == 0

    def test_what_follows_from_an_answer_is_on_the_list_with_the_mark(self, store: StateStore):
        store.commit(outcome(sends=[send("a")]), 1, NOON)
        failed = replace(store.to_send(NOON, 1)[0], status="sending")
        store.mark([failed], [])
        failed.status = "failed"
        given = [Given(Suppress("ana@example.com", reason="hard bounce"), NOON, "smtp")]
        store.mark([failed], [Moment("ana", NOON, "send", {"send": "a", "status": "failed"})], given)
        assert store.suppressed(["ana@example.com"])["ana@example.com"][0].by == "smtp"
        assert store.in_flight() == []
