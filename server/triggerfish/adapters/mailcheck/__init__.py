"""What a template looks like to the people who get it: pictures, lines, contrast, dark mode, what mail programs lack.

Everything here runs when a template is checked, never when a mail is sent. docs/email-checks.md tells of each check.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, islice
from typing import Any, NamedTuple

from liquid import Environment

from triggerfish.adapters.mailcheck import clients, contrast, dark, pictures
from triggerfish.adapters.mailcheck.lines import LineComplaint, inspect_lines
from triggerfish.adapters.mailcheck.mail import Mail
from triggerfish.adapters.mjml_reader import Complaint, Element
from triggerfish.adapters.sources import Woven

MOST_COMPLAINTS = 50
"""Warnings about one mail; whoever gets more has enough to do."""


class Inspected(NamedTuple):
    """Warnings, with offsets in the Sources; and what does no harm, in sentences (`triggerfish check --verbose`)."""

    complaints: list[Complaint]
    notes: list[str]


def inspect(
    mjml: Woven, root: Element, html: Woven, *, environment: Environment, facts: Mapping[str, Any]
) -> Inspected:
    """Look at one mail: its MJML with all blocks, the tree of that, and what MJML made of it, Liquid still in place.

    `facts` are what a template can read, of the sample person; `environment` is the Liquid of plain text.
    """
    mail = Mail(mjml, root, html, environment=environment, facts=facts)
    notes: list[str] = []
    found = chain(pictures.check(mail), contrast.check(mail, notes), dark.check(mail), clients.check(mail, notes))
    return Inspected(list(islice(found, MOST_COMPLAINTS)), notes)


__all__ = ["Inspected", "LineComplaint", "inspect", "inspect_lines"]
