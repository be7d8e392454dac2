"""Drafts: rule files that may or may not be live, from a folder or a git revision, with what their templates are.

A draft is plain data, so that it can be sent to other processes, which compile it for themselves.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from hashlib import blake2b
from pathlib import Path

from msgspec import Struct

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.git import commit_of, copy_commit
from triggerfish.adapters.templates import check_templates
from triggerfish.compose import company_of, filters_of, plugins_of
from triggerfish.config import Settings
from triggerfish.errors import NotFound, RulebookBroken
from triggerfish.plugin.manager import Plugins
from triggerfish.render import Class
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.folder import read_folder
from triggerfish.rules import Rulebook

PARTS = ("rules", "templates")


class Facts(Struct, frozen=True):
    """What a rulebook needs to know of a template; `content` names what its folder holds."""

    class_: Class
    purpose: str
    content: str
    variables: frozenset[str] = frozenset()


class Draft(Struct, frozen=True):
    """`label` is what people call it, `files` are its rule files (path -> text)."""

    label: str
    files: Mapping[str, str]
    templates: Mapping[str, Facts]


def read_draft(settings: Settings, where: str | None = None) -> tuple[Draft, Rulebook]:
    """The draft at `where`: a workspace's folder, a folder of rule files (then with the present templates), or a git
    revision of the workspace; None is the workspace as it is. And the rulebook that it makes.

    Raises RulebookBroken with all its problems, NotFound (TF622) and Refused (TF623).
    """
    workspace = settings.workspace.resolve()
    plugins = plugins_of(settings)
    folder = workspace if where is None else Path(where)
    if where != "" and folder.is_dir():
        label = "the workspace" if where is None else where
        if (folder / "rules").is_dir():
            templates = folder / "templates"
            return _read(settings, plugins, label, folder / "rules", templates if templates.is_dir() else None)
        if not any(folder.glob("*.y*ml")):
            raise NotFound(
                f"there are no rule files in {folder}", code="TF622", hint="name a workspace, or its folder of rules"
            )
        return _read(settings, plugins, label, folder, None)
    commit = commit_of(workspace, str(where))
    with tempfile.TemporaryDirectory(prefix="triggerfish-draft-") as copy:
        copy_commit(workspace, commit, PARTS, Path(copy))
        label = str(where) if commit.startswith(str(where)) else f"{where} ({commit[:10]})"
        return _read(settings, plugins, label, Path(copy) / "rules", Path(copy) / "templates")


def compile_draft(draft: Draft, plugins: Plugins, tables: Collection[str], channel: str) -> Rulebook:
    """The rulebook of a draft, with rules as generated Python. `tables` are the names of the settings' plugin tables.
    Raises RulebookBroken.
    """
    rulebook, _ = load_rulebook(
        draft.files,
        templates=draft.templates,
        matcher=CompiledMatcher,
        functions=plugins.functions,
        actions=plugins.action_names(tables),
        channel=channel,
    )
    return rulebook


def _read(
    settings: Settings, plugins: Plugins, label: str, rules: Path, templates: Path | None
) -> tuple[Draft, Rulebook]:
    files, problems = read_folder(rules)
    folder = templates or settings.templates_path
    filters, of_catalog = filters_of(settings, plugins)
    made, of_templates = check_templates(folder, company_of(settings), filters=filters)
    broken = [problem for problem in [*problems, *of_catalog, *of_templates] if not problem.is_warning]
    if broken:
        raise RulebookBroken(broken)
    facts = {
        name: Facts(template.class_, template.purpose, _content(folder / name), template.variables)
        for name, template in made.items()
    }
    draft = Draft(label, files, facts)
    return draft, compile_draft(draft, plugins, settings.plugins, settings.delivery.channel)


def _content(folder: Path) -> str:
    digest = blake2b(digest_size=8)
    for path in sorted(folder.iterdir()):
        if path.is_file():
            digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
