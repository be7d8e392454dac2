"""Conditions, values and templates held against the tracking plan: what is told, and what is not."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.templates import check_templates
from triggerfish.conditions import View
from triggerfish.errors import RulebookBroken
from triggerfish.ingest import Event
from triggerfish.plan import Checks
from triggerfish.profile import Profile
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.plan_templates import check_readings
from triggerfish.rulefile.problems import Problem
from triggerfish.rules import Rulebook
from triggerfish.zones import Zones
from worlds import TEMPLATES

PLAN = """
events:
  purchase:
    name: Order Completed
    properties:
      total: {type: number, required: true}
      currency: {type: text, allowed: [EUR, USD]}
      ship: object
  viewed:
    name: Product Viewed
    properties: {price: number, total: text}
  bare: Bare
traits:
  country: text
  birthday: text
"""
RULES = "ruleset: x\nrules:\n"


def load(*texts: str, templates: Any = None) -> tuple[Rulebook | None, list[Problem]]:
    files = {f"rules/{place}.yaml": text for place, text in enumerate(texts)}
    try:
        return load_rulebook(files, templates=templates or TEMPLATES, matcher=CompiledMatcher)
    except RulebookBroken as broken:
        return None, list(broken.problems)  # type: ignore[arg-type]


def codes(*texts: str) -> list[tuple[str, int]]:
    return [(problem.code, problem.line) for problem in load(*texts)[1]]


def rule(when: str, on: str = "purchase") -> str:
    return f"{RULES}  - name: r\n    on: {on}\n    when: {when}\n    then: [{{emit: done}}]\n"


@pytest.mark.parametrize(
    "when",
    [
        "event.total > 5 and event.total != 7",
        'event.ship.city == "Berlin"',
        'event.currency in ["EUR"] and event.currency == event.currency',
        'traits.country == "DE" and exists(traits.country)',
        "default(event.total, 0) > 5",
        'last(purchase.currency) == "EUR"',
        "count(bare[anything > 5]) > 1 and sum(bare.anything) > 3",
        'context.device == "x" and local.hour > 5',
        "event.total == 5.0",
        "sequence(viewed, purchase[total > 5], within='1h')",
    ],
)
def test_what_agrees_with_the_plan_is_let_alone(when: str) -> None:
    assert codes(PLAN, rule(f"{when!r}")) == []


def test_without_a_plan_nothing_is_held_against_it() -> None:
    assert codes("events: {purchase: Order Completed}", rule("'event.total > \"x\" and traits.a == 1'")) == []


@pytest.mark.parametrize("on", ["bare", "[purchase, bare]", "Unheard Of", "page"])
def test_a_triggering_event_without_planned_properties_may_bring_anything(on: str) -> None:
    assert codes(PLAN, rule("event.anything > 5", on)) == []


def test_several_triggering_events_are_taken_together() -> None:
    # `price` is the one's, `total` is of two types, and nobody has `weight`.
    assert codes(PLAN, rule("event.price > 5 and event.total > 5", "[purchase, viewed]")) == []
    assert codes(PLAN, rule("event.weight > 5", "[purchase, viewed]")) == [("TF606", 5)]


def test_traits_that_rules_set_are_known() -> None:
    text = f"""{RULES}
  - name: r
    on: purchase
    when: traits.bought == True and traits.bougt == True
    then: [{{set: {{bought: true}}}}]
"""
    (problem,) = load(PLAN, text)[1]
    assert (problem.code, problem.column) == ("TF606", 37)


def test_a_date_that_nobody_plans_is_told() -> None:
    text = RULES + "  - {name: r, on: date traits.birthdy, at: '09:00', then: [{send: hello}]}\n"
    (problem,) = load(PLAN, text)[1]
    assert (problem.code, problem.column, problem.hint) == ("TF606", 31, 'did you mean "birthday"?')
    assert codes(PLAN, text.replace("birthdy", "birthday")) == []


def test_journeys_are_looked_through_to_their_last_step() -> None:
    text = f"""{RULES}
  - name: j
    on: purchase
    goal: {{on: viewed, when: event.price > "5"}}
    steps:
      - branch:
          - when: event.total > "5"
            steps:
              - wait_until:
                  on: viewed
                  when: event.price == "x"
                  at_most: 1 day
                  otherwise:
                    - set: {{country: 5}}
          - steps:
              - emit: Order Completed
                properties: {{total: {{value: event.currency}}}}
