"""One server for all tests of a module that only send and read; people differ from test to test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from running import Running, serving, write_workspace

RULES = {
    "people.yaml": """
        events: {purchase: Order Completed}
        segments:
          - name: active
            when: count(page, "2 seconds") >= 1
            priority: 5
          - name: customers
            when: count(purchase) >= 1
            priority: 10
            segments:
              - name: loyal
                when: count(purchase) >= 3
                priority: 50
    """,
    "greeting.yaml": """
        ruleset: greeting
        rules:
          - name: hello
            on: identify
            when: exists(traits.email)
            wait: 2 seconds
            while_waiting: keep
            cooldown: 365 days
            then:
              - send: hello
              - set: {greeted: true}
    """,
    "orders.yaml": """
        ruleset: orders
        rules:
          - name: receipt
            on: purchase
            then: [send: receipt]
          - name: offer
            on: Offer Wanted
            then: [send: offer]
    """,
    "clicks.yaml": """
        ruleset: clicks
        rules:
          - name: interested
            on: Email Link Clicked
            then:
              - set: {looked_at: {value: event.url}}
              - emit: Interest Shown
    """,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("e2e") / "shop"
    with serving(write_workspace(folder, RULES, hello="marketing", offer="marketing", receipt="transactional")) as it:
        yield it
