"""docs/testing.md says what test files can say: every key, and examples that run."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.rulefile import trial_format as forms
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.folder import read_folder
from triggerfish.rulefile.mutation_sites import mutants_of
from triggerfish.rulefile.trial import run_trials
from triggerfish.rulefile.trial_stage import STEP_LIMIT
from worlds import Facts

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "testing.md").read_text(encoding="utf-8")
FORMS = (
    forms.TrialFileForm, forms.TrialForm, forms.PersonForm, forms.HappensForm, forms.ExpectForm, forms.SentForm,
    forms.MembersForm, forms.EquivalentForm,
)  # fmt: skip

pytestmark = pytest.mark.docs


@pytest.mark.parametrize("form", FORMS)
def test_the_page_lists_exactly_the_keys_that_a_form_takes(form: type[msgspec.Struct]) -> None:
    noun = str(form.NOUN)  # type: ignore[attr-defined]
    (rows,) = re.findall(rf"(?m)^\| key of {re.escape(noun)} \|.*\n\|.*\n((?:^\|.*\n)+)", PAGE)
    assert re.findall(r"(?m)^\| `(\w+)` \|", rows) != []
    assert set(re.findall(r"(?m)^\| `(\w+)` \|", rows)) == {f.encode_name for f in msgspec.structs.fields(form)}


def test_no_form_is_left_out() -> None:
    made = {value for name, value in vars(forms).items() if name.endswith("Form") and isinstance(value, type)}
    assert made - {forms.Form} == set(FORMS)


def examples() -> list[str]:
    return re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE)


def test_the_first_example_passes_on_the_starter() -> None:
    files, _ = read_folder(REPOSITORY / "rules")
    templates = {path.parent.name: Facts() for path in (REPOSITORY / "templates").glob("*/email.mjml")}
    rulebook, _ = load_rulebook(files, templates=templates, matcher=CompiledMatcher)
    tests = {"rules/doc.test.yaml": examples()[0]}
    results = run_trials(rulebook, templates, tests, matcher=CompiledMatcher, new_store=MemoryStateStore)
    assert results.is_fine, (results.problems, results.failed)
    assert len(results.results) == 1


def test_the_listed_equivalent_is_a_mutant_of_the_starter() -> None:
    files, _ = read_folder(REPOSITORY / "rules")
    form = msgspec.convert(
        dict(re.findall(r'(?m)^[ -]+(\w+): "?(.*?)"?$', examples()[1].partition("\n")[2])), forms.EquivalentForm
    )
    assert (form.file, form.line, form.becomes) in {
        (each.path, each.old, each.became) for each in mutants_of(files, ["a"])
    }


def test_the_limit_is_the_one_that_is_kept() -> None:
    assert f"{STEP_LIMIT:,}\ninstants" in PAGE or f"{STEP_LIMIT:,} instants" in PAGE.replace("\n", " ")
