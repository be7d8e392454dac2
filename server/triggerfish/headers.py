"""Room 8: the headers of a good sender, made of what a message is about. Nothing in them says who gets it.

- List-Id (RFC 2919), for marketing: one list a purpose and sender's domain, so that people can filter it, and mail
  programs know what List-Unsubscribe (which the template's links make, RFC 8058) leaves.
- Feedback-ID (Gmail's Feedback Loop): rule, rule set, purpose and sender, by which Gmail's Postmaster Tools say whose
  mail is marked as spam.
- Auto-Submitted: auto-generated (RFC 3834, section 5), for transactional mail: a machine wrote it because something
  happened, so that holiday notes do not answer it. Marketing has List-Id for that (RFC 5230, section 4.6).

Precedence is not used (RFC 3834 and mail programs' makers advise against it), nor are X- headers (RFC 6648).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b

from msgspec.structs import replace

from triggerfish.render import Class, Message

_STRANGE = re.compile(r"[^a-z0-9]+")
_LONGEST_LABEL = 40
_LONGEST_SENDER = 15
"""Gmail: a sender's id has 5 to 15 characters, the same in all its mail."""
_LONGEST_LIST_ID = 255


def with_headers(message: Message, *, ruleset: str, rule: str, purpose: str) -> Message:
    """The message with the headers of a good sender; one that it has already stays as it is."""
    added = _headers(message.sender.email, message.class_, ruleset, rule, purpose)
    given = {name.lower() for name in message.headers}
    new = {name: value for name, value in added.items() if name.lower() not in given}
    changed = replace(message, headers={**message.headers, **new}, ruleset=ruleset, rule=rule, purpose=purpose)
    return changed.in_pieces(message.pieces)


@lru_cache(maxsize=1_024)
def _headers(sender: str, class_: Class, ruleset: str, rule: str, purpose: str) -> Mapping[str, str]:
    domain = sender.rpartition("@")[2].lower()
    parts = [label_of(name) for name in (rule, ruleset, purpose)]
    added = {"Feedback-ID": ":".join((*(part for part in parts if part), sender_id(domain)))}
    if class_ == "transactional":
        added["Auto-Submitted"] = "auto-generated"
    elif len(list_id := f"{label_of(purpose) or 'marketing'}.{domain}") <= _LONGEST_LIST_ID:
        added["List-Id"] = f"<{list_id}>"
    return added


def sender_id(domain: str) -> str:
    """5 to 15 letters, digits and hyphens for a sender's domain, the same at every call."""
    label = _plain(domain)
    if 5 <= len(label) <= _LONGEST_SENDER:
        return label
    return f"{label[:8].rstrip('-') or 'id'}-{_digest(domain, 3)}"


def label_of(name: str) -> str:
    """A name in at most 40 small letters, digits and hyphens. One that lost more than blanks and its case ends in a
    digest of the name, so that "50 % off" and "50 off" stay two.
    """
    label = _plain(name)
    if label == name.lower().replace(" ", "-") and len(label) <= _LONGEST_LABEL:
        return label
    return "-".join(part for part in (label[: _LONGEST_LABEL - 7].rstrip("-"), _digest(name, 3)) if part)


def _plain(text: str) -> str:
    return _STRANGE.sub("-", text.lower()).strip("-")


def _digest(text: str, size: int) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=size).hexdigest()
