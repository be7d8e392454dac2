"""Rules and segments in plain words: every construct, held to a golden file."""

from pathlib import Path

import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.conditions import View
from triggerfish.profile import Profile
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.saying import say_rule, say_segment
from triggerfish.wording import say_test
from worlds import NOON, TEMPLATES, rulebook

GOLDEN = Path(__file__).parent / "golden" / "sayings"


@pytest.fixture(scope="module")
def book():
    files = {f"rules/{path.name}": path.read_text() for path in sorted(GOLDEN.glob("*.yaml"))}
    made, _ = load_rulebook(files, templates=TEMPLATES, matcher=CompiledMatcher)
    return made


def said(book):
    for ruleset in book.rulesets:
        for rule in ruleset.rules:
            yield f"# {rule.full_name}"
            yield from say_rule(rule, book)
            yield ""
    for segment in book.segments.segments:
        yield f"# segment {segment.name}"
        yield from say_segment(segment, book)
        yield ""


def test_every_construct_is_said_as_the_golden_file_has_it(book):
    assert "\n".join(said(book)) == (GOLDEN / "said.txt").read_text()


def test_what_comes_first_and_when_is_said():
    made = rulebook(
        """
        policy:
          send_windows: [{from: "08:00", to: "20:00", days: weekdays}, {from: "10:00", to: "18:00", days: [saturday]}]
          arbitration: {window: 5 minutes, most: 2}
          caps: [{sends: 1, within: 1 day, purpose: news}, {sends: 2, within: 7 days, group: letters}]
        """,
        """
        ruleset: r
        cooldown: 3 days
        rules:
          - {name: a, on: A, group: letters, losing: defer, then: [{send: news, at: best_hour, within: 24 hours}]}
          - {name: b, on: B, losing: merge, then: [{send: digest}]}
        """,
    )
    assert say_rule(made.rule("r", "a"), made) == [
        "When A happens:",
        "  - send news (marketing, news) at their best hour, within 1 day",
        "An event that is older than 1 hour wakes nothing.",
        "All rules of r together send to one person at most every 3 days.",
        (
            "Marketing leaves from 08:00 to 20:00 on weekdays and from 10:00 to 18:00 on saturday where they are, "
            "and at no other time."
        ),
        "Marketing for news: at most once within 1 day.",
        'Marketing of group "letters": at most twice within 7 days.',
        "Of marketing that wants to leave within 5 minutes, 2 leave, and one of the group letters: by priority.",
        "When others come first, it asks again, for at most 1 day.",
    ]
    assert say_rule(made.rule("r", "b"), made)[-2:] == [
        "Of marketing that wants to leave within 5 minutes, 2 leave: by priority.",
        "When others come first, it becomes part of one that shows such.",
    ]


def test_no_step_of_a_journey_is_left_out(book):
    rule = book.rule("journeys", "first-week")
    told = "\n".join(say_rule(rule, book))
    for words in (
        "welcome. send hello", "2. wait 2 days", "3. wait until the next monday 09:00", "4.otherwise.1. send news",
        "6.rich.2. the goal is reached: asked", "6.else.1. it ends here: not for us", "50% of people",
    ):  # fmt: skip
        assert words in told, words


@pytest.mark.parametrize(
    ("text", "words", "words_if_not"),
    [
        ("'vip' in segments", "they are in vip", "they are not in vip"),
        ("'vip' not in segments", "they are not in vip", "they are in vip"),
        ("exists(traits.email)", "their email is known", "their email is not known"),
        ("count(purchase, '30d') >= 1", "purchase happened within 30 days", "purchase did not happen within 30 days"),
        ("3 <= count(x)", "x happened at least 3 times", "x happened less than 3 times"),
        ("event.total > 5", "the event's total is over 5", "the event's total is not over 5"),
        ("event.total != 5", "the event's total is known and not 5", "the event's total is missing or 5"),
        ("traits.c not in ['DE']", "their c is known and none of \"DE\"", "their c is missing or one of \"DE\""),
        ("sequence(a, not b, within='1h')", "a happened and no b followed within 1 hour",
         "it is not so that a happened and no b followed within 1 hour"),
        ("odd(event.x)", "odd(event.x) is true", "odd(event.x) is not true"),
        ("(", "(", "not: ("),
    ],
)  # fmt: skip
def test_a_test_and_its_opposite_are_said(text, words, words_if_not):
    assert (say_test(text), say_test(text, wanted=False)) == (words, words_if_not)


def test_what_is_said_of_a_count_is_true_of_it():
    """A count that is not at least 3 is less than 3: held against the compiled condition."""
    book = rulebook("segments: [{name: many, when: not count(x) >= 3}, {name: few, when: count(x) < 3}]")
    for number in range(6):
        profile = Profile("p", NOON, NOON)
        many, few = book.segments.segments
        activity = few.when.activities[0]
        state = profile.activity[activity.key] = activity.start()
        for each in range(number):
            state.add(NOON + each, None)
        view = View(profile, NOON + 99, book.zones)
        assert many.when.holds(view) == few.when.holds(view)
