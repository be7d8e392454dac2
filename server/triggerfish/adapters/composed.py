"""A compiled email template, and how it becomes the message for one person. No I/O, no clock but the deadline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from liquid.exceptions import LiquidError

from triggerfish.adapters import liquid
from triggerfish.adapters.liquid_reads import Reading
from triggerfish.adapters.tidying import tidied
from triggerfish.errors import MissingData
from triggerfish.languages import nearest_language
from triggerfish.render import (
    LONGEST_SUBJECT,
    Address,
    Class,
    FeedSpec,
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


class Part(NamedTuple):
    """One Liquid text of a message, and where a character of it stands in the files."""

    template: liquid.Compiled
    place: Callable[[int], str]

    def write(self, data: Mapping[str, Any], sending: liquid.Sending, name: str) -> str:
        """The text for one person. Raises MissingData, which names the value, the template and the place."""
        return "".join(self.pieces(data, sending, name))

    def pieces(self, data: Mapping[str, Any], sending: liquid.Sending, name: str) -> Sequence[str]:
        """The same in pieces, of which those that stand in the template are Fixed."""
        try:
            return self.template.pieces(data, sending)
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


class Variant(NamedTuple):
    """A template in one language. `parts` are "subject", "preheader", "html" and "text"; `inputs` is what its layout
    takes: Liquid that makes a line, or a plain value.
    """

    language: str
    sender: Address
    reply_to: Address | None
    parts: Mapping[str, Part]
    inputs: Mapping[str, Any]


class CompiledTemplate:
    """A Template (render.py) made of MJML and Liquid. It never changes; composing is pure and does no I/O.

    `notes` tell what mail programs lack that does no harm (mailcheck/), one sentence each.
    """

    def __init__(
        self, name: str, variants: Sequence[Variant], *, class_: Class = "marketing", purpose: str = "",
        description: str = "", sample: Mapping[str, Any], given: Mapping[str, Any],
        variables: frozenset[str] = frozenset(), readings: Sequence[Reading] = (),
        feeds: Mapping[str, FeedSpec] | None = None, feed_parts: Mapping[str, Part] | None = None,
    ) -> None:  # fmt: skip
        """The first variant is the one for everybody in whose language there is none."""
        self.name = name
        self.class_: Class = class_
        self.purpose = purpose
        self.description = description
        self.sender = variants[0].sender
        self.sample = sample
        self.variables = variables
        self.readings = readings
        self.feeds = feeds or {}
        self._feed_parts = feed_parts or {}
        self.notes: tuple[str, ...] = ()
        self._variants = {variant.language: variant for variant in variants}
        self._usual = variants[0].language
        self._given = given

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that it is written in, the template's own first."""
        return tuple(self._variants)

    def language_for(self, wanted: str) -> str:
        """The language that somebody gets who wants this one."""
        if len(self._variants) == 1:
            return self._usual
        return nearest_language(wanted, self._variants) or self._usual

    def feed_urls(self, data: Mapping[str, Any]) -> Mapping[str, str]:
        """The address of each feed for this person; `data` is render.template_data's.

        A feed whose address needs what is missing is left out if it has a fallback; if not, raises MissingData.
        """
        if not self._feed_parts:
            return {}
        facts = {**data, **self._given, "language": self._variant(data).language}
        sending = liquid.Sending(PlainLinks(), "")
        urls = {}
        for name, part in self._feed_parts.items():
            try:
                urls[name] = part.write(facts, sending, self.name).strip()
            except MissingData:
                if not self.feeds[name].has_fallback:
                    raise
        return urls

    def compose(self, *, send_id: str, data: Mapping[str, Any], to: Address, links: Links) -> Message:
        """The message for one person; `data` is render.template_data's, and `data["feeds"]` what its feeds gave.

        Raises MissingData when a value without a fallback is missing (TF320), or a feed (TF328); when a value cannot
        stand where it is used (TF321, TF323), or a limit is reached (TF322); and for a marketing message without its
        unsubscribe link (TF324).
        """
        variant = self._variant(data)
        unsubscribe_url = links.unsubscribe()
        sending = liquid.Sending(links, unsubscribe_url)
        facts = self.facts(data, sending)
        facts["open_pixel_url"] = links.open_pixel()
        pieces = variant.parts["html"].pieces(facts, sending, self.name)
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
            sender=variant.sender,
            reply_to=variant.reply_to,
            subject=facts["subject"],
            html="".join(pieces),
            text=tidied(variant.parts["text"].pieces(facts, sending, self.name)),
            headers=headers,
            class_=self.class_,
            template=self.name,
            profile_id=str(profile.get("id") or "") if isinstance(profile, Mapping) else "",
            language=variant.language,
        ).in_pieces(pieces)

    def facts(self, data: Mapping[str, Any], sending: liquid.Sending) -> dict[str, Any]:
        """What the body reads for one person: `data`, what all templates share, subject, preheader, language, feeds and
        what the layout takes. Raises MissingData.
        """
        variant = self._variant(data)
        facts: dict[str, Any] = {
            **data,
            **self._given,
            "unsubscribe_url": sending.unsubscribe_url,
            "preferences_url": sending.preferences_url,
            "confirm_url": sending.confirm_url,
            "language": variant.language,
            "feeds": self._fed(data.get("feeds") or {}),
        }
        subject = shorten(one_line(variant.parts["subject"].write(facts, sending, self.name)), LONGEST_SUBJECT)
        if not subject:
            raise MissingData(f'template "{self.name}" has an empty subject for this person')
        facts["subject"] = subject
        preheader = variant.parts["preheader"].write(facts, sending, self.name)
        facts["preheader"] = shorten(one_line(preheader), LONGEST_PREHEADER)
        for name, value in variant.inputs.items():
            facts[name] = value.write(facts, sending, self.name) if isinstance(value, Part) else value
        return facts

    def _variant(self, data: Mapping[str, Any]) -> Variant:
        profile = data.get("profile")
        wanted = profile.get("language") if isinstance(profile, Mapping) else None
        return self._variants[self.language_for(wanted if isinstance(wanted, str) else "")]

    def _fed(self, fetched: Mapping[str, Any]) -> dict[str, Any]:
        """What each feed gave, or its fallback. Raises MissingData (TF328)."""
        fed = {}
        for name, spec in self.feeds.items():
            if name not in fetched and not spec.has_fallback:
                sentence = f'template "{self.name}" needs the feed "{name}", which could not be fetched'
                raise MissingData(
                    sentence, code="TF328", hint="give the feed a fallback in the template's front matter"
                )
            fed[name] = fetched.get(name, spec.fallback)
        return fed


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


def preview(template: CompiledTemplate, language: str | None = None) -> Message:
    """The message for the template's sample person, or for one like them with this language. Raises MissingData."""
    to = recipient({"email": "sample@example.com", **template.sample["traits"]})
    data = _sample_data(template, language)
    return template.compose(send_id="preview", data=data, to=to, links=PlainLinks())


def sample_facts(template: CompiledTemplate, language: str | None = None) -> dict[str, Any]:
    """What the body reads for the template's sample person. Raises MissingData."""
    links = PlainLinks()
    return template.facts(_sample_data(template, language), liquid.Sending(links, links.unsubscribe()))


def _sample_data(template: CompiledTemplate, language: str | None) -> dict[str, Any]:
    sample = template.sample
    data = template_data(
        sample["traits"], sample["event"], sent_at=SAMPLE_AT, profile_id="sample", segments=sample["segments"]
    )
    if language is not None:
        data["profile"]["language"] = language
    return {**data, "feeds": sample["feeds"]}