"""
    assert codes(PLAN, text) == [("TF604", 6), ("TF604", 9), ("TF604", 13), ("TF604", 16), ("TF604", 19)]


def test_two_files_with_a_plan_are_told() -> None:
    (problem,) = load("plan: {on_violation: warn}", "# here\nplan: {on_violation: reject}")[1]
    assert (problem.code, problem.path, problem.line) == ("TF600", "rules/1.yaml", 2)
    assert "rules/0.yaml, line 1" in problem.hint


def test_the_plan_of_several_files_is_one() -> None:
    made, _ = load(PLAN, "plan: {on_violation: quarantine, traits: warn, unknown_events: warn}\ntraits: {age: number}")
    assert made is not None
    assert {name: event.on_violation for name, event in made.plan.events.items()} == {
        "Order Completed": "quarantine",
        "Product Viewed": "quarantine",
        "Bare": "quarantine",
    }
    assert (made.plan.on_trait_violation, set(made.plan.traits)) == ("warn", {"country", "birthday", "age"})


# --- what is told is so -----------------------------------------------------------------------------------------------

VALUES: dict[str, list[Any]] = {
    "text": ["", "a", "b", "5"],
    "number": [0, 5, 5.5, -1],
    "boolean": [True, False],
    "list": [[], ["a"], [5]],
    "object": [{}, {"a": 1}],
}


class Case(NamedTuple):
    type: str
    allowed: list[Any]
    test: str


constants = st.sampled_from(["a", "5", "c", 5, 6, True])


@st.composite
def cases(draw: Any) -> Case:
    kind = draw(st.sampled_from(sorted(VALUES)))
    allowed = (
        draw(st.lists(st.sampled_from(VALUES[kind]), unique=True)) if kind in ("text", "number", "boolean") else []
    )
    constant = draw(constants)
    shape = draw(st.sampled_from(["p == {}", "p != {}", "p < {}", "p >= {}", "p in [{}]", "{} in p", "lower(p) == {}"]))
    return Case(kind, allowed, shape.replace("p", "event.p", 1).format(repr(constant)))


@given(case=cases())
@settings(max_examples=150, deadline=None)
def test_a_comparison_that_the_plan_calls_wrong_has_one_answer_for_all_that_the_plan_takes(case: Case) -> None:
    allowed = f", allowed: {case.allowed}" if case.allowed else ""
    plan = f"events: {{x: {{name: X, properties: {{p: {{type: {case.type}{allowed}}}}}}}}}"
    told = [problem for problem in load(plan, rule(f"{case.test!r}", "x"))[1] if problem.code in ("TF604", "TF605")]
    made, _ = load(rule(f"{case.test!r}", "X"))
    if not told or made is None:
        return
    condition = made.rulesets[0].rules[0].when
    assert condition is not None
    checks = Checks(load(plan)[0].plan)  # type: ignore[union-attr]
    answers = set()
    for value in VALUES[case.type]:
        event = Event("track", "X", "m", 0, "ana", properties={"p": value})
        if not checks.look(event):
            answers.add(condition.holds(View(Profile("p", 0, 0), 0, Zones("UTC"), event=event)))
    assert len(answers) <= 1, (case, answers)


# --- templates --------------------------------------------------------------------------------------------------------

MAIL = """<mjml><mj-head><mj-raw><meta name="color-scheme" content="light"></mj-raw></mj-head>
<mj-body><mj-section><mj-column><mj-text>
{body}
</mj-text></mj-column></mj-section></mj-body></mjml>"""
COMPANY = {"name": "Shop", "address": "1 Reef Street", "sender": "Shop <hello@shop.example>"}
SAMPLE = "traits: {country: DE, name: Ana}\nevent: {total: 5, currency: EUR, note: x, products: [a]}\n"


def told_of(
    folder: Path, body: str, rules: str, plan: str = PLAN, subject: str = "Hello"
) -> list[tuple[str, str, str]]:
    """The code of each warning, what it underlines, and its hint."""
    mail = folder / "templates" / "mail"
    mail.mkdir(parents=True)
    front = f"---\nsubject: '{subject}'\npreheader: There is something for you.\nclass: transactional\n---\n"
    (mail / "email.mjml").write_text(front + MAIL.format(body=body))
    (mail / "sample.yaml").write_text(SAMPLE)
    templates, problems = check_templates(folder / "templates", COMPANY)
    assert [problem.code for problem in problems] == []
    made, _ = load(plan, rules, templates=templates)
    assert made is not None
    samples = {name: each.sample for name, each in templates.items()}
    found = check_readings(made, {name: each.readings for name, each in templates.items()}, samples)
    assert all(problem.is_warning for problem in found)
    return [(one.code, one.source[one.column - 1 : one.column - 1 + one.width], one.hint) for one in found]


SENDS = RULES + "  - {name: r, on: purchase, then: [{send: mail}]}\n"


@pytest.mark.parametrize(
    "body",
    [
        "{{ event.total }}",
        '{{ event.currency | default: "EUR" }}',
        '{{ event.currency | upcase | default: "EUR" }}',
        "{% if event.currency %}{{ event.currency }}{% endif %}",
        "{% if event.currency == 'EUR' %}{{ event.currency }}{% else %}{{ event.total }}{% endif %}",
        "{% unless event.currency %}no{% else %}{{ event.currency }}{% endunless %}",
        "{% case event.currency %}{% when 'EUR' %}{{ event.currency }}{% endcase %}",
        "{% if traits.country %}{{ traits.country | upcase }}{% endif %}",
        "{{ event.total | money: event.currency }}",
        "{{ profile.first_name | default: 'you' }} {{ company.name }}",
        "{{ traits.email }}",
    ],
)
def test_what_is_sure_or_has_a_fallback_is_let_alone(body: str, tmp_path: Path) -> None:
    assert told_of(tmp_path, body.replace("{{ traits.email }}", ""), SENDS) == []


@pytest.mark.parametrize(
    ("body", "underlined"),
    [
        ("{{ event.currency }}", "event.currency"),
        ("{{ event.currency | upcase }}", "event.currency"),
        ("{% if traits.country %}{{ event.currency }}{% endif %}", "event.currency"),
        ("Hello {{ traits.country }}", "traits.country"),
        (
            "{% if event.total > 3 %}a{% endif %}{{ event.ship.city | default: '' }}{{ traits.country }}",
            "traits.country",
        ),
    ],
)
def test_what_may_be_missing_without_a_fallback_is_told_at_its_place(
    body: str, underlined: str, tmp_path: Path
) -> None:
    ((code, text, hint),) = told_of(tmp_path, body, SENDS)
    assert (code, text) == ("TF608", underlined)
    assert "default" in hint


def test_what_nobody_plans_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    body = "{% if event.totl %}{{ traits.contry | default: 'x' }}{% endif %}"
    body += "{% for p in event.products %}{{ p }}{% endfor %}"
    assert [found[:2] for found in told_of(tmp_path, body, SENDS)] == [
        ("TF607", "event.totl"),
        ("TF607", "traits.contry"),
        ("TF607", "event.products"),
    ]


def test_the_subject_is_looked_at_too(tmp_path: Path) -> None:
    assert told_of(tmp_path, "x", SENDS, subject="{{ traits.country }}")[0][:2] == ("TF608", "traits.country")


@pytest.mark.parametrize(
    "rules",
    [
        RULES + "  - {name: r, on: bare, then: [{send: mail}]}\n",
        RULES + "  - {name: r, on: [purchase, bare], then: [{send: mail}]}\n",
        RULES + "  - {name: r, on: date traits.birthday, at: '09:00', then: [{send: mail}]}\n",
        RULES + "  - {name: r, on: purchase, then: [{emit: done}]}\n",
    ],
)
def test_a_template_is_held_only_against_events_that_are_planned(rules: str, tmp_path: Path) -> None:
    assert told_of(tmp_path, "{{ event.note }}", rules) == []


def test_what_no_plan_knows_is_held_against_the_sample_person_on_every_way(tmp_path: Path) -> None:
    body = (
        "{% if event.gift %}For {{ event.whom }}, {{ event.note | default: 'from us' }}, {{ event.total }}{% endif %}"
    )
    rules = RULES + "  - {name: r, on: bare, then: [{send: mail}]}\n"
    ((code, text, hint),) = told_of(tmp_path, body, rules)
    assert (code, text) == ("TF608", "event.whom")
    assert "sample.yaml" in hint


def test_what_one_of_several_events_does_not_bring_may_be_missing(tmp_path: Path) -> None:
    rules = RULES + "  - {name: r, on: [purchase, viewed], then: [{send: mail}]}\n"
    ((code, text, _),) = told_of(tmp_path, "{{ event.total }}", rules)
    assert (code, text) == ("TF608", "event.total")


def test_the_examples_of_the_page_load_and_are_told_as_it_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "tracking-plan.md").read_text(encoding="utf-8")
    (plan,) = re.findall(r"(?ms)^```yaml\n(.*?)^```", page)
    (told,) = re.findall(r"(?ms)^```\n(rules/cart\.yaml.*?)^```", page)
    cart = 'ruleset: cart\n\nrules:\n  - name: big-cart\n    on: purchase\n    when: event.total > "100"\n'
    cart += "    then: [{emit: x}]\n"
    with pytest.raises(RulebookBroken) as broken:
        load_rulebook({"rules/plan.yaml": plan, "rules/cart.yaml": cart}, templates={}, matcher=CompiledMatcher)
    assert [problem.render() + "\n" for problem in broken.value.problems] == [told]
