"""`triggerfish plan`: the tracking plan's verbs: infer, violations, quarantine, replay, discard."""

from __future__ import annotations

import click

from triggerfish.cli.plan.aside import discard, quarantine, replay, violations
from triggerfish.cli.plan.infer import infer


@click.group()
def command() -> None:
    """The tracking plan: write a first one, see what breaks it, mend and replay what it put aside."""


for _verb in (infer, violations, quarantine, replay, discard):
    command.add_command(_verb)
