"""Every error that Triggerfish raises on purpose.

    TriggerfishError            code, sentence, way out
    ├── Refused                 bad input at a door: names the field and what was expected (HTTP 4xx)
    ├── Busy                    cannot take more now; say when to come back (HTTP 429)
    ├── Unavailable             cannot take anything now, for a fault of ours such as a full disk (HTTP 503)
    ├── NotFound                no such profile, send, template … (HTTP 404)
    ├── SettingsWrong           triggerfish.toml or the environment
    ├── WorkspaceTaken          another `serve` runs on this workspace
    ├── RulebookBroken          rule files or templates; carries all problems, not the first
    ├── MissingData             a message cannot be composed for this person without a hole in it
    └── PluginFailed            a plugin raised, hung or broke its contract; names plugin and hook

Codes: TF1xx the front door, TF2xx rule files, TF3xx templates, TF4xx settings and workspace, TF5xx plugins and
delivery, TF6xx plans, tests, backtests and versions of the rulebook. `web/problems.py` maps them to HTTP in one table;
`docs/errors.md` lists them all, and a test compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class TriggerfishError(Exception):
    """An error with a stable `code`, a `sentence` that says what is wrong, and a `hint` that says what to do."""

    code = "TF000"

    def __init__(self, sentence: str, *, code: str | None = None, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.code}  {self.sentence}" + (f" ({self.hint})" if self.hint else "")


class Refused(TriggerfishError):
    """Input that breaks the contract of a door. `field` is its path in the body (`batch[3].timestamp`)."""

    code = "TF100"

    def __init__(self, sentence: str, *, code: str | None = None, field: str = "", expected: str = "", hint: str = ""):
        super().__init__(sentence, code=code, hint=hint)
        self.field = field
        self.expected = expected


class Busy(TriggerfishError):
    """The server cannot take more just now; `retry_after_seconds` says when to come back."""

    code = "TF120"

    def __init__(self, sentence: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(sentence)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(TriggerfishError):
    """The server cannot store anything just now and it is not the sender's fault: the disk is full or refuses."""

    code = "TF121"


class NotFound(TriggerfishError):
    """What was asked for does not exist (or not any more)."""

    code = "TF130"


class SettingsWrong(TriggerfishError):
    """triggerfish.toml, or an environment variable that it names, cannot be used as it is."""

    code = "TF400"


class WorkspaceTaken(TriggerfishError):
    """Another `triggerfish serve` holds this workspace."""

    code = "TF410"


class ShowsItself(Protocol):
    """A problem that knows how to print itself with its place (see rulefile/problems.py)."""

    @property
    def is_warning(self) -> bool: ...

    def render(self) -> str: ...


class RulebookBroken(TriggerfishError):
    """The rule files or templates have problems; all of them are in `problems`, each with its place."""

    code = "TF200"

    def __init__(self, problems: Sequence[ShowsItself]) -> None:
        count = sum(not problem.is_warning for problem in problems)
        super().__init__(f"the rulebook has {count} problem{'s' if count != 1 else ''}")
        self.problems = tuple(problems)


class MissingData(TriggerfishError):
    """A template needs a value that this person does not have and for which it states no fallback."""

    code = "TF320"


class PluginFailed(TriggerfishError):
    """A plugin raised, ran out of time or broke its contract. The sentence names the plugin and the hook."""

    code = "TF500"
