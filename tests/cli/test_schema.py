"""`triggerfish schema`: a JSON Schema that says what format.py and trial_format.py say, and what `check` says too."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from msgspec.structs import fields

from triggerfish.cli import main
from triggerfish.rulefile import format as forms
from triggerfish.rulefile import trial_format as trial_forms
from triggerfish.rulefile import trial_words
from triggerfish.rulefile.reading import read_yaml
from triggerfish.rulefile.words import DESCRIPTIONS

REPOSITORY = Path(__file__).parents[2]
GOLDEN = REPOSITORY / "tests" / "golden" / "problems"
FORMS = [
    form
    for module in (forms, trial_forms)
    for form in vars(module).values()
    if isinstance(form, type) and issubclass(form, module.Form) and form is not module.Form
]
TRIALS = [form for form in FORMS if form.__module__ == trial_forms.__name__]
SHAPE = {
    "TF214", "TF216", "TF217", "TF218", "TF219", "TF220", "TF222", "TF271", "TF272", "TF280"
}  # fmt: skip
"""Codes of what a schema can see, too: unknown and missing keys, wrong types and choices, what goes together."""
BEYOND = {"TF215", "TF221", "TF223", "TF275", "TF281", "TF286"}
"""These are sometimes about shapes, and sometimes about more: a blank text, quiet hours that end as they begin."""


def schema() -> dict[str, Any]:
    result = CliRunner().invoke(main, ["schema"])
    assert result.exit_code == 0
    loaded: dict[str, Any] = json.loads(result.output)
    return loaded


VALIDATOR = jsonschema.Draft7Validator(schema())


def keys_of(form: type) -> set[str]:
    return {f"{form.__name__.removesuffix('Form').lower()}.{field.encode_name}" for field in fields(form)}


def test_every_key_of_every_form_is_described_and_nothing_else_is() -> None:
    assert set(DESCRIPTIONS) == {key for form in FORMS if form not in TRIALS for key in keys_of(form)}
    assert set(trial_words.DESCRIPTIONS) == {key for form in TRIALS for key in keys_of(form)}


def test_the_schema_has_every_form_with_its_keys_and_refuses_others() -> None:
    definitions = schema()["definitions"]
    assert definitions.keys() == {form.__name__ for form in FORMS}
    for form in FORMS:
        definition = definitions[form.__name__]
        assert set(definition["properties"]) == {field.encode_name for field in fields(form)}
        assert definition["additionalProperties"] is False
        assert definition["required"] == [field.encode_name for field in fields(form) if field.required]
        assert all(key["description"] for key in definition["properties"].values())


def test_no_key_may_be_null_where_check_wants_a_value() -> None:
    definitions = schema()["definitions"]
    kinds = [key for form in definitions.values() for key in form["properties"].values()]
    assert not [key for key in kinds if {"type": "null"} in key.get("anyOf", []) or key.get("default", "") is None]


def test_the_schema_is_of_the_draft_that_editors_know() -> None:
    assert schema()["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(schema())


def data_of(path: Path) -> Any:
    marks, problems = read_yaml(path.read_text(encoding="utf-8"), path.name)
    assert not problems
    return marks.data


@pytest.mark.parametrize("path", sorted((REPOSITORY / "rules").rglob("*.yaml")), ids=lambda path: path.name)
def test_the_starters_files_are_sound_by_the_schema(path: Path) -> None:
    assert list(VALIDATOR.iter_errors(data_of(path))) == []


def broken_files() -> list[Path]:
    """Those of the library of bad files that are YAML at all."""
    return [path for path in sorted(GOLDEN.glob("*.yaml")) if is_readable(path)]


def is_readable(path: Path) -> bool:
    try:
        marks, problems = read_yaml(path.read_bytes().decode(), path.name)
    except UnicodeDecodeError:
        return False
    return marks.is_readable and not problems


@pytest.mark.parametrize("path", broken_files(), ids=lambda path: path.stem)
def test_what_check_says_of_shapes_the_schema_says_too_and_nothing_else(path: Path) -> None:
    told = path.with_suffix(".txt").read_text(encoding="utf-8")
    of_shape = set(re.findall(r"  (TF\d+)  (?!warning)", told)) & (SHAPE | BEYOND)
    is_sound = VALIDATOR.is_valid(data_of(path))
    if of_shape - BEYOND:
        assert not is_sound, f"{of_shape} is not seen"
    elif not of_shape:
        assert is_sound, [error.message for error in VALIDATOR.iter_errors(data_of(path))][:3]


RULE = {"name": "r", "on": "x"}
ACTION = [{"send": "t"}]


@pytest.mark.parametrize(
    ("rule", "is_sound"),
    [
        (RULE | {"then": ACTION}, True),
        (RULE | {"steps": [{"wait": "1 day"}, {"send": "t"}], "again": "once", "goal": "purchase"}, True),
        (RULE | {"then": [{"call": "note", "with": {"a": 1}}]}, True),
        (RULE | {"then": ACTION, "on": "date traits.birthday", "before": "3 days"}, True),
        (RULE, False),
        (RULE | {"then": ACTION, "steps": ACTION}, False),
        (RULE | {"then": [{"send": "t", "emit": "e"}]}, False),
        (RULE | {"then": [{"send": "t", "with": {}}]}, False),
        (RULE | {"then": [{"wait": "1 day"}]}, False),
        (RULE | {"steps": [{"wait": "1 day", "send": "t"}]}, False),
        (RULE | {"then": ACTION, "goal": "purchase"}, False),
        (RULE | {"steps": ACTION, "cooldown": "1 day"}, False),
        (RULE | {"then": ACTION, "before": "3 days"}, False),
        (RULE | {"steps": [{"wait_until": {"at_most": "1 day"}}]}, False),
        (RULE | {"steps": [{"branch": [{"steps": [{"snd": "t"}]}]}]}, False),
    ],
)
def test_keys_that_do_not_go_together_are_seen_while_one_types(rule: dict[str, Any], is_sound: bool) -> None:
    assert VALIDATOR.is_valid({"ruleset": "s", "rules": [rule]}) is is_sound


def test_test_files_are_told_by_their_keys() -> None:
    trial = {"name": "n", "expect": [{"at": "1h", "sends": ["t"]}]}
    assert VALIDATOR.is_valid({"tests": [trial]})
    assert not VALIDATOR.is_valid({"tests": [trial | {"expct": []}]})
    assert not VALIDATOR.is_valid({"tests": [trial], "rules": []})


# --- installing -------------------------------------------------------------------------------------------------------


def install(workspace: Path, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["schema", "--install", "--workspace", str(workspace)])
    assert result.exit_code == code, result.output
    return result.output


def test_it_is_installed_where_an_editor_finds_it_beside_what_is_there(tmp_path: Path) -> None:
    settings = tmp_path / ".vscode" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{"editor.tabSize": 2, "yaml.schemas": {"other.json": "x.yaml"}}')
    assert "written: .vscode/settings.json" in install(tmp_path)
    known = json.loads(settings.read_text())
    assert known["editor.tabSize"] == 2
    assert known["yaml.schemas"].keys() == {"other.json", "./.vscode/triggerfish.schema.json"}
    assert json.loads((tmp_path / ".vscode" / "triggerfish.schema.json").read_text()) == schema()
    assert "settings.json" not in install(tmp_path), "nothing new"


@pytest.mark.parametrize("text", ['{ // mine\n  "a": 1 }', "[]", '{"yaml.schemas": 3}'])
def test_settings_that_are_no_plain_json_are_left_alone_and_what_to_add_is_told(tmp_path: Path, text: str) -> None:
    settings = tmp_path / ".vscode" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(text)
    said = install(tmp_path, code=1)
    assert "was left as it is" in said
    assert '"./.vscode/triggerfish.schema.json": [' in said
    assert settings.read_text() == text
