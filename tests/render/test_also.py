"""A message shows those that lost to it and became part of it, and none that the person has opted out of meanwhile."""

from __future__ import annotations

from pathlib import Path

from render.kit import SeenLinks, check, email
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.clock import MINUTE
from triggerfish.leave import compose
from triggerfish.rulefile.compile import load_rulebook
from worlds import NOON, TEMPLATES, World, feedback, identify, track

RULES = {
    "rules/policy.yaml": "policy: {arbitration: {window: 5 minutes}}",
    "rules/top.yaml": "{ruleset: top, priority: 9, rules: [{name: t, on: Top, then: [{send: hello}]}]}",
    "rules/low.yaml": """
ruleset: low
rules:
  - {name: a, on: A, losing: merge, then: [{send: news}]}
  - {name: b, on: B, losing: merge, then: [{send: offer}]}
""",
}
SHOWING = email("<mj-text>Yours{% for other in also %}, {{ other.rule }}: {{ other.event.name }}{% endfor %}</mj-text>")


def merged(tmp_path: Path) -> tuple[World, object]:
    template, problems = check(tmp_path, SHOWING)
    assert template is not None, problems
    world = World()
    world.rulebook, warnings = load_rulebook(RULES, templates=TEMPLATES | {"hello": template}, matcher=CompiledMatcher)
    assert not warnings
    world.take(identify(NOON - 1, email="ana@example.com"))
    world.take(
        track("A", NOON, properties={"name": "Reef <b>News</b>"}),
        track("B", NOON + 1, properties={"name": "Sale"}),
        track("Top", NOON + 2),
    )
    world.wait_until(NOON + 5 * MINUTE)
    return world, template


def text_of(world: World, template: object) -> tuple[str, str]:
    (due,) = [due for due in world.sends if due.status == "due"]
    message = compose(world.rulebook, template, world.who(), due, SeenLinks(), NOON, {})  # type: ignore[arg-type]
    return message.html, message.text


def test_what_was_merged_is_shown_and_its_values_are_escaped(tmp_path: Path) -> None:
    world, template = merged(tmp_path)
    assert [due.status for due in world.sends] == ["skipped", "skipped", "due"]
    html, text = text_of(world, template)
    assert "Yours, a: Reef &lt;b&gt;News&lt;/b&gt;, b: Sale" in html
    assert "Yours, a: Reef <b>News</b>, b: Sale" in text


def test_what_the_person_opted_out_of_meanwhile_is_left_out(tmp_path: Path) -> None:
    world, template = merged(tmp_path)
    world.take(feedback("Unsubscribed", NOON + 6 * MINUTE, world.id_of("ana"), purpose="news", send_id="s"))
    html, _ = text_of(world, template)
    assert "Yours, b: Sale" in html
