"""docs/cli.md names every verb with every option, and no others."""

import re
from pathlib import Path

import click
import pytest

from triggerfish.cli import VERBS, main

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
EVERYWHERE = {"--workspace", "--json", "--help", "-h"}

pytestmark = pytest.mark.docs


def test_every_verb_has_a_section_and_no_other():
    with click.Context(main) as context:
        verbs = set(main.list_commands(context))
    assert set(re.findall(r"(?m)^## ([\w-]+)$", PAGE)) == verbs
    assert verbs <= set(VERBS)


def test_every_option_is_named_in_its_verbs_section_and_no_other():
    with click.Context(main) as context:
        for verb in main.list_commands(context):
            section = re.split(rf"(?m)^## {verb}$", PAGE)[1].partition("\n## ")[0]
            command = main.get_command(context, verb)
            parts = [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
            options = {
                name for part in parts for each in part.params if isinstance(each, click.Option) for name in each.opts
            }
            named = set(re.findall(r"(?<![\w-])--[a-z-]+", section))
            assert options - EVERYWHERE <= named, verb
            assert named <= options, verb
