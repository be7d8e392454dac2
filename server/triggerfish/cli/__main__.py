"""`python -m triggerfish.cli` is `triggerfish`."""

from triggerfish.cli import main

main(prog_name="triggerfish")
