"""`templates/<name>/` becomes a Template: read, checked with every problem at its place, compiled once.

Problems have codes TF300 to TF349 (docs/templates.md lists them). A template with a problem never goes live.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from liquid import Environment
from liquid.exceptions import LiquidError
from liquid.token import TOKEN_EOF

from triggerfish.adapters import liquid, mailcheck, plaintext
from triggerfish.adapters.blocks import FOLDER, ROOTS, Blocks
from triggerfish.adapters.brand import BRAND_FILE, Brand, read_brand
from triggerfish.adapters.composed import ENVELOPE_FIELDS, CompiledTemplate, Envelope, Part, preview, sample_facts
from triggerfish.adapters.frontmatter import EMAIL_KEYS, read_front
from triggerfish.adapters.links import add_pixel, find_unsubscribe_link, track_links, wrap_image
from triggerfish.adapters.liquid_filters import locale_of
from triggerfish.adapters.liquid_reads import Reading, reads_of
from triggerfish.adapters.mjml import compile_mjml
from triggerfish.adapters.mjml_reader import Complaint, Element, read_mjml, unclosed_tag
from triggerfish.adapters.sources import NOWHERE, Sources, Woven
from triggerfish.adapters.workfile import ReadFile, no_file, read_file, read_form
from triggerfish.errors import MissingData, Refused, RulebookBroken
from triggerfish.render import (
    Address,
    Class,
    mailbox,
    safe_header_value,
)
from triggerfish.rulefile.marks import Marks
from triggerfish.rulefile.problems import Problem, nearest

BODY, SAMPLE, TEXT = "email.mjml", "sample.yaml", "email.txt"
CLIPPED_BYTES = 102_000
"""Gmail cuts a message's HTML off here and hides the rest, the unsubscribe link included."""
MOST_TEMPLATES = 1_000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PREVIEW = "{% if preheader %}{{ preheader }}" + "&#8199;&#65279;&#847; " * 30 + "{% endif %}"
"""The preheader, then blanks, so that no mail program goes on with the first words of the body."""


def load_templates(
    folder: Path, company: Mapping[str, str], *, filters: Mapping[str, Callable[..., Any]] | None = None
) -> dict[str, CompiledTemplate]:
    """All templates below the folder, by name.

    `company` has "name", "address" (postal) and "sender" (a mailbox). `filters` are the plugins' Liquid filters.
    Raises RulebookBroken with all problems of all templates; warnings alone do not raise (see `check_templates`).
    """
    templates, problems = check_templates(folder, company, filters=filters)
    if any(not problem.is_warning for problem in problems):
        raise RulebookBroken(problems)
    return templates


def check_templates(
    folder: Path, company: Mapping[str, str], *, filters: Mapping[str, Callable[..., Any]] | None = None
) -> tuple[dict[str, CompiledTemplate], list[Problem]]:
    """The templates that can be used, and all problems and warnings, in the order of files and lines."""
    problems: list[Problem] = []
    templates: dict[str, CompiledTemplate] = {}
    if not folder.is_dir():
        return {}, [no_file(folder.name, "TF300", "there is no folder of templates")]
    brand = read_brand(folder / BRAND_FILE, f"{folder.name}/{BRAND_FILE}", problems)
    blocks = {}
    for file in sorted((folder / FOLDER).glob("*.mjml")):
        read = read_file(file, f"{folder.name}/{FOLDER}/{file.name}", problems)
        if read:
            blocks[f"{FOLDER}/{file.name}"] = read.text
    names = sorted(
        path for path in folder.iterdir() if path.is_dir() and path.name != FOLDER and path.name[:1] not in "._"
    )
    for path in names[:MOST_TEMPLATES]:
        loader = _Loader(path, f"{folder.name}/{path.name}", company, brand, blocks, folder.name, filters or {})
        template = loader.load()
        problems += loader.problems
        if template and not any(not problem.is_warning for problem in loader.problems):
            templates[template.name] = template
    return templates, sorted(dict.fromkeys(problems))


