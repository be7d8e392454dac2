"""What events say about consent, and what follows: by words alone, and through the engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.clock import DAY, HOUR
from triggerfish.consent import (
    CONFIRMED,
    LONGEST_PROOF,
    PURPOSE_LIMIT,
    SEGMENT_UPDATED,
    UPDATED,
    Consent,
    Purpose,
    digest_of,
    refusal,
    take,
    unite,
    words_in,
)
from triggerfish.decisions import refusal_of_list
from triggerfish.errors import Refused
from triggerfish.ingest import Event
from triggerfish.instructions import Allow, Suppress, Suppression, to_event
from triggerfish.profile import TROUBLE_LIMIT, Profile, fold, hear_consent, suppression_of
from triggerfish.suppressing import Line, csv_of, lines_of_csv, suppress_of
from worlds import NOON, World, feedback, identify, track

ANA = "ana@example.com"
PURPOSES = {
    "news": Purpose("news"),
    "tips": Purpose("tips", "opt_in"),
    "offers": Purpose("offers", "double_opt_in"),
    "ads": Purpose("ads", gpc=True, categories=("C0004", "Advertising")),
}


def said(at: int = NOON, kind: str = "consent", **properties) -> Event:
    return Event(kind, UPDATED, f"c{at}", at, user_id="ana", properties=properties)


def yes(at: int = NOON, **more) -> Consent:
    return Consent(True, at, "form", **more)


def no(at: int = NOON) -> Consent:
    return Consent(False, at, "link")


# --- may it be sent? --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "purpose", "reason"),
    [
        ({}, "news", ""),
        ({}, "undeclared", ""),
        ({}, "tips", "no consent to tips"),
        ({"tips": yes()}, "tips", ""),
        ({"tips": no()}, "tips", "opted out of tips (link)"),
        ({"": yes()}, "tips", "no consent to tips"),
        ({"": no()}, "news", "opted out of news (link)"),
        ({"": no(), "news": yes(NOON + 1)}, "news", ""),
        ({"": no(), "news": yes(NOON)}, "news", "opted out of news (link)"),
        ({"": no(), "news": yes(NOON - 1)}, "news", "opted out of news (link)"),
        ({"": yes(NOON + 1), "news": no()}, "news", "opted out of news (link)"),
        ({"": no()}, "", "opted out of marketing (link)"),
        ({"offers": yes()}, "offers", "consent to offers is not confirmed"),
        ({"offers": yes(is_confirmed=True)}, "offers", ""),
        ({"offers": yes(is_confirmed=True, address=digest_of(" ANA@example.com "))}, "offers", ""),
        (
            {"offers": yes(is_confirmed=True, address=digest_of("eve@example.com"))},
            "offers", "consent to offers was confirmed from another address",
        ),
    ],
)  # fmt: skip
def test_the_newest_word_by_name_decides_and_what_needs_consent_needs_it(known, purpose, reason):
    assert refusal(known, purpose, PURPOSES, ANA) == reason


WORDS = st.builds(
    Consent, is_given=st.booleans(), at=st.integers(0, 5), source=st.just("x"), is_confirmed=st.booleans()
)
RECORDS = st.dictionaries(st.sampled_from(["", *PURPOSES]), WORDS)


@given(RECORDS, st.sampled_from(sorted(PURPOSES)), WORDS)
def test_a_no_by_name_always_ends_it_and_a_confirmed_yes_always_begins_it(record, purpose, word):
    last = 6
    ended = {**record, purpose: Consent(False, last, "x")}
    assert refusal(ended, purpose, PURPOSES, ANA)
    begun = {**record, purpose: Consent(True, last, "x", is_confirmed=True)}
    assert refusal(begun, purpose, PURPOSES, ANA) == ""
    assert refusal({**begun, "": Consent(False, last + 1, "x")}, purpose, PURPOSES, ANA)


@given(st.permutations(range(4)), st.lists(st.booleans(), min_size=4, max_size=4))
def test_in_whatever_order_words_come_the_newest_stands(order, given_):
    record: dict[str, Consent] = {}
    for place in order:
        take(record, {"news": Consent(given_[place], place, "x")}, PURPOSES)
    assert (record["news"].at, record["news"].is_given) == (3, given_[3])


# --- what events say --------------------------------------------------------------------------------------------------


def test_a_call_says_what_was_chosen_with_its_proof():
    event = said(
        purposes={"news": True, "ads": False, "odd": "yes", "x" * 65: True}, text="t" * 5_000, how="form", ip="::1"
    )
    words = words_in(event, PURPOSES, {})
    assert sorted(words) == ["ads", "news"]
    assert words["news"] == yes(text="t" * LONGEST_PROOF, ip="::1", message_id=event.message_id)
    assert not words["ads"].is_given


@pytest.mark.parametrize("purposes", [None, [], "news", 3, {}, {"news": 1}])
def test_a_call_that_says_nothing_sensible_says_nothing(purposes):
    assert words_in(said(purposes=purposes), PURPOSES, {}) == {}


def test_no_write_key_confirms():
    """Only our own links and who runs the server do; a track call may say `confirmed` as often as it likes."""
    assert not words_in(said(kind="track", purposes={"offers": True}, confirmed=True), PURPOSES, {})[
        "offers"
    ].is_confirmed
    assert words_in(said(purposes={"offers": True}, confirmed=True), PURPOSES, {})["offers"].is_confirmed
    assert words_in(track(CONFIRMED, NOON, properties={"purpose": "offers"}), PURPOSES, {}) == {}
    assert words_in(feedback(CONFIRMED, NOON, "p", purpose="offers"), PURPOSES, {})["offers"].is_confirmed


def banner(event="page", at=NOON, **categories) -> Event:
    return track(event, at, context={"consent": {"categoryPreferences": categories}})


def test_a_banner_s_state_is_a_first_word_or_a_no_and_its_choice_counts():
    assert words_in(banner(C0004=True), PURPOSES, {})["ads"].is_given
    assert words_in(banner(C0004=True, Advertising=False), PURPOSES, {})["ads"].is_given is False
    assert words_in(banner(C0004=True, Other=True), PURPOSES, {"ads": no()}) == {}, "a state lifts no no"
    assert words_in(banner(C0004=True), PURPOSES, {"ads": yes()}) == {}
    assert words_in(banner(C0004=False), PURPOSES, {"ads": yes()})["ads"].is_given is False
    assert words_in(banner(SEGMENT_UPDATED, C0004=True), PURPOSES, {"ads": no()})["ads"].is_given
    for nonsense in ({"consent": 1}, {"consent": {"categoryPreferences": []}}, {"consent": {}}):
        assert words_in(track("page", NOON, context=nonsense), PURPOSES, {}) == {}


def test_a_privacy_signal_is_a_no_to_what_it_is_meant_for_unless_there_is_a_word_by_name():
    event = track("page", NOON, context={"gpc": True})
    assert list(words_in(event, PURPOSES, {})) == ["ads"]
    assert words_in(event, PURPOSES, {"ads": yes()}) == {}
    assert words_in(track("page", NOON, context={"gpc": "1"}), PURPOSES, {}) == {}


def test_who_confirmed_once_need_not_do_so_again_until_they_object():
    record: dict[str, Consent] = {}
    assert take(record, {"offers": yes(1)}, PURPOSES) == [("requested", "offers")]
    assert take(record, {"offers": yes(2)}, PURPOSES) == [("requested", "offers")], "asked again: another mail may go"
    assert take(record, {"offers": yes(3, is_confirmed=True, address="d")}, PURPOSES) == [("given", "offers")]
    assert take(record, {"offers": yes(4, text="once more")}, PURPOSES) == []
    assert (record["offers"].is_confirmed, record["offers"].address, record["offers"].text) == (True, "d", "once more")
    assert take(record, {"offers": no(5)}, PURPOSES) == [("withdrawn", "offers")]
    assert take(record, {"offers": no(6)}, PURPOSES) == []
    assert take(record, {"offers": yes(7)}, PURPOSES) == [("requested", "offers")]


def test_what_the_mailbox_said_no_to_only_the_mailbox_or_who_runs_the_server_lifts():
    """A write key stands in web pages: who knows an address could undo somebody's opt-out with it."""
    record: dict[str, Consent] = {}
    unsubscribed = words_in(feedback("Unsubscribed", 1, "p", purpose="news"), PURPOSES, {})
    assert take(record, unsubscribed, PURPOSES) == [("withdrawn", "news")]
    assert take(record, {"news": yes(2)}, PURPOSES) == [("requested", "news")], "a rule may ask the mailbox"
    assert refusal(record, "news", PURPOSES, ANA) == "opted out of news (unsubscribe link)"
    assert take(record, {"news": no(3)}, PURPOSES) == []
    assert take(record, {"news": yes(4)}, PURPOSES) == [("requested", "news")], "also when a stranger said no before"
    assert refusal(record, "news", PURPOSES, ANA) == "opted out of news (link)"
    assert take(record, {"news": yes(5, is_confirmed=True)}, PURPOSES) == [("given", "news")]
    assert refusal(record, "news", PURPOSES, ANA) == ""


