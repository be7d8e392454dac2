"""Events that break what rules/events.yaml says of their properties are refused at the door."""

import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.clock import WallClock
from triggerfish.errors import Refused
from triggerfish.plan import Checks, LivePlan, Plan
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
