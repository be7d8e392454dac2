"""The channel and the source `resend`, against a provider on this machine and Resend's own API description."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from msgspec.structs import replace

from plugins.recording_esp import Answer, RecordingEsp
from triggerfish import Address, Hit, Incoming, NotHandedOver, SettingsWrong
from triggerfish.plugin.manager import load_plugins
from triggerfish.plugin.testing import ChannelContract, SetClock, make_context, make_message
from triggerfish_resend.channel import Resend
from triggerfish_resend.config import ResendConfig
from triggerfish_resend.webhooks import ResendWebhooks

SPECS = Path(os.environ.get("TRIGGERFISH_SPECS", Path(__file__).parents[3] / "shared" / "specs"))
SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
NOW = 1_767_225_600


@pytest.fixture
def esp() -> Iterator[RecordingEsp]:
    with RecordingEsp() as server:
        yield server


def config_of(esp: RecordingEsp, **more: Any) -> ResendConfig:
    return ResendConfig(api_key=esp.api_key, url=esp.url, timeout_seconds=0.5, per_second=None, **more)


@pytest.fixture
async def channel(esp: RecordingEsp, tmp_path: Path):
    made = Resend(config_of(esp))
    await made.open(make_context(tmp_path))
    yield made
    await made.close()


class TestContract(ChannelContract):
    @pytest.fixture
    def channel(self, esp: RecordingEsp) -> Resend:
        return Resend(config_of(esp))


async def test_a_message_is_delivered_as_composed(channel: Resend, esp: RecordingEsp):
    message = replace(make_message("s1"), sender=Address("shop@example.com", 'Shop "A", Ltd'), profile_id="p1")
    receipts = await channel.send([message])
    assert [(each.status, each.provider_id) for each in receipts] == [("accepted", "esp-0")]
    assert esp.accepted == [
        {
            "from": '"Shop \\"A\\", Ltd" <shop@example.com>',
            "to": ["ana@example.com"],
            "subject": message.subject,
            "html": message.html,
            "text": message.text,
            "headers": dict(message.headers),
            "tags": [
                {"name": "send", "value": "s1"},
                {"name": "profile", "value": "p1"},
                {"name": "template", "value": "cart-reminder"},
            ],
        }
    ]


async def test_a_message_that_is_sent_again_is_delivered_once(channel: Resend, esp: RecordingEsp):
    esp.answers = [Answer(None, takes=True)]
    first = await channel.send([make_message("s1")])
    again = await channel.send([make_message("s1")])
    assert [each.status for each in first + again] == ["unknown", "accepted"]
    assert esp.deliveries() == {"s1": 1}


async def test_a_key_that_was_used_for_another_text_counts_as_delivered(channel: Resend, esp: RecordingEsp):
    esp.answers = [Answer(None, takes=True)]
    await channel.send([make_message("s1", text="composed at noon")])
    assert (await channel.send([make_message("s1", text="composed at one")]))[0].status == "accepted"
    assert esp.deliveries() == {"s1": 1}


@pytest.mark.parametrize(
    ("answer", "status", "seconds"),
    [
        (Answer(429, {"name": "rate_limit_exceeded"}, {"retry-after": "7"}), "retry", 7.0),
        (Answer(429, {}, {"retry-after": "soon"}), "retry", None),
        (Answer(409, {"name": "concurrent_idempotent_requests"}), "retry", None),
        (Answer(401, {"name": "restricted_api_key", "message": "no"}), "retry", None),
        (Answer(403, {"message": "the domain is not verified"}), "retry", None),
        (Answer(422, {"name": "validation_error", "message": "Invalid `to` field"}), "refused", None),
        (Answer(500), "unknown", None),
        (Answer(None), "unknown", None),
        (Answer(200, {"id": "late"}, seconds=1.0), "unknown", None),
        (Answer(302, {}, {"location": "http://127.0.0.1:1/"}), "refused", None),
    ],
    ids=["429", "429-soon", "409", "401", "403", "422", "500", "nothing", "late", "302"],
)
async def test_each_answer_has_its_receipt(
    channel: Resend, esp: RecordingEsp, answer: Answer, status: str, seconds: float | None
):
    esp.answers = [answer]
    receipt = (await channel.send([make_message("s1")]))[0]
    assert (receipt.status, receipt.retry_after_seconds) == (status, seconds)
    assert "re_test_key" not in receipt.detail


async def test_half_a_batch_that_fails_fails_by_itself(channel: Resend, esp: RecordingEsp):
    esp.answers = [Answer(422, {"message": "no"}), Answer(429), Answer(500)]
    receipts = await channel.send([make_message(f"s{number}") for number in range(6)])
    assert sorted(each.status for each in receipts) == ["accepted"] * 3 + ["refused", "retry", "unknown"]
    taken = {each.send_id for each in receipts if each.status == "accepted"}
    assert esp.deliveries() == dict.fromkeys(taken, 1)


async def test_a_provider_that_is_not_there_has_been_handed_nothing(tmp_path: Path):
    channel = Resend(ResendConfig(api_key="re_test_key", url="http://127.0.0.1:1", timeout_seconds=0.5))
    await channel.open(make_context(tmp_path))
    with pytest.raises(NotHandedOver, match="Resend cannot be reached"):
        await channel.send([make_message("s1"), make_message("s2")])
    await channel.close()


def test_what_is_sent_is_what_resend_describes(esp: RecordingEsp):
    file = SPECS / "resend.yaml.gz"
    if not file.exists():
        pytest.skip("Resend's API description is not here (TRIGGERFISH_SPECS names its folder)")
    described = yaml.safe_load(gzip.decompress(file.read_bytes()))
    schema = {"$ref": "#/components/schemas/SendEmailRequest", "components": described["components"]}
    from triggerfish_resend.channel import _body

    message = replace(make_message("s1"), reply_to=Address("help@example.com", "Help"), profile_id="p1")
    sent = json.loads(_body(message))
    jsonschema.validate(sent, schema)
    known = described["components"]["schemas"]["SendEmailRequest"]["properties"]
    assert sent.keys() <= known.keys()


# --- webhooks ---------------------------------------------------------------------------------------------------------


def told(kind: str, **data: Any) -> bytes:
    base = {"email_id": "e", "to": ["ana@example.com"], "tags": {"send": "s1", "profile": "p1"}}
    return json.dumps({"type": kind, "created_at": "2026-01-01T00:00:00Z", "data": base | data}).encode()


def signed(body: bytes, *, secret: str = SECRET, at: int = NOW, **headers: str) -> Incoming:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"msg_1.{at}.".encode() + body, hashlib.sha256).digest()
    given = {"svix-id": "msg_1", "svix-timestamp": str(at), "svix-signature": "v1," + base64.b64encode(mac).decode()}
    return Incoming(given | headers, body, NOW * 1000)


SOURCE = ResendWebhooks(ResendConfig(api_key="re_test_key", webhook_secret=SECRET))
OTHER = "whsec_" + base64.b64encode(bytes(24)).decode()


def test_a_signed_webhook_is_resends_also_while_the_secret_is_being_changed():
    request = signed(told("email.delivered"))
    assert SOURCE.verify(request)
    both = "v1,AAAA " + request.headers["svix-signature"]
    assert SOURCE.verify(signed(told("email.delivered"), **{"svix-signature": both}))


@pytest.mark.parametrize(
    "request_",
    [
        signed(told("email.bounced"), secret=OTHER),
        signed(told("email.bounced"), at=NOW - 301),
        signed(told("email.bounced"), at=NOW + 301),
        signed(told("email.bounced"), **{"svix-id": "msg_2"}),
        signed(told("email.bounced"), **{"svix-timestamp": "1e9"}),
        signed(told("email.bounced"), **{"svix-signature": ""}),
        Incoming({}, told("email.bounced"), NOW * 1000),
        replace(signed(told("email.bounced")), body=told("email.complained")),
    ],
    ids=["other-secret", "old", "future", "other-id", "no-number", "empty", "no-headers", "other-body"],
)
def test_anything_else_is_not(request_: Incoming):
    assert not SOURCE.verify(request_)


def test_without_a_secret_no_webhook_is_taken():
    assert not ResendWebhooks(ResendConfig(api_key="re_test_key")).verify(signed(told("email.bounced")))


def test_what_became_of_a_message_is_told():
    bounce = {
        "type": "Permanent",
        "subType": "NoEmail",
        "message": "no such user",
        "diagnosticCode": ["smtp; 550 5.1.1"],
    }
    full = {"type": "Transient", "subType": "MailboxFull", "message": "full", "diagnosticCode": []}
    read = [
        SOURCE.read(signed(body))
        for body in (
            told("email.delivered"),
            told("email.bounced", bounce=bounce),
            told("email.bounced", bounce=full),
            told("email.complained"),
            told("email.opened"),
            told("contact.created"),
            told("email.delivered", tags={}),
        )
    ]
    to = "ana@example.com"
    assert read == [
        [Hit("delivered", "s1", "p1", recipient=to)],
        [Hit("bounced", "s1", "p1", detail="no such user smtp; 550 5.1.1", recipient=to, is_permanent=True)],
        [Hit("bounced", "s1", "p1", detail="full", recipient=to)],
        [Hit("complained", "s1", "p1", recipient=to)],
        [],
        [],
        [],
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"type": 1}', b"\xff"], ids=["empty", "list", "number", "binary"])
def test_a_body_that_makes_no_sense_is_a_sentence(body: bytes):
    with pytest.raises(ValueError, match=r"\w"):
        SOURCE.read(signed(body))


def test_the_settings_name_what_is_wrong_and_never_show_a_secret():
    for table, what in (
        ({"api_key": "re_x y_secret"}, "api_key"),
        ({"api_key": "re_secret_1", "webhook_secret": "whsec_secret"}, "24 bytes"),
        ({"api_key": "re_secret_1", "url": "ftp://x"}, "url is an address"),
    ):
        with pytest.raises(SettingsWrong, match=what) as wrong:
            load_plugins({"resend"}).channels({"resend": table}, SetClock())
        assert "secret_1" not in str(wrong.value)
        assert "whsec_secret" not in str(wrong.value)
