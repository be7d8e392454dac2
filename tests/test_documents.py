"""Documents keep their promises: links lead somewhere, and the commands that they name exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])

pytestmark = pytest.mark.docs


def broken_links(document: Path) -> Iterator[str]:
    """Relative links of a Markdown file that lead to no file or to no heading."""
    text = re.sub(r"(?ms)^```.*?^```", "", document.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, heading = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = document.parent / path if path else document
        if not file.exists():
            yield f"{document.name}: {target} leads nowhere"
        elif heading and heading not in headings(file):
            yield f"{document.name}: {target} names no heading"


def headings(document: Path) -> set[str]:
    """The anchors that a Markdown page has: its headings in lower case, without punctuation, with dashes for blanks."""
    found = re.findall(r"(?m)^#+ +(.+?)\s*$", document.read_text(encoding="utf-8"))
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower())) for heading in found}


def test_every_link_between_documents_leads_somewhere() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {document.name for document in DOCUMENTS}
    assert not [broken for document in DOCUMENTS for broken in broken_links(document)]


def test_a_link_that_leads_nowhere_is_caught(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A Page, of sorts\n[a](#a-page-of-sorts) [b](page.md) [c](gone.md) [d](#gone) [e](https://x.example/)"
    )
    assert list(broken_links(page)) == ["page.md: gone.md leads nowhere", "page.md: #gone names no heading"]


def test_every_make_target_that_a_document_names_exists() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*):", makefile))
    for document in DOCUMENTS:
        named = set(re.findall(r"`make (?:[A-Z]+=\S+ )?([a-z][a-z-]*)", document.read_text(encoding="utf-8")))
        assert named <= targets, document.name


def test_every_make_target_is_explained_to_contributors() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"(?m)^\.PHONY: (.+)$", makefile)
    told = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert not [target for target in phony.split() if target != "node" and f"make {target}`" not in told]
