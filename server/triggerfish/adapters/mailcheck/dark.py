"""TF359: whether a mail says how it looks in dark mode.

`color-scheme` is a meta tag of HTML (https://html.spec.whatwg.org/multipage/semantics.html#meta-color-scheme). Apple
Mail reads it, and leaves the colours of a mail that has it alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from triggerfish.adapters.mailcheck.mail import Mail
from triggerfish.adapters.mjml_reader import Complaint

_HINT = 'say so in <mj-head>: <mj-raw><meta name="color-scheme" content="light"></mj-raw>, or "light dark"'
_HINT_OF_RULES = 'put <mj-raw><meta name="color-scheme" content="light dark"></mj-raw> into <mj-head>'


def schemes(mail: Mail) -> str | None:
    """What the mail's meta tag, or else its CSS, says ("light dark"); None if neither does."""
    for node in mail.markup.nodes:
        if node.name == "meta" and node.get("name").lower() == "color-scheme":
            return node.get("content").lower()
    for rule in mail.rules:
        for each in rule.declarations:
            if each.name == "color-scheme":
                return " ".join(token.lower_value for token in each.tokens if token.type == "ident")
    return None


def is_declared(mail: Mail) -> bool:
    """Whether the mail says that it looks good in dark mode, so that mail programs leave its colours alone."""
    return "dark" in (schemes(mail) or "") or _rule_at(mail) is not None


def check(mail: Mail) -> Iterator[Complaint]:
    """A warning for a mail that says nothing, and one for rules that Apple Mail will not use as they are meant."""
    if schemes(mail) is not None:
        return
    at = _rule_at(mail)
    if at is not None:
        sentence = "this mail has rules for dark mode, and no color-scheme that tells mail programs so"
        yield mail.in_html("TF359", at, sentence, _HINT_OF_RULES)
    else:
        sentence = "this mail does not say how it looks in dark mode, so mail programs change its colours as they like"
        yield mail.in_mjml("TF359", mail.root.start, sentence, _HINT, len(mail.root.name) + 1)


def _rule_at(mail: Mail) -> int | None:
    for sheet in mail.sheets:
        at = sheet.text.find("prefers-color-scheme")
        if at >= 0 and "dark" in sheet.text[at : at + 40]:
            return sheet.at + at
    return None
