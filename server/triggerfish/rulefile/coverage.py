"""Coverage: what of a rulebook no test reached. Each rule and what it may do, each segment, and both answers of each
leaf of every condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from triggerfish.rulefile.coverage_steps import Expected, step_items
from triggerfish.rulefile.coverage_watch import Owner, Recorder
from triggerfish.rulefile.marks import Path
from triggerfish.rulefile.places import Leaves, Places, Site
from triggerfish.rules import Rule, Rulebook
from triggerfish.steps import Call, Emit, Send


class Item(Struct, frozen=True):
    """Something that tests can reach. `missing` says what is so when none does; its place is as a Problem has it."""

    kind: str
    missing: str
    within: str
    path: str
    line: int
    column: int
    width: int
    source: str
    is_reached: bool


class Coverage(Struct, frozen=True):
    """All items, in the order of files and lines."""

    items: tuple[Item, ...]

    @property
    def missed(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if not item.is_reached)

    @property
    def percent(self) -> float:
        """Of all items, how many were reached: 0 to 100. Of none, all were."""
        return 100 * (1 - len(self.missed) / len(self.items)) if self.items else 100.0


def cover(rulebook: Rulebook, files: Mapping[str, str], recorder: Recorder) -> Coverage:
    """What the recorder saw of a rulebook, which these files (path -> text) make."""
    places = Places(files)
    items: list[Item] = []
    for segment in rulebook.segments.segments:
        site = places.sites["segment", segment.name]
        is_reached = ("segment", segment.name, "entered") in recorder.facts
        items.append(_item(site, "segment", "nobody is ever in it", (*site.path, "name"), is_reached))
    for ruleset in rulebook.rulesets:
        for rule in ruleset.rules:
            site = places.sites["rule", f"{rule.ruleset} / {rule.name}"]
            items += [
                _item(site, kind, missing, path, any(fact in recorder.facts for fact in facts))
                for kind, missing, path, facts in _rule_items(rule, site, rulebook.short_names)
            ]
    items += _leaf_items(places, recorder)
    return Coverage(tuple(sorted(items, key=lambda item: (item.path, item.line, item.column))))


def _rule_items(rule: Rule, site: Site, short_names: Mapping[str, str]) -> Iterator[Expected]:
    name, path = site.full_name, site.path
    for event, at in _events(site, "on", short_names, rule.on):
        missing = f"{event} never wakes it" if len(rule.on) > 1 else "nothing ever wakes it"
        yield "rule", missing, at, ((name, "woken by", event),)
    if rule.wait:
        for event, at in _events(site, "unless", short_names, sorted(rule.unless)):
            yield "rule", f"{event} never ends its wait", at, ((name, "because", f"{event} happened meanwhile"),)
    for action in rule.actions:
        if isinstance(action, Send):
            at = find(site.data, path, "send", action.template)
            yield "rule", f"{action.template} never leaves", at, ((name, "send", action.template, "due"),)
        elif isinstance(action, Emit):
            at = find(site.data, path, "emit", action.event)
            yield "rule", f"{action.event} is never emitted", at, ((name, "emit", action.event),)
        elif isinstance(action, Call):
            at = find(site.data, path, "call", action.action)
            yield "rule", f"{action.action} is never called", at, ((name, "send", action.action, "due"),)
    yield from step_items(rule, site)


def _events(site: Site, key: str, short_names: Mapping[str, str], own: Any) -> Iterator[tuple[str, Path]]:
    """Events' own names with the places where a rule names them."""
    written = site.data.get(key)
    listed = written if isinstance(written, list) else [written]
    places = {short_names.get(name, name): at for at, name in enumerate(listed)}
    for event in own:
        inside = (places[event],) if isinstance(written, list) and event in places else ()
        yield event, (*site.path, key, *inside)


def find(data: Any, path: Path, key: str, value: Any) -> Path:
    """The place within plain data at which `key: value` stands; that of the data itself when it does not."""
    for at, found in _walk(data, path):
        if at[-1] == key and found == value:
            return at
    return path


def _walk(data: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inner:
        yield (*path, key), value
        yield from _walk(value, (*path, key))


def _leaf_items(places: Places, recorder: Recorder) -> Iterator[Item]:
    finders: dict[Owner, Leaves] = {}
    for leaf in sorted(recorder.leaves.values(), key=lambda leaf: leaf.place):
        kind, name = leaf.owner
        if leaf.text in ("True", "False"):
            continue
        finder = finders.get(leaf.owner)
        if finder is None:
            finder = finders[leaf.owner] = places.leaves(kind, name)
        site = places.sites[leaf.owner]
        spot = finder.find(leaf.text)
        for answer in (True, False):
            missing = f"never {str(answer).lower()}: {leaf.text}"
            is_reached = (leaf, answer) in recorder.outcomes
            if spot is None:
                yield _item(site, "condition", missing, (*site.path, "when"), is_reached)
                continue
            place = spot.marks.place(spot.path, spot.offset, spot.width)
            within = site.marks.within(site.path)
            yield Item(
                "condition", missing, within, spot.marks.path, place.line, place.column, place.width, place.source,
                is_reached,
            )  # fmt: skip


def _item(site: Site, kind: str, missing: str, path: Path, is_reached: bool) -> Item:
    place, within = site.marks.place(path), site.marks.within(site.path)
    return Item(kind, missing, within, site.marks.path, place.line, place.column, place.width, place.source, is_reached)
