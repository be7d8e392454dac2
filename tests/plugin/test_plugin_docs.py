"""docs/plugins.md and docs/delivery.md say what the code does."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path

import httpx
import msgspec
import pytest

import triggerfish
from triggerfish.clock import SECOND, say_duration
from triggerfish.deliver import Patience, Status
from triggerfish.measure import LONGEST_URL, NAMES
from triggerfish.plugin import hookspecs, testing
from triggerfish.plugin.guard import Breaker, GuardedChannel
from triggerfish.plugin.manager import HOOKS, load_plugins
from triggerfish.plugin.testing import SetClock, make_context, make_message
from triggerfish.web import preferences, tracking
from triggerfish_outbox import Outbox
from triggerfish_smtp.channel import Smtp

DOCS = Path(__file__).parents[2] / "docs"
PLUGINS = (DOCS / "plugins.md").read_text()
DELIVERY = (DOCS / "delivery.md").read_text()
EXAMPLE, CONTRACT = re.findall(r"(?ms)^```python\n(.+?)^```", PLUGINS)


def test_every_hook_is_documented_with_its_exact_signature_and_no_other():
    exact = []
    for name in HOOKS:
        signature = str(inspect.signature(getattr(hookspecs, name))).replace("'", "")
        exact.append(f"{name}{signature}")
    assert re.findall(r"(?m)^### `(.+)`$", PLUGINS) == exact


def test_every_public_name_is_listed_and_explained():
    listed = re.findall(r"`(\w+)`", PLUGINS.partition("## The public names")[2].partition("`triggerfish`")[2])
    assert listed == triggerfish.__all__
    before = PLUGINS.partition("## The public names")[0]
    # Types that only say what something is are explained where it is.
    plain = {"Address", "Clock", "Status"}
    assert not [name for name in triggerfish.__all__ if name not in plain and name not in before]


def test_the_test_kit_has_what_the_page_names():
    for name in ("make_message", "make_context", "SetClock", "MemoryOutbox", "MemoryDoor", "ChannelContract"):
        assert f"`{name}`" in PLUGINS or name in CONTRACT
        assert hasattr(testing, name)
    assert ast.parse(CONTRACT)


def test_every_status_of_a_receipt_is_in_the_table():
    assert re.findall(r"(?m)^\| `(\w+)` \| .+ \| .+ \|$", PLUGINS)[-4:] == list(Status.__args__)


class PostService(httpx.AsyncBaseTransport):
    """The example's web service, at the other end of the example's own HTTP client."""

    def __init__(self):
        self.answers, self.taken = [], []

    async def handle_async_request(self, request):
        answer = self.answers.pop(0) if self.answers else httpx.Response(200, json={"id": "x1"})
        if isinstance(answer, Exception):
            raise answer
        if answer.status_code == 200:
            self.taken.append(request)
        return answer


@pytest.fixture
async def example(tmp_path, monkeypatch):
    module = types.ModuleType("post_channel")
    exec(compile(EXAMPLE, "docs/plugins.md", "exec"), module.__dict__)  # noqa: S102 - our own page
    monkeypatch.setitem(sys.modules, "post_channel", module)
    plugins = load_plugins({"post"}, [EntryPoint("post", "post_channel", "triggerfish")])
    channel = plugins.channels({"post": {"api_key": "k"}}, SetClock())["post"]
    assert isinstance(channel, GuardedChannel)
    await channel.open(make_context(tmp_path))
    channel.service = channel._channel._client._transport = PostService()
    yield channel
    await channel.close()


@pytest.mark.parametrize(
    ("answer", "status", "detail"),
    [
        (httpx.Response(200, json={"id": "x1"}), "accepted", ""),
        (httpx.Response(429, headers={"Retry-After": "7"}), "retry", "rate limit"),
        (httpx.Response(400, text="no such user"), "refused", "no such user"),
        (httpx.Response(502), "unknown", "status 502"),
        (httpx.ConnectError("x"), "retry", "Post Inc. cannot be reached"),
        (httpx.ReadTimeout("x"), "unknown", "ReadTimeout"),
    ],
)
async def test_the_example_works_as_it_stands(example, answer, status, detail):
    example.service.answers = [answer]
    first, second = await example.send([make_message("a"), make_message("b")])
    assert (first.status, first.detail) == (status, detail)
    assert first.retry_after_seconds == (7.0 if detail == "rate limit" else None)
    assert (second.status, second.provider_id) == ("accepted", "x1")
    assert example.service.taken[-1].headers["authorization"] == "Bearer k"


@pytest.mark.parametrize("channel", [Outbox, Smtp])
def test_every_setting_of_a_bundled_channel_is_documented_with_its_default(channel):
    section = DELIVERY.partition(f"### {channel.name}\n")[2].partition("\n##")[0]
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \| (.+?) \| .+ \|$", section))
    fields = {field.name: field for field in msgspec.structs.fields(channel.Config)}
    assert list(rows) == list(fields)
    for name, shown in rows.items():
        if fields[name].required:
            assert shown == "required"
        elif fields[name].default is None:
            assert shown in ("by security", "no limit")
        else:
            assert ast.literal_eval(shown) == fields[name].default


def test_the_waits_are_those_of_the_code():
    patience = Patience()
    waits = [min(patience.longest, patience.first * patience.factor**n) for n in range(patience.attempts - 1)]
    *first, last = [say_duration(wait) for wait in waits]
    text = " ".join(DELIVERY.split())
    assert f"at most {', '.join(first)} and {last}:" in text
    assert f"at most {patience.attempts} times" in text


def test_the_breakers_figures_are_those_of_the_code():
    breaker = Breaker()
    for _ in range(5):
        assert not breaker.is_open()
        breaker.failed(0)
    assert breaker.is_open()
    assert breaker.free_at(0) == 30 * SECOND
    for page in (PLUGINS, DELIVERY):
        text = " ".join(page.split())
        assert "30 seconds" in text
        assert "10 minutes" in text
        assert re.search(r"five (failed calls|times) in a row", text)


def test_every_event_that_comes_back_is_documented():
    assert re.findall(r"(?m)^\| `([A-Z][\w ]+)` \|", DELIVERY) == list(NAMES.values())
    assert f"more than {LONGEST_URL} bytes" in DELIVERY


def test_every_tracked_address_is_documented():
    documented = set(re.findall(r"(?m)^\| `(GET|POST) (/t/\w)/", DELIVERY))
    served = {
        (str(method), path[:4])
        for handler in (*tracking.routes, *preferences.routes)
        for path in handler.paths
        for method in handler.http_methods
        if method != "HEAD"
    }
    assert documented == served
