"""Lines for the suppression list as people give them: over HTTP, or in a file of another provider."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from types import SimpleNamespace

from msgspec import Struct

from triggerfish.consent import LONGEST_PURPOSE
from triggerfish.errors import Refused
from triggerfish.instructions import Reason, Suppress, as_listed

MOST_LINES = 1_000
"""Lines that go through the log at once."""
LONGEST_NOTE = 500
COLUMNS = ("address", "purpose", "reason", "note")

_ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f@,;<>]{0,64}@[^\s\x00-\x1f\x7f@,;<>]{1,253}")
_REASONS: dict[str, Reason] = {
    "hard bounce": "hard bounce", "hardbounce": "hard bounce", "bounce": "hard bounce", "bounced": "hard bounce",
    "complaint": "complaint", "complained": "complaint", "spam": "complaint", "spamcomplaint": "complaint",
    "spam complaint": "complaint", "unsubscribe": "unsubscribe", "unsubscribed": "unsubscribe",
    "manual": "manual", "": "manual",
}  # fmt: skip
"""Reasons as providers call them in the lists that they export."""
_HEADINGS = {
    "email": "address",
    "email address": "address",
    "recipient": "address",
    "type": "reason",
    "list": "purpose",
}


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """A line as it is given. `address` may be a domain, written "@example.com"."""

    address: str
    purpose: str = ""
    reason: str = "manual"
    note: str = ""


def reason_of(text: str) -> Reason | None:
    """The reason that is meant, also as providers call it; None when it is none of ours."""
    return _REASONS.get(text.strip().lower().replace("_", " ").replace("-", " "))


def suppress_of(line: Line, place: int) -> Suppress:
    """The instruction. Raises Refused (TF684) that names the line; the first is 0."""
    address = as_listed(line.address)
    reason = reason_of(line.reason)
    if not _ADDRESS.fullmatch(address):
        raise Refused(
            f'"{line.address[:80]}" is neither an address nor a domain', code="TF684", field=f"[{place}].address",
            expected="ana@example.com, or @example.com for a domain",
        )  # fmt: skip
    if reason is None:
        raise Refused(
            f'"{line.reason[:80]}" is no reason', code="TF684", field=f"[{place}].reason",
            expected="hard bounce, complaint, unsubscribe or manual",
        )  # fmt: skip
    if len(line.purpose) > LONGEST_PURPOSE:
        raise Refused(
            "the purpose is too long", code="TF684", field=f"[{place}].purpose",
            expected=f"at most {LONGEST_PURPOSE} characters",
        )  # fmt: skip
    return Suppress(address, line.purpose.strip(), reason, line.note[:LONGEST_NOTE])


def lines_of_csv(text: str) -> list[Line]:
    """The lines of a CSV file (RFC 4180): with a first line that names the columns, of which only `address` (or
    `email`) must be there and others are left out; or without one, then addresses stand first. Raises Refused (TF684).
    """
    try:
        rows = [
            row for row in csv.reader(text.splitlines(keepends=True), strict=True) if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise Refused(f"this is no CSV: {error}", code="TF684") from None
    if not rows:
        return []
    names = [_HEADINGS.get(cell.strip().lower(), cell.strip().lower()) for cell in rows[0]]
    if "address" in names:
        return [_line(dict(zip(names, row, strict=False))) for row in rows[1:]]
    if "@" not in rows[0][0]:
        raise Refused(
            "the first line names no column for addresses", code="TF684", expected=f"columns {', '.join(COLUMNS)}"
        )
    return [_line({"address": row[0]}) for row in rows]


def _line(cells: dict[str, str]) -> Line:
    given = {name: cells[name].strip() for name in COLUMNS if cells.get(name)}
    return Line(**{"address": "", **given})


def csv_of(rows: Sequence[Sequence[str]]) -> str:
    """Rows as CSV, with the names of the columns. What a table program would take for a formula gets a quote before it
    (OWASP, "CSV injection").
    """
    written: list[str] = []
    writer = csv.writer(SimpleNamespace(write=written.append), lineterminator="\n")
    writer.writerow([*COLUMNS, "by", "at"])
    for row in rows:
        writer.writerow([f"'{cell}" if cell[:1] in ("=", "+", "-", "\t", "\r") else cell for cell in row])
    return "".join(written)
