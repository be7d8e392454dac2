"""Documents keep their promises: links lead somewhere, and the commands that they name exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, get_args, get_origin

import msgspec
import pytest
from msgspec import Struct

from triggerfish.adapters.sqlite.log import PATIENCE_SECONDS
from triggerfish.cli import VERBS
from triggerfish.config import Settings
from triggerfish.meters import METERS
from triggerfish.processes.child import STOP_SECONDS
from triggerfish.web.bodies import FEW_ARRIVING, MOST_ARRIVING
from triggerfish.web.serve import ANSWER_SECONDS, GRACE_SECONDS, LARGEST_HEAD, LONGEST_PIPELINE, REQUEST_SECONDS

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


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)\)", (REPOSITORY / "README.md").read_text(encoding="utf-8")))
    assert {str(page.relative_to(REPOSITORY)) for page in REPOSITORY.glob("docs/*.md")} <= linked


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


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """The cells of the first table below a heading, by the first cell without its back ticks."""
    section = re.split(rf"(?m)^#+ {re.escape(heading)}$", page)[1]
    (table, *_) = re.findall(r"(?m)(?:^\|.*\n)+", section)
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
    return {first.strip("| `"): [cell.strip(" |") for cell in rest] for first, *rest in cells}


# --- codes ------------------------------------------------------------------------------------------------------------


def codes_in(source: str) -> set[str]:
    """The codes that a module uses: those that are a text of their own, not those that its comments speak of."""
    texts = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return {text for text in texts if isinstance(text, str) and re.fullmatch(r"TF\d{3}", text)}


def raised() -> set[str]:
    modules = [path for part in ("server", "plugins") for path in (REPOSITORY / part).rglob("*.py")]
    return {code for module in modules for code in codes_in(module.read_text(encoding="utf-8"))}


def explained() -> list[str]:
    sections = re.findall(r"(?m)^### (TF\d{3}): \S", read("docs/errors.md"))
    sections += re.findall(r"(?m)^### (TF\d{3}): \S", read("docs/email-checks.md"))
    return sections + re.findall(r"(?m)^\| (TF3\d\d) \|", read("docs/templates.md"))


def test_every_code_that_can_be_raised_is_explained_once_and_no_other():
    assert sorted(explained()) == sorted(raised())


def test_every_code_that_a_document_names_can_be_raised():
    known = raised()
    for document in DOCUMENTS:
        named = set(re.findall(r"\bTF\d{3}\b", document.read_text(encoding="utf-8")))
        assert named <= known, document.name


def test_every_section_on_a_code_has_a_remedy():
    sections = re.split(r"(?m)^### (?=TF\d)", read("docs/errors.md"))[1:]
    assert not [section.splitlines()[0] for section in sections if "*Remedy:*" not in section.partition("\n#")[0]]


def test_a_code_in_a_comment_or_in_a_sentence_is_none_that_is_raised():
    source = '"""Raises TF998."""\n# "TF999"\nfail("see TF997", code="TF001")\n'
    assert codes_in(source) == {"TF001"}


# --- settings, verbs, figures -----------------------------------------------------------------------------------------


def kind_of_tables(kind: object) -> type[Struct] | None:
    """What each table is, of a setting that is made of tables with names."""
    kind = kind.__origin__ if get_origin(kind) is Annotated else kind
    inner = get_args(kind)[1] if get_origin(kind) is dict else None
    return inner if isinstance(inner, type) and issubclass(inner, Struct) else None


def settings_of(kind: type[Struct], table: str = "") -> dict[str, str]:
    """Every key with its default as TOML would write it, as the page does."""
    found: dict[str, str] = {}
    for field in msgspec.structs.fields(kind):
        name = f"[{table}] {field.encode_name}" if table else field.encode_name
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            found |= settings_of(field.type, f"{table}.{field.encode_name}" if table else field.encode_name)
        elif (inner := kind_of_tables(field.type)) is not None:
            found |= settings_of(inner, f"{table}.{field.encode_name}.<name>")
        elif name == "plugins":
            found["[plugins.<name>]"] = "none"
        elif name != "workspace":
            is_made = field.default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT
            default = field.default_factory() if is_made else field.default
            found[name] = "required" if default is msgspec.NODEFAULT else msgspec.json.encode(default).decode()
    return found


def test_every_setting_is_explained_with_its_default_and_no_other():
    page = {key: cells[0] for key, cells in rows(read("docs/operating.md"), "Settings").items()}
    assert page == settings_of(Settings)
    assert page["[limits] queue_events"] == "20000"


def test_the_readme_names_every_command_and_no_other():
    assert set(rows(read("README.md"), "A workspace of your own")) == set(VERBS)


def test_every_figure_for_prometheus_is_explained_and_no_other():
    source = read("server/triggerfish/web/metrics.py")
    named = set(re.findall(r'"(triggerfish_\w+)"', source))
    counters = set(re.findall(r'CounterMetricFamily\(\s*"(triggerfish_\w+)"', source))
    assert counters < named
    watching = read("docs/operating.md").split("## Watching it")[1].split("\n### ")[0]
    listed = re.findall(r"`(triggerfish_\w+)", "".join(re.findall(r"(?m)^\| (`.*?) \|", watching)))
    assert len(listed) == len(set(listed))
    assert set(listed) == (named - counters) | {f"{name}_total" for name in counters} | METERS.keys()


def test_the_labels_of_what_is_counted_are_told():
    page = read("docs/operating.md")
    for meter in METERS.values():
        assert f"`{meter.name}{{{','.join(meter.labels)}}}`" in page or (not meter.labels and f"`{meter.name}`" in page)


def test_the_bounds_that_operators_are_told_are_those_of_the_server():
    limits = read("docs/operating.md").split("## Limits")[1].split("\n## ")[0]
    assert f"| a request's head | {LARGEST_HEAD // 1024} KB |" in limits
    assert REQUEST_SECONDS == ANSWER_SECONDS
    assert f"an answer to be read | {REQUEST_SECONDS:.0f} seconds each |" in limits
    few, most = FEW_ARRIVING // 1024**2, MOST_ARRIVING // 1024**2
    assert f"of all requests together | {most} MB; with {few} MB no other is begun |" in limits
    assert f"once the first has waited for {PATIENCE_SECONDS:.0f} seconds" in limits
    assert f"| requests sent ahead on one connection | {LONGEST_PIPELINE} |" in limits
    assert f"(over {GRACE_SECONDS:.0f} seconds)" in limits
    assert f"| {STOP_SECONDS} seconds a process |" in limits
