"""One language of a template: `email.mjml` or `email.de.mjml`, read, checked and compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from liquid import Environment
from liquid.exceptions import LiquidError

from triggerfish.adapters import liquid, plaintext
from triggerfish.adapters.blocks import ROOTS, Blocks
from triggerfish.adapters.composed import Part, Variant
from triggerfish.adapters.html_places import guard_values
from triggerfish.adapters.inputs import Inputs, literal
from triggerfish.adapters.layouts import in_layout, is_whole
from triggerfish.adapters.links import add_pixel, find_unsubscribe_link, track_links, wrap_image
from triggerfish.adapters.liquid_checks import Checks
from triggerfish.adapters.mjml import compile_mjml
from triggerfish.adapters.mjml_reader import Complaint, Element, read_mjml
from triggerfish.adapters.notes import Notes
from triggerfish.adapters.shelf import Shelf
from triggerfish.adapters.sources import Woven
from triggerfish.adapters.workfile import ReadFile, read_file
from triggerfish.errors import Refused
from triggerfish.render import Address, mailbox
from triggerfish.rulefile.marks import Marks
from triggerfish.rulefile.marks import Path as KeyPath
from triggerfish.rulefile.problems import nearest

_PREVIEW = "{% if preheader %}{{ preheader }}" + "&#8199;&#65279;&#847; " * 30 + "{% endif %}"
"""The preheader, then blanks, so that no mail program goes on with the first words of the body."""


class Common(NamedTuple):
    """What all languages of a template share: class, the names of feeds, and the layout unless one names another; None
    when front matter cannot be read.
    """

    is_marketing: bool
    feeds: frozenset[str]
    layout: str | None


class VariantReader:
    """Reads one language. What it found out stays in `checks`, what is wrong in the notes; `made` is the MJML with its
    blocks, the tree of that, and the HTML before its links are tracked.
    """

    def __init__(self, shelf: Shelf, notes: Notes, common: Common, language: str) -> None:
        self.shelf = shelf
        self.notes = notes
        self.common = common
        self.language = language
        self.tongue = shelf.tongue(language)
        self.checks = Checks(notes, ROOTS, common.feeds)
        self.made: tuple[Woven, Element, Woven] | None = None

    def read(self, file: ReadFile, marks: Marks | None, body_at: int, text_path: Path) -> Variant | None:
        """The variant; None when something is wrong with it. `text_path` is where its plain text may be."""
        before = len(self.notes.problems)
        texts = self._texts(marks) if marks else {}
        sender = (self._mailbox(marks, "from") or self._company_sender(marks)) if marks else None
        reply_to = self._mailbox(marks, "reply_to") if marks else None
        layout = texts.get("layout", self.common.layout) if marks else None
        inputs = self._layout_inputs(marks, layout) if marks else {}
        self.checks.roots |= inputs.keys()
        parts: dict[str, Part | None] = {}
        if marks:
            parts = {key: self.line(marks, (key,), texts.get(key, "")) for key in ("subject", "preheader")}
        parts |= self._body(file, body_at, layout, text_path, has_preheader=bool(texts.get("preheader")))
        found = {key: part for key, part in parts.items() if part}
        if not sender or len(found) < 4 or any(not each.is_warning for each in self.notes.problems[before:]):
            return None
        return Variant(self.language, sender, reply_to, found, inputs)

    def line(
        self, marks: Marks, path: KeyPath, text: str, environment: Environment | None = None
    ) -> Part | None:  # fmt: skip
        """A value of front matter: Liquid that makes plain text."""

        def place(at: int) -> str:
            found = marks.place(path, at)
            return f"{marks.path}:{found.line}:{found.column}"

        def complain(code: str, at: int, sentence: str, hint: str = "", width: int = 1) -> None:
            self.notes.problems.append(
                marks.problem(path, code, sentence, hint=hint, offset=at if text else None, width=width)
            )

        if path == ("subject",) and not text.strip():
            complain("TF303", 0, "the subject is empty")
        template = self.checks.parse(environment or self.tongue.plain, text, complain)
        return Part(template, place) if template else None

    def _texts(self, marks: Marks) -> dict[str, str]:
        """The keys that are texts; a problem for each that is none."""
        texts = {}
        for key, value in marks.data.items():
            if key not in ("inputs", "feeds"):
                if isinstance(value, str):
                    texts[key] = value
                else:
                    self.notes.problems.append(
                        marks.problem((key,), "TF303", f"{key} must be a text", hint='put it into quotes: "…"')
                    )
        return texts

    def _mailbox(self, marks: Marks, key: str) -> Address | None:
        text = marks.data.get(key)
        if not isinstance(text, str) or not text:
            return None
        try:
            return mailbox(text)
        except Refused as error:
            hint = "write it like Shop <hello@shop.example>"
            self.notes.problems.append(marks.problem((key,), "TF303", error.sentence, hint=hint))
            return None

    def _company_sender(self, marks: Marks) -> Address | None:
        if marks.data.get("from"):
            return None
        try:
            return mailbox(self.shelf.company.get("sender", ""))
        except Refused:
            hint = "add from: here, or set the sender in triggerfish.toml"
            self.notes.problems.append(marks.problem((), "TF304", "this email has no sender", hint=hint))
            return None

    def _layout_inputs(self, marks: Marks, layout: str | None) -> dict[str, Any]:
        """What the layout takes: as front matter gives it, or its fallbacks."""
        problems = self.notes.problems
        given = marks.data.get("inputs", {})
        if not isinstance(given, dict):
            problems.append(marks.problem(("inputs",), "TF303", "inputs holds the names that the layout takes"))
            return {}
        if layout is None:
            return {}
        if layout and layout not in self.shelf.layouts:
            hint = nearest(layout, self.shelf.layouts) or "the layouts are the files in templates/layouts/"
            problems.append(marks.problem(("layout",), "TF334", f'there is no layout "{layout}"', hint=hint))
            return {}
        if layout and not self.shelf.layouts[layout].is_sound:
            return {}
        declared: Inputs = (self.shelf.layouts[layout].inputs or {}) if layout else {}
        for name in given.keys() - declared.keys():
            taker = f'the layout "{layout}"' if layout else "an email without a layout"
            hint = nearest(name, declared) or (f"it takes {', '.join(sorted(declared))}" if declared else "")
            sentence = f'{taker} takes no "{name}"'
            problems.append(marks.problem(("inputs", name), "TF333", sentence, hint=hint, at_key=True))
        found: dict[str, Any] = {}
        for name, fallback in declared.items():
            if given.get(name) is None and fallback is None:
                path: KeyPath = ("inputs",) if given else ("layout",)
                sentence = f'the layout "{layout}" needs "{name}"'
                problems.append(marks.problem(path, "TF335", sentence, hint=f"add  inputs: {{{name}: …}}", at_key=True))
            value = given.get(name)
            if isinstance(value, dict | list):
                problems.append(marks.problem(("inputs", name), "TF303", f"{name} is a text, a number, true or false"))
            elif isinstance(value, str) and "{" in value:
                found[name] = self.line(marks, ("inputs", name), value)
            elif value is None and isinstance(fallback, str) and "{{" in fallback:
                found[name] = self.line(marks, ("layout",), f"{{{{ {literal(fallback)} }}}}")
            else:
                found[name] = fallback if value is None else value
        return found

    def _body(
        self, file: ReadFile, body_at: int, layout: str | None, text_path: Path, *, has_preheader: bool
    ) -> dict[str, Part | None]:
        """The HTML and the text part."""
        notes = self.notes
        before = len(notes.problems)
        start = notes.sources.add(file.label, file.text) + body_at
        source = Woven([(file.text[body_at:], start)])
        if layout is None and not is_whole(source):
            return {}  # whether it is right, only the front matter could tell
        if layout:
            frame = self.shelf.layouts.get(layout)
            framed = in_layout(frame, source, notes) if frame and frame.is_sound else None
            if framed is None:
                return {}
            source = framed
        complaints: list[Complaint] = []
        woven = Blocks(notes.sources, self.shelf.blocks, self.tongue.html).weave(source, complaints)
        notes.add(complaints, lambda at: at)
        if complaints:
            return {}
        self.checks.parse(self.tongue.html, woven.text, notes.complains_of(woven))
        if any(problem.code == "TF330" for problem in notes.problems[before:]):
            return {}
        root, found = read_mjml(woven.text)
        notes.add(found, woven.origin)
        if root is None or any(not complaint.is_warning for complaint in found):
            return {}
        compiled = compile_mjml(
            woven,
            root,
            language=self.language,
            title="{{ subject }}",
            preview=_PREVIEW if has_preheader else "",
            wrap_image=wrap_image,
        )
        notes.add(compiled.complaints, woven.origin)
        self.made = (woven, root, compiled.html)
        html, complaints = track_links(compiled.html)
        notes.add(complaints, compiled.html.origin)
        guarded, complaints = guard_values(html)
        notes.add(complaints, html.origin)
        if self.common.is_marketing and not find_unsubscribe_link(html.text):
            hint = 'put {% render "blocks/footer.mjml" %} before </mj-body>'
            complaint = Complaint("TF340", start, "a marketing email needs an unsubscribe link", hint)
            notes.add([complaint], lambda at: at)
        if any(not problem.is_warning for problem in notes.problems[before:]):
            return {}
        text = self._written_text(text_path) or plaintext.text_of(woven, root)
        return {"html": self._part(self.tongue.html, add_pixel(guarded)), "text": self._part(self.tongue.plain, text)}

    def _written_text(self, path: Path) -> Woven | None:
        """email.txt, when somebody wrote the plain text by hand."""
        if not path.exists():
            return None
        file = read_file(path, f"{self.notes.label}/{path.name}", self.notes.problems)
        if not file:
            return None
        woven = Woven([(file.text, self.notes.sources.add(file.label, file.text))])
        self.checks.parse(self.tongue.plain, woven.text, self.notes.complains_of(woven))
        return woven

    def _part(self, environment: Environment, woven: Woven) -> Part | None:
        try:
            return Part(liquid.parse(environment, woven.text), self.notes.places_of(woven))
        except LiquidError as error:
            at = error.token.start_index if error.token else 0
            self.notes.add([Complaint("TF330", at, str(error.message))], woven.origin)
            return None