def test_a_no_to_everything_from_the_mailbox_is_lifted_by_a_confirmed_yes_by_name_only():
    record = {"offers": yes(1, is_confirmed=True)}
    take(record, words_in(feedback("Email Marked as Spam", 2, "p"), PURPOSES, {}), PURPOSES)
    assert take(record, {"news": yes(3)}, PURPOSES) == [("requested", "news")]
    assert take(record, {"offers": yes(3)}, PURPOSES) == [("requested", "offers")], "what was confirmed was before"
    assert all(refusal(record, each, PURPOSES, ANA) for each in ("news", "offers"))
    assert take(record, {"news": yes(4, is_confirmed=True)}, PURPOSES) == [("given", "news")]
    assert refusal(record, "news", PURPOSES, ANA) == ""


@given(st.permutations(["link", "stranger says yes", "stranger says no", "stranger says yes to another profile"]))
def test_in_whatever_order_words_come_and_people_merge_an_opt_out_by_link_holds(order: list[str]):
    ana, shadow = Profile("a", NOON, NOON), Profile("b", NOON, NOON)
    for place, what in enumerate(order):
        at = NOON + place
        if what == "link":
            take(ana.consent, {"news": Consent(False, at, "unsubscribe link", is_confirmed=True)}, PURPOSES)
        elif what == "stranger says yes to another profile":
            take(shadow.consent, {"news": yes(at)}, PURPOSES)
        else:
            take(ana.consent, {"news": yes(at) if "yes" in what else no(at)}, PURPOSES)
    for one, other in ((ana, shadow), (shadow, ana)):
        into = one.copy()
        unite(into.consent, other.consent)
        assert refusal(into.consent, "news", PURPOSES, ANA)


