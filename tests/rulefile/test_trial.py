"""Rule tests run as they say: what is expected, and when; and every departure from it is found, with its place."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.durable import DurableMatcher
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.errors import MissingData
from triggerfish.render import Address, Message
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.trial import Result, Results, choose, run_trials
from worlds import TEMPLATES

RULES = """
events: {purchase: Order Completed, add_to_cart: Product Added}
policy:
  time_zone: Europe/Berlin
  quiet_hours: {start: "21:00", end: "08:00"}
segments:
  - name: customers
    priority: 10
    when: count(purchase) >= 1
    segments:
      - {name: vip, priority: 20, when: 'sum(purchase.total, "30d") >= 100'}
ruleset: shop
max_age: 1 day
rules:
  - name: cart
    on: add_to_cart
    when: event.value > 10
    wait: 30 minutes
    unless: purchase
    then: [{send: offer}, {set: {cart: open}}]
  - name: thanks
    on: purchase
    then: [{send: receipt}, {emit: Thanked}]
"""


def run(test: str, rules: str = RULES, **more: Any) -> Results:
    """The results of the tests under `tests:` (indented text of a list)."""
    files = {"rules/a.yaml": dedent(rules)}
    matcher = more.pop("matcher", CompiledMatcher)
    extras = {name: more.pop(name) for name in ("actions", "functions") if name in more}
    rulebook, _ = load_rulebook(files, templates=TEMPLATES, matcher=matcher, **extras)
    tests = {"rules/a.test.yaml": "tests:\n" + dedent(test)}
    return run_trials(rulebook, TEMPLATES, tests, matcher=matcher, new_store=MemoryStateStore, **more)


def one(test: str, rules: str = RULES, **more: Any) -> Result:
    results = run(test, rules, **more)
    assert not results.problems, [problem.render() for problem in results.problems]
    (result,) = results.results
    return result


def told(result: Result) -> list[tuple[str, str, str]]:
    return [(failure.key, failure.expected, failure.actual) for failure in result.failures]


CART = """
- name: a cart
  profile: {traits: {email: ana@example.com}}
  events:
    - {at: 0m, event: add_to_cart, properties: {value: 20}}
  expect:
"""
GOOD = """
    - {at: 0m, sends: [], waiting: [cart], segments: [], traits: {cart: null}}
    - {at: 29m 59s, sends: []}
    - {at: 30m, sends: [offer], waiting: [], traits: {cart: open, email: ana@example.com}, no_sends: [receipt]}
    - {at: 31m, sends: [], emits: []}
