"""`triggerfish schema`: a JSON Schema that says what format.py says."""

import json
from typing import Any

import msgspec
from click.testing import CliRunner
from msgspec.structs import fields

from triggerfish.cli import main
from triggerfish.rulefile import format as forms
from triggerfish.rulefile.words import DESCRIPTIONS

FORMS = [form for form in vars(forms).values() if isinstance(form, type) and issubclass(form, forms.Form)]


def schema() -> dict[str, Any]:
    result = CliRunner().invoke(main, ["schema"])
    assert result.exit_code == 0
    loaded: dict[str, Any] = json.loads(result.output)
    return loaded


def test_every_key_of_every_form_is_described_and_nothing_else_is() -> None:
    keys = {
        f"{form.__name__.removesuffix('Form').lower()}.{field.encode_name}"
        for form in FORMS
        if form is not forms.Form
        for field in fields(form)
    }
    assert set(DESCRIPTIONS) == keys


def test_the_schema_has_every_form_with_its_keys_and_refuses_others() -> None:
    definitions = schema()["$defs"]
    for form in FORMS:
        if form is not forms.Form:
            definition = definitions[form.__name__]
            assert set(definition["properties"]) == {field.encode_name for field in fields(form)}
            assert definition["additionalProperties"] is False
            assert definition["required"] == [field.encode_name for field in fields(form) if field.required]
            assert all(key["description"] for key in definition["properties"].values())


def test_no_key_may_be_null_where_check_wants_a_value() -> None:
    definitions = schema()["$defs"]
    kinds = [key for form in definitions.values() for key in form["properties"].values()]
    assert not [key for key in kinds if {"type": "null"} in key.get("anyOf", []) or key.get("default", "") is None]


def test_an_action_is_exactly_one_thing_in_the_schema_too() -> None:
    action = schema()["$defs"]["ActionForm"]
    assert action["oneOf"] == [{"required": ["send"]}, {"required": ["set"]}, {"required": ["emit"]}]


def test_the_schema_is_json_schema_of_a_stated_draft() -> None:
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema()["$ref"] == "#/$defs/FileForm"
    assert msgspec.json.schema(forms.FileForm)["$defs"].keys() == schema()["$defs"].keys()
