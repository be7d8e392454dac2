"""A small shop for the tests of pages, reads and commands: a workspace with people who did things, decided, sent
and stored by the real parts. Time is a SetClock's.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec

from triggerfish import walk
from triggerfish.clock import DAY, HOUR, MINUTE, to_iso
from triggerfish.compose import Desk, front_door, load_workshop, open_desk, open_house, prepare
from triggerfish.config import load_settings
from triggerfish.plugin.testing import START, SetClock
from triggerfish.processes.api import app_for
from triggerfish.reads import describe

REPOSITORY = Path(__file__).parents[1]
ADMIN_KEY = "an admin key for tests"
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
HOSTILE = "<script>alert('x')</script>"
NOW = START + 3 * DAY

SETTINGS = """
engine = "compiled"
[server]
port = 0
[keys]
write = ["a write key"]
admin = "{admin}"
secret = "a secret for links"
[delivery]
sender = "Shop <hello@shop.example>"
company = "The Shop"
address = "1 Reef Street"
"""
RULES = f"""
segments:
  - name: customers
    description: Bought at least once. {HOSTILE}
    when: count(Bought) >= 1
    segments:
      - name: vip
        priority: 50
        when: sum(Bought.total) >= 500
  - name: empty
    when: count(Never) >= 1
"""
WELCOME = """
ruleset: hello
mode: first
rules:
  - name: big-welcome
    priority: 9
    on: Bought
    when: {all: [event.total >= 500, 'traits.country == "DE"']}
    then: [{send: welcome}]
  - name: welcome
    on: Bought
    when: {any: [event.total > 10, traits.vip == True]}
    wait: 10 minutes
    unless: Returned
    then: [{send: welcome}]
  - name: mark
    on: Bought
    then: [{set: {bought: true}}]
"""
"""`big-welcome` fires for nobody: Ana bought too little, Bo is not from Germany."""


def make_workspace(folder: Path, *, admin: str = ADMIN_KEY) -> Path:
    """Settings, rules and one template of the starter's."""
    (folder / "rules").mkdir(parents=True)
    (folder / "triggerfish.toml").write_text(SETTINGS.format(admin=admin))
    (folder / "rules" / "segments.yaml").write_text(RULES)
    (folder / "rules" / "hello.yaml").write_text(WELCOME)
    for name in ("blocks", "layouts", "welcome"):
        shutil.copytree(REPOSITORY / "templates" / name, folder / "templates" / name)
    shutil.copy(REPOSITORY / "templates" / "brand.yaml", folder / "templates")
    return folder


def events() -> list[tuple[int, dict[str, object]]]:
    """What happened, in order: (instant, call)."""
    return [
        (START, {"type": "identify", "userId": "ana", "traits": {"email": "ana@example.com", "name": "Ana Lima"}}),
        (START + MINUTE, {"type": "track", "userId": "ana", "event": "Bought", "properties": {"total": 60}}),
        (START + HOUR, {"type": "identify", "userId": "bo", "traits": {"email": "bo@example.com", "name": HOSTILE}}),
        (
            START + HOUR + MINUTE,
            {"type": "track", "userId": "bo", "event": "Bought", "properties": {"total": 700, "note": HOSTILE}},
        ),
        (START + HOUR + 5 * MINUTE, {"type": "track", "userId": "bo", "event": "Returned"}),
        (START + 2 * HOUR, {"type": "track", "anonymousId": "a-1", "event": HOSTILE}),
    ]


async def live(workspace: Path) -> None:
    """Let everything happen, up to NOW; one message is sent and one is not."""
    settings = load_settings(workspace, {})
    workshop = load_workshop(settings)
    prepare(settings)
    clock = SetClock()
    async with open_house(settings, workshop, public_url="http://127.0.0.1:1") as opened:
        house = replace(opened, clock=clock)
        opened.channel._clock = clock  # it says when the channel is free
        front = replace(front_door(settings, house.log, ring=lambda: None, demo_since=None), clock=clock)
        for number, (at, call) in enumerate(events()):
            clock.at = at
            body = msgspec.json.encode(call | {"messageId": f"m{number}", "timestamp": to_iso(at)})
            await walk.receive(front, body, str(call["type"]), at)
            _follow(house)
            await walk.send(house)
        clock.at = NOW
        _follow(house)
        await walk.send(house)
    told = {"state": "live", "loaded_at": to_iso(START), "problems": [], **describe(workshop.rulebook)}
    settings.rulebook_path.write_bytes(msgspec.json.encode(told))


def _follow(house: walk.House) -> None:
    while walk.follow(house):
        pass


@contextlib.asynccontextmanager
async def open_shop(workspace: Path):
    """The api process's desk over a workspace that has lived, at NOW."""
    settings = load_settings(workspace, {})
    async with open_desk(settings, ring=lambda: None, public_url="http://127.0.0.1:1") as desk:
        yield set_clock(desk)


def set_clock(desk: Desk) -> Desk:
    return replace(desk, front=replace(desk.front, clock=SetClock(NOW)))


def connect(desk, *, headers=None, base_url="http://shop.test", client=("127.0.0.1", 1)):
    """A client of the api process's application; `client` is the address that it seems to come from."""
    transport = httpx.ASGITransport(app=app_for(desk), client=client)
    return httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers or {})
