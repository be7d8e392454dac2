"""The command line: `triggerfish VERB`. One module of this package per verb; each has a click command named `command`.

A verb's module is imported only when the verb is called (or listed), so that `check` never waits for the web server's
imports. Exit codes: 0 fine, 1 broken, 2 the command itself was miswritten (click's own), 3 warnings only.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from triggerfish.errors import Refused, RulebookBroken, TriggerfishError

VERBS = (
    "new", "serve", "check", "test", "backtest", "diff", "replay", "why", "explain", "rules", "preview", "send-test",
    "sends", "resolve", "holds", "hold", "release", "suppress", "plan", "rollback", "backup", "restore", "verify",
    "bounce", "doctor", "plugins", "schema",
)  # fmt: skip
"""Every verb, in the order in which a newcomer meets them."""

FINE, BROKEN, WARNINGS_ONLY = 0, 1, 3

_AS_JSON = "triggerfish.as_json"
F = TypeVar("F", bound=Callable[..., Any])


class Verbs(click.Group):
    """A group that loads a verb's module when it is asked for, and prints our own errors without a traceback.

    Plugins are loaded only when the verb is none of ours, or when all are listed.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*VERBS, *sorted(_plugin_commands().keys() - set(VERBS))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return _plugin_commands().get(cmd_name)
        command = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"{__name__}.{cmd_name}.command is no click command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TriggerfishError as error:
            print_error(error, as_json=ctx.meta.get(_AS_JSON, False))
            ctx.exit(BROKEN)


@functools.cache
def _plugin_commands() -> dict[str, click.Command]:
    """What installed plugins add (`register_commands`), by name."""
    from triggerfish.plugin.manager import load_plugins

    return {command.name: command for command in load_plugins(()).commands if command.name}


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="triggerfish", message="%(prog)s %(version)s")
def main() -> None:
    """Triggerfish: events in, the right message out, and an answer to why."""


def workspace_option(command: F) -> F:
    """`--workspace PATH`: the folder that holds triggerfish.toml, rules/ and templates/. Passed as a Path."""
    return click.option(
        "--workspace",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=".",
        show_default="this folder",
        envvar="TRIGGERFISH_WORKSPACE",
        help="The folder with triggerfish.toml, rules and templates.",
    )(command)


def json_option(command: F) -> F:
    """`--json`: passed as `as_json`. Errors are then printed as JSON, too."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
        ctx.meta[_AS_JSON] = value
        return value

    return click.option("--json", "as_json", is_flag=True, callback=remember, help="Print JSON for programs.")(command)


def print_json(value: object) -> None:
    """Any value that msgspec can encode, as indented JSON on stdout."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_error(error: TriggerfishError, *, as_json: bool = False) -> None:
    """An error for people on stderr (with its problems, when it carries some), or for programs on stdout."""
    problems = error.problems if isinstance(error, RulebookBroken) else ()
    if as_json:
        print_json({"code": error.code, "sentence": error.sentence, "hint": error.hint, "problems": problems})
        return
    for problem in problems:
        if not problem.is_warning:
            click.echo(problem.render() + "\n", err=True)
    click.echo(f"{error.code}  {error.sentence}", err=True)
    if isinstance(error, Refused) and error.expected:
        where = f"{error.field}: " if error.field else ""
        click.echo(f"       {where}expected {error.expected}", err=True)
    if error.hint:
        click.echo(f"       {error.hint}", err=True)
