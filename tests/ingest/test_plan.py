"""Events that break what rules/events.yaml says of their properties are refused at the door."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.clock import WallClock
from triggerfish.errors import Refused
from triggerfish.ingest import Event
from triggerfish.plan import Checks, Field, LivePlan, Plan, PlannedEvent, Violation, looks_personal
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.walk import FrontDoor, receive

EVENTS = """
events:
  purchase:
    name: Order Completed
    properties: {total: number, coupon: text, gift: boolean, products: list, address: object}
  viewed: Product Viewed
"""


@pytest.fixture
def front() -> FrontDoor:
    rulebook, _ = load_rulebook({"rules/events.yaml": EVENTS}, templates={}, matcher=CompiledMatcher)
    return FrontDoor(
        log=MemoryEventLog(),
        clock=WallClock(),
        ring=lambda: None,
        write_keys=frozenset(),
        admin_key="",
        checks=LivePlan(lambda: rulebook.plan),
    )


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        ('{"total": "12.50"}', "properties.total"),
        ('{"total": true}', "properties.total"),
        ('{"coupon": 5}', "properties.coupon"),
        ('{"gift": 1}', "properties.gift"),
        ('{"products": {}}', "properties.products"),
        ('{"address": []}', "properties.address"),
    ],
)
async def test_a_property_of_another_type_is_refused_by_name(front: FrontDoor, properties: str, field: str) -> None:
    body = f'{{"userId": "ana", "event": "Order Completed", "properties": {properties}}}'.encode()
    with pytest.raises(Refused) as refused:
        await receive(front, body, "track", 1_000)
    assert (refused.value.code, refused.value.field) == ("TF117", field)
    assert front.log.head() == (0, 0)


async def test_a_batch_with_one_such_event_is_refused_whole_and_says_which(front: FrontDoor) -> None:
    good = '{"type": "track", "userId": "ana", "event": "Order Completed", "properties": {"total": 12}}'
    bad = good.replace("12", '"12"')
    with pytest.raises(Refused) as refused:
        await receive(front, f'{{"batch": [{good}, {bad}]}}'.encode(), "batch", 1_000)
    assert refused.value.field == "batch[1].properties.total"
    assert front.log.head() == (0, 0)


async def test_what_is_missing_null_or_not_spoken_of_may_be_anything(front: FrontDoor) -> None:
    body = b'{"userId": "ana", "event": "Order Completed", "properties": {"total": null, "note": [1]}}'
    assert await receive(front, body, "track", 1_000) == 1
    body = b'{"userId": "ana", "event": "Product Viewed", "properties": {"total": "12"}}'
    assert await receive(front, body, "track", 1_000) == 1


def test_nothing_expected_is_nothing_refused() -> None:
    sifted = Checks(Plan()).sift([], is_batch=True)
    assert (sifted.taken, sifted.refusal) == ([], None)


PLANNED = """
plan: {on_violation: quarantine, traits: warn, unknown_events: warn, unknown_properties: reject}
events:
  purchase:
    name: Order Completed
    properties:
      total: {type: number, required: true}
      currency: {type: text, allowed: [EUR, USD]}
      size: {allowed: [1, 2.5, XL, true]}
      tags: {type: list, allowed: [a, b]}
      phone: {type: text, allowed: [none], sensitivity: personal}
  viewed: Product Viewed
  seen:
    name: Seen
    on_violation: warn
    properties: {at: number}
traits:
  country: {type: text, required: true, allowed: [DE, FR]}
