"""Every code of a rule file's problems is documented, and every documented one can be met."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SOURCES = [
    *(REPOSITORY / "server" / "triggerfish" / "rulefile").glob("*.py"),
    REPOSITORY / "server/triggerfish/errors.py",
]
PAGE = (REPOSITORY / "docs" / "errors.md").read_text(encoding="utf-8")


def test_the_page_lists_exactly_the_codes_that_rule_files_can_get() -> None:
    used = {code for source in SOURCES for code in re.findall(r'"(TF2\d\d)"', source.read_text(encoding="utf-8"))}
    assert set(re.findall(r"(?m)^### (TF2\d\d): \S", PAGE)) == used


def test_every_code_has_a_remedy() -> None:
    sections = re.split(r"(?m)^### (?=TF2)", PAGE)[1:]
    assert not [section.splitlines()[0] for section in sections if "*Remedy:*" not in section]


def test_every_code_of_reading_decoding_and_checking_is_in_the_library_of_broken_files() -> None:
    mine = {"reading", "decode", "check", "syntax", "folder"}
    used = {
        code
        for source in SOURCES
        if source.stem in mine
        for code in re.findall(r'"(TF2\d\d)"', source.read_text(encoding="utf-8"))
    }
    library = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests/golden/problems").glob("*.txt"))
    # Files that cannot lie in a library: unreadable, too large or too deep; and a fault of ours that nobody has met.
    elsewhere = {"TF201", "TF202", "TF212", "TF224", "TF225", "TF273"}
    assert used - elsewhere <= set(re.findall(r"  (TF2\d\d)  ", library))
