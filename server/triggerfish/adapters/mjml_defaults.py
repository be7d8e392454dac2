"""What <mj-attributes> says of components: attributes by component and by mj-class, given to each element by its name.

As npm's MJML does: an element's own attributes win over those that its parent's class gives to its kind, these over
its own classes, these over its kind's. Of `css-class`, those of all its classes are joined. <mj-all> is left to the
compiler, since what a parent gives its children comes between it and the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from triggerfish.adapters.mjml_reader import LIQUID, Attribute, Complaint, Element
from triggerfish.rulefile.problems import nearest

Given = dict[str, list[Attribute]]
"""Attributes by name; more than one are joined with blanks."""


@dataclass
class Defaults:
    """The attributes that a head gives to components. `everywhere` are those of <mj-all>."""

    everywhere: Given = field(default_factory=dict)
    kinds: dict[str, Given] = field(default_factory=dict)
    classes: dict[str, Given] = field(default_factory=dict)
    within: dict[str, dict[str, Given]] = field(default_factory=dict)

    def of(self, element: Element, parent_classes: str) -> Given:
        """All attributes of an element, except mj-class. `parent_classes`: the mj-class that holds around it."""
        given = dict(self.kinds.get(element.name, {}))
        joined: Given = {}
        for name in classes_of(element).split():
            for attribute, found in self.classes.get(name, {}).items():
                before = joined.get(attribute, []) if attribute == "css-class" else []
                joined[attribute] = [*before, *found]
        given |= joined
        for name in parent_classes.split():
            given |= self.within.get(name, {}).get(element.name, {})
        return given | {each.name: [each] for each in element.attributes if each.name != "mj-class"}

    def unknown_classes(self, root: Element) -> Iterator[Complaint]:
        """A warning for each mj-class that nothing is said of."""
        known = self.classes.keys()
        for element in root.walk():
            found = element.get("mj-class")
            for part in re.finditer(r"\S+", found.value) if found and not LIQUID.search(found.value) else ():
                if part[0] not in known:
                    hint = nearest(part[0], known) or "say what it is in <mj-attributes>"
                    at, sentence = found.start + part.start() if found else 0, f'there is no mj-class "{part[0]}"'
                    yield Complaint("TF312", at, sentence, hint, len(part[0]), is_warning=True)


def classes_of(element: Element) -> str:
    found = element.get("mj-class")
    return found.value if found else ""


def defaults_of(head: Element | None) -> Defaults:
    """What the <mj-attributes> of a head say, later ones over earlier ones."""
    defaults = Defaults()
    for element in _children(head):
        for kind in _children(element) if element.name == "mj-attributes" else ():
            given = {each.name: [each] for each in kind.attributes}
            if kind.name == "mj-all":
                defaults.everywhere |= given
            elif kind.name != "mj-class":
                defaults.kinds.setdefault(kind.name, {}).update(given)
            elif name := given.pop("name", None):
                defaults.classes.setdefault(name[0].value, {}).update(given)
                for child in _children(kind):
                    inner = defaults.within.setdefault(name[0].value, {}).setdefault(child.name, {})
                    inner.update({each.name: [each] for each in child.attributes})
    return defaults


def _children(element: Element | None) -> Iterator[Element]:
    children: Iterable[object] = element.children if element else ()
    return (child for child in children if isinstance(child, Element))
