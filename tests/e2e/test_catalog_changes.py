"""The shop's catalogue changes while the server runs: mails show what it holds now; a broken one changes nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from running import Running, identify, serving, track, wait_until, write_workspace

OFFER = """
    ruleset: offers
    rules:
      - name: offer
        on: Offer Wanted
        then: [send: offer]
"""
CATALOG = "id,name,price\nk-1,Kettle,PRICE\n"


@pytest.fixture
def server(tmp_path) -> Iterator[Running]:
    more = '[catalog]\nfile = "products/catalog.csv"\n'
    workspace = write_workspace(tmp_path / "shop", {"offers.yaml": OFFER}, more_settings=more, offer="marketing")
    (workspace / "products").mkdir()
    write_catalog(workspace, CATALOG.replace("PRICE", "39"))
    mail = workspace / "templates" / "offer" / "email.mjml"
    subject = "subject: \"{% assign p = 'k-1' | product %}{{ p.name }} for {{ p.price }}\""
    mail.write_text(mail.read_text().replace('subject: "The offer"', subject))
    with serving(workspace) as running:
        yield running


def write_catalog(workspace, text):
    fresh = workspace / "products" / "fresh"
    fresh.write_text(text)
    fresh.replace(workspace / "products" / "catalog.csv")


def subject(server: Running) -> str:
    person = f"p{time.monotonic_ns()}"
    server.take(identify(person, email=f"{person}@example.org"), track(person, "Offer Wanted"))
    return str(server.letter(server.sent("offer", person)["id"])["Subject"])


def test_mails_show_the_catalogue_as_it_is_now_and_a_broken_one_changes_nothing(server):
    assert subject(server) == "Kettle for 39"
    write_catalog(server.workspace, CATALOG.replace("PRICE", "29.5"))
    wait_until(lambda: subject(server) == "Kettle for 29.5", "the new price")
    write_catalog(server.workspace, CATALOG.replace("PRICE", "19,90"))
    wait_until(lambda: server.get("/v1/rulebook")["state"] == "broken", "the broken catalogue's problem")
    assert "products/catalog.csv:2:1" in str(server.get("/v1/rulebook")["problems"])
    assert subject(server) == "Kettle for 29.5"
    worker = server.child("worker")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: server.children("worker") not in ([worker], []), "a new worker")
    assert subject(server) == "Kettle for 29.5"
