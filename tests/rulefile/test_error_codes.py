"""Every code of a rule file's problems is documented, each with a page of its own whose example has just that problem.

`TRIGGERFISH_UPDATE_GOLDEN=1 pytest tests/rulefile/test_error_codes.py` writes the pages' answers anew.
"""

import os
import re
from pathlib import Path

import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.errors import RulebookBroken
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.examination import examine
from triggerfish.rulefile.problems import Problem
from worlds import Facts

REPOSITORY = Path(__file__).parents[2]
SOURCES = [
    *(REPOSITORY / "server" / "triggerfish" / "rulefile").glob("*.py"),
    REPOSITORY / "server/triggerfish/errors.py",
]
CODE = r"TF(?:2\d\d|60\d|6[45]\d|680)"
"""Codes of rule files and of the tracking plan in them."""
PAGE = (REPOSITORY / "docs" / "errors.md").read_text(encoding="utf-8")
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / "docs/errors").glob("*.md"))}
TITLES = dict(re.findall(rf"(?m)^### ({CODE}): (.+)$", PAGE))

NAMES = ("cart-reminder", "cart-vip", "welcome", "thanks", "vip-welcome", "news")
TEMPLATES = {name: Facts(purpose="cart") for name in NAMES} | {"flash-sale": Facts(purpose="")}

WITHOUT_EXAMPLE = {
    "TF200": "it is the sum of others",
    "TF201": "it is about what cannot be read",
    "TF202": "the file would be too large for the page",
    "TF203": "the page is UTF-8",
    "TF212": "the file would be too large for the page",
    "TF224": "the file would be too large for the page",
    "TF225": "nobody has met it",
    "TF233": "the list would be too long for the page",
    "TF265": "the list would be too long for the page",
    "TF273": "it takes two files",
    "TF289": "the rule would be too long for the page",
    "TF600": "it takes two files",
    "TF607": "it is about a template",
    "TF608": "it is about a template",
}


def used_codes() -> set[str]:
    return {code for source in SOURCES for code in re.findall(rf'"({CODE})"', source.read_text(encoding="utf-8"))}


def blocks(code: str, kind: str) -> list[str]:
    return re.findall(rf"(?ms)^```{kind}\n(.*?)^```", PAGES[code])


def problems_of(text: str) -> list[Problem]:
    """What is wrong with an example, as a file of its own, warnings and all."""
    try:
        _, warnings = load_rulebook(
            {"rules/example.yaml": text},
            templates=TEMPLATES,
            matcher=CompiledMatcher,
            examine=lambda files, rulebook, known: examine(files, rulebook, known).problems,
        )
    except RulebookBroken as broken:
        return [problem for problem in broken.problems if isinstance(problem, Problem)]
    return warnings


def test_the_page_lists_exactly_the_codes_that_rule_files_can_get() -> None:
    missing, unknown = used_codes() - TITLES.keys(), TITLES.keys() - used_codes() - {"TF609"}
    assert not missing, f"docs/errors.md lacks a section `### TF…: title` for {sorted(missing)}"
    assert not unknown, f"docs/errors.md explains {sorted(unknown)}, which nothing has any more"


def test_every_code_has_a_remedy() -> None:
    sections = re.split(rf"(?m)^### (?={CODE})", PAGE)[1:]
    assert not [section.splitlines()[0] for section in sections if "*Remedy:*" not in section]


def test_every_code_has_a_page_of_its_own() -> None:
    missing = used_codes() - PAGES.keys()
    assert not missing, f"write docs/errors/TF….md, like those that are there, for {sorted(missing)}"
    assert not PAGES.keys() - used_codes()
    unlinked = [code for code in PAGES if f"(errors/{code}.md)" not in PAGE]
    assert not unlinked, f"docs/errors.md does not lead to the pages of {unlinked}: end their sections with ([more](…))"


@pytest.mark.parametrize("code", PAGES)
def test_a_page_says_what_it_means_why_it_matters_and_what_to_do(code: str) -> None:
    text = PAGES[code]
    assert text.startswith(f"# {code}: {TITLES[code]}\n\n")
    assert not text.split("\n\n")[1].startswith(("**", "```")), "what it means comes first"
    assert text.count("\n**Why it matters.** ") == 1
    assert text.count("\n**What to do.** ") == 1


@pytest.mark.parametrize("code", [code for code in PAGES if code not in WITHOUT_EXAMPLE])
def test_a_page_s_example_has_that_very_problem_and_its_remedy_has_none(code: str) -> None:
    example, remedy = blocks(code, "yaml")
    (answer,) = blocks(code, "text")
    found = [problem for problem in problems_of(example) if problem.code == code]
    assert found, f"the example has not {code}"
    told = "\n\n".join(problem.render() for problem in found[:2]) + "\n"
    if os.environ.get("TRIGGERFISH_UPDATE_GOLDEN"):
        text = PAGES[code].replace(f"```text\n{answer}```", f"```text\n{told}```")
        (REPOSITORY / "docs" / "errors" / f"{code}.md").write_text(text, encoding="utf-8")
    else:
        assert answer == told
    assert not [problem.render() for problem in problems_of(remedy)]


@pytest.mark.parametrize("code", WITHOUT_EXAMPLE)
def test_a_page_without_an_example_shows_at_most_how_to_do_it(code: str) -> None:
    assert not blocks(code, "text")
    for remedy in blocks(code, "yaml"):
        assert not [problem.render() for problem in problems_of(remedy)]


def test_every_code_is_in_the_library_of_broken_files() -> None:
    library = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests/golden/problems").glob("*.txt"))
    missing = used_codes() - WITHOUT_EXAMPLE.keys() - {"TF260"} - set(re.findall(rf"  ({CODE})  ", library))
    assert not missing, f"tests/golden/problems lacks a bad file, named for its fault, for {sorted(missing)}"
