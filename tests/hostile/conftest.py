"""One server that outlives all of these tests: people, a segment, and letters that say what outsiders have said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from running import Running, serving, write_workspace

RULES = {
    "people.yaml": """
        events: {purchase: Order Completed}
        segments:
          - name: everybody
            when: count(identify) >= 1
          - name: named
            when: exists(traits.name) and not contains(lower(traits.name), "nobody of this name")
    """,
    "greeting.yaml": """
        ruleset: greeting
        rules:
          - name: hello
            on: Letter Wanted
            then: [send: hello]
          - name: said
            on: Said
            when: exists(event.text)
            then:
              - set: {said: {value: event.text}}
    """,
}
GREETING = '{{ profile.first_name | default: "you" }}'


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    workspace = write_workspace(tmp_path_factory.mktemp("hostile") / "shop", RULES, hello="transactional")
    letter = workspace / "templates" / "hello" / "email.mjml"
    text = letter.read_text().replace('subject: "The hello"', f"subject: 'For {GREETING}'")
    assert GREETING in text.partition("preheader")[0]
    letter.write_text(text)
    with serving(workspace) as running:
        yield running
