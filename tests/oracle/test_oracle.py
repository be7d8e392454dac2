"""docs/rules.md twice: the engine, with its conditions compiled and its rules on durable_rules, against an interpreter
that shares no code with it and scans lists. On random rulebooks and random histories the two agree in every line.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle import campaign
from oracle.dice import some_book, some_history
from triggerfish.adapters.compiled import CompiledMatcher

HERE = Path(__file__).parent


def test_the_engine_and_the_oracle_agree_on_random_rulebooks():
    """Both matchers; a fixed range, so that a failure can be run again: `python -m oracle.campaign 7 8`."""
    found = campaign.run(range(24), histories=4)
    assert not found.failures, "\n\n".join(found.failures)
    # What is never reached is not tested: every way in which a message can end has happened.
    missing = campaign.OUTCOMES - found.outcomes.keys()
    assert not missing, f"these never happened: {sorted(missing)}"
    assert {"skipped lost", "scheduled deferred"} <= {" ".join(each.split()[:2]) for each in found.outcomes}


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_no_rulebook_can_be_found_on_which_they_differ(dice: Random):
    case = campaign.Case(some_book(dice), (CompiledMatcher,))
    assert campaign.compare(case, some_history(dice, most=10), dice.randrange(100)) == ""


@pytest.mark.long
@pytest.mark.timeout(7_200)
def test_the_engine_and_the_oracle_agree_ten_thousand_times():
    """1,700 rulebooks with six histories each; 150 a process, since networks of durable_rules stay in memory."""
    path = os.pathsep.join((str(HERE.parent), os.environ.get("PYTHONPATH", "")))
    for begin in range(10_000, 11_700, 150):
        end = min(begin + 150, 11_700)
        command = [sys.executable, "-m", "oracle.campaign", str(begin), str(end), "--histories", "6"]
        ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
        assert ran.returncode == 0, ran.stdout + ran.stderr
