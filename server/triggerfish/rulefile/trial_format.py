"""What a test file may say: the shapes of `rules/*.test.yaml`, before names and times are looked at.

A test is about one person. Lengths of time are text ("30 minutes"), and so are instants: `30m` after the test's start,
`+10m` after the line before, `-40 days` before the start, or a local time such as `2026-01-05 09:00`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from triggerfish.rulefile.format import EventName, Name

Text = Annotated[str, Meta(min_length=1, max_length=1_000)]


class Form(Struct, frozen=True, forbid_unknown_fields=True):
    """Strict: an unknown key is a problem. `NOUN` is what problems call it."""

    NOUN: ClassVar[str]


class PersonForm(Form, frozen=True):
    """What is known of the person before anything of the test happens."""

    NOUN: ClassVar[str] = "a person"
    traits: dict[str, Any] = {}
    locale: str = ""
    consent: dict[str, bool] = {}


class HappensForm(Form, frozen=True):
    """Something that the person does: an `event`, or `identify` with traits. It comes `at` an instant; it happened
    `late` that much before. `anonymous` says that it comes from a device that is known by this name.
    """

    NOUN: ClassVar[str] = "an event of a test"
    at: Text
    event: EventName | None = None
    identify: dict[str, Any] | None = None
    properties: dict[str, Any] = {}
    context: dict[str, Any] = {}
    late: Text | None = None
    anonymous: Text | None = None


class SentForm(Form, frozen=True):
    """A message as it leaves: `subject` and `contains` are parts of its text."""

    NOUN: ClassVar[str] = "a message"
    template: Name
    rule: Text | None = None
    subject: Text | None = None
    contains: Text | list[Text] = []


class MembersForm(Form, frozen=True, rename={"in_": "in"}):
    """Segments that the person is in, and that they are not in; of others nothing is said."""

    NOUN: ClassVar[str] = "a group of segments"
    in_: list[Name] = []
    not_in: list[Name] = []


class ExpectForm(Form, frozen=True):
    """How things stand `at` an instant, after everything that happens then. What is left out is not looked at.

    `sends`, `emits` and `calls` are all there were since the line before that has the same key.
    """

    NOUN: ClassVar[str] = "an expectation"
    at: Text
    sends: list[Name | SentForm] | None = None
    no_sends: list[Name] = []
    segments: list[Name] | MembersForm | None = None
    segment: Name | None = None
    traits: dict[str, Any] = {}
    waiting: list[Text] | None = None
    emits: list[EventName] | None = None
    calls: list[Text] | None = None
    reasons: dict[str, Text] = {}


class TrialForm(Form, frozen=True):
    """One test. Of `history`, which is before the start, everything counts, and nothing wakes a rule."""

    NOUN: ClassVar[str] = "a test"
    name: Annotated[str, Meta(min_length=1, max_length=120)]
    expect: Annotated[list[ExpectForm], Meta(min_length=1)]
    description: str = ""
    start: Text = "2026-01-05 12:00"
    time_zone: str | None = None
    profile: PersonForm | None = None
    history: list[HappensForm] = []
    events: list[HappensForm] = []
    assign: dict[str, Name] = {}


class EquivalentForm(Form, frozen=True):
    """A change of a rule file that no test can notice: `line`, written as `becomes`, means the same, and `why`."""

    NOUN: ClassVar[str] = "an equivalent change"
    file: Text
    line: Text
    becomes: str
    why: Text
    rule: Text | None = None
    segment: Name | None = None


class TrialFileForm(Form, frozen=True):
    """A test file."""

    NOUN: ClassVar[str] = "a test file"
    tests: list[TrialForm] = []
    equivalent: list[EquivalentForm] = []
