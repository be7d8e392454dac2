"""`sends`, `holds`, `hold`, `release` and `resolve`, from a workspace whose server does not run and over HTTP."""

import asyncio
import json
import shutil
from dataclasses import replace

import pytest
from click.testing import CliRunner
from msgspec.structs import replace as changed

from shop import ADMIN, NOW, connect, open_shop
from triggerfish import walk
from triggerfish.cli import main
from triggerfish.compose import load_workshop, open_house
from triggerfish.config import load_settings
from triggerfish.plugin.testing import SetClock


@pytest.fixture
def workspace(lived, tmp_path):
    return shutil.copytree(lived, tmp_path / "workspace")


def run(workspace, *words, code=0):
    result = CliRunner().invoke(main, [*words, "--workspace", str(workspace)])
    assert result.exit_code == code, result.output
    return result.output


def told(workspace, *words):
    return json.loads(run(workspace, *words, "--json"))


def follow(workspace):
    """A worker lives for a moment."""

    async def live():
        settings = load_settings(workspace, {})
        async with open_house(settings, load_workshop(settings), public_url="http://127.0.0.1:1") as opened:
            house = replace(opened, clock=SetClock(NOW))
            while walk.follow(house):
                pass

    asyncio.run(live())


def make_uncertain(workspace):
    """The one that was sent is uncertain now. Gives its id."""

    async def live():
        settings = load_settings(workspace, {})
        async with open_house(settings, load_workshop(settings), public_url="http://127.0.0.1:1") as house:
            [due] = [each for each in sent(house.store) if each.status == "sent"]
            house.store.mark([changed(due, status="uncertain", reason="nobody knows")], [])
            return due.id

    return asyncio.run(live())


def sent(store):
    from triggerfish.adapters.sqlite import outgoing

    return [outgoing.one(store._db, id_) for (id_,) in store._all("SELECT id FROM sends")]


def test_messages_are_listed_with_what_became_of_them(workspace):
    assert [each["status"] for each in told(workspace, "sends")] == ["skipped", "sent"]
    assert [each["status"] for each in told(workspace, "sends", "--status", "sent", "--person", "ana")] == ["sent"]
    lines = run(workspace, "sends", "--rule", "hello / welcome")
    assert "Returned happened meanwhile" in lines
    assert "over outbox  (hello / welcome)" in lines
    assert run(workspace, "sends", "--template", "none") == "There are none like that.\n"


def test_a_rule_is_held_and_released_with_the_worker_down(workspace):
    assert run(workspace, "holds") == "Nothing is held.\n"
    said = run(workspace, "hold", "hello/welcome", "--reason", "the wrong price")
    assert said == "hello / welcome is held; no server runs, so it is carried out when one does.\n"
    follow(workspace)
    [held] = told(workspace, "holds")
    assert (held["ruleset"], held["rule"], held["reason"], held["by"]) == (
        "hello", "welcome", "the wrong price", "command line"
    )  # fmt: skip
    shown = run(workspace, "holds")
    assert "the wrong price" in shown
    assert "triggerfish release hello/welcome" in shown
    assert [each["held"] for each in told(workspace, "rules") if each["rule"] == "welcome"] == ["the wrong price"]
    assert "HELD: the wrong price" in run(workspace, "rules")
    assert told(workspace, "release", "hello / welcome")["rule"] == "welcome"
    follow(workspace)
    assert told(workspace, "holds") == []


def test_what_is_not_there_is_not_held_and_what_is_not_held_not_released(workspace):
    assert 'there is no rule "welcom"' in run(workspace, "hold", "hello/welcom", code=1)
    assert 'no rule set "hi"' in run(workspace, "hold", "hi", code=1)
    assert "is not held" in run(workspace, "release", "hello", code=1)


