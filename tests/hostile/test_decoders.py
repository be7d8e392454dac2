"""Whatever comes, a decoder gives what it promises or raises one of our own errors; nothing else ever comes out."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from hostile.mutants import mutants
from render.kit import COMPANY
from reports.letters import bounce, complaint
from triggerfish import consent, ingest
from triggerfish.adapters.templates import check_templates
from triggerfish.errors import Refused
from triggerfish.measure import Hit, Signer
from triggerfish.plugin.source import Incoming
from triggerfish.quarantine import Fix
from triggerfish.reports.judging import judge
from triggerfish.reports.reading import read_mail
from triggerfish.rulefile.check import check_files
from triggerfish.suppressing import lines_of_csv, suppress_of
from triggerfish.verp import Verp
from triggerfish.web.bodies import NO_JSON, inflate
from triggerfish.web.consent import Choice
from triggerfish.web.keys import write_key_in_header
from triggerfish_resend.channel import ResendConfig
from triggerfish_resend.webhooks import ResendWebhooks

ROOT = Path(__file__).parents[2]
NOW = 1_767_225_600_000
SIGNER, VERP = Signer("a secret of the tests, long enough"), Verp("a secret of the tests, long enough")
TEMPLATE = ROOT / "templates" / "welcome"
RULES = {path.name: path.read_text() for path in sorted((ROOT / "rules").glob("*.yaml"))}


class Decoder(NamedTuple):
    """`decode` raises nothing but our own; `share` is how much of the usual effort it is worth."""

    given: SearchStrategy[Any]
    decode: Callable[[Any], object]
    share: float = 1.0


# --- what comes in with events ---

CALL = json.dumps(
    {
        "type": "track", "userId": "ana", "anonymousId": 7, "event": "Seen", "messageId": "m", "timestamp":
        "2026-01-31T09:00:00.000Z", "sentAt": "2026-01-31T09:00:01+02:00", "properties": {"a": [1, 2.5, {"b": 2}]},
        "traits": {"email": "ana@example.org"}, "context": {"timezone": "Europe/Lisbon"}, "integrations": {"All": True},
    }
).encode()  # fmt: skip
BATCH = b'{"batch": [%s, %s], "context": {"x": 1}, "sentAt": "2026-01-31T09:00:01Z"}' % (CALL, CALL)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from([*json.loads(CALL), "previousId", "groupId", "originalTimestamp", "name", "batch"])
fields = st.dictionaries(names, values, max_size=8).map(lambda table: json.dumps(table).encode())


def accept(body: bytes) -> None:
    for call in ("track", "alias", "batch", "t"):
        with suppress(Refused):
            for event in ingest.accept(body, call, NOW, new_message_id=lambda: "new"):
                # What is accepted can be kept in the log and in a profile, and comes back the same.
                assert msgspec.json.decode(msgspec.json.encode(event), type=ingest.Event) == event
                msgspec.msgpack.encode(event)
                assert event.user_id or event.anonymous_id
                assert 0 <= event.timestamp <= NOW
    with suppress(Refused):
        ingest.write_key_in(body)


def unpack(body: bytes) -> None:
    with suppress(Refused):
        assert len(inflate(body, 4_096)) <= 4_096


def read_choice(body: bytes) -> None:
    with suppress(*NO_JSON):
        choice = msgspec.json.decode(body, type=Choice)
        assert len(choice.purposes) <= consent.PURPOSE_LIMIT


CHOICE = b'{"email": "ana@example.org", "purposes": {"newsletter": true}, "text": "Yes", "how": "form", "userId": 7}'

# --- what comes back ---

TOKEN = SIGNER.token(Hit("clicked", "send", "profile", url="https://shop.example/ü?a=1"))
RETURN_PATH = VERP.address("bounces+{token}@shop.example", "send")


def read_token(text: str) -> None:
    hit = SIGNER.read_token(text)
    assert hit is None or hit.send_id == "send"


def read_return_path(text: str) -> None:
    assert VERP.read(text) in (None, "send")


def read_report(raw: bytes) -> None:
    mail = read_mail(raw, ("a@example.org",))
    judge(mail, read_path=VERP.read, read_link=SIGNER.read_token)
    assert mail.reports


SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
RESEND = ResendWebhooks(ResendConfig(api_key="key", webhook_secret=SECRET))
TOLD = json.dumps(
    {
        "type": "email.bounced",
        "data": {"to": ["a@example.org"], "tags": {"send": "s", "profile": "p"}, "bounce": {"type": "Permanent"}},
    }
).encode()


def read_webhook(given: tuple[dict[str, str], bytes]) -> None:
    headers, body = given
    assert RESEND.verify(Incoming(headers, body, NOW)) is False
    with suppress(ValueError):
        RESEND.read(Incoming(headers, body, NOW))


webhook_headers = st.fixed_dictionaries(
    {
        name: st.text(st.characters(max_codepoint=255), max_size=30)
        for name in ("svix-id", "svix-timestamp", "svix-signature")
    }
)


def read_key(header: bytes) -> None:
    with suppress(Refused):
        write_key_in_header(header)


# --- what people who work with the server bring ---

CSV = 'email,reason,note,purpose\nana@example.org,hard bounce,"a, b",\n@example.com,manual,,newsletter\n'


def read_list(text: str) -> None:
    with suppress(Refused):
        for place, line in enumerate(lines_of_csv(text)):
            suppress_of(line, place)


def read_fix(body: bytes) -> None:
    with suppress(*NO_JSON):
        msgspec.json.decode(body, type=Fix)


def read_rules(given: tuple[str, str]) -> None:
    name, text = given
    for problem in check_files(RULES | {name: text}).problems:
        assert problem.render()


def read_template(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "templates"
        for shared in ("blocks", "layouts"):
            shutil.copytree(TEMPLATE.parent / shared, place / shared)
        shutil.copy(TEMPLATE.parent / "brand.yaml", place / "brand.yaml")
        shutil.copytree(TEMPLATE, place / "welcome")
        (place / "welcome" / "email.mjml").write_text(text, encoding="utf-8", errors="replace")
        for problem in check_templates(place, COMPANY)[1]:
            assert problem.render()


rule_files = st.sampled_from(sorted(RULES)).flatmap(
    lambda name: st.tuples(st.just(name), mutants(st.just(RULES[name])))
)
LETTERS = [bounce(), complaint()]
ZIPPED = [gzip.compress(CALL, mtime=0), gzip.compress(bytes(9_999), mtime=0)]

DECODERS = {
    "events": Decoder(st.binary() | fields | mutants(st.sampled_from([CALL, BATCH])), accept, 2),
    "gzip": Decoder(st.binary() | mutants(st.sampled_from(ZIPPED)), unpack, 4),
    "consent": Decoder(st.binary() | mutants(st.just(CHOICE)), read_choice, 2),
    "tokens": Decoder(st.text() | mutants(st.just(TOKEN)), read_token, 2),
    "return paths": Decoder(st.text() | mutants(st.just(RETURN_PATH)), read_return_path, 2),
    "mail": Decoder(st.binary() | mutants(st.sampled_from(LETTERS)), read_report, 4),
    "webhooks": Decoder(st.tuples(webhook_headers, st.binary() | mutants(st.just(TOLD))), read_webhook, 2),
    "write keys": Decoder(st.binary() | mutants(st.just(b"Basic a2V5Og==")), read_key, 2),
    "suppression lists": Decoder(st.text() | mutants(st.just(CSV)), read_list, 2),
    "fixes": Decoder(st.binary() | mutants(st.just(b'{"set": {"a": 1}, "drop": ["b"]}')), read_fix),
    "rule files": Decoder(rule_files, read_rules, 0.4),
    "templates": Decoder(mutants(st.just((TEMPLATE / "email.mjml").read_text())), read_template, 0.2),
}  # fmt: skip


def attack(name: str, examples: int) -> None:
    decoder = DECODERS[name]

    @settings(
        max_examples=max(1, int(examples * decoder.share)), suppress_health_check=list(HealthCheck), database=None
    )
    @given(decoder.given)
    def it_stands(what: Any) -> None:
        decoder.decode(what)

    it_stands()


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_raises_nothing_but_our_own_errors(name):
    attack(name, 40)


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", DECODERS)
def test_it_raises_nothing_else_in_ten_thousand_tries(name):
    attack(name, 10_000)