def test_an_opt_out_by_link_that_comes_late_still_holds_against_a_newer_yes_that_nobody_confirmed():
    late = Consent(False, 3, "unsubscribe link", is_confirmed=True)
    assert take({"news": yes(5)}, {"news": late}, PURPOSES) == [("withdrawn", "news")]
    assert take({"news": yes(5, is_confirmed=True)}, {"news": late}, PURPOSES) == []


def test_people_who_merge_again_and_again_do_not_grow_and_no_confirmed_word_goes():
    record: dict[str, Consent] = {"news": Consent(False, 0, "unsubscribe link", is_confirmed=True)}
    for crowd in range(5):
        unite(record, {f"p{crowd}.{number}": yes(1 + crowd) for number in range(PURPOSE_LIMIT)})
    assert len(record) == 2 * PURPOSE_LIMIT
    assert not record["news"].is_given
    assert "p4.0" in record
    assert "p0.0" not in record


def test_a_record_is_bounded():
    record: dict[str, Consent] = {}
    take(record, {f"p{number}": yes() for number in range(PURPOSE_LIMIT + 5)}, {})
    assert len(record) == PURPOSE_LIMIT


def test_made_up_purposes_keep_no_opt_out_from_being_taken():
    profile = Profile(id="p", created_at=0, updated_at=0)
    for number in range(3):
        hear_consent(profile, said(number, purposes={f"junk {number} {each}": True for each in range(90)}), PURPOSES)
    assert len(profile.consent) == PURPOSE_LIMIT
    hear_consent(profile, said(5, purposes={"news": False}), PURPOSES)
    hear_consent(profile, feedback("Unsubscribed", 6, "p", purpose="of no file any more"), PURPOSES)
    hear_consent(profile, feedback("Email Marked as Spam", 7, "p"), PURPOSES)
    assert [not profile.consent[each].is_given for each in ("news", "of no file any more", "")] == [True] * 3
    assert refusal(profile.consent, "news", PURPOSES, ANA) == "opted out of news (API)"


