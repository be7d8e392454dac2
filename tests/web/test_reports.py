"""Mail that reports on our messages, over HTTP: what it proves becomes an event, and nothing else does."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import pytest

from reports.letters import bounce, complaint, mail
from shop import connect
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.errors import Unavailable
from triggerfish.reports import LARGEST_REPORT

PATTERN = "bounces+{token}@mail.shop.example"


@pytest.fixture
def desk(shop):
    front = replace(shop.front, log=MemoryEventLog())
    return replace(shop, front=front, mailroom=replace(shop.mailroom, front=front))


@pytest.fixture
def send(desk):
    """A message that left."""
    return next(each for each in desk.reads.sends() if each.status == "sent")


@pytest.fixture
def path(desk, send):
    return desk.mailroom.verp.address(PATTERN, send.id)


@pytest.fixture
async def client(desk):
    (key, *_) = desk.front.write_keys
    header = {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}
    async with connect(desk, headers=header) as client:
        yield client


def heard(desk):
    return [entry.event for entry in desk.front.log.read(0, 100)]


async def post(client, raw, **params):
    answer = await client.post("/v1/reports", content=raw, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_bounce_at_a_return_path_of_ours_is_an_event_of_whom_it_was_sent_to(client, desk, send, path):
    told = await post(client, bounce(to=path))
    assert told == {
        "outcome": "heard", "kind": "bounced", "by": "return path", "send_id": send.id,
        "recipient": desk.reads.send(send.id).address, "status": "5.1.1", "is_permanent": True, "events": 1,
        "reason": "",
    }  # fmt: skip
    (event,) = heard(desk)
    assert (event.kind, event.name, event.profile_id) == ("feedback", "Email Bounced", send.profile)
    assert event.properties["is_permanent"] is True
    assert event.properties["status"] == "5.1.1"
    assert event.properties["detail"] == "550 5.1.1 no such user here"


async def test_what_the_report_says_of_other_addresses_is_of_no_account(client, desk, path):
    await post(client, bounce(to=path, recipient="victim@example.com"))
    (event,) = heard(desk)
    assert "victim" not in repr(event)


async def test_the_address_may_come_from_the_mail_server(client, path):
    assert (await post(client, bounce(), to=path))["outcome"] == "heard"


async def test_a_complaint_that_quotes_our_link_is_heard(client, desk, send):
    link = desk.signer.links(send.id, send.profile, "newsletter", "https://mail.shop.example").unsubscribe()
    told = await post(client, complaint(returned=f"List-Unsubscribe: <{link}>"))
    assert (told["outcome"], told["kind"], told["by"]) == ("heard", "complained", "link")
    (event,) = heard(desk)
    assert (event.name, event.properties["purpose"]) == ("Email Marked as Spam", "newsletter")


async def test_the_same_mail_again_makes_the_same_message_id(client, desk, path):
    for _ in range(2):
        await post(client, bounce(to=path))
    first, second = heard(desk)
    assert first.message_id == second.message_id


async def test_a_bounce_for_good_after_one_that_may_pass_is_another_event(client, desk, path):
    await post(client, bounce(to=path, status="4.4.7", said="too long in the queue"))
    await post(client, bounce(to=path))
    first, second = heard(desk)
    assert "is_permanent" not in first.properties
    assert second.properties["is_permanent"] is True
    assert first.message_id != second.message_id


@pytest.mark.parametrize(
    "raw",
    [bounce(), complaint(), complaint(returned="Message-ID: <SEND@shop.example>"),
     mail("Subject: Hi\n\nWhere is my order?"), b"", b"\0" * 100],
    ids=["bounce", "complaint", "complaint about an id", "letter", "nothing", "zeros"],
)  # fmt: skip
async def test_what_proves_nothing_makes_no_event(client, desk, send, raw):
    told = await post(client, raw.replace(b"SEND", send.id.encode()))
    assert (told["outcome"], told["events"]) == ("unmatched", 0)
    assert told["reason"]
    assert heard(desk) == []
    assert desk.mailroom.counts["unmatched"] >= 1


async def test_a_message_that_is_not_known_any_more_is_nobodys(client, desk):
    gone = desk.mailroom.verp.address(PATTERN, "ab" * 16)
    told = await post(client, bounce(to=gone))
    assert (told["outcome"], told["reason"]) == ("unmatched", "the message is not known any more")
    assert heard(desk) == []


@pytest.mark.parametrize("action", ["delayed", "relayed"])
async def test_what_is_still_on_its_way_is_noted(client, desk, path, action):
    assert (await post(client, bounce(to=path, action=action)))["outcome"] == "noted"
    assert heard(desk) == []


async def test_a_vacation_notice_is_noted(client, desk, path):
    told = await post(client, mail(f"From: ana@example.com\nTo: {path}\nAuto-Submitted: auto-replied\n\nI am away."))
    assert (told["outcome"], told["kind"]) == ("noted", "replied")
    assert heard(desk) == []


async def test_whom_the_settings_trust_may_name_a_message_by_its_id(desk, client, send):
    seen = []

    async def is_trusted(mail, raw):
        seen.append(mail.sender)
        return mail.sender == "fbl@provider.example"

    desk.mailroom.__dict__["is_trusted"] = is_trusted
    quoted = f"Message-ID: <{send.id}@shop.example>"
    assert (await post(client, complaint(returned=quoted)))["by"] == "signature"
    assert (await post(client, complaint(returned=quoted, sender="x@else.example")))["outcome"] == "unmatched"
    # Bounces are not believed for a signature: every mail server signs some.
    assert (await post(client, bounce(returned=quoted)))["outcome"] == "unmatched"
    assert seen == ["fbl@provider.example", "x@else.example"]
    assert [event.name for event in heard(desk)] == ["Email Marked as Spam"]


async def test_a_signature_that_cannot_be_looked_up_now_asks_to_come_again(desk, client):
    async def is_trusted(mail, raw):
        raise Unavailable("the name server does not answer", code="TF122")

    desk.mailroom.__dict__["is_trusted"] = is_trusted
    answer = await client.post("/v1/reports", content=complaint())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert heard(desk) == []


async def test_a_write_key_is_needed(desk):
    async with connect(desk) as stranger:
        for headers in ({}, {"Authorization": "Basic eDo="}, {"Authorization": "Bearer x"}):
            answer = await stranger.post("/v1/reports", content=bounce(), headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "TF110")


async def test_a_mail_is_bounded(client):
    answer = await client.post("/v1/reports", content=b"x" * (LARGEST_REPORT + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "TF105")


async def test_parameters_that_do_not_exist_are_refused(client):
    assert (await client.post("/v1/reports", content=bounce(), params={"from": "x"})).status_code == 400


async def test_who_sends_more_than_can_be_read_is_told_to_wait(desk, client, path):
    async with asyncio.timeout(60):
        for _ in range(50):
            await desk.mailroom.hall.acquire()
        answer = await client.post("/v1/reports", content=bounce(to=path))
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
        desk.mailroom.hall.release()
        assert (await post(client, bounce(to=path)))["outcome"] == "heard"
