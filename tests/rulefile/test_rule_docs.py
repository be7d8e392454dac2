"""docs/rules.md says what rule files can say: every key, every function, and examples that load."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from triggerfish.activity import EXACT_LIMIT
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.profile import IDENTITY_LIMIT, SEEN_LIMIT, TRAIT_LIMIT
from triggerfish.rulefile import format as forms
from triggerfish.rulefile import grammar, names, reader, reading
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.definitions import CHAIN_LIMIT, ITEM_LIMIT, LISTED_LIMIT
from triggerfish.rulefile.folder import LIST_SIZE_LIMIT
from triggerfish.rulefile.functions import FUNCTIONS, PATTERN_LIMIT
from triggerfish.schedule import WAIT_LIMIT
from triggerfish.traces import TRACE_LIMIT
from worlds import Facts

DOCS = Path(__file__).parents[2] / "docs"
RULES = (DOCS / "rules.md").read_text(encoding="utf-8")
PROFILES = (DOCS / "profiles.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.docs


def table(heading: str) -> list[list[str]]:
    """The rows of the table whose first column has this heading."""
    start = RULES.index(f"| {heading} |")
    rows = RULES[start:].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


@pytest.mark.parametrize(
    ("heading", "form"),
    [
        ("key of a file", forms.FileForm),
        ("key of an event", forms.EventForm),
        ("key of a property", forms.PropertyForm),
        ("key of the plan", forms.PlanForm),
        ("key of a purpose", forms.PurposeForm),
        ("key of a segment", forms.SegmentForm),
        ("key of a rule", forms.RuleForm),
        ("key of an action", forms.ActionForm),
        ("key of a step", forms.StepForm),
        ("key of a wait_until", forms.WaitUntilForm),
        ("key of an arm", forms.ArmForm),
        ("key of a split", forms.SplitForm),
        ("key of a variant", forms.VariantForm),
        ("key of a goal or exit", forms.StopForm),
        ("key of a computed value", forms.ComputedForm),
        ("key of the policy", forms.PolicyForm),
        ("key of quiet hours", forms.QuietForm),
        ("key of a send window", forms.SendWindowForm),
        ("key of arbitration", forms.ArbitrationForm),
        ("key of a limit", forms.LimitForm),
        ("key of a cap", forms.CapForm),
        ("key of a condition", forms.ConditionForm),
        ("key of a definition", forms.DefinitionForm),
    ],
)
def test_the_page_lists_exactly_the_keys_that_a_form_takes(heading: str, form: type[msgspec.Struct]) -> None:
    assert {row[0].strip("`") for row in table(heading)} == {
        field.encode_name for field in msgspec.structs.fields(form)
    }


def test_no_form_is_left_out() -> None:
    named = {name for name, value in vars(forms).items() if name.endswith("Form") and isinstance(value, type)}
    assert len(named - {"Form"}) == len(re.findall(r"(?m)^\| key of ", RULES))


def test_the_page_lists_every_function_as_it_is_written() -> None:
    told = [(usage.replace("`", ""), example.strip("`")) for usage, _, example in table("function")]
    assert told == [(function.usage, function.example) for function in FUNCTIONS.values()]


def test_the_page_lists_every_name_that_a_condition_may_begin_with() -> None:
    told = {re.split(r"[.`]", row[0].lstrip("`"))[0] for row in table("name")}
    assert told == set(names.ROOTS)
    assert {row[0].strip("`") for row in table("name") if row[0].startswith("`local.")} == {
        f"local.{name}" for name in names.LOCAL
    }


def test_the_examples_are_one_rulebook_without_a_warning() -> None:
    blocks = re.findall(r"(?ms)^```yaml\n(.*?)^```", RULES)
    templates = {name: Facts() for name in re.findall(r"\bsend: ([\w-]+)", RULES)}
    files = {f"rules/{place}.yaml": block for place, block in enumerate(blocks)}
    files["rules/lists/resellers.txt"] = "# who buys to sell\nshop@example.com\n"
    made, warnings = load_rulebook(files, templates=templates, matcher=CompiledMatcher)
    assert not [warning.render() for warning in warnings]
    assert {ruleset.name for ruleset in made.rulesets} == {
        "cart-recovery", "vip", "browse-abandonment", "newsletter", "onboarding", "letters",
    }  # fmt: skip
    assert made.policy.time_zone == "Europe/Berlin"


def test_every_function_s_example_can_be_written_in_a_rule() -> None:
    examples = "\n".join(f"    when: {_truth(function.example)!r}" for function in FUNCTIONS.values())
    rules = "".join(
        f"  - name: r{place}\n    on: purchase\n{line}\n    then: [{{emit: done}}]\n"
        for place, line in enumerate(examples.splitlines())
    )
    made, _ = load_rulebook({"rules/x.yaml": f"ruleset: x\nrules:\n{rules}"}, templates={}, matcher=CompiledMatcher)
    assert len(made.rulesets[0].rules) == len(FUNCTIONS)


def _truth(example: str) -> str:
    """An example of a number or text as something that is true or false."""
    name = example.partition("(")[0]
    return example if FUNCTIONS[name].is_truth or example[-1] != ")" else f"exists({example})"


def test_the_defaults_that_the_page_names_are_those_of_the_forms() -> None:
    told = {row[0].strip("`"): row[1] for row in table("key of a rule") + table("key of a file")}
    assert "`1 hour` if not given" in told["max_age"]
    assert forms.FileForm().max_age == "1 hour"
    assert forms.FileForm().mode == "all"
    assert "`all` (if not given)" in told["mode"]
    rule = forms.RuleForm(name="x", on="x", then=[])
    assert f"`{rule.while_waiting}` (if not given)" in told["while_waiting"]
    assert "`UTC` if not given" in {row[0]: row[1] for row in table("key of the policy")}["`time_zone`"]
    assert forms.PolicyForm().time_zone == "UTC"


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        (RULES, f"at most {WAIT_LIMIT} waits"),
        (RULES, f"Up to {EXACT_LIMIT} events"),
        (RULES, f"has at most {reading.SIZE_LIMIT // 1024} KB and {reading.DEPTH_LIMIT} levels"),
        (RULES, f"at most {LIST_SIZE_LIMIT // 1024:,} KB, {LISTED_LIMIT:,} items, and {ITEM_LIMIT:,} characters"),
        (RULES, f"at most {grammar.NODE_LIMIT:,} parts; definitions use one another at most {CHAIN_LIMIT} deep"),
        (RULES, f"remember the newest {TRACE_LIMIT} instants"),
        (RULES, f"It counts up to {TRACE_LIMIT} values"),
        (RULES, f"a condition {grammar.TEXT_LIMIT:,} characters, {reader.DEPTH_LIMIT} levels"),
        (RULES, f"lists of {reader.LIST_LIMIT:,} items"),
        (RULES, f"`matches` {PATTERN_LIMIT} characters"),
        (PROFILES, f"at most {IDENTITY_LIMIT} names"),
        (PROFILES, f"at most {TRAIT_LIMIT} traits"),
        (PROFILES, f"its last {SEEN_LIMIT:,} events"),
    ],
)
def test_the_limits_that_a_page_names_are_those_of_the_code(page: str, sentence: str) -> None:
    assert sentence in " ".join(page.split())
