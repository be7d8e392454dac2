"""What the checks look at: one mail as its author wrote it and as MJML compiled it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

from liquid import Environment

from triggerfish.adapters.mailcheck.markup import Markup, Node
from triggerfish.adapters.mailcheck.styles import Rule, rules
from triggerfish.adapters.mailcheck.values import worked_out
from triggerfish.adapters.mjml_reader import MASK, Complaint, Element
from triggerfish.adapters.sources import Woven

_VALUES = ("style", "bgcolor", "color", "background", "text")


class Sheet(NamedTuple):
    """A style sheet: where its text starts in the HTML, the text, and the `media` that it is for."""

    at: int
    text: str
    media: str


class Mail:
    """A mail. `mjml` and `root` are what the author wrote, with its blocks; `html` is that, compiled, Liquid and all.

    `facts` are what the sample person's mail may read; `environment` is the Liquid of plain text.
    """

    def __init__(
        self, mjml: Woven, root: Element, html: Woven, *, environment: Environment, facts: Mapping[str, Any]
    ) -> None:
        self.mjml = mjml
        self.root = root
        self.html = html
        self.markup = Markup(html)
        self._environment = environment
        self._facts = facts

    def in_mjml(self, code: str, at: int, sentence: str, hint: str = "", width: int = 1) -> Complaint:
        """A warning at an offset of the MJML; its own offset is one of the Sources."""
        return Complaint(code, self.mjml.origin(at), sentence, hint, width, is_warning=True)

    def in_html(self, code: str, at: int, sentence: str, hint: str = "", width: int = 1) -> Complaint:
        """A warning at an offset of the HTML; its own offset is one of the Sources."""
        return Complaint(code, self.html.origin(at), sentence, hint, width, is_warning=True)

    @cached_property
    def sheets(self) -> list[Sheet]:
        """The style sheets, their Liquid worked out, in their order."""
        return [
            Sheet(text.start, self.filled.get(text.start, self.html.text[text.start : text.end]), node.get("media"))
            for node in self.markup.nodes
            if node.name == "style"
            for text in node.texts
        ]

    @cached_property
    def rules(self) -> list[Rule]:
        """The rules of all style sheets, in their order."""
        return [
            rule._replace(conditions=(f"@media {sheet.media}", *rule.conditions)) if sheet.media else rule
            for sheet in self.sheets
            for rule in rules(sheet.text)
            if isinstance(rule, Rule)
        ]

    @cached_property
    def filled(self) -> dict[int, str]:
        """The values and style sheets that hold Liquid, by their offsets in the HTML, as the sample person has them."""
        stretches = []
        for node in self.markup.nodes:
            for name in _VALUES:
                value = node.attributes.get(name)
                if value and MASK in self.markup.masked[value.start : value.end]:
                    stretches.append((value.start, value.end))
            if node.name == "style":
                stretches += [(each.start, each.end) for each in node.texts]
        return worked_out(self.html.text, stretches, self._environment, self._facts)

    def words(self, node: Node) -> str:
        """All text in an element, each output of Liquid as a letter."""
        texts = [*node.texts, *(text for each in node.inside() for text in each.texts)]
        return " ".join(self.markup.visible[text.start : text.end] for text in texts)