"""


def checks_of(text: str) -> Checks:
    rulebook, _ = load_rulebook({"rules/plan.yaml": text}, templates={}, matcher=CompiledMatcher)
    return Checks(rulebook.plan)


def event(
    name: str = "Order Completed", kind: str = "track", traits: dict[str, Any] | None = None, **more: Any
) -> Event:
    return Event(kind, name, "m1", 1_000, "ana", properties=more, traits=traits or {})  # type: ignore[arg-type]


def whats(found: Sequence[Violation]) -> list[tuple[str, str, str]]:
    return [(one.field, one.what, one.action) for one in found]


@pytest.mark.parametrize(
    ("properties", "found"),
    [
        ({"total": 1}, []),
        ({"total": 1.5, "currency": "EUR", "size": 2.5, "tags": ["a", "b"], "phone": None}, []),
        ({}, [("properties.total", "missing", "quarantine")]),
        ({"total": None}, [("properties.total", "missing", "quarantine")]),
        ({"total": True}, [("properties.total", "type", "quarantine")]),
        ({"total": 1, "currency": "GBP"}, [("properties.currency", "not allowed", "quarantine")]),
        ({"total": 1, "size": 1.0}, []),
        ({"total": 1, "size": "XL"}, []),
        ({"total": 1, "size": True}, []),
        ({"total": 1, "size": False}, [("properties.size", "not allowed", "quarantine")]),
        ({"total": 1, "size": ["XL"]}, [("properties.size", "type", "quarantine")]),
        ({"total": 1, "tags": ["a", "c"]}, [("properties.tags", "not allowed", "quarantine")]),
        ({"total": 1, "tags": [{"a": 1}]}, [("properties.tags", "not allowed", "quarantine")]),
        ({"total": 1, "extra": 1}, [("properties.extra", "unknown property", "reject")]),
    ],
)
def test_what_is_required_allowed_and_unknown_is_told_by_field(properties: dict[str, Any], found: list[Any]) -> None:
    assert whats(checks_of(PLANNED).look(event(**properties))) == found


def test_an_event_without_an_entry_is_unknown_and_one_with_a_short_name_is_not() -> None:
    checks = checks_of(PLANNED)
    assert whats(checks.look(event("Ordr Completed"))) == [("", "unknown event", "warn")]
    assert not checks.look(event("Product Viewed", anything=[1]))
    assert not checks.look(event("page", "page"))


def test_traits_are_asked_of_identify_calls_that_bring_some() -> None:
    checks = checks_of(PLANNED)
    assert not checks.look(event("identify", "identify"))
    assert not checks.look(event("identify", "identify", {"country": "DE"}))
    assert not checks.look(event("group", "group", {"country": "XX"}))
    assert whats(checks.look(event("identify", "identify", {"name": "Ana", "country": None}))) == [
        ("traits.country", "missing", "warn"),
        ("traits.name", "unknown trait", "reject"),
    ]


def test_an_event_s_own_word_on_violations_wins_over_the_plan_s() -> None:
    assert whats(checks_of(PLANNED).look(event("Seen", at="now"))) == [("properties.at", "type", "warn")]


async def test_what_breaks_the_plan_is_refused_put_aside_or_taken_and_counted() -> None:
    log = MemoryEventLog()
    checks = checks_of(PLANNED)
    front = FrontDoor(
        log=log, clock=WallClock(), ring=lambda: None, write_keys=frozenset(), admin_key="", checks=lambda: checks
    )
    good = (
        '{"type": "track", "userId": "ana", "event": "Order Completed", "messageId": "m1", "properties": {"total": 5}}'
    )
    aside = good.replace("5", '"5"').replace("m1", "m2")
    noted = '{"type": "track", "userId": "ana", "event": "Unheard Of", "messageId": "m3"}'
    assert await receive(front, f'{{"batch": [{good}, {aside}, {noted}]}}'.encode(), "batch", 1_000) == 3
    assert [entry.event.message_id for entry in log.read(0, 9)] == ["m1", "m3"]
    assert [held.event.message_id for held in log.aside] == ["m2"]
    refused = good.replace('"total"', '"ttl"').replace("m1", "m4")
    with pytest.raises(Refused) as error:
        await receive(front, f'{{"batch": [{aside}, {refused}]}}'.encode(), "batch", 1_000)
    assert (error.value.code, error.value.field) == ("TF118", "batch[1].properties.ttl")
    assert (log.head()[0], len(log.aside)) == (2, 1)
    figures = {key: (one.refused, one.quarantined, one.warned) for key, one in log.counted.items()}
    assert figures == {
        ("Order Completed", "properties.total", "type"): (0, 1, 0),
        ("Unheard Of", "", "unknown event"): (0, 0, 1),
        ("Order Completed", "properties.ttl", "unknown property"): (1, 0, 0),
    }


def test_examples_show_no_value_that_is_personal_or_that_nobody_planned() -> None:
    found = checks_of(PLANNED).look(event(total="12", phone="+49 170 1234567", extra="ana@example.com"))
    assert [one.shown for one in found] == ['"12"', "text that is not shown (personal)", "text"]
    assert "1234567" not in "".join(one.sentence for one in found)


@pytest.mark.parametrize(
    "name", ["email", "userEmail", "e-mail", "first_name", "lastName", "IP", "ip_address", "Phone"]
)
def test_names_that_say_who_somebody_is_are_known(name: str) -> None:
    assert looks_personal(name)


@pytest.mark.parametrize(
    "name", ["total", "product_name", "shipping_method", "tip", "category", "description", "zipped"]
)
def test_names_that_do_not_are_not_taken_for_such(name: str) -> None:
    assert not looks_personal(name)


def test_the_checks_are_made_anew_only_when_the_plan_is_another_one() -> None:
    plans = [Plan(), Plan(events={"X": PlannedEvent({"a": Field("text")})})]
    live = LivePlan(lambda: plans[0])
    first = live()
    assert live() is first
    assert not first.look(event("X", a=1))
    plans.pop(0)
    assert live() is not first
    assert live().look(event("X", a=1))


values = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2) | st.lists(st.text("ab"), max_size=2)
)
fields = st.builds(
    Field,
    type=st.sampled_from([None, "text", "number", "boolean", "list", "object"]),
    required=st.booleans(),
)
plans = st.builds(
    Plan,
    events=st.dictionaries(
        st.sampled_from(["X", "Y"]),
        st.builds(
            PlannedEvent,
            properties=st.dictionaries(st.sampled_from("pq"), fields, max_size=2),
            on_violation=st.sampled_from(["reject", "quarantine", "warn"]),
        ),
    ),
    unknown_events=st.sampled_from(["allow", "warn", "quarantine", "reject"]),
    unknown_properties=st.sampled_from(["allow", "warn", "quarantine", "reject"]),
)
happened = st.lists(
    st.builds(
        lambda name, properties: event(name, **properties),
        st.sampled_from(["X", "Y", "Z"]),
        st.dictionaries(st.sampled_from("pqr"), values, max_size=3),
    ),
    max_size=5,
)
_NAMES = {str: "text", int: "number", float: "number", bool: "boolean", list: "list", dict: "object"}


def gravest(plan: Plan, event: Event) -> str:
    """What becomes of an event, said in the plainest way."""
    ends = ["taken"]
    planned = plan.events.get(event.name)
    if planned is None:
        ends.append(plan.unknown_events)
    elif planned.properties:
        for name, field in planned.properties.items():
            value = event.properties.get(name)
            if (value is None and field.required) or (
                value is not None and field.type is not None and _NAMES[type(value)] != field.type
            ):
                ends.append(planned.on_violation)
        ends += [plan.unknown_properties for name in event.properties if name not in planned.properties]
    return max(ends, key=["taken", "allow", "warn", "quarantine", "reject"].index)


@given(plan=plans, events=happened)
@settings(max_examples=200, deadline=None)
def test_every_event_has_exactly_one_end_and_it_is_the_gravest(plan: Plan, events: list[Event]) -> None:
    sifted = Checks(plan).sift(events, is_batch=True)
    ends = [gravest(plan, each) for each in events]
    if "reject" in ends:
        assert sifted.refusal is not None
        assert sifted.refusal.field.startswith(f"batch[{ends.index('reject')}].")
        assert not sifted.taken
        assert not sifted.aside
        return
    assert sifted.refusal is None
    assert list(sifted.taken) == [each for each, end in zip(events, ends, strict=True) if end != "quarantine"]
    assert [each for each, _ in sifted.aside] == [
        each for each, end in zip(events, ends, strict=True) if end == "quarantine"
    ]
