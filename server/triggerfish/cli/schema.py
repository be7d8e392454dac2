"""`triggerfish schema`: a JSON Schema of rule files, with which an editor completes keys and marks mistakes."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from triggerfish.cli import json_option, print_json
from triggerfish.rulefile.format import FileForm
from triggerfish.rulefile.words import DESCRIPTIONS, noun_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Print the JSON Schema of rule files, for editors (it is JSON in any case).

    Save it (triggerfish schema > rules.schema.json) and put this line at the top of a rule file; editors with a YAML
    language server then complete keys and explain them:

    \b
    # yaml-language-server: $schema=../rules.schema.json
    """
    print_json(rule_file_schema())


def rule_file_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of rule files: format.py's types, and the rules that types cannot say.

    Every key has a description. What needs the other files or the condition language stays with `triggerfish check`.
    """
    schema = msgspec.json.schema(FileForm)
    for name, definition in schema["$defs"].items():
        form = name.removesuffix("Form").lower()
        definition["title"] = noun_of(name)
        for key, field in definition.get("properties", {}).items():
            definition["properties"][key] = {"description": DESCRIPTIONS[f"{form}.{key}"], **_without_null(field)}
    definitions = schema["$defs"]
    definitions["ConditionForm"]["minProperties"] = 1
    definitions["ActionForm"]["oneOf"] = [{"required": [verb]} for verb in ("send", "set", "emit")]
    definitions["ActionForm"]["dependentRequired"] = {"properties": ["emit"]}
    definitions["FileForm"]["dependentRequired"] = {
        key: ["ruleset"] for key in ("rules", "priority", "mode", "max_age")
    } | {"ruleset": ["rules"]}
    for key in ("start", "end"):
        definitions["QuietForm"]["properties"][key]["pattern"] = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
    return {"$schema": DIALECT, "title": "Triggerfish rule file", **schema}


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """A key that may be left out is left out, never given as null."""
    if field.get("default", "") is not None:
        return field
    kinds = [kind for kind in field["anyOf"] if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
