"""Where the starter workspace and the migrations are: inside an installed wheel, or in the repository's own folders."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Literal

from triggerfish.config.settings import DEMO_ADMIN_KEY, DEMO_SECRET, DEMO_WRITE_KEY, SETTINGS_FILE
from triggerfish.errors import SettingsWrong

StarterKind = Literal["rules", "templates", "settings", "migrations"]

DEMO_NOTE = "# The demo's keys, known to everybody: Triggerfish takes them on a loopback address only."
NEW_NOTE = (
    "# Clients send events with a write key; people read with the admin key; the secret signs the links in mails."
)

_PACKAGE = Path(__file__).parent.parent


def starter_path(kind: StarterKind, package: Path = _PACKAGE) -> Path:
    """The folder of the starter rules, starter templates or migrations; for "settings" the starter triggerfish.toml.

    `package` is the folder of the installed package. Raises SettingsWrong (TF407) when the installation lacks it.
    """
    name = SETTINGS_FILE if kind == "settings" else kind
    in_wheel = package / name if kind == "migrations" else package / "starter" / name
    # An editable install imports server/triggerfish; the repository is two folders up.
    in_repository = package.parent.parent / name
    for path in (in_wheel, in_repository):
        if path.exists():
            return path
    raise SettingsWrong(
        f"this installation of Triggerfish has no {name}: neither {in_wheel} nor {in_repository} exists",
        code="TF407",
        hint="install it again",
    )


def settings_with_new_keys() -> str:
    """The text of a triggerfish.toml for a new workspace: the starter's, with random keys in place of the demo's."""
    text = starter_path("settings").read_text(encoding="utf-8").replace(DEMO_NOTE, NEW_NOTE)
    for known in (DEMO_WRITE_KEY, DEMO_ADMIN_KEY, DEMO_SECRET):
        text = text.replace(f'"{known}"', f'"{secrets.token_urlsafe(24)}"')
    return text
