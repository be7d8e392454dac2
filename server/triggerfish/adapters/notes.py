"""The problems of one template, each at its place in the files that the template is woven of."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from triggerfish.adapters.mjml_reader import Complaint
from triggerfish.adapters.sources import Sources, Woven
from triggerfish.rulefile.problems import Problem

Complain = Callable[..., None]
"""`complain(code, at, sentence, hint="", width=1)`: a problem at a character of some text."""


class Notes:
    """Takes complaints, which have offsets, and makes them problems, which have places."""

    def __init__(self, name: str, label: str) -> None:
        """`name` is the template's, `label` its folder's in problems ("templates/welcome")."""
        self.name = name
        self.label = label
        self.sources = Sources()
        self.problems: list[Problem] = []

    @property
    def is_broken(self) -> bool:
        """Whether one of the problems is more than a warning."""
        return any(not problem.is_warning for problem in self.problems)

    def add(self, complaints: Iterable[Complaint], origin: Callable[[int], int]) -> None:
        """Note complaints; `origin` leads from their offsets to those of the sources."""
        self.problems += [self.problem(complaint, origin) for complaint in complaints]

    def problem(self, complaint: Complaint, origin: Callable[[int], int]) -> Problem:
        """A complaint as a problem, not noted yet."""
        at = self.sources.place(origin(complaint.at))
        # A block's problem is the block's: said once, however many templates use it.
        within = f'template "{self.name}"' if at.path.startswith(f"{self.label}/") else ""
        return Problem(
            path=at.path, line=at.line, column=at.column, code=complaint.code, sentence=complaint.sentence,
            hint=complaint.hint, within=within, source=at.source,
            width=max(1, min(complaint.width, len(at.source) - at.column + 1)), is_warning=complaint.is_warning,
        )  # fmt: skip

    def complains_of(self, woven: Woven) -> Complain:
        """What notes problems of a woven text."""

        def complain(code: str, at: int, sentence: str, hint: str = "", width: int = 1) -> None:
            self.add([Complaint(code, at, sentence, hint, width)], woven.origin)

        return complain

    def places_of(self, woven: Woven) -> Callable[[int], str]:
        """What says where a character of a woven text stands, for the reason of a send that failed."""

        def place(at: int) -> str:
            found = self.sources.place(woven.origin(at))
            return f"{found.path}:{found.line}:{found.column}"

        return place
