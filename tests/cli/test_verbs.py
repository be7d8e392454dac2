"""The command line as a whole: verbs are loaded when they are called, and errors are sentences."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from triggerfish.cli import VERBS, main
from triggerfish.errors import TriggerfishError


def test_every_verb_is_listed_and_explained() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    listed = [line.split()[0] for line in result.output.partition("Commands:")[2].splitlines() if line.strip()]
    assert set(VERBS) <= set(listed)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_json(verb: str) -> None:
    command = main.get_command(click.Context(main), verb)
    parts = [[verb, part] for part in command.commands] if isinstance(command, click.Group) else [[verb]]
    for words in parts:
        result = CliRunner().invoke(main, [*words, "--help"])
        assert result.exit_code == 0
        assert "--json" in result.output, words


def test_an_unknown_verb_is_refused() -> None:
    result = CliRunner().invoke(main, ["chekc"])
    assert result.exit_code == 2
    assert "No such command 'chekc'" in result.output


def test_schema_does_not_load_the_web_server() -> None:
    code = (
        "import sys, triggerfish.cli as c; c.main(['schema'], standalone_mode=False); print('litestar' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "False"


def test_our_own_errors_are_printed_plainly_and_end_with_1() -> None:
    @click.command()
    def command() -> None:
        raise TriggerfishError("the pond is dry", code="TF999", hint="wait for rain")

    group = type(main)("triggerfish", commands={"fish": command})
    group.get_command = lambda ctx, name: command  # type: ignore[method-assign]
    result = CliRunner().invoke(group, ["fish"])
    assert result.exit_code == 1
    assert result.output == "TF999  the pond is dry\n       wait for rain\n"


PLUGIN = """
import click
from triggerfish import hookimpl

@click.command("greet")
def greet():
    "Greet the pond."
    click.echo("hello, pond")

@click.command("check")
def check():
    click.echo("not the check that you know")

@hookimpl
def register_commands():
    return [greet, check]
"""


def run_with_a_plugin(site: Path, *arguments: str) -> str:
    """What `triggerfish` prints where a package with PLUGIN is installed."""
    info = site / "pond-1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (site / "pond.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pond\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[triggerfish]\npond = pond\n")
    command = [sys.executable, "-m", "triggerfish.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_a_plugin_adds_a_verb_and_replaces_none(tmp_path: Path) -> None:
    assert run_with_a_plugin(tmp_path, "greet") == "hello, pond\n"
    listed = run_with_a_plugin(tmp_path, "--help")
    assert re.search(r"(?m)^  greet +Greet the pond\.$", listed)
    assert listed.count("  check ") == 1
    assert "--strict" in run_with_a_plugin(tmp_path, "check", "--help")
