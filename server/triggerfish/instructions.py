"""Instructions: what an operator, a page or the server itself decides about no person in particular. They go through
the log as events do, so that they are durable, in order with everything else, and carried out exactly once; the store
does that in the transaction of the batch that they came in.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from triggerfish.clock import Instant
from triggerfish.ingest import Event

Reason = Literal["hard bounce", "complaint", "unsubscribe", "manual"]
"""Why nothing goes to an address. A hard bounce stops everything, the others stop marketing."""


class Suppress(Struct, frozen=True, tag="suppress", tag_field="instruction"):
    """Send nothing more to an address, or, written "@example.com", to a whole domain; with a `purpose` nothing of it.
    `note` is for people: a provider's words, say.
    """

    address: str
    purpose: str = ""
    reason: Reason = "manual"
    note: str = ""


class Allow(Struct, frozen=True, tag="allow", tag_field="instruction"):
    """Take an address or a domain off the list again."""

    address: str
    purpose: str = ""


class Hold(Struct, frozen=True, tag="hold", tag_field="instruction"):
    """Hand over no message of a rule until it is released; what is due waits. Without `rule`: of a whole rule set."""

    ruleset: str
    rule: str = ""
    reason: str = ""


class Release(Struct, frozen=True, tag="release", tag_field="instruction"):
    """Let the messages of a rule, or of a rule set, leave again."""

    ruleset: str
    rule: str = ""


class Resolve(Struct, frozen=True, tag="resolve", tag_field="instruction"):
    """Settle a send whose outcome is `uncertain`: it was sent, it was not, or it is to be sent again."""

    send: str
    outcome: Literal["sent", "failed", "again"]


Instruction = Suppress | Allow | Hold | Release | Resolve


class Given(Struct, frozen=True):
    """An instruction as it came: when the log took it, and who gave it ("admin key", "page", "smtp", …)."""

    instruction: Instruction
    at: Instant
    by: str = ""


class Suppression(Struct, frozen=True):
    """A line of the suppression list. `address` is as in Suppress, in lower case; `purpose` empty: everything."""

    address: str
    purpose: str
    reason: Reason
    note: str
    by: str
    at: Instant


class Held(Struct, frozen=True):
    """A rule whose messages are held; without `rule` a whole rule set."""

    ruleset: str
    rule: str
    reason: str
    by: str
    at: Instant


def to_event(instruction: Instruction, *, by: str, at: Instant, nonce: str) -> Event:
    """The instruction as an event for the log; `nonce` makes its id."""
    properties = msgspec.to_builtins(instruction)
    name = properties["instruction"]
    return Event("instruction", name, f"instruction:{nonce}", at, properties=properties | {"by": by})


def given_in(event: Event, at: Instant) -> Given:
    """What an event of kind "instruction" says. Raises msgspec.ValidationError for one that is none of ours."""
    by = str(event.properties.get("by", ""))
    return Given(msgspec.convert(event.properties, Instruction), at, by)


def as_listed(address: str) -> str:
    """An address or a domain as the suppression list has it: in lower case, without blanks around it."""
    return address.strip().lower()


def listed_as(address: str) -> tuple[str, str]:
    """The lines of the list that stop mail to an address: its own, and that of its domain."""
    whole = as_listed(address)
    return whole, "@" + whole.rpartition("@")[2]
