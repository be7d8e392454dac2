"""`triggerfish schema`: a JSON Schema of rule files and their tests, with which an editor completes keys and marks
mistakes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from triggerfish.cli import BROKEN, json_option, print_json, workspace_option
from triggerfish.rulefile import format as rule_forms
from triggerfish.rulefile import trial_format as trial_forms
from triggerfish.rulefile.format import FileForm
from triggerfish.rulefile.forms import STEP_VERBS, VERBS
from triggerfish.rulefile.rule import ONLY_DATE, ONLY_STEPS, ONLY_THEN
from triggerfish.rulefile.trial_format import TrialFileForm
from triggerfish.rulefile.trial_words import DESCRIPTIONS as TRIAL_DESCRIPTIONS
from triggerfish.rulefile.words import DESCRIPTIONS, noun

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest that the YAML language server of most editors knows whole."""
FOLDER = ".vscode"
SCHEMA, SETTINGS = "triggerfish.schema.json", "settings.json"
FILES = ["rules/**/*.yaml", "rules/**/*.yml"]
_TIME_OF_DAY = "^([01][0-9]|2[0-3]):[0-5][0-9]$"


@click.command()
@workspace_option
@json_option
@click.option("--install", "installs", is_flag=True, help="Write it into the workspace, where VS Code finds it.")
@click.pass_context
def command(ctx: click.Context, workspace: Path, as_json: bool, installs: bool) -> None:
    """Print the JSON Schema of rule files and their tests, for editors (it is JSON in any case).

    With --install it is written to .vscode/ of the workspace, and VS Code is told to use it for the files in rules/
    (its YAML extension by Red Hat does). For another editor with a YAML language server, save it
    (triggerfish schema > rules.schema.json) and put this line at the top of a file:

    \b
    # yaml-language-server: $schema=../rules.schema.json
    """
    if not installs:
        print_json(rule_file_schema())
        return
    written, todo = install(workspace)
    if as_json:
        print_json({"written": written, "todo": todo})
    else:
        for path in written:
            click.echo(f"written: {path}")
        if todo:
            click.echo(todo, err=True)
    if todo:
        ctx.exit(BROKEN)


def install(workspace: Path) -> tuple[list[str], str]:
    """Write the schema, and the setting that names it. Returns the paths that were written and, when VS Code's settings
    hold more than plain JSON, what is left to do by hand.
    """
    folder = workspace / FOLDER
    folder.mkdir(exist_ok=True)
    schema, settings = folder / SCHEMA, folder / SETTINGS
    schema.write_text(json.dumps(rule_file_schema(), indent=2) + "\n", encoding="utf-8")
    written = [f"{FOLDER}/{SCHEMA}"]
    entry = {f"./{FOLDER}/{SCHEMA}": FILES}
    try:
        known = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
        schemas = known.setdefault("yaml.schemas", {})
        is_new = schemas | entry != schemas
        schemas.update(entry)
    except (ValueError, AttributeError, TypeError):
        lines = json.dumps({"yaml.schemas": entry}, indent=2).splitlines()[1:-1]
        todo = f"{FOLDER}/{SETTINGS} is no plain JSON and was left as it is; put this into it:"
        return written, "\n".join([todo, *lines])
    if is_new:
        settings.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(f"{FOLDER}/{SETTINGS}")
    return written, ""


def rule_file_schema() -> dict[str, Any]:
    """The JSON Schema (draft 7) of rule files, and of test files: the types of format.py and trial_format.py, and the
    rules that types cannot say.

    Every key has a description. What needs the other files or the condition language stays with `triggerfish check`.
    """
    _, definitions = msgspec.json.schema_components([FileForm, TrialFileForm], ref_template="#/definitions/{name}")
    descriptions = {**DESCRIPTIONS, **TRIAL_DESCRIPTIONS}
    for name, definition in definitions.items():
        form = name.removesuffix("Form").lower()
        cls = getattr(rule_forms, name, None) or getattr(trial_forms, name)
        definition["title"] = noun(cls).removeprefix("a ").removeprefix("an ").removeprefix("the ")
        for key, field in definition.get("properties", {}).items():
            definition["properties"][key] = {"description": descriptions[f"{form}.{key}"], **_without_null(field)}
    _say_more(definitions)
    # One schema for both: older language servers cannot leave the tests out of rules/**.
    is_test = {"anyOf": [{"required": ["tests"]}, {"required": ["equivalent"]}]}
    return {
        "$schema": DIALECT,
        "title": "Triggerfish rule file",
        "if": is_test,
        "then": {"$ref": "#/definitions/TrialFileForm"},
        "else": {"$ref": "#/definitions/FileForm"},
        "definitions": definitions,
    }


def _say_more(definitions: dict[str, Any]) -> None:
    """What types cannot say: which keys go together."""
    for form in ("ConditionForm", "DefinitionForm"):
        definitions[form]["minProperties"] = 1
    for form, verbs in (("ActionForm", VERBS), ("StepForm", STEP_VERBS)):
        definitions[form]["oneOf"] = _one_of(verbs)
        definitions[form]["dependencies"] = {"properties": ["emit"], "with": ["call"]}
    for form in ("StopForm", "WaitUntilForm"):
        definitions[form]["anyOf"] = _one_of(("on", "when"))
    rule = definitions["RuleForm"]
    rule["oneOf"] = _one_of(("then", "steps"))
    rule["dependencies"] = {
        **{key: ["steps"] for key in ONLY_STEPS},
        **{key: ["then"] for key in ONLY_THEN},
        **{key: {"properties": {"on": {"pattern": "^date "}}} for key in (*ONLY_DATE, "at")},
    }
    belongs = {key: ["ruleset"] for key in ("rules", "priority", "mode", "max_age")}
    definitions["FileForm"]["dependencies"] = {**belongs, "ruleset": ["rules"]}
    for key in ("start", "end"):
        definitions["QuietForm"]["properties"][key]["pattern"] = _TIME_OF_DAY


def _one_of(keys: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"required": [key]} for key in keys]


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """A key that may be left out is left out, never given as null."""
    if field.get("default", "") is not None:
        return field
    kinds = [kind for kind in field["anyOf"] if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
