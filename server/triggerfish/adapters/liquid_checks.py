"""Liquid parsed with all that is wrong with it: no Liquid at all, unknown filters, names that nothing stands behind."""

from __future__ import annotations

from collections.abc import Collection

from liquid import Environment
from liquid.exceptions import LiquidError
from liquid.static_analysis import Variable
from liquid.token import TOKEN_EOF

from triggerfish.adapters import liquid
from triggerfish.adapters.liquid_reads import Reading, reads_of
from triggerfish.adapters.mjml_reader import unclosed_tag
from triggerfish.adapters.notes import Complain, Notes
from triggerfish.rulefile.problems import nearest

FEEDS = "feeds"


class Checks:
    """Parses the texts of one language of a template, and gathers what they read.

    `variables` are the values as written ("traits.city"); `readings` those of traits and event with their places.
    """

    def __init__(self, notes: Notes, roots: Collection[str], feeds: Collection[str]) -> None:
        """`roots` are the names that a template can read, `feeds` those of its feeds."""
        self.notes = notes
        self.roots = frozenset(roots)
        self.feeds = frozenset(feeds)
        self.variables: set[str] = set()
        self.readings: list[Reading] = []
        self.read_feeds: set[str] = set()

    def parse(self, environment: Environment, text: str, complain: Complain) -> liquid.Compiled | None:
        """The text as Liquid; what it reads is gathered, and what it cannot read is said."""
        try:
            template = liquid.parse(environment, text)
        except LiquidError as error:
            _say(error, text, complain)
            return None
        analysis = template.analyze()
        for name, spans in analysis.filters.items():
            if name not in environment.filters:
                hint = nearest(name, environment.filters) or _HINTS.get(name, "")
                for span in spans:
                    complain("TF331", span.index, f'there is no filter "{name}"', hint, len(name))
        for name, found in analysis.globals.items():
            for variable in found:
                if name not in self.roots:
                    hint = nearest(name, self.roots) or f"there are {', '.join(sorted(self.roots - {'forloop'}))}"
                    complain("TF332", variable.span.index, f'there is no "{name}" to read here', hint, len(name))
                elif name != FEEDS or self._knows_feed(variable, complain):
                    self.variables.add(str(variable))
        for read in reads_of(template):
            complain("TF607", read.at, "", "", read.width)
            self.readings.append(Reading(read.root, read.name, read.is_needed, self.notes.problems.pop()))
        return template

    def _knows_feed(self, variable: Variable, complain: Complain) -> bool:
        name = variable.segments[1] if len(variable.segments) > 1 else None
        if isinstance(name, str) and name in self.feeds:
            self.read_feeds.add(name)
            return True
        if isinstance(name, str):
            hint = nearest(name, self.feeds) or f"declare it: feeds: {{{name}: {{url: https://…}}}}"
            complain("TF332", variable.span.index, f'there is no feed "{name}"', hint, len(f"{FEEDS}.{name}"))
        else:
            complain("TF332", variable.span.index, "a feed is read by its name", "write feeds.weather", len(FEEDS))
        return False


_CATALOG = "name the shop's products under [catalog] in triggerfish.toml"
_HINTS = {"product": _CATALOG, "products_where": _CATALOG}


def _say(error: LiquidError, text: str, complain: Complain) -> None:
    token, unclosed = error.token, unclosed_tag(text)
    if unclosed and (token is None or token.kind == TOKEN_EOF or "found end" in str(error.message)):
        tag, at = unclosed
        complain("TF330", at, f"{{% {tag} %}} is never closed", f"add {{% end{tag} %}}", 2)
    else:
        at, width = (token.start_index, len(token.value)) if token else (0, 1)
        complain("TF330", at, f"this is no Liquid: {error.message}", "", max(1, width))