def test_an_uncertain_send_is_settled_by_hand_once(workspace):
    send = make_uncertain(workspace)
    assert "triggerfish resolve SEND" in run(workspace, "sends", "--status", "uncertain")
    run(workspace, "resolve", send, "failed")
    follow(workspace)
    [found] = told(workspace, "sends", "--status", "failed")
    assert (found["id"], found["reason"]) == (send, "settled by command line")
    assert "TF663" in run(workspace, "resolve", send, "sent", code=1)
    assert "TF130" in run(workspace, "resolve", "nobody", "sent", code=1)


def test_the_same_over_http(workspace):
    send = make_uncertain(workspace)

    async def ask():
        async with open_shop(workspace) as desk, connect(desk, headers=ADMIN) as client:
            held = await client.post("/v1/holds", json={"ruleset": "hello"})
            wrong = [
                await client.post("/v1/holds", json={"ruleset": "hullo"}),
                await client.post("/v1/holds", json={"rule": "welcome"}),
                await client.delete("/v1/holds/hello/welcome"),
                await client.post(f"/v1/sends/{send}/resolve", json={"outcome": "maybe"}),
                await client.post("/v1/sends/nobody/resolve", json={"outcome": "sent"}),
            ]
            settled = await client.post(f"/v1/sends/{send}/resolve", json={"outcome": "again"})
        async with open_shop(workspace) as desk, connect(desk) as client:
            shut = await client.get("/v1/holds")
        return held, wrong, settled, shut

    held, wrong, settled, shut = asyncio.run(ask())
    assert (held.status_code, held.json()) == (200, {"ruleset": "hello", "rule": "", "reason": ""})
    assert [each.json()["code"] for each in wrong] == ["TF130", "TF664", "TF130", "TF664", "TF130"]
    assert (settled.status_code, shut.status_code) == (200, 401)
    follow(workspace)
    assert [each["ruleset"] for each in told(workspace, "holds")] == ["hello"]
    assert told(workspace, "holds")[0]["waiting"] == 1

    async def again():
        async with open_shop(workspace) as desk, connect(desk, headers=ADMIN) as client:
            return await client.get("/v1/holds"), await client.delete("/v1/holds/hello")

    listed, released = asyncio.run(again())
    assert (listed.json()[0]["by"], released.status_code) == ("admin key", 200)


def test_the_same_on_the_pages(workspace):
    send = make_uncertain(workspace)
    run(workspace, "hold", "hello/welcome", "--reason", "the <wrong> price")
    follow(workspace)
    origin = {"origin": "http://shop.test"}

    async def ask():
        async with open_shop(workspace) as desk, connect(desk, headers=ADMIN) as client:
            pages = [(await client.get(path)).text for path in ("/rulebook", f"/sends/{send}")]
            form = {"ruleset": "hello", "rule": "welcome"}
            refused = [
                await client.post("/rulebook/release", data=form),
                await client.post(
                    f"/sends/{send}/resolve", data={"outcome": "sent"}, headers={"origin": "http://evil"}
                ),
                await client.post(f"/sends/{send}/resolve", data={"outcome": "maybe"}, headers=origin),
                await client.post("/rulebook/release", data={"ruleset": "hello"}, headers=origin),
            ]
            taken = [
                await client.post("/rulebook/release", data=form, headers=origin),
                await client.post(f"/sends/{send}/resolve", data={"outcome": "sent"}, headers=origin),
            ]
        async with open_shop(workspace) as desk, connect(desk, headers=origin) as stranger:
            shut = await stranger.post("/rulebook/release", data=form)
        return pages, refused, taken, shut

    pages, refused, taken, shut = asyncio.run(ask())
    assert "the &lt;wrong&gt; price" in pages[0]
    assert "It was not" in pages[1]
    assert [each.status_code for each in refused] == [403, 403, 400, 404]
    assert [each.status_code for each in taken] == [303, 303]
    assert shut.status_code == 401
    follow(workspace)
    assert told(workspace, "holds") == []
    assert [each["id"] for each in told(workspace, "sends", "--status", "sent")] == [send]
