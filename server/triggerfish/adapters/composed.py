"""A compiled email template, and how it becomes the message for one person. No I/O, no clock but the deadline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from liquid.exceptions import LiquidError
from msgspec import Struct

from triggerfish.adapters import liquid, plaintext
from triggerfish.adapters.liquid_reads import Reading
from triggerfish.errors import MissingData
from triggerfish.render import (
    LONGEST_SUBJECT,
    Address,
    Class,
    Links,
    Message,
    one_line,
    recipient,
    shorten,
    template_data,
)

LONGEST_PREHEADER = 200
SAMPLE_AT = 1_767_225_600_000
"""2026-01-01T00:00:00Z: what `sent_at` is in checks and previews."""


class Envelope(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What front matter may hold. `from_` and `reply_to` are mailboxes; without `from_`, the company's is used."""

    subject: str
    preheader: str = ""
    class_: str = "marketing"
    purpose: str = ""
    description: str = ""
    from_: str = ""
    reply_to: str = ""
    language: str = ""


ENVELOPE_FIELDS = {"from": "from_", "class": "class_"}
"""The keys that are words of Python, and what they are called here."""


class Part(NamedTuple):
    """One Liquid text of a message, and where a character of it stands in the files."""

    template: liquid.Compiled
    place: Callable[[int], str]

    def write(self, data: Mapping[str, Any], sending: liquid.Sending, name: str) -> str:
        """The text for one person. Raises MissingData, which names the value, the template and the place."""
        try:
            return self.template.write(data, sending)
        except LiquidError as error:
            raise self._missing(error, name) from error
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            sentence = f'template "{name}" cannot be written for this person: {error or type(error).__name__}'
            raise MissingData(sentence, code="TF323") from error

    def _missing(self, error: LiquidError, name: str) -> MissingData:
        place = self.place(error.token.start_index if error.token else 0)
        what = str(error.message).strip()
        if isinstance(error, liquid.MissingValue):
            hint = (
                f'write {{{{ {error.variable} | default: "…" }}}}, or put the sentence into {{% if {error.variable} %}}'
            )
            return MissingData(f'template "{name}" needs {error.variable}, which is missing ({place})', hint=hint)
        code = "TF321" if isinstance(error, liquid.WrongValue) else "TF322"
        return MissingData(f'template "{name}" cannot be written for this person: {what} ({place})', code=code)


class CompiledTemplate:
    """A Template (render.py) made of MJML and Liquid. It never changes; composing is pure and does no I/O.

    `notes` tell what mail programs lack that does no harm (mailcheck/), one sentence each.
    """

    def __init__(
        self, name: str, envelope: Envelope, sender: Address, reply_to: Address | None, parts: Mapping[str, Part],
        sample: Mapping[str, Any], given: Mapping[str, Any], variables: frozenset[str],
        readings: Sequence[Reading] = (),
    ) -> None:  # fmt: skip
        self.name = name
        self.class_: Class = "transactional" if envelope.class_ == "transactional" else "marketing"
        self.purpose = envelope.purpose
        self.description = envelope.description
        self.sender = sender
        self.sample = sample
        self.variables = variables
        self.readings = readings
        self.notes: tuple[str, ...] = ()
        self._reply_to = reply_to
        self._parts = parts
        self._given = given

    def compose(self, *, send_id: str, data: Mapping[str, Any], to: Address, links: Links) -> Message:
        """The message for one person; `data` is render.template_data's.

        Raises MissingData when a value without a fallback is missing (TF320), cannot stand where it is used (TF321,
        TF323), or a limit is reached (TF322), and for a marketing message without its unsubscribe link (TF324).
        """
        unsubscribe_url = links.unsubscribe()
        sending = liquid.Sending(links, unsubscribe_url)
        facts = self.facts(data, sending)
        subject = str(facts["subject"])
        facts["open_pixel_url"] = links.open_pixel()
        html = self._write("html", facts, sending)
        headers = {}
        if self.class_ == "marketing":
            if not sending.has_unsubscribe_link:
                raise MissingData(f'template "{self.name}" has no unsubscribe link for this person', code="TF324")
            headers = {
                "List-Unsubscribe": f"<{unsubscribe_url}>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            }
        profile = data.get("profile")
        return Message(
            send_id=send_id,
            to=to,
            sender=self.sender,
            reply_to=self._reply_to,
            subject=subject,
            html=html,
            text=plaintext.tidy(self._write("text", facts, sending)),
            headers=headers,
            class_=self.class_,
            template=self.name,
            profile_id=str(profile.get("id") or "") if isinstance(profile, Mapping) else "",
        )

    def facts(self, data: Mapping[str, Any], sending: liquid.Sending) -> dict[str, Any]:
        """What the body reads for one person: `data`, what all templates share, the subject and the preheader.

        Raises MissingData.
        """
        facts: dict[str, Any] = {**data, **self._given, "unsubscribe_url": sending.unsubscribe_url}
        facts |= {"preferences_url": sending.preferences_url, "confirm_url": sending.confirm_url}
        subject = shorten(one_line(self._write("subject", facts, sending)), LONGEST_SUBJECT)
        if not subject:
            raise MissingData(f'template "{self.name}" has an empty subject for this person')
        facts["subject"] = subject
        facts["preheader"] = shorten(one_line(self._write("preheader", facts, sending)), LONGEST_PREHEADER)
        return facts

    def _write(self, part: str, facts: Mapping[str, Any], sending: liquid.Sending) -> str:
        return self._parts[part].write(facts, sending, self.name)


class PlainLinks:
    """Links that track nothing, for checks and previews: addresses stay as they are."""

    def click(self, url: str) -> str:
        return url

    def open_pixel(self) -> str:
        return "https://triggerfish.invalid/open.gif"

    def unsubscribe(self) -> str:
        return "https://triggerfish.invalid/unsubscribe"

    def confirm(self) -> str:
        return "https://triggerfish.invalid/confirm"

    def preferences(self) -> str:
        return "https://triggerfish.invalid/preferences"


def preview(template: CompiledTemplate) -> Message:
    """The message for the template's sample person. Raises MissingData."""
    to = recipient({"email": "sample@example.com", **template.sample["traits"]})
    return template.compose(send_id="preview", data=_sample_data(template), to=to, links=PlainLinks())


def sample_facts(template: CompiledTemplate) -> dict[str, Any]:
    """What the body reads for the template's sample person. Raises MissingData."""
    links = PlainLinks()
    return template.facts(_sample_data(template), liquid.Sending(links, links.unsubscribe()))


def _sample_data(template: CompiledTemplate) -> dict[str, Any]:
    traits, event = template.sample["traits"], template.sample["event"]
    return template_data(traits, event, sent_at=SAMPLE_AT, profile_id="sample", segments=template.sample["segments"])