"""


@pytest.mark.parametrize("matcher", [CompiledMatcher, DurableMatcher])
def test_what_is_expected_rightly_passes_under_both_engines(matcher: Any) -> None:
    assert one(CART + GOOD, matcher=matcher).has_passed


@pytest.mark.parametrize(
    ("line", "key", "expected", "actual"),
    [
        ("{at: 30m, sends: []}", "sends", "nothing", "offer"),
        ("{at: 29m, sends: [offer]}", "sends", "offer", "nothing"),
        ("{at: 30m, sends: [offer, offer]}", "sends", "offer, offer", "offer"),
        ("{at: 30m, sends: [receipt]}", "sends", "receipt", "offer"),
        ("{at: 30m, sends: [{template: offer, rule: thanks}]}", "sends", "offer (by thanks)", "offer (by shop / cart"),
        ("{at: 30m, no_sends: [offer]}", "no_sends", "no offer so far", "offer left"),
        ("{at: 0m, segments: [vip]}", "segments", "vip", "nothing"),
        ("{at: 0m, segments: {in: [vip]}}", "segments", "vip: in it", "not in it"),
        ("{at: 0m, segment: vip}", "segment", "vip", "none"),
        ("{at: 30m, traits: {cart: closed}}", "traits.cart", "'closed'", "'open'"),
        ("{at: 30m, traits: {cart: true}}", "traits.cart", "True", "'open'"),
        ("{at: 30m, traits: {email: null}}", "traits.email", "nothing", "'ana@example.com'"),
        ("{at: 0m, waiting: []}", "waiting", "nothing", "shop / cart"),
        ("{at: 30m, waiting: [cart]}", "waiting", "cart", "nothing"),
        ("{at: 0m, emits: [Thanked]}", "emits", "Thanked", "nothing"),
        ("{at: 0m, calls: [note]}", "calls", "note", "nothing"),
        ("{at: 0m, reasons: {offer: quiet hours}}", "reasons.offer", "quiet hours", "waits 30 minutes"),
        ("{at: 0m, reasons: {thanks: anything}}", "reasons.thanks", "anything", "no reason is noted"),
    ],
)
def test_each_expectation_can_fail(line: str, key: str, expected: str, actual: str) -> None:
    ((found_key, found_expected, found_actual),) = told(one(f"{CART}    - {line}\n"))
    assert (found_key, found_expected) == (key, expected)
    assert found_actual.startswith(actual)


def test_a_failure_tells_its_place_its_instant_and_what_happened_until_then() -> None:
    (failure,) = one(f"{CART}    - {{at: 30m, sends: [receipt]}}\n").failures
    assert failure.source == "    - {at: 30m, sends: [receipt]}"
    assert failure.source[failure.column - 1 :].startswith("[receipt]")
    assert failure.line == 8
    assert (failure.at, failure.when) == ("2026-01-05T11:30:00.000Z", "mon 2026-01-05 12:30, 30m")
    assert failure.timeline[0].split(maxsplit=4) == [
        "mon",
        "2026-01-05",
        "12:00,",
        "0m",
        "event    Product Added  {value: 20}",
    ]
    assert failure.timeline[-1].endswith("send     offer: due  (shop / cart)")


def test_history_counts_and_wakes_nothing() -> None:
    result = one("""
    - name: bought before
      history:
        - {at: -29d, event: purchase, properties: {total: 100}}
        - {at: -10m, event: add_to_cart, properties: {value: 20}}
      expect:
        - {at: 0m, sends: [], emits: [], waiting: [], segment: vip, segments: [customers, vip]}
        - {at: 1d, segments: {in: [customers], not_in: [vip]}}
        - {at: 30d, sends: []}
    """)
    assert result.has_passed, told(result)


def test_time_alone_works_from_the_start_on() -> None:
    rules = RULES + "  - {name: left, on: segment.left, then: [{send: receipt}]}\n"
    test = """
    - name: leaves at the very start
      profile: {traits: {email: ana@example.com}}
      history: [{at: -30d, event: purchase, properties: {total: 100}}]
      expect: [{at: 0m, sends: [receipt], segments: [customers]}]
    """
    assert one(test, rules).has_passed


def test_sends_are_counted_from_the_line_before_that_names_them() -> None:
    result = one("""
    - name: two orders
      profile: {traits: {email: ana@example.com}}
      events: [{at: 0m, event: purchase}, {at: 1m, event: purchase}]
      expect:
        - {at: 0m, segments: [customers]}
        - {at: 2m, sends: [receipt, receipt], emits: [Thanked, Thanked]}
        - {at: 3m, sends: [], emits: []}
    """)
    assert result.has_passed, told(result)


@pytest.mark.parametrize(
    ("at", "passes"), [("2026-01-06 08:00", True), ("2026-01-06 07:59", False), ("2026-01-06 07:59:59", False)]
)
def test_local_times_are_those_of_the_policys_zone_unless_the_test_names_one(at: str, passes: bool) -> None:
    for zone in ("", "  time_zone: Asia/Tokyo\n"):
        test = f"""- name: night
{zone}  start: 2026-01-05 20:45
  profile: {{traits: {{email: ana@example.com}}}}
  events: [{{at: 0m, event: add_to_cart, properties: {{value: 20}}}}]
  expect: [{{at: {at}, sends: [offer]}}]
"""
        assert one(test).has_passed is passes


def test_an_event_that_comes_late_wakes_nothing_beyond_the_rule_sets_age() -> None:
    for late, sent in (("1 day", "[receipt]"), ("1 day 1 ms", "[]")):
        test = f"""
        - name: late
          profile: {{traits: {{email: ana@example.com}}}}
          events: [{{at: 0m, event: purchase, late: {late}}}]
          expect: [{{at: 0m, sends: {sent}, segments: [customers]}}]
        """
        assert one(test).has_passed


def test_a_stranger_is_the_person_once_they_say_so() -> None:
    result = one("""
    - name: from phone to person
      events:
        - {at: 0m, event: purchase, anonymous: phone}
        - {at: 1m, identify: {email: ana@example.com}, anonymous: phone}
        - {at: 2m, event: purchase}
      expect:
        - {at: 0m, segments: [customers], reasons: {receipt: no email address}}
        - {at: 1m, traits: {email: ana@example.com}, segments: [customers]}
        - {at: 2m, sends: [receipt]}
    """)
    assert result.has_passed, told(result)


def test_a_known_person_and_the_stranger_on_their_phone_become_one() -> None:
    result = one("""
    - name: known before
      profile: {traits: {email: ana@example.com}}
      events:
        - {at: 0m, event: purchase, anonymous: phone, properties: {total: 100}}
        - {at: 1m, identify: {}, anonymous: phone}
      expect:
        - {at: 0m, segments: []}
        - {at: 1m, segments: [customers, vip], traits: {email: ana@example.com}}
    """)
    assert result.has_passed, told(result)


def test_what_people_do_with_messages_is_an_event() -> None:
    result = one(
        CART.replace("events:\n", "events:\n    - {at: 0m, event: Unsubscribed, properties: {purpose: marketing}}\n")
        + "    - {at: 1h, sends: [], reasons: {offer: opted out of marketing}}\n"
    )
    assert result.has_passed, told(result)


JOURNEY = """
events: {signup: Signed Up, viewed: Product Viewed}
ruleset: j
rules:
  - name: first-week
    on: signup
    goal: purchase
    steps:
      - send: hello
      - wait: 2 days
      - split:
          name: subject
          holdout: 20
          variants: [{name: a, steps: [{send: offer}]}, {name: b, steps: [{call: note}, {send: news}]}]
  - {name: weekly, on: schedule monday 09:00, segment: all, then: [{send: receipt}]}
