"""triggerfish.toml and the environment -> `Settings`; and where the starter workspace is found."""

from triggerfish.config.file import load_settings
from triggerfish.config.marks import KeyPath, Mark, Place, find_places
from triggerfish.config.secret import PluginTable, Secret, WriteKey
from triggerfish.config.settings import (
    DEMO_ADMIN_KEY,
    DEMO_SECRET,
    DEMO_WRITE_KEY,
    SETTINGS_FILE,
    Delivery,
    Keys,
    Limits,
    Log,
    Server,
    Settings,
    Store,
    is_loopback,
)
from triggerfish.config.starter import StarterKind, settings_with_new_keys, starter_path

__all__ = [
    "DEMO_ADMIN_KEY",
    "DEMO_SECRET",
    "DEMO_WRITE_KEY",
    "SETTINGS_FILE",
    "Delivery",
    "KeyPath",
    "Keys",
    "Limits",
    "Log",
    "Mark",
    "Place",
    "PluginTable",
    "Secret",
    "Server",
    "Settings",
    "StarterKind",
    "Store",
    "WriteKey",
    "find_places",
    "is_loopback",
    "load_settings",
    "settings_with_new_keys",
    "starter_path",
]
