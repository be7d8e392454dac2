"""Opt-outs that are in the log and not decided yet: who got an answer to "no more of this" is not to get more of it,
however many events the worker still has to decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.consent import may_end_it
from triggerfish.people import Loaded
from triggerfish.profile import Claim, Profile, claims_of, hear_consent, note_trouble

if TYPE_CHECKING:
    from triggerfish.walk import House

LOOK_AHEAD = 1_000
"""Undecided events that are looked at before a batch is handed over."""


def with_newest_words(house: House, loaded: Loaded) -> Loaded:
    """The people as they are once they are heard: copies of those who said something of consent since, or of whose
    address something was heard. When nothing waits to be decided, that is the usual way, it is `loaded` itself.
    """
    position, _ = house.store.position()
    if not loaded.profiles or house.log.head()[0] <= position:
        return loaded
    waiting = [entry.event for entry in house.log.read(position, LOOK_AHEAD) if may_end_it(entry.event)]
    owners = house.store.owners_of(list({claim for event in waiting for claim in claims_of(event)}))
    heard: dict[str, Profile] = {}
    for event in waiting:
        for claim in claims_of(event):
            owner = claim.value if claim == Claim("profile", claim.value) and claim.value in loaded.profiles else None
            known = loaded.profiles.get(owner or owners.get(claim, ""))
            if known is None:
                continue
            profile = heard.setdefault(known.id, known.copy())
            hear_consent(profile, event, house.rulebook.policy.purposes)
            note_trouble(profile, event)
            break
    return Loaded({**loaded.profiles, **heard}, loaded.owners) if heard else loaded
