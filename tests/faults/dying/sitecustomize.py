"""Python runs this at start when its folder is on PYTHONPATH. It lets the server's worker die where a test says: as
soon as the file $TRIGGERFISH_DIE_AT names a step, the process that reaches it takes the file away and kills itself.
"""

import functools
import os
import signal
from pathlib import Path

_ORDER = Path(os.environ["TRIGGERFISH_DIE_AT"]) if "TRIGGERFISH_DIE_AT" in os.environ else None


def _reach(step):
    try:
        is_here = _ORDER.read_text() == step
    except FileNotFoundError:
        return
    if is_here:
        _ORDER.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def _around(owner, name, step_of):
    """Let each call of a method be a step, before and after it."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def stepping(self, *given, **more):
        step = step_of(*given, **more)
        _reach(f"before {step}")
        result = method(self, *given, **more)
        _reach(f"after {step}")
        return result

    setattr(owner, name, stepping)


if _ORDER is not None:
    from triggerfish.adapters.sqlite.state import SqliteStateStore

    def _kind_of_commit(outcome, *_):
        return "the decision" if any(due.status in ("due", "scheduled") for due in outcome.sends) else "another commit"

    def _kind_of_mark(sends, *_):
        return "the mark" if any(due.status == "sending" for due in sends) else "the note"

    _around(SqliteStateStore, "commit", _kind_of_commit)
    _around(SqliteStateStore, "mark", _kind_of_mark)
