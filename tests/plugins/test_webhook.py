"""The bundled action: a rule's call becomes a signed POST, at least once, against a real HTTP server."""

import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from triggerfish import PluginContext, SettingsWrong
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.deliver import Call
from triggerfish.plugin.manager import load_plugins
from triggerfish.plugin.testing import SetClock
from triggerfish.walk import House, call
from worlds import NOON, World, identify, track

KEY = bytes(range(24))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


class Crm(ThreadingHTTPServer):
    """Somebody's server, which answers with `answers` in turn, then with 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hooks"


class _Answering(BaseHTTPRequestHandler):
    server: Crm

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        status, headers = self.server.answers.pop(0) if self.server.answers else (204, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what failed."""


@pytest.fixture
def crm():
    server = Crm()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def opened(url: str, clock: SetClock, tmp_path):
    made = load_plugins(()).actions({"webhook": {"url": url, "secret": SECRET}}, clock)["webhook"]
    return made, PluginContext(tmp_path, tmp_path, "", clock)


def a_call(number: int = 1) -> Call:
    return Call(f"id{number}", "webhook", "p1", {"kind": "vip"}, {"city": "Köln"}, "Order Completed")


async def test_a_call_is_a_signed_post_with_its_values(crm, tmp_path):
    clock = SetClock(NOON)
    webhook, context = opened(crm.url, clock, tmp_path)
    await webhook.open(context)
    receipts = await webhook.send([a_call()])
    await webhook.close()
    assert [(each.send_id, each.status) for each in receipts] == [("id1", "accepted")]
    [(headers, body)] = crm.got
    assert json.loads(body)["data"] == {"profile": "p1", "traits": {"city": "Köln"}, "values": {"kind": "vip"}}
    assert json.loads(body)["type"] == "Order Completed"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("id1", str(NOON // 1000))
    signed = f"id1.{NOON // 1000}.".encode() + body
    assert (
        headers["webhook-signature"]
        == "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    )


@pytest.mark.parametrize(
    ("status", "headers", "answer", "wait"),
    [
        (200, {}, "accepted", None),
        (302, {"location": "http://127.0.0.1:1/"}, "refused", None),
        (404, {}, "refused", None),
        (429, {"retry-after": "120"}, "retry", 120.0),
        (503, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, "retry", None),
        (500, {}, "unknown", None),
    ],
)
async def test_each_answer_means_what_it_says(crm, tmp_path, status, headers, answer, wait):
    crm.answers = [(status, headers)]
    webhook, context = opened(crm.url, SetClock(NOON), tmp_path)
    await webhook.open(context)
    [receipt] = await webhook.send([a_call()])
    await webhook.close()
    assert (receipt.status, receipt.retry_after_seconds) == (answer, wait)
    assert len(crm.got) == 1, "a redirect is not followed"


async def test_an_address_that_cannot_be_reached_is_tried_again(tmp_path):
    webhook, context = opened("http://127.0.0.1:9/", SetClock(NOON), tmp_path)
    await webhook.open(context)
    [receipt] = await webhook.send([a_call()])
    await webhook.close()
    assert receipt.status == "retry"


@pytest.mark.parametrize(
    "table",
    [
        {"url": "ftp://x.example", "secret": SECRET},
        {"url": "https://user:pass@x.example", "secret": SECRET},
        {"url": "https://x.example", "secret": "whsec_short"},
        {"url": "https://x.example", "secret": "x" * 60},
        {"url": "https://x.example", "secret": SECRET, "timeout_seconds": 60.0},
    ],
)
def test_a_table_that_cannot_work_is_refused_without_its_secret(table):
    with pytest.raises(SettingsWrong) as refused:
        load_plugins(()).actions({"webhook": table}, SetClock(NOON))
    assert table["secret"] not in str(refused.value)


def test_without_a_table_it_is_not_offered():
    assert "webhook" not in load_plugins(()).actions({}, SetClock(NOON))
    assert load_plugins(()).action_names({}) == frozenset()
    assert load_plugins(()).action_names({"webhook"}) == {"webhook"}


RULES = """
ruleset: r
rules:
  - name: note
    on: Order Completed
    then:
      - call: webhook
        with: {kind: vip, total: {value: event.total}}
"""


def a_house(world: World, actions, clock) -> House:
    return House(
        log=MemoryEventLog(), store=world.store, clock=clock, rulebook=world.rulebook, templates={},
        channel=None, links=lambda *_: None, dice=lambda: 0.5, actions=actions,
    )  # fmt: skip


async def test_a_rule_calls_an_action_once_and_again_until_it_answers(crm, tmp_path):
    world = World(RULES, actions={"webhook"})
    world.take(identify(NOON, city="Köln"), track("Order Completed", NOON, properties={"total": 5}))
    crm.answers = [(503, {})]
    clock = SetClock(NOON)
    webhook, context = opened(crm.url, clock, tmp_path)
    await webhook.open(context)
    house = a_house(world, {"webhook": webhook}, clock)
    assert await call(house) == 1
    [due] = world.sends
    assert (due.status, due.attempt, due.call) == ("retrying", 1, "webhook")
    clock.at = due.due_at
    assert await call(house) == 1
    assert await call(house) == 0
    await webhook.close()
    assert world.sends[0].status == "sent"
    ids = {headers["webhook-id"] for headers, _ in crm.got}
    assert ids == {due.id}, "both attempts have one id"
    assert json.loads(crm.got[0][1])["data"]["values"] == {"kind": "vip", "total": 5}


async def test_a_call_whose_plugin_is_gone_fails_and_says_so():
    world = World(RULES, actions={"webhook"})
    world.take(track("Order Completed", NOON))
    assert await call(a_house(world, {}, SetClock(NOON))) == 1
    assert world.told() == [("", "failed", 'no plugin has an action "webhook" any more')]
    assert isinstance(world.store, MemoryStateStore)
    assert await call(a_house(world, {}, SetClock(NOON))) == 0
