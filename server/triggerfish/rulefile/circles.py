"""Who must be played together: people are independent of one another unless they share a name, and so may be merged.

A union-find over the names in the log (R. E. Tarjan, "Efficiency of a Good But Not Linear Set Union Algorithm", 1975).
A circle may well hold people who are never merged: that costs nothing but size. So names are kept as hashes, about 130
bytes each: two that collide only share a circle, whichever process computes them.
"""

from __future__ import annotations

from array import array

from triggerfish.ingest import Event
from triggerfish.log import Position
from triggerfish.profile import IDENTITY_LIMIT, Claim, claims_of, new_profile, previous_claims

Node = int


class Circles:
    """Give it every event in the order of the log; then ask for the circle of each."""

    def __init__(self) -> None:
        self._nodes: dict[int, Node] = {}
        self._above = array("I")
        self._size = array("I")
        self._told: set[Node] = set()

    def add(self, event: Event, position: Position) -> Node:
        """A node of the circle that the event belongs to: ask `circle` for it after the last event."""
        claims = claims_of(event)
        if event.profile_id:
            # An event of our own about a profile: an open, a click.
            node = self._node(claims[0])
            self._told.add(node)
            return node
        first = claims[0]
        is_new = hash(first) not in self._nodes
        node = self._node(first)
        if is_new:
            # The engine makes a profile here, and later events may name that.
            profile = new_profile(first, position, 0)
            node = self._join(node, self._node(Claim("profile", profile.id)))
        for claim in (*claims[1:], *previous_claims(event)):
            node = self._join(node, self._node(claim))
        return node

    def close(self) -> None:
        """After the last event. Somebody with very many names gives some up, and who uses one of those again gets a
        profile that was not foreseen above. If there are such people, they share a circle with all events about
        profiles of which nothing else is known.
        """
        large = [node for node in range(len(self._above)) if self._size[node] >= IDENTITY_LIMIT and self._is_root(node)]
        lost = [node for node in self._told if self._size[self.circle(node)] == 1]
        for node in (*large[1:], *lost) if large else ():
            self._join(large[0], node)

    def circle(self, node: Node) -> Node:
        """The circle's own node."""
        above = self._above
        while above[node] != node:
            above[node] = above[above[node]]
            node = above[node]
        return node

    def __len__(self) -> int:
        """How many nodes there are: each is below this number."""
        return len(self._above)

    def _is_root(self, node: Node) -> bool:
        return self._above[node] == node

    def _node(self, claim: Claim) -> Node:
        key = hash(claim)
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = len(self._above)
            self._above.append(node)
            self._size.append(1)
        return node

    def _join(self, one: Node, other: Node) -> Node:
        one, other = self.circle(one), self.circle(other)
        if one == other:
            return one
        if self._size[one] < self._size[other]:
            one, other = other, one
        self._above[other] = one
        self._size[one] += self._size[other]
        return one
