"""A plugin's table in triggerfish.toml, decoded into the Struct that the plugin declares."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from triggerfish.errors import SettingsWrong


class PluginConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a channel or source reads from its table. Subclass it (with `frozen=True`); as it stands it has no keys.

    It may hold passwords, so it shows its keys and never their values. Raise ValueError in `__post_init__` with a
    sentence for the operator when values do not go together.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.__struct_fields__)})"


C = TypeVar("C", bound=PluginConfig)

_AT = re.compile(r" - at `\$\.?([^`]*)`$")


def decode_config(config: type[C], table: Mapping[str, Any], name: str) -> C:
    """The table `[plugins.<name>]` as `config`. Raises SettingsWrong that names the key and says what was expected."""
    where = f"[plugins.{name}]"
    known = {field.encode_name: field for field in msgspec.structs.fields(config)}
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"it knows {_listed(known) or 'no keys'}"
            raise SettingsWrong(f'{where} has an unknown key "{key}"', code="TF420", hint=hint)
    missing = [key for key, field in known.items() if field.required and key not in table]
    if missing:
        raise SettingsWrong(f"{where} needs {_listed(missing)}", code="TF421", hint="add it to triggerfish.toml")
    try:
        return msgspec.convert(dict(table), config, strict=True)
    except msgspec.ValidationError as error:
        sentence = str(error)
        at = _AT.search(sentence)
        key = f" {at[1]}" if at else ""
        sentence = _AT.sub("", sentence).replace("`", "")
        raise SettingsWrong(f"{where}{key}: {sentence}", code="TF422", hint="see the plugin's documentation") from None


def needs_nothing(config: type[PluginConfig]) -> bool:
    """Whether it works without a table."""
    return not any(field.required for field in msgspec.structs.fields(config))


def _listed(keys: object) -> str:
    return ", ".join(f'"{key}"' for key in keys)  # type: ignore[attr-defined]