class _Loader:
    """Reads one template folder."""

    def __init__(
        self, path: Path, label: str, company: Mapping[str, str], brand: Brand, blocks: Mapping[str, str],
        root_label: str, filters: Mapping[str, Callable[..., Any]],
    ) -> None:  # fmt: skip
        self.path = path
        self.label = label
        self.name = path.name
        self.company = company
        self.brand = brand
        self.block_files = blocks
        self.root_label = root_label
        self.filters = filters
        self.problems: list[Problem] = []
        self.sources = Sources()
        self.variables: set[str] = set()
        self.readings: list[Reading] = []
        self.made: tuple[Woven, Element, Woven] | None = None

    def load(self) -> CompiledTemplate | None:
        if not _NAME.fullmatch(self.name):
            self.problems.append(
                no_file(self.label, "TF300", "a template's name has letters, digits, hyphens and dots")
            )
            return None
        body = read_file(self.path / BODY, f"{self.label}/{BODY}", self.problems)
        marks, body_at = read_front(body, EMAIL_KEYS, {"subject"}, self.problems) if body else (None, 0)
        envelope, sender, reply_to = self._envelope(marks) if marks else (None, None, None)
        sample = self._sample()
        language = (envelope.language if envelope else "") or self.brand.language
        self.html = self._environment(language, is_html=True)
        self.plain = self._environment(language, is_html=False)
        parts: dict[str, Part] = {}
        if marks and envelope:
            for key, text in (("subject", envelope.subject), ("preheader", envelope.preheader)):
                part = self._line(marks, key, text)
                if part:
                    parts[key] = part
        is_marketing = envelope is None or envelope.class_ == "marketing"
        if body:
            parts |= self._body(
                body, body_at, language, is_marketing, has_preheader=bool(envelope and envelope.preheader)
            )
        if not (envelope and sender and len(parts) == 4) or any(not problem.is_warning for problem in self.problems):
            return None
        given = {
            "company": {key: self.company[key] for key in ("name", "address") if self.company.get(key)},
            "web": self.brand.web,
        }
        template = CompiledTemplate(
            self.name, envelope, sender, reply_to, parts, sample, given, frozenset(self.variables),
            tuple(self.readings),
        )  # fmt: skip
        if self._try_sample(template) and marks:
            self._look(template, marks)
        return template

    def _environment(self, language: str, *, is_html: bool) -> Environment:
        return liquid.environment(
            is_html=is_html, filters=self.filters, language=language, currency=self.brand.currency
        )

    def _envelope(self, marks: Marks) -> tuple[Envelope | None, Address | None, Address | None]:
        """The front matter as a Struct with its mailboxes; None where something is wrong."""
        data, before = dict(marks.data), len(self.problems)
        for key in data.keys() & EMAIL_KEYS:
            if not isinstance(data[key], str):
                self.problems.append(
                    marks.problem((key,), "TF303", f"{key} must be a text", hint='put it into quotes: "…"')
                )
        if data.get("class", "marketing") not in get_args(Class):
            self.problems.append(marks.problem(("class",), "TF303", "class is marketing or transactional"))
        if isinstance(data.get("language"), str):
            try:
                locale_of(data["language"])
            except ValueError as error:
                self.problems.append(marks.problem(("language",), "TF303", str(error)))
        sender = self._mailbox(marks, "from") or self._company_sender(marks)
        reply_to = self._mailbox(marks, "reply_to")
        if len(self.problems) > before:
            return None, sender, reply_to
        fields = {ENVELOPE_FIELDS.get(str(key), str(key)): value for key, value in data.items()}
        return Envelope(**fields), sender, reply_to

    def _mailbox(self, marks: Marks, key: str) -> Address | None:
        text = marks.data.get(key)
        if not isinstance(text, str) or not text:
            return None
        try:
            return mailbox(text)
        except Refused as error:
            hint = "write it like Shop <hello@shop.example>"
            self.problems.append(marks.problem((key,), "TF303", error.sentence, hint=hint))
            return None

    def _company_sender(self, marks: Marks) -> Address | None:
        if marks.data.get("from"):
            return None
        try:
            return mailbox(self.company.get("sender", ""))
        except Refused:
            hint = "add from: here, or set the sender in triggerfish.toml"
            self.problems.append(marks.problem((), "TF304", "this email has no sender", hint=hint))
            return None

    def _sample(self) -> dict[str, Any]:
        """sample.yaml: traits, event, segments; what is not there is empty."""
        sample: dict[str, Any] = {"traits": {}, "event": {}, "segments": []}
        if not (self.path / SAMPLE).exists():
            return sample
        file = read_file(self.path / SAMPLE, f"{self.label}/{SAMPLE}", self.problems)
        marks = read_form(file, set(sample), set(), self.problems) if file else None
        for key, usual in sample.items():
            if marks and key in marks.data:
                if isinstance(marks.data[key], type(usual)):
                    sample[key] = marks.data[key]
                else:
                    self.problems.append(
                        marks.problem((key,), "TF303", f"{key} must be a {'list' if usual == [] else 'mapping'}")
                    )
        return sample

    def _line(self, marks: Marks, key: str, text: str) -> Part | None:
        """The subject or preheader: Liquid that makes one line of plain text."""

        def place(at: int) -> str:
            found = marks.place((key,), at)
            return f"{marks.path}:{found.line}:{found.column}"

        def complain(code: str, at: int, sentence: str, hint: str = "", width: int = 1) -> None:
            self.problems.append(
                marks.problem((key,), code, sentence, hint=hint, offset=at if text else None, width=width)
            )

        if key == "subject" and not text.strip():
            complain("TF303", 0, "the subject is empty")
        template = self._parse(self.plain, text, complain)
        return Part(template, place) if template else None

    def _body(
        self, body: ReadFile, body_at: int, language: str, is_marketing: bool, *, has_preheader: bool
    ) -> dict[str, Part]:
        """The HTML and the text part of email.mjml."""
        source = Woven([(body.text[body_at:], self.sources.add(body.label, body.text) + body_at)])
        complaints: list[Complaint] = []
        blocks = Blocks(self.sources, self.block_files, self.root_label, self.html)
        woven = blocks.weave(source, complaints)
        self._note(complaints, lambda at: at)
        if complaints:
            return {}

        def complain(code: str, at: int, sentence: str, hint: str = "", width: int = 1) -> None:
            self._note([Complaint(code, at, sentence, hint, width)], woven.origin)

        before = len(self.problems)
        self._parse(self.html, woven.text, complain)
        if len(self.problems) > before and any(problem.code == "TF330" for problem in self.problems[before:]):
            return {}
        root, found = read_mjml(woven.text)
        self._note(found, woven.origin)
        if root is None or any(not complaint.is_warning for complaint in found):
            return {}
        compiled = compile_mjml(
            woven,
            root,
            language=language,
            title="{{ subject }}",
            preview=_PREVIEW if has_preheader else "",
            wrap_image=wrap_image,
        )
        self._note(compiled.complaints, woven.origin)
        self.made = (woven, root, compiled.html)
        html, complaints = track_links(compiled.html)
        self._note(complaints, compiled.html.origin)
        if is_marketing and not find_unsubscribe_link(html.text):
            hint = 'put {% render "blocks/footer.mjml" %} before </mj-body>'
            self._note([Complaint("TF340", 0, "a marketing email needs an unsubscribe link", hint)], lambda _: NOWHERE)
        if len(self.problems) > before and any(not problem.is_warning for problem in self.problems[before:]):
            return {}
        parts = {"html": self._part(self.html, add_pixel(html))}
        written = self._written_text()
        parts["text"] = self._part(self.plain, written or plaintext.text_of(woven, root))
        return {key: part for key, part in parts.items() if part}

    def _written_text(self) -> Woven | None:
        """email.txt, when somebody wrote the plain text by hand."""
        if not (self.path / TEXT).exists():
            return None
        file = read_file(self.path / TEXT, f"{self.label}/{TEXT}", self.problems)
        if not file:
            return None
        woven = Woven([(file.text, self.sources.add(file.label, file.text))])

        def complain(code: str, at: int, sentence: str, hint: str = "", width: int = 1) -> None:
            self._note([Complaint(code, at, sentence, hint, width)], woven.origin)

        self._parse(self.plain, woven.text, complain)
        return woven

    def _part(self, environment: Environment, woven: Woven) -> Part | None:
        def place(at: int) -> str:
            found = self.sources.place(woven.origin(at))
            return f"{found.path}:{found.line}:{found.column}"

        def complain(code: str, at: int, sentence: str, hint: str = "", width: int = 1) -> None:
            self._note([Complaint(code, at, sentence, hint, width)], woven.origin)

        try:
            return Part(liquid.parse(environment, woven.text), place)
        except LiquidError as error:
            complain("TF330", error.token.start_index if error.token else 0, str(error.message))
            return None

    def _parse(self, environment: Environment, text: str, complain: Callable[..., None]) -> liquid.Compiled | None:
        """The text as Liquid; what it reads is noted, and what it cannot read is said."""
        try:
            template = liquid.parse(environment, text)
        except LiquidError as error:
            token, unclosed = error.token, unclosed_tag(text)
            if unclosed and (token is None or token.kind == TOKEN_EOF or "found end" in str(error.message)):
                tag, at = unclosed
                complain("TF330", at, f"{{% {tag} %}} is never closed", f"add {{% end{tag} %}}", 2)
            else:
                at, width = (token.start_index, len(token.value)) if token else (0, 1)
                complain("TF330", at, f"this is no Liquid: {error.message}", "", max(1, width))
            return None
        analysis = template.analyze()
        for name, spans in analysis.filters.items():
            if name not in environment.filters:
                for span in spans:
                    complain(
                        "TF331",
                        span.index,
                        f'there is no filter "{name}"',
                        nearest(name, environment.filters),
                        len(name),
                    )
        for name, found in analysis.globals.items():
            for variable in found:
                if name not in ROOTS:
                    hint = nearest(name, ROOTS) or f"there are {', '.join(sorted(ROOTS - {'forloop'}))}"
                    complain("TF332", variable.span.index, f'there is no "{name}" to read here', hint, len(name))
                else:
                    self.variables.add(str(variable))
        for read in reads_of(template):
            complain("TF607", read.at, "", "", read.width)
            self.readings.append(Reading(read.root, read.name, read.is_needed, self.problems.pop()))
        return template

    def _note(self, complaints: Iterable[Complaint], origin: Callable[[int], int]) -> None:
        for complaint in complaints:
            at = self.sources.place(origin(complaint.at))
            # A block's problem is the block's: said once, however many templates use it.
            within = f'template "{self.name}"' if at.path.startswith(f"{self.label}/") else ""
            self.problems.append(
                Problem(
                    path=at.path, line=at.line, column=at.column, code=complaint.code, sentence=complaint.sentence,
                    hint=complaint.hint, within=within, source=at.source,
                    width=max(1, min(complaint.width, len(at.source) - at.column + 1)), is_warning=complaint.is_warning,
                )
            )  # fmt: skip

    def _look(self, template: CompiledTemplate, marks: Marks) -> None:
        """What the people who get it will see: the lines of the inbox, pictures, contrast, what mail programs lack."""
        facts = sample_facts(template)
        for line in mailcheck.inspect_lines(facts["subject"], facts["preheader"]):
            self.problems.append(marks.problem((line.key,), line.code, line.sentence, hint=line.hint, is_warning=True))
        if self.made:
            found = mailcheck.inspect(*self.made, environment=self.plain, facts=facts)
            self._note(found.complaints, lambda at: at)
            template.notes = tuple(found.notes)

    def _try_sample(self, template: CompiledTemplate) -> bool:
        """Compose for the sample person, so that what can only be seen in a real mail is seen now."""
        try:
            message = preview(template)
            safe_header_value(message.subject)
        except (MissingData, Refused) as error:
            label = f"{self.label}/{SAMPLE}"
            self.problems.append(no_file(label, "TF341", f"for the sample person, {error.sentence}", hint=error.hint))
            return False
        size = len(message.html.encode())
        if size > CLIPPED_BYTES:
            sentence = (
                f"with the sample this mail has {size // 1000} KB of HTML; Gmail cuts it at {CLIPPED_BYTES // 1000} KB"
            )
            self.problems.append(no_file(f"{self.label}/{BODY}", "TF342", sentence, is_warning=True))
        return True
