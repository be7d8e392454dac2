"""Watching a rulebook at work: which conditions came out true and false, which rules were asked and which woke.

`watched` makes a copy of a rulebook that decides exactly the same and tells a Recorder of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from triggerfish.clock import Instant
from triggerfish.conditions import All, Condition, Look, Node, Not, Some, Test, View, explain, first_failed
from triggerfish.engine import Moment
from triggerfish.rules import Matcher, Rule, Rulebook, RuleSet
from triggerfish.segments import SegmentTree

Owner = tuple[str, str]
"""Whose a condition is: ("segment", name) or ("rule", "rule set / rule")."""


class Leaf(Struct, frozen=True):
    """A part of a condition that is true or false by itself: the `place`-th of its owner's."""

    owner: Owner
    place: int
    text: str


class Recorder:
    """What the trials reached. `outcomes` are leaves with what came of them; `facts` are what was written down:
    (rule, what, …). `reached` are the owners of conditions and rules that the present trial had to do with.
    """

    def __init__(self) -> None:
        self.leaves: dict[int, Leaf] = {}
        self.outcomes: set[tuple[Leaf, bool]] = set()
        self.facts: set[tuple[str, ...]] = set()
        self.reached: set[Owner] = set()
        self.on_failed: Callable[[Rule, Instant, str, str], None] = lambda rule, at, event, failed: None
        self._kept: list[Node] = []

    def know(self, owner: Owner, node: Node, place: int) -> int:
        """Number the leaves of a condition's tree, in the order in which they are written; gives the next number."""
        if isinstance(node, Test):
            self.leaves[id(node)] = Leaf(owner, place, node.text)
            self._kept.append(node)  # an id is only good while its object lives
            return place + 1
        for part in (node.part,) if isinstance(node, Not) else node.parts:
            place = self.know(owner, part, place)
        return place

    def ask(self, node: Node, view: View) -> bool:
        """Ask a condition as people read it: from left to right, no further than the answer needs."""
        match node:
            case Test():
                holds = bool(node.holds(view))
                leaf = self.leaves[id(node)]
                self.outcomes.add((leaf, holds))
                self.reached.add(leaf.owner)
                return holds
            case Not():
                return not self.ask(node.part, view)
            case All():
                return all(self.ask(part, view) for part in node.parts)
            case Some():
                return any(self.ask(part, view) for part in node.parts)

    def take(self, moments: Sequence[Moment]) -> None:
        """Note what a trial wrote down."""
        for moment in moments:
            body = moment.body
            if moment.kind == "segment":
                self.facts.add(("segment", str(body["segment"]), str(body["change"])))
                continue
            rule = str(body.get("rule") or body.get("by", ""))
            if not rule:
                continue
            self.reached.add(("rule", rule))
            if moment.kind == "decision":
                outcome = str(body["outcome"])
                self.facts.add((rule, "outcome", outcome))
                self.facts.add((rule, "woken by", str(body["event"])))
                for word in ("arm", "variant"):
                    if word in body:
                        self.facts.add((rule, word, str(body.get("step", "")), str(body[word])))
                self.facts.add((rule, outcome, str(body.get("step", "")), str(body.get("reason", ""))))
            elif moment.kind == "send":
                name = str(body.get("template") or body.get("call", ""))
                self.facts.add((rule, "send", name, str(body["status"])))
                self.facts.add((rule, "because", str(body.get("reason", ""))))
            elif moment.kind == "event":
                self.facts.add((rule, "emit", str(body["event"])))


def _watched_look(condition: Condition, recorder: Recorder) -> Callable[[View, Instant], Look]:
    """Looks at a segment's condition, which is asked once more whenever it is looked at."""

    def look(view: View, enough: Instant) -> Look:
        recorder.ask(condition.root, view)
        return condition.look(view, enough)

    return look


class _Overhearing:
    """A matcher that tells which rules it asked, and why one did not wake."""

    def __init__(self, inner: Matcher, rulesets: Sequence[RuleSet], recorder: Recorder) -> None:
        self._inner = inner
        self._recorder = recorder
        self._asked: dict[str, list[tuple[bool, list[Rule]]]] = {}
        for ruleset in sorted(rulesets, key=lambda ruleset: -ruleset.priority):
            listening: dict[str, list[Rule]] = {}
            for rule in ruleset.rules:
                for name in dict.fromkeys(rule.on):
                    listening.setdefault(name, []).append(rule)
            for name, rules in listening.items():
                self._asked.setdefault(name, []).append((ruleset.mode == "first", rules))

    def match(self, view: View) -> list[Rule]:
        woken = self._inner.match(view)
        if view.event is None:
            return woken
        names = {(rule.ruleset, rule.name) for rule in woken}
        for is_first_only, rules in self._asked.get(view.event.name, ()):
            for rule in rules:
                self._recorder.reached.add(("rule", f"{rule.ruleset} / {rule.name}"))
                if rule.when is not None:
                    self._recorder.ask(rule.when.root, view)
                if (rule.ruleset, rule.name) in names:
                    if is_first_only:
                        break
                elif rule.when is not None:
                    failed = first_failed(explain(rule.when.root, view))
                    self._recorder.on_failed(rule, view.now, view.event.name, failed)
        return woken


def watched(rulebook: Rulebook, matcher: Callable[[Sequence[RuleSet]], Matcher], recorder: Recorder) -> Rulebook:
    """A rulebook that decides as this one does, and tells the recorder."""
    segments = []
    for segment in rulebook.segments.segments:
        if segment.when is not None:
            recorder.know(("segment", segment.name), segment.when.root, 0)
            segment = replace(segment, when=replace(segment.when, look=_watched_look(segment.when, recorder)))
        segments.append(segment)
    rulesets = [
        replace(ruleset, rules=tuple(_watch(rule, recorder) for rule in ruleset.rules)) for ruleset in rulebook.rulesets
    ]
    return Rulebook(
        matcher=lambda sets: _Overhearing(matcher(sets), sets, recorder),
        segments=SegmentTree(segments),
        rulesets=rulesets,
        activities=rulebook.activities,
        policy=rulebook.policy,
        short_names=rulebook.short_names,
        version=rulebook.version,
    )


def _watch(rule: Rule, recorder: Recorder) -> Rule:
    owner: Owner = ("rule", f"{rule.ruleset} / {rule.name}")
    place = 0

    def watch(value: Any) -> Any:
        """The value with every condition in it watched; the same object where there is none."""
        nonlocal place
        if isinstance(value, Condition):
            place = recorder.know(owner, value.root, place)
            root = value.root
            return replace(value, holds=lambda view: recorder.ask(root, view))
        if isinstance(value, tuple):
            made = tuple(watch(each) for each in value)
            return made if any(new is not old for new, old in zip(made, value, strict=True)) else value
        if isinstance(value, Struct) and not isinstance(value, Test | All | Some | Not):
            fields = {name: getattr(value, name) for name in value.__struct_fields__}
            changed = {name: new for name, old in fields.items() if (new := watch(old)) is not old}
            return replace(value, **changed) if changed else value
        return value

    return cast(Rule, watch(rule))