# --- through the engine -----------------------------------------------------------------------------------------------

RULES = """
purposes: {news: News, offers: {consent: double_opt_in}}
ruleset: r
mode: all
rules:
  - {name: offer, on: View, purpose: offers, then: [{send: offer}]}
  - {name: ask, on: consent.requested, when: event.purpose == "offers", class: transactional, then: [{send: receipt}]}
  - {name: thanks, on: consent.given, when: event.purpose == "offers", then: [{send: news}]}
  - {name: sorry, on: consent.withdrawn, when: event.source == "complaint", then: [{set: {left: true}}]}
"""


def lived(**traits) -> World:
    world = World(RULES)
    world.take(identify(NOON - HOUR, email=ANA, **traits))
    return world


def test_rules_hear_of_consent_asked_for_given_and_withdrawn():
    world = lived()
    world.take(said(NOON, purposes={"offers": True}))
    world.take(track("View", NOON + 1))
    world.take(feedback(CONFIRMED, NOON + 2, world.id_of("ana"), purpose="offers", send_id="s"))
    world.take(track("View", NOON + 3))
    assert world.told() == [
        ("receipt", "due", ""), ("offer", "skipped", "consent to offers is not confirmed"), ("news", "due", ""),
        ("offer", "due", ""),
    ]  # fmt: skip
    world.take(feedback("Email Marked as Spam", NOON + 4, world.id_of("ana"), send_id="s"))
    assert world.who().trait("left") is True


def test_a_consent_with_an_address_is_of_whoever_has_it():
    world = lived()
    world.take(
        Event(
            "consent", UPDATED, "c", NOON, traits={"email": "ANA@example.com"}, properties={"purposes": {"news": False}}
        )
    )
    assert not world.who().consent["news"].is_given
    assert world.id_of(ANA, "email") == world.id_of("ana")


def test_a_merged_person_keeps_the_newest_words_and_all_troubles():
    world = lived()
    world.take(track("View", NOON, user=None, anon="b"))
    world.take(Event("consent", UPDATED, "c1", NOON + 1, anonymous_id="b", properties={"purposes": {"news": False}}))
    world.take(said(NOON, purposes={"news": True, "offers": True}))
    world.take(
        feedback("Email Bounced", NOON, world.id_of("b", "anonymous"), is_permanent=True, recipient="old@example.com")
    )
    world.take(identify(NOON + 2, anon="b"))
    ana = world.who()
    assert (ana.consent["news"].is_given, ana.consent["offers"].is_given) == (False, True)
    assert ana.troubles == {"old@example.com": "hard bounce"}


# --- suppression ------------------------------------------------------------------------------------------------------


def bounced(at: int, world: World, name: str = "Email Bounced", **more) -> Event:
    return feedback(name, at, world.id_of("ana"), send_id="s", **{"is_permanent": True, **more})


def test_a_bounce_is_of_the_address_that_it_went_to():
    world = lived()
    outcome = world.take(bounced(NOON, world, recipient="Old@Example.com", detail="gone"))
    (given,) = outcome.instructions
    assert given.instruction == Suppress("old@example.com", reason="hard bounce", note="gone")
    assert suppression_of(world.who()) == ""
    world.take(bounced(NOON + 1, world, is_permanent=False), track("View", NOON + 1))
    assert suppression_of(world.who()) == ""
    world.take(bounced(NOON + 2, world))
    assert suppression_of(world.who()) == "hard bounce"
    world.take(identify(NOON + 3, email="new@example.com"))
    assert suppression_of(world.who()) == ""
    world.take(identify(NOON + 4, email="OLD@example.com "))
    assert suppression_of(world.who()) == "hard bounce"
    assert [line.address for lines in world.store.suppressed([ANA, "old@example.com"]).values() for line in lines] == [
        ANA, "old@example.com",
    ]  # fmt: skip


