"""Room 9, called back: the messages that channels were given and have not answered for. A batch may take a while; who
opts out meanwhile gets nothing of what its channel has not begun to hand on yet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from triggerfish import decisions
from triggerfish.instructions import Given, Hold, Suppress, listed_as
from triggerfish.profile import Profile
from triggerfish.rules import Policy
from triggerfish.schedule import Due


class Underway:
    """What is with the channels. `is_wanted` may be asked from any thread; the rest belongs to the worker's own."""

    def __init__(self) -> None:
        self._sends: dict[str, dict[str, Due]] = {}
        self._recalled: set[str] = set()

    @contextmanager
    def through(self, sends: Collection[Due]) -> Iterator[None]:
        """As long as a channel has these."""
        for due in sends:
            self._sends.setdefault(due.profile, {})[due.id] = due
        try:
            yield
        finally:
            for due in sends:
                of_person = self._sends.get(due.profile, {})
                of_person.pop(due.id, None)
                if not of_person:
                    self._sends.pop(due.profile, None)
                self._recalled.discard(due.id)

    def is_wanted(self, send_id: str) -> bool:
        """Whether a message is still to go: ask right before each of a batch."""
        return send_id not in self._recalled

    def recalled(self, send_ids: Iterable[str]) -> frozenset[str]:
        """Those of these that were called back."""
        return frozenset(self._recalled.intersection(send_ids))

    def look_again(
        self, profiles: Mapping[str, Profile], merged: Mapping[str, str], given: Iterable[Given], policy: Policy
    ) -> None:
        """Call back what must not go any more, after this was committed: people as they are now, those who became part
        of others, and what an operator said.
        """
        if not self._sends:
            return
        for former, sends in self._sends.items():
            profile = profiles.get(merged.get(former, former))
            if profile is not None:
                for due in sends.values():
                    if decisions.refusal_to(profile, due.class_, due.purpose, policy):
                        self._recalled.add(due.id)
        for each in given:
            for sends in self._sends.values():
                self._recalled.update(due.id for due in sends.values() if _stops(each, due))


def _stops(given: Given, due: Due) -> bool:
    match given.instruction:
        case Suppress(address=address, purpose=purpose, reason=reason):
            is_theirs = address.strip().lower() in listed_as(due.address) and purpose in ("", due.purpose)
            return is_theirs and (reason == "hard bounce" or due.class_ == "marketing")
        case Hold(ruleset=ruleset, rule=rule):
            return due.ruleset == ruleset and rule in ("", due.rule)
        case _:
            return False
