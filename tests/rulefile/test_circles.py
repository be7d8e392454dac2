"""Circles: events of people who may be one another stay together, and strangers' need not."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given

from histories import histories
from triggerfish.log import Entry
from triggerfish.people import Loaded, People
from triggerfish.profile import IDENTITY_LIMIT
from triggerfish.rulefile.circles import Circles
from worlds import NOON, alias, feedback, identify, track


def circles_of(*events) -> list[int]:
    circles = Circles()
    nodes = [circles.add(event, position) for position, event in enumerate(events, 1)]
    circles.close()
    return [circles.circle(node) for node in nodes]


def profile_of(*entries: Entry) -> str:
    """Whose event the last one is."""
    people = People(Loaded({}, {}))
    for entry in entries:
        person = people.who(entry.event, people.named(entry.event), entry.position, entry.received_at)
    return person.id


def test_strangers_have_circles_of_their_own():
    ana, bo, again = circles_of(track("View", 1), track("View", 2, user="bo"), track("View", 3))
    assert ana == again != bo


def test_a_shared_name_makes_one_circle_of_what_came_before_and_after():
    first, other, both, later = circles_of(
        track("View", 1, user=None, anon="a"), track("View", 2), track("View", 3, anon="a"), track("View", 4, anon="b")
    )
    assert first == other == both == later


def test_a_shared_address_and_an_alias_join_circles():
    one, other = circles_of(identify(1, email="x@example.com"), identify(2, user="bo", email=" X@example.com"))
    assert one == other
    old, new, joined = circles_of(track("View", 1, user=None, anon="a"), track("View", 2), alias(3, "ana", "a"))
    assert old == new == joined


def test_a_click_belongs_to_the_circle_of_its_profile():
    view = track("View", NOON)
    profile = profile_of(Entry(2, NOON, view))
    other, viewed, clicked, lost = circles_of(
        track("View", 1, user="bo"), view, feedback("Email Link Clicked", 3, profile),
        feedback("Email Link Clicked", 4, "p-of-nobody"),
    )  # fmt: skip
    assert viewed == clicked != other
    assert lost not in (viewed, other)


def test_a_profile_made_of_a_name_that_was_given_up_is_found_again():
    """With its 201st name a person gives up their first anonymousId; who comes by that later is somebody new."""
    entries = [
        Entry(place, NOON + place, track("View", NOON + place, anon=f"a{place}"))
        for place in range(1, IDENTITY_LIMIT + 3)
    ]
    again = Entry(len(entries) + 1, NOON + 999, track("View", NOON + 999, user=None, anon="a1"))
    made = profile_of(*entries, again)
    assert made != profile_of(*entries)
    events = [entry.event for entry in (*entries, again)]
    *_, last, clicked = circles_of(*events, feedback("Email Link Clicked", NOON + 1_000, made))
    assert last == clicked


@given(histories())
def test_events_of_one_profile_are_in_one_circle_whoever_merges(entries: Sequence[Entry]):
    circles, people = Circles(), People(Loaded({}, {}))
    nodes, owners = [], []
    for entry in entries:
        nodes.append(circles.add(entry.event, entry.position))
        owners.append(people.who(entry.event, people.named(entry.event), entry.position, entry.received_at).id)
    circles.close()
    circle_of: dict[str, int] = {}
    for node, owner in zip(nodes, owners, strict=True):
        now = people.merged.get(owner, owner)
        assert circle_of.setdefault(now, circles.circle(node)) == circles.circle(node)
