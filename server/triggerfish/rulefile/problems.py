"""Problems: what is wrong, where, and what to do about it. All of them at once, never only the first."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from msgspec import Struct


class Problem(Struct, frozen=True, order=True, kw_only=True):
    """One problem at one place of one file.

    `path` is relative to the workspace; `line` and `column` count from 1 (0: the file as a whole). `source` is the
    offending line as written, `width` how many characters of it the caret underlines. `within` says where in the
    reader's terms ("rule "vip-cart" of rule set "cart-recovery"").
    """

    path: str
    line: int
    column: int
    code: str
    sentence: str
    hint: str = ""
    within: str = ""
    source: str = ""
    width: int = 1
    is_warning: bool = False

    def render(self) -> str:
        """The form that people read, on the command line, in the API and on the page alike (STYLE.md, convention 4)."""
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        kind = "warning: " if self.is_warning else ""
        lines = [f"{place}  {self.code}  {kind}{self.sentence}"]
        if self.source:
            gutter = f"{self.line:>4} | "
            caret = " " * (self.column - 1) + "^" * max(1, min(self.width, len(self.source) - self.column + 1))
            lines.append(gutter + self.source)
            lines.append(" " * 4 + " | " + caret + (f" {self.hint}" if self.hint else ""))
        elif self.hint:
            lines.append(f"       {self.hint}")
        if self.within:
            lines.append(f"       in {self.within}")
        return "\n".join(lines)


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean "x"?` for the known name that is nearest, or an empty text when none is near."""
    found = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f'did you mean "{found[0]}"?' if found else ""
