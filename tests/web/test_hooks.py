"""Webhooks in: signed ones become events, once; others are refused. The provider is one that signs its bodies."""

import gzip
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from shop import connect
from triggerfish import Incoming, PluginConfig, Source
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.errors import Busy
from triggerfish.measure import Hit
from triggerfish.web.hooks import LARGEST_HOOK

KEY = b"the provider's signing key"


class Provider(Source):
    """Tells of clicks, and of people."""

    name = "provider"

    def verify(self, request: Incoming) -> bool:
        said = request.headers.get("x-signature", "")
        return hmac.compare_digest(said, hmac.digest(KEY, request.body, hashlib.sha256).hex())

    def read(self, request: Incoming) -> Sequence[object]:
        told = json.loads(request.body)
        if told == "explode":
            raise RuntimeError("a secret detail")
        hits = [Hit("clicked", each, "p1", "", "https://shop.example/") for each in told.get("clicks", ())]
        return [*hits, *told.get("calls", ())]


@pytest.fixture
def desk(shop):
    front = replace(shop.front, log=MemoryEventLog())
    return replace(shop, front=front, sources={"provider": Provider(PluginConfig())})


@pytest.fixture
async def client(desk):
    async with connect(desk) as client:
        yield client


async def post(client, told, *, path="/v1/hooks/provider", **headers):
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    signature = hmac.digest(KEY, body, hashlib.sha256).hex()
    return await client.post(path, content=body, headers={"X-Signature": signature} | headers)


def heard(desk):
    return [entry.event for entry in desk.front.log.read(0, 100)]


async def test_a_signed_webhook_becomes_events(client, desk):
    call = {"type": "track", "event": "Replied", "userId": "ana", "properties": {"words": 3}}
    answer = await post(client, {"clicks": ["s1", "s2"], "calls": [call]})
    assert (answer.status_code, answer.json()) == (200, {"events": 3})
    first, second, reply = heard(desk)
    assert (first.kind, first.name, first.properties["send_id"]) == ("feedback", "Email Link Clicked", "s1")
    assert first.message_id != second.message_id
    assert (reply.name, reply.user_id, reply.properties) == ("Replied", "ana", {"words": 3})


async def test_the_same_webhook_again_makes_the_same_message_ids(client, desk):
    told = {"clicks": ["s1", "s1"], "calls": [{"type": "page", "userId": "ana"}]}
    for _ in range(2):
        assert (await post(client, told)).status_code == 200
    ids = [event.message_id for event in heard(desk)]
    assert ids[:3] == ids[3:]
    assert len(set(ids)) == 3


@pytest.mark.parametrize("signature", ["", "0" * 64, "é"])
async def test_what_the_provider_did_not_sign_is_refused(client, desk, signature):
    answer = await client.post(
        "/v1/hooks/provider", content=b'{"clicks": ["s1"]}', headers={"X-Signature": signature.encode()}
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "TF115")
    assert "www-authenticate" not in answer.headers
    assert heard(desk) == []


async def test_a_source_that_nobody_set_up_is_not_there(client):
    answer = await post(client, {}, path="/v1/hooks/other")
    assert answer.status_code == 404
    assert "[plugins.other]" in answer.json()["hint"]


async def test_a_body_that_makes_no_sense_is_a_400_and_stores_nothing(client, desk):
    for told in (b"{", {"clicks": ["s1"], "calls": [{"type": "track", "userId": "ana"}]}, {"calls": [7]}):
        answer = await post(client, told)
        assert answer.status_code == 400, told
        assert answer.headers["content-type"] == "application/problem+json"
    assert heard(desk) == []


async def test_a_source_that_raises_is_our_fault_and_tells_nobody_why(client, desk, caplog):
    answer = await post(client, "explode")
    assert answer.status_code == 500
    assert "a secret detail" not in answer.text
    assert "a secret detail" in caplog.text
    assert heard(desk) == []


async def test_bodies_are_bounded_packed_or_not(client, desk):
    large = b" " * (LARGEST_HOOK + 1)
    assert (await post(client, large)).status_code == 413
    assert (await post(client, gzip.compress(large), **{"Content-Encoding": "gzip"})).status_code == 413


async def test_a_packed_body_is_verified_as_it_is_unpacked(client, desk):
    body = b'{"clicks": ["s1"]}'
    signature = hmac.digest(KEY, body, hashlib.sha256).hex()
    headers = {"X-Signature": signature, "Content-Encoding": "gzip"}
    answer = await client.post("/v1/hooks/provider", content=gzip.compress(body), headers=headers)
    assert answer.json() == {"events": 1}


async def test_a_log_that_is_full_asks_the_provider_to_come_again(desk):
    class Full(MemoryEventLog):
        async def append(self, arrivals, aside=()):
            raise Busy("too many events wait")

    async with connect(replace(desk, front=replace(desk.front, log=Full()))) as client:
        answer = await post(client, {"clicks": ["s1"]})
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
