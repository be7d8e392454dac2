"""Blocks: `{% render "blocks/button.mjml", label: "Shop now" %}` is woven into a template before MJML compiles it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from liquid import Environment
from liquid.exceptions import LiquidError

from triggerfish.adapters import liquid
from triggerfish.adapters.inputs import Shared, literal
from triggerfish.adapters.mjml_includes import includes
from triggerfish.adapters.mjml_reader import LIQUID, Complaint
from triggerfish.adapters.sources import NOWHERE, Piece, Sources, Woven
from triggerfish.rulefile.problems import nearest

FOLDER = "blocks"
DEEPEST = 5
LONGEST = 300_000
"""Characters of a template with all its blocks."""

ROOTS = frozenset({
    "traits", "event", "profile", "segments", "segment", "sent_at", "company", "web", "unsubscribe_url",
    "preferences_url", "confirm_url", "open_pixel_url", "subject", "preheader", "language", "feeds", "also", "forloop",
})  # fmt: skip
"""What a template can read. docs/templates.md says what each holds; docs and this list are compared by a test."""

_RENDER = re.compile(
    r"""\{%-?\s*render\s+(?P<quote>["'])(?P<name>[^"']+)(?P=quote)\s*(?:,(?P<args>.*?))?\s*-?%\}""", re.DOTALL
)
_ARGUMENT = re.compile(r"""\s*(?P<name>[A-Za-z_]\w*)\s*:\s*(?:"[^"]*"|'[^']*'|[^\s,"']+)\s*(?:,|$)""")
_COMMENT = re.compile(r"<!--(?!\[if).*?-->", re.DOTALL)


class Blocks:
    """The blocks of one templates folder, by the name that templates use ("blocks/button.mjml")."""

    def __init__(self, sources: Sources, blocks: Mapping[str, Shared], environment: Environment) -> None:
        self.blocks = blocks
        self._environment = environment
        self._starts = {
            name: sources.add(each.file.label, each.file.text) + each.body_at for name, each in blocks.items()
        }
        self._names: dict[str, frozenset[str]] = {}

    def weave(self, source: Woven, complaints: list[Complaint], within: Sequence[str] = ()) -> Woven:
        """The text with every block in its place. Complaints have offsets in the Sources."""
        edits: list[tuple[int, int, list[Piece]]] = []
        for found in LIQUID.finditer(source.text):
            if found["tag"] != "render":
                continue
            edits.append((found.start(), found.end(), self._block(source, found.start(), found[0], complaints, within)))
        for each in includes(source.text, FOLDER, is_block=bool(within)):
            if each.complaint:
                complaints.append(each.complaint._replace(at=source.origin(each.complaint.at)))
                edits.append((each.start, each.end, []))
                continue
            tag = f'{{% render "{each.block}" %}}'
            at = each.path_at - tag.index(each.block)
            edits.append((each.start, each.end, self._block(source, at, tag, complaints, within)))
        woven = source.edited(edits)
        if len(woven.text) > LONGEST:
            complaints.append(
                Complaint("TF333", source.origin(0), f"with its blocks this is longer than {LONGEST:,} characters")
            )
            return Woven([])
        return woven

    def _block(
        self, source: Woven, at: int, tag: str, complaints: list[Complaint], within: Sequence[str]
    ) -> list[Piece]:
        def complain(sentence: str, hint: str = "", start: int = 0, width: int = len(tag)) -> list[Piece]:
            complaints.append(Complaint("TF333", source.origin(at + start), sentence, hint, width))
            return []

        parsed = _RENDER.fullmatch(tag)
        if not parsed:
            return complain(
                "this render is not understood", 'write {% render "blocks/button.mjml", label: "Shop now" %}'
            )
        name = parsed["name"]
        place = (parsed.start("name"), len(name))
        if name not in self.blocks:
            known = nearest(name, self.blocks) or f"the blocks are the files in templates/{FOLDER}/"
            return complain(f'there is no block "{name}"', known, *place)
        if name in within or len(within) >= DEEPEST:
            chain = " > ".join(PurePosixPath(block).stem for block in (*within, name))
            return complain("blocks hold each other too deeply", chain, *place)
        declared = self.blocks[name].inputs
        read = self._reads(name, complaints, within)
        wanted = read if declared is None else frozenset(declared)
        arguments, args = set(), parsed["args"] or ""
        end = 0
        for argument in _ARGUMENT.finditer(args):
            if argument.start() != end:
                break
            end = argument.end()
            arguments.add(argument["name"])
            if argument["name"] not in wanted:
                start = parsed.start("args") + argument.start("name")
                complain(
                    f'"{name}" takes no "{argument["name"]}"',
                    nearest(argument["name"], wanted) or _takes(wanted),
                    start,
                    len(argument["name"]),
                )
        if args[end:].strip():
            start = parsed.start("args") + end
            return complain(
                "this value is not understood",
                'values look like label: "Shop now" or url: web.cart',
                start,
                len(args[end:]),
            )
        fallbacks = declared or {}
        missing = [each for each, fallback in fallbacks.items() if fallback is None and each not in arguments]
        if missing:
            example = f'write {{% render "{name}", {missing[0]}: … %}}'
            start = source.origin(at)
            complaints += [Complaint("TF335", start, f'"{name}" needs "{each}"', example, len(tag)) for each in missing]
            return []
        inner = self.weave(self._text(name), complaints, (*within, name)).pieces
        # What a block reads and does not take must not be found outside of it.
        more = dict.fromkeys(sorted((read | wanted) - arguments), "nil")
        more |= {each: literal(fallback) for each, fallback in fallbacks.items() if each not in arguments}
        more |= {
            each + liquid.INSTEAD: literal(fallback)
            for each, fallback in fallbacks.items()
            if each in arguments and literal(fallback) != "nil"
        }
        if not more and not arguments:
            return list(inner)
        nothing = ", ".join(f"{each}: {value}" for each, value in more.items())
        given = source.cut(at + parsed.start("args"), at + parsed.start("args") + end) if arguments else []
        comma = ", " if nothing and arguments and not args[:end].rstrip().endswith(",") else ""
        opening: list[Piece] = [("{% with ", NOWHERE), *given, (f"{comma}{nothing} %}}", NOWHERE)]
        return [*opening, *inner, ("{% endwith %}", NOWHERE)]

    def _text(self, name: str) -> Woven:
        """A block's text without its comments: they are for the reader."""
        start, block = self._starts[name], self.blocks[name]
        text = block.file.text[block.body_at :]
        if text.rfind("<!--") > text.rfind("-->"):  # one is never closed: said where the template is read
            return Woven([(text, start)])
        return Woven([(text, start)]).edited([(found.start(), found.end(), []) for found in _COMMENT.finditer(text)])

    def _reads(self, name: str, complaints: list[Complaint], within: Sequence[str]) -> frozenset[str]:
        """The names that a block reads and that are none of ROOTS: its inputs, if it does not declare them."""
        if name not in self._names:
            unplaced: list[Complaint] = []
            woven = self.weave(self._text(name), unplaced, (*within, name))
            try:
                found = liquid.parse(self._environment, woven.text).analyze().globals
            except LiquidError:
                found = {}  # said when the whole template is parsed, with its place
            self._names[name] = frozenset(found) - ROOTS
            declared = self.blocks[name].inputs
            for each in sorted(self._names[name] - (declared or {}).keys()) if declared is not None else ():
                at, hint = (
                    found[each][0].span.index,
                    nearest(each, {*(declared or ()), *ROOTS}) or "add it to inputs: above",
                )
                complaints.append(
                    Complaint("TF332", woven.origin(at), f'this block takes no "{each}"', hint, len(each))
                )
        return self._names[name]


def _takes(wanted: frozenset[str]) -> str:
    return f"it takes {', '.join(sorted(wanted))}" if wanted else "it takes no values"