segments: [{name: all, when: exists(traits.email)}]
"""


@pytest.mark.parametrize(
    ("variant", "sends", "calls"), [("a", "[offer]", "[]"), ("b", "[news]", "[note]"), ("holdout", "[]", "[]")]
)
def test_a_variant_can_be_assigned(variant: str, sends: str, calls: str) -> None:
    test = f"""
    - name: journey
      profile: {{traits: {{email: ana@example.com}}}}
      assign: {{subject: {variant}}}
      events: [{{at: 0m, event: signup}}]
      expect:
        - {{at: 0m, sends: [hello], waiting: [first-week]}}
        - {{at: 2d, sends: {sends}, calls: {calls}, waiting: []}}
    """
    assert one(test, JOURNEY, actions=("note",)).has_passed


def test_the_calendar_goes_by_the_virtual_clock() -> None:
    test = """
    - name: mondays
      start: 2026-03-27 12:00
      time_zone: Europe/Berlin
      profile: {traits: {email: ana@example.com}}
      expect:
        # The clocks change on the 29th.
        - {at: 2026-03-30 08:59:59, sends: []}
        - {at: 2026-03-30 09:00, sends: [receipt]}
        - {at: 2026-04-06 09:00, sends: [receipt]}
    """
    assert one(test, JOURNEY, actions=("note",)).has_passed


def test_a_message_can_be_looked_at_and_one_that_cannot_be_composed_fails() -> None:
    def compose(rulebook: Any, due: Any, profile: Any, now: int) -> Message:
        if profile.trait("name") is None:
            raise MissingData("traits.name is missing")
        shop = Address("shop@example.com", "")
        subject = f"Hi {profile.trait('name')}"
        return Message(send_id=due.id, to=shop, sender=shop, subject=subject, html="<p>a</p>", text="some text")

    for name, line, passes in (
        ("Ana", "{template: offer, subject: Hi Ana, contains: [some, text]}", True),
        ("Ana", "{template: offer, subject: Hi Bo}", False),
        ("Ana", "{template: offer, contains: other}", False),
        ("null", "offer", False),
    ):
        test = CART.replace("{email", f"{{name: {name}, email") + f"    - {{at: 30m, sends: [{line}]}}\n"
        result = one(test, compose=compose)
        assert result.has_passed is passes
    assert "cannot be composed: traits.name is missing" in result.failures[0].actual


def test_a_rulebook_without_an_end_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triggerfish.rulefile.trial_stage.STEP_LIMIT", 3)
    rules = "segments: [{name: early, when: local.hour < 12}]"
    ((key, _, actual),) = told(one("- {name: x, profile: {}, events: [], expect: [{at: 9d, segments: []}]}", rules))
    assert key == "time"
    assert "more than 3 instants" in actual


def test_a_plugin_that_raises_fails_its_test_only() -> None:
    def boom(value: Any) -> bool:
        raise KeyError(value)

    rules = """
    ruleset: r
    rules: [{name: bad, on: x, when: boom(event.a), then: [{send: offer}]}, {name: good, on: y, then: [{send: offer}]}]
    """
    results = run(
        """
        - {name: bad, events: [{at: 0m, event: x, properties: {a: 1}}], expect: [{at: 0m, sends: []}]}
        - {name: good, events: [{at: 0m, event: y}], expect: [{at: 0m, sends: []}]}
        """,
        rules,
        functions={"boom": boom},
    )
    bad, good = results.results
    assert told(bad) == [("error", "no error", "KeyError: 1")]
    assert good.has_passed


def test_tests_are_chosen_by_a_part_of_their_name_or_a_pattern() -> None:
    names = ["A VIP waits", "somebody waits", "nobody"]
    assert [name for name in names if choose("WAITS")(name)] == names[:2]
    assert [name for name in names if choose("*vip*")(name)] == names[:1]
    assert [name for name in names if choose("n?body")(name)] == names[2:]


def problems(test: str) -> list[tuple[str, str]]:
    results = run(test)
    assert not results.results
    return [(problem.code, problem.source[problem.column - 1 :][: problem.width]) for problem in results.problems]


@pytest.mark.parametrize(
    ("line", "code", "marked"),
    [
        ("expect: [{at: 0m, sends: [ofer]}]", "TF610", "ofer"),
        ("expect: [{at: 0m, sends: [{template: ofer}]}]", "TF610", "ofer"),
        ("expect: [{at: 0m, no_sends: [ofer]}]", "TF610", "ofer"),
        ("events: [{at: 0m, event: purchased}], expect: [{at: 0m}]", "TF611", "purchased"),
        ("events: [{at: 0m, event: segment.entered}], expect: [{at: 0m}]", "TF611", "segment.entered"),
        ("expect: [{at: 0m, emits: [Thankd]}]", "TF611", "Thankd"),
        ("expect: [{at: 0m, segments: [vips]}]", "TF612", "vips"),
        ("expect: [{at: 0m, segments: {not_in: [vips]}}]", "TF612", "vips"),
        ("expect: [{at: 0m, segment: vips}]", "TF612", "vips"),
        ("expect: [{at: 0m, waiting: [carts]}]", "TF613", "carts"),
        ("expect: [{at: 0m, reasons: {carts: x}}]", "TF613", "carts"),
        ("assign: {colours: red}, expect: [{at: 0m}]", "TF613", "colours"),
        ("expect: [{at: soon}]", "TF615", "soon"),
        ("expect: [{at: 2h}, {at: 1h}]", "TF615", "1h"),
        ("expect: [{at: -1h}]", "TF615", "-1h"),
        ("expect: [{at: 4000d}]", "TF615", "4000d"),
        ("start: 2026-02-30 09:00, expect: [{at: 0m}]", "TF615", "2026-02-30 09:00"),
        ("start: noon, expect: [{at: 0m}]", "TF615", "noon"),
        ("time_zone: Europe/Berlinn, expect: [{at: 0m}]", "TF615", "Europe/Berlinn"),
        ("history: [{at: 1h, event: purchase}], expect: [{at: 0m}]", "TF615", "1h"),
        ("events: [{at: 0m, event: purchase, late: soon}], expect: [{at: 0m}]", "TF615", "soon"),
        ("events: [{at: 0m}], expect: [{at: 0m}]", "TF616", "at"),
        ("events: [{at: 0m, identify: {}, properties: {a: 1}}], expect: [{at: 0m}]", "TF616", "properties"),
        ("expect: [{at: 0m, sent: []}]", "TF214", "sent"),
        ("expect: []", "TF221", "["),
        ("expect: [{at: 5}]", "TF216", "5"),
    ],
)
def test_a_mistake_in_a_test_is_told_at_its_place_and_the_test_is_not_run(line: str, code: str, marked: str) -> None:
    assert (code, marked) in [(code, source[: len(marked)]) for code, source in problems(f"- {{name: x, {line}}}")]


def test_two_tests_of_one_name_are_told() -> None:
    results = run("- {name: x, expect: [{at: 0m}]}\n- {name: x, expect: [{at: 0m}]}")
    assert [(problem.code, problem.line) for problem in results.problems] == [("TF614", 3)]
    assert len(results.results) == 1


def test_a_problem_names_its_test() -> None:
    (problem,) = run("- {name: who goes there, expect: [{at: 0m, segment: vips}]}").problems
    assert problem.render().endswith('^^^^ did you mean "vip"?\n       in test "who goes there"')


@pytest.mark.parametrize(
    ("consent", "sends", "reasons"),
    [
        ("", "[]", "{offer: no consent to letters}"),
        (", consent: {letters: true}", "[offer]", "{}"),
        (", consent: {letters: false}", "[]", "{offer: opted out of letters (the test)}"),
    ],
    ids=["nothing", "yes", "no"],
)
def test_a_person_of_a_test_can_have_said_yes_or_no(consent: str, sends: str, reasons: str) -> None:
    rules = RULES + "  - {name: letter, on: Issue, purpose: letters, then: [{send: offer}]}\n"
    rules += "purposes:\n  letters: {title: Letters, consent: double_opt_in}\n"
    test = f"""
- name: a letter
  profile: {{traits: {{email: ana@example.com}}{consent}}}
  events: [{{at: 0m, event: Issue}}]
  expect: [{{at: 0m, sends: {sends}, reasons: {reasons}}}]
"""
    assert told(one(test, rules)) == []
