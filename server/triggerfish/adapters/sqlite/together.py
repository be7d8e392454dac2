"""The log and the state are two files that belong together: a state that has decided more than the log holds would pass
over the next events in silence.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from triggerfish.errors import SettingsWrong


def check_together(log: Path, state: Path) -> None:
    """Both files are at the newest schema. Raises SettingsWrong (TF417) when the state is ahead of the log."""
    # AUTOINCREMENT: the highest position that was ever given, of which later ones follow.
    given = _number(log, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'")
    decided = _number(state, "SELECT position FROM progress")
    if decided > given:
        raise SettingsWrong(
            f"{state} has decided the first {decided} events, and {log} has had {given} only: they are not of one time",
            code="TF417",
            hint="restore both files from the same backup, of which the state was taken first (docs/operating.md)",
        )


def _number(path: Path, query: str) -> int:
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        found: int = connection.execute(query).fetchone()[0]
    return found