def test_a_complaint_after_a_bounce_makes_it_no_better():
    world = lived()
    world.take(bounced(NOON, world), bounced(NOON + 1, world, "Email Marked as Spam"))
    assert suppression_of(world.who()) == "hard bounce"
    assert [line.reason for line in world.store.suppressed([ANA])[ANA]] == ["hard bounce"]


def test_to_take_an_address_off_the_list_frees_its_owner_and_is_in_their_timeline():
    world = lived()
    world.take(bounced(NOON, world))
    world.take(to_event(Allow(ANA), by="admin key", at=NOON + 1, nonce="n"))
    assert suppression_of(world.who()) == ""
    assert world.store.suppressed([ANA]) == {}
    assert world.moments("event")[-1].body == {"event": "allow"}
    world.take(to_event(Allow("@example.com"), by="admin key", at=NOON + 2, nonce="m"))


def test_troubles_are_bounded():
    profile = Profile("p", NOON, NOON)
    for number in range(TROUBLE_LIMIT + 3):
        event = feedback("Email Bounced", NOON, "p", is_permanent=True, recipient=f"a{number}@example.com")
        fold(profile, event, [], NOON)
    assert len(profile.troubles) == TROUBLE_LIMIT


def line(reason: str, address: str = ANA, purpose: str = "", at: int = NOON) -> Suppression:
    return Suppression(address, purpose, reason, "", "", at)


@pytest.mark.parametrize(
    ("lines", "class_", "reason"),
    [
        ([line("hard bounce")], "transactional", "suppressed: hard bounce"),
        ([line("complaint"), line("manual")], "transactional", ""),
        ([line("complaint")], "marketing", "suppressed: complaint"),
        ([line("manual", "@example.com")], "marketing", "suppressed: manual (@example.com)"),
        ([line("manual", purpose="tips")], "marketing", ""),
        ([line("manual", purpose="news")], "marketing", "suppressed: manual"),
        ([line("unsubscribe", at=NOON - DAY)], "marketing", ""),
        ([line("unsubscribe", at=NOON + DAY)], "marketing", "suppressed: unsubscribe"),
        ([line("manual", at=NOON - DAY)], "marketing", "suppressed: manual"),
        ([], "marketing", ""),
    ],
)
def test_the_list_stops_what_it_says_and_a_later_yes_lifts_an_unsubscribe_alone(lines, class_, reason):
    profile = Profile("p", NOON, NOON, consent={"news": yes()})
    assert refusal_of_list(lines, profile, class_, "news") == reason


def test_words_are_heard_once_and_forgotten_by_nobody():
    profile = Profile("p", NOON, NOON)
    assert hear_consent(profile, said(purposes={"news": False}), PURPOSES) == [("withdrawn", "news")]
    assert profile.copy().consent == profile.consent


# --- lines as people give them ----------------------------------------------------------------------------------------


def test_the_lists_of_providers_can_be_read():
    text = '\ufeffEmail,Type,Created\r\n"ana@example.com",spam_complaint,2026\r\n\r\nbo@example.com,HardBounce,\r\n'
    assert [suppress_of(each, 0) for each in lines_of_csv(text.removeprefix("\ufeff"))] == [
        Suppress(ANA, reason="complaint"), Suppress("bo@example.com", reason="hard bounce"),
    ]  # fmt: skip
    assert lines_of_csv("ana@example.com\n@example.org\n") == [Line(ANA), Line("@example.org")]
    assert lines_of_csv("\n") == []
    for broken in ("name,age\nx,1\n", 'email\n"open'):
        with pytest.raises(Refused) as refused:
            lines_of_csv(broken)
        assert refused.value.code == "TF684"


def test_a_list_that_is_written_can_be_read_again():
    rows = [
        ["ana@example.com", "news", "manual", "=1+1", "admin key", "2026"],
        ["@example.org", "", "complaint", "", "", ""],
    ]
    written = csv_of(rows)
    assert "'=1+1" in written, "a table program would work it out"
    assert [suppress_of(each, 0) for each in lines_of_csv(written)] == [
        Suppress(ANA, "news", "manual", "'=1+1"), Suppress("@example.org", reason="complaint"),
    ]  # fmt: skip
