"""What the pages behind the links in mails work with: who it is, what they can choose, and who was here before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from litestar import Request
from litestar.di import NamedDependency

from triggerfish.clock import SECOND, Instant
from triggerfish.consent import EVERYTHING, Purpose
from triggerfish.languages import language_of
from triggerfish.machines import BURST_SECONDS, guess
from triggerfish.measure import Heard, Hit, Signer
from triggerfish.profile import Profile
from triggerfish.web.leaf_words import WORDS, language_for

AnyRequest = Request[Any, Any, Any]
SENDS_REMEMBERED = 10_000
LINKS_REMEMBERED = 20


class Recent:
    """The links that were followed within the last seconds, by message: a bounded memory of this process."""

    def __init__(self) -> None:
        self._sends: OrderedDict[str, list[tuple[Instant, str]]] = OrderedDict()

    def others(self, hit: Hit, now: Instant) -> int:
        """How many other links of this message were followed within BURST_SECONDS before; this one is remembered."""
        since = now - int(BURST_SECONDS * SECOND)
        known = [each for each in self._sends.pop(hit.send_id, []) if each[0] >= since]
        others = len({url for _, url in known if url != hit.url})
        self._sends[hit.send_id] = [*known, (now, hit.url)][-LINKS_REMEMBERED:]
        if len(self._sends) > SENDS_REMEMBERED:
            self._sends.popitem(last=False)
        return others


@dataclass(frozen=True, kw_only=True)
class Visits:
    """`person` gives the profile of an id, as far as it is known; `purposes` are those declared, `language` is what
    the shop speaks.
    """

    signer: Signer = field(repr=False)
    person: Callable[[str], Profile | None]
    purposes: Callable[[], Sequence[Purpose]]
    language: Callable[[], str]
    recent: Recent = field(default_factory=Recent)

    def read(self, token: str, kind: Heard) -> Hit | None:
        """The token's hit, if it was made for this address: an open's token opens no unsubscribe page."""
        hit = self.signer.read_token(token)
        return hit if hit is not None and hit.kind == kind else None

    def guessed(self, kind: Literal["opened", "clicked"], hit: Hit, now: Instant, user_agent: str) -> dict[str, Any]:
        """How likely a human did this, and what speaks for a machine: properties of the event."""
        seconds = (now - hit.sent_at) / SECOND if hit.sent_at else None
        others = self.recent.others(hit, now) if kind == "clicked" else 0
        found = guess(kind, user_agent, seconds=seconds, others=others)
        return {"human": found.human} | ({"machine": found.machine} if found.machine else {})

    def speaks(self, request: AnyRequest, profile: Profile | None) -> str:
        """The language of a page: the person's own, else the browser's, else the shop's."""
        own = ""
        if profile is not None:
            own = language_of({name: trait.value for name, trait in profile.traits.items()}, profile.locale)
        return language_for(own, request.headers.get("accept-language", ""), self.language())

    def offered(self, hit: Hit) -> list[Purpose]:
        """What somebody with this link can choose: the declared purposes, and the message's own."""
        declared = list(self.purposes())
        if hit.purpose and all(each.name != hit.purpose for each in declared):
            declared.append(Purpose(hit.purpose))
        return declared or [Purpose(EVERYTHING)]

    def title(self, purpose: str, language: str) -> str:
        """What a purpose is called in a language."""
        known = {each.name: each for each in self.purposes()}
        return title_of(known.get(purpose) or Purpose(purpose), language)


def title_of(purpose: Purpose, language: str) -> str:
    """What the page calls it."""
    return purpose.title(language) or WORDS[language]["marketing"]


TheVisits: TypeAlias = NamedDependency[Visits]
"""For a parameter named `visits`."""
