"""The people used last, decoded and kept at hand: as many as a bound on their number and one on their size admit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from triggerfish.profile import Profile

SIZE_LIMIT = 16 * 2**20
"""Bytes of people as they are stored. Decoded they take some six times as much memory."""


class _Kept(NamedTuple):
    profile: Profile
    size: int


class Hot:
    """`limit` bounds the number of people, `size_limit` the bytes that they take where they are stored."""

    def __init__(self, limit: int, size_limit: int = SIZE_LIMIT) -> None:
        self._limit = limit
        self._size_limit = size_limit
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, profile_id: str) -> bool:
        return profile_id in self._kept

    def get(self, profile_id: str) -> Profile | None:
        """The person, who now counts as just used."""
        found = self._kept.get(profile_id)
        if found is None:
            return None
        self._kept.move_to_end(profile_id)
        return found.profile

    def keep(self, profiles: Iterable[tuple[Profile, int]]) -> None:
        """Keep these people, each given with the bytes that they take stored; let go of who was used longest ago."""
        kept, size = self._kept, self.size
        for profile, bytes_ in profiles:
            known = kept.get(profile.id)
            if known is not None:
                size -= known.size
                kept.move_to_end(profile.id)
            kept[profile.id] = _Kept(profile, bytes_)
            size += bytes_
        while len(kept) > self._limit or size > self._size_limit:
            size -= kept.popitem(last=False)[1].size
        self.size = size

    def drop(self, profile_id: str) -> None:
        known = self._kept.pop(profile_id, None)
        if known is not None:
            self.size -= known.size

    def clear(self) -> None:
        self._kept.clear()
        self.size = 0
