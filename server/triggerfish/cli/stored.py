"""What a workspace has stored, for commands: it is read from its files, whether the server runs or not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.adapters.sqlite.reads import SqliteReads
from triggerfish.config import Settings
from triggerfish.errors import SettingsWrong
from triggerfish.log import EventLog
from triggerfish.reads import Reads


@contextlib.contextmanager
def open_reads(settings: Settings) -> Iterator[Reads]:
    """The reads of a workspace. Raises SettingsWrong (TF412) when nothing was ever stored in it."""
    with open_log_and_reads(settings) as (_, reads):
        yield reads


@contextlib.contextmanager
def open_log_and_reads(settings: Settings) -> Iterator[tuple[EventLog, Reads]]:
    """The log and the reads of a workspace. Raises SettingsWrong (TF412) when nothing was ever stored in it."""
    for path in (settings.state_path, settings.log_path):
        if not path.is_file():
            raise SettingsWrong(
                f"nothing is stored in {settings.workspace} yet: there is no {path.name}",
                code="TF412",
                hint="start the server (triggerfish serve) and send it events, or name another --workspace",
            )
    with (
        contextlib.closing(SqliteEventLog(settings.log_path)) as log,
        contextlib.closing(SqliteReads(settings.state_path, log, settings.rulebook_path)) as reads,
    ):
        yield log, reads
