"""`triggerfish suppress`: the suppression list on the command line, with a server and without one."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner

from shop import make_workspace, open_shop
from triggerfish import walk
from triggerfish.cli import main
from triggerfish.compose import load_workshop, open_house, prepare
from triggerfish.config import load_settings


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    workspace = make_workspace(tmp_path_factory.mktemp("suppress") / "workspace")
    settings = load_settings(workspace, {})
    prepare(settings)
    return workspace, load_workshop(settings)


def suppress(workspace, *arguments):
    return CliRunner().invoke(main, ["suppress", "--workspace", str(workspace), *arguments])


def carry_out(workspace, workshop):
    """What a worker does."""

    async def follow():
        async with open_house(load_settings(workspace, {}), workshop, public_url="http://127.0.0.1:1") as house:
            while walk.follow(house):
                pass

    asyncio.run(follow())


def test_a_list_goes_in_comes_out_and_goes_in_again(origin, tmp_path):
    workspace, workshop = origin
    told = suppress(workspace, "Ana@Example.com", "@spam.example", "--note", "asked us")
    assert (told.exit_code, told.output) == (
        0, "2 lines on the suppression list; no server runs, so it is carried out when one does.\n",
    )  # fmt: skip
    file = tmp_path / "list.csv"
    file.write_text("email,type\nbo@example.com,HardBounce\ncy@example.com,\n")
    told = suppress(workspace, "--file", str(file), "--purpose", "news", "--json")
    assert json.loads(told.output) == {"suppressions": 2, "is_carried_out": False}
    carry_out(workspace, workshop)
    listed = suppress(workspace, "--list")
    rows = [line.split(",")[:5] for line in listed.output.splitlines()]
    assert rows == [
        ["address", "purpose", "reason", "note", "by"],
        ["@spam.example", "", "manual", "asked us", "command line"],
        ["ana@example.com", "", "manual", "asked us", "command line"],
        ["bo@example.com", "news", "hard bounce", "", "command line"],
        ["cy@example.com", "news", "manual", "", "command line"],
    ]
    assert json.loads(suppress(workspace, "--list", "--json").output)[0]["address"] == "@spam.example"
    file.write_text(listed.output)
    assert suppress(workspace, "--remove", "--file", str(file)).exit_code == 0
    carry_out(workspace, workshop)
    assert suppress(workspace, "--list").output == "address,purpose,reason,note,by,at\n"
    assert suppress(workspace, "--file", str(file)).exit_code == 0
    carry_out(workspace, workshop)
    assert len(suppress(workspace, "--list").output.splitlines()) == 5


def test_what_is_no_address_is_refused_and_nothing_is_changed(origin):
    workspace, _ = origin

    async def head():
        async with open_shop(workspace) as desk:
            return desk.front.log.head()

    before = asyncio.run(head())
    refused = suppress(workspace, "bo@example.com", "ana")
    assert refused.exit_code == 1
    assert 'TF684  "ana" is neither an address nor a domain' in refused.output
    assert "[1].address: expected ana@example.com, or @example.com for a domain" in refused.output
    assert suppress(workspace).exit_code == 2
    assert suppress(workspace, "a@b.example", "--reason", "because").exit_code == 2
    assert asyncio.run(head()) == before


def test_a_providers_own_words_for_a_reason_become_the_note(origin):
    workspace, workshop = origin
    file = workspace / "bounces.csv"
    file.write_text("status,reason,email\n5.1.1,550 no such user,di@rival.example\n,Unsubscribed,ed@rival.example\n")
    assert suppress(workspace, "--file", str(file), "--reason", "hard bounce").exit_code == 0
    carry_out(workspace, workshop)
    rows = json.loads(suppress(workspace, "--list", "--json").output)
    found = [(row["address"], row["reason"], row.get("note", "")) for row in rows if "rival" in row["address"]]
    assert found == [("di@rival.example", "hard bounce", "550 no such user"), ("ed@rival.example", "unsubscribe", "")]
