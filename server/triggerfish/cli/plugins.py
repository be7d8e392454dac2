"""`triggerfish plugins`: what is installed, what it offers, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from triggerfish.cli import BROKEN, json_option, print_json, workspace_option
from triggerfish.config import SETTINGS_FILE, load_settings
from triggerfish.plugin.manager import Plugin, load_plugins


@click.command()
@workspace_option
@json_option
@click.pass_context
def command(ctx: click.Context, workspace: Path, as_json: bool) -> None:
    """List the installed plugins. Exit code 1 when one of them is broken."""
    used: set[str] = set()
    if (workspace / SETTINGS_FILE).exists():
        settings = load_settings(workspace, os.environ)
        used = {settings.delivery.channel, *settings.plugins}
    # None is named as needed, so that a broken one is listed with its problem instead of ending the list.
    plugins = load_plugins(()).plugins
    if as_json:
        print_json([msgspec.to_builtins(each) | {"is_used": is_used(each, used)} for each in plugins])
    else:
        click.echo("\n".join(table(plugins, used)) if plugins else "No plugins are installed.")
    if any(each.problem for each in plugins):
        ctx.exit(BROKEN)


def is_used(plugin: Plugin, used: set[str]) -> bool:
    """Whether the workspace's settings name something that the plugin offers."""
    return not used.isdisjoint({plugin.name, *plugin.channels, *plugin.sources, *plugin.actions})


def table(plugins: Sequence[Plugin], used: set[str]) -> list[str]:
    """The plugins in columns; a problem in a line below its plugin."""
    head = ("PLUGIN", "VERSION", "PACKAGE", "CHANNELS", "SOURCES", "ACTIONS", "HOOKS", "")
    rows = [
        (
            each.name, each.version or "-", each.package or "-", ", ".join(each.channels) or "-",
            ", ".join(each.sources) or "-", ", ".join(each.actions) or "-", ", ".join(each.hooks) or "-",
            "BROKEN" if each.problem else "used here" if is_used(each, used) else "",
        )
        for each in plugins
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [_line(head, widths)]
    for each, row in zip(plugins, rows, strict=True):
        lines.append(_line(row, widths))
        if each.problem:
            lines.append(f"  {each.problem}")
    return lines


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
