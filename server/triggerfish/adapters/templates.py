"""`templates/<name>/` becomes a Template: read, checked with every problem at its place, compiled once.

Problems have codes TF300 to TF369 (docs/templates.md lists them). A template with a problem never goes live.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from triggerfish.adapters import blocks, layouts, mailcheck
from triggerfish.adapters.composed import CompiledTemplate, Part, Variant, preview, sample_facts
from triggerfish.adapters.emails import Email, EmailFiles, tag_in, text_in
from triggerfish.adapters.feed_specs import DeclaredFeed, read_feeds
from triggerfish.adapters.liquid_checks import Checks
from triggerfish.adapters.notes import Notes
from triggerfish.adapters.shelf import Shelf, read_shelf
from triggerfish.adapters.variants import Common, VariantReader
from triggerfish.adapters.workfile import no_file, read_file, read_form
from triggerfish.errors import MissingData, Refused, RulebookBroken
from triggerfish.render import Class, safe_header_value
from triggerfish.rulefile.marks import Marks
from triggerfish.rulefile.problems import Problem

SAMPLE = "sample.yaml"
CLIPPED_BYTES = 102_000
"""Gmail cuts a message's HTML off here and hides the rest, the unsubscribe link included."""
MOST_TEMPLATES = 1_000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ADDRESS_ROOTS = frozenset(
    {"traits", "event", "profile", "segments", "segment", "sent_at", "company", "web", "language"}
)
"""What the address of a feed can read."""


def load_templates(
    folder: Path, company: Mapping[str, str], *, filters: Mapping[str, Callable[..., Any]] | None = None
) -> dict[str, CompiledTemplate]:
    """All templates below the folder, by name.

    `company` has "name", "address" (postal) and "sender" (a mailbox). `filters` are the plugins' Liquid filters and the
    catalogue's. Raises RulebookBroken with all problems of all templates; warnings alone do not raise (see
    `check_templates`).
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
    shelf = read_shelf(folder, company, filters or {}, problems)
    shared = (blocks.FOLDER, layouts.FOLDER)
    names = sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in shared)
    for path in [each for each in names if each.name[:1] not in "._"][:MOST_TEMPLATES]:
        loader = _Loader(shelf, path)
        template = loader.load()
        problems += loader.notes.problems
        if template and not loader.notes.is_broken:
            templates[template.name] = template
    return templates, sorted(dict.fromkeys(problems))


class _Loader:
    """Reads one template folder."""

    def __init__(self, shelf: Shelf, path: Path) -> None:
        self.shelf = shelf
        self.path = path
        self.name = path.name
        self.notes = Notes(path.name, f"{shelf.label}/{path.name}")
        self.problems = self.notes.problems

    def load(self) -> CompiledTemplate | None:
        if not _NAME.fullmatch(self.name):
            sentence = "a template's name has letters, digits, hyphens and dots"
            self.problems.append(no_file(self.notes.label, "TF300", sentence))
            return None
        main, others = EmailFiles(self.path, self.notes, self.shelf.brand.language).read()
        if main is None:
            return None
        declared = read_feeds(main.marks, self.problems) if main.marks else {}
        layout = text_in(main.marks, "layout") if main.marks else None
        common = Common(self._class(main.marks) == "marketing", frozenset(declared), layout)
        sample = self._sample()
        readers: list[VariantReader] = []
        variants: list[Variant] = []
        for email in (main, *others):
            reader = VariantReader(self.shelf, self.notes, common, email.language)
            ending = "" if email is main else f".{tag_in(email.file.label)}"
            made = reader.read(email.file, email.marks, email.body_at, self.path / f"email{ending}.txt")
            readers.append(reader)
            variants += [made] if made else []
        feed_parts = self._feed_parts(readers, main.marks, declared) if main.marks else {}
        for email, reader in zip(others, readers[1:], strict=True):
            self._compare(readers[0].checks, reader.checks, email)
        if self.notes.is_broken or len(variants) < len(readers):
            return None
        template = CompiledTemplate(
            self.name, variants, class_=self._class(main.marks), purpose=text_in(main.marks, "purpose"),
            description=text_in(main.marks, "description"), sample=sample, given=self.shelf.given,
            variables=frozenset().union(*(reader.checks.variables for reader in readers)),
            readings=tuple(reading for reader in readers for reading in reader.checks.readings),
            feeds={name: feed.spec for name, feed in declared.items()}, feed_parts=feed_parts,
        )  # fmt: skip
        for email, reader in zip((main, *others), readers, strict=True):
            if self._try_sample(template, email):
                self._look(template, email, reader)
        return template

    def _class(self, marks: Marks | None) -> Class:
        """The class; a problem, once, when it is none."""
        found = marks.data.get("class", "marketing") if marks else "marketing"
        if found in get_args(Class):
            return "transactional" if found == "transactional" else "marketing"
        if marks:
            problem = marks.problem(("class",), "TF303", "class is marketing or transactional")
            self.problems += [problem] if problem not in self.problems else []
        return "marketing"

    def _sample(self) -> dict[str, Any]:
        """sample.yaml: traits, event, segments, feeds; what is not there is empty."""
        sample: dict[str, Any] = {"traits": {}, "event": {}, "segments": [], "feeds": {}}
        if not (self.path / SAMPLE).exists():
            return sample
        file = read_file(self.path / SAMPLE, f"{self.notes.label}/{SAMPLE}", self.problems)
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

    def _feed_parts(
        self, readers: list[VariantReader], marks: Marks, declared: Mapping[str, DeclaredFeed]
    ) -> dict[str, Part]:
        """The addresses of the feeds as Liquid. A feed that nothing reads is a warning."""
        main, parts = readers[0], {}
        gathered = main.checks
        read = {name for reader in readers for name in reader.checks.read_feeds}
        main.checks = Checks(self.notes, _ADDRESS_ROOTS, ())
        for name, feed in declared.items():
            part = main.line(marks, feed.path, feed.url, main.tongue.url)
            if part:
                parts[name] = part
            if name not in read and not self.notes.is_broken:
                problem = marks.problem(
                    ("feeds", name), "TF336", f'nothing reads the feed "{name}"', hint="take it out", at_key=True,
                    is_warning=True,
                )  # fmt: skip
                self.problems.append(problem)
        gathered.variables |= main.checks.variables
        gathered.readings += [reading._replace(is_needed=False) for reading in main.checks.readings]
        main.checks = gathered
        return parts

    def _compare(self, main: Checks, other: Checks, email: Email) -> None:
        """Warn when a language needs what email.mjml can do without: its readers alone would get no mail."""
        needed = {(each.root, each.name) for each in main.readings if each.is_needed}
        told = set()
        for each in other.readings:
            what = (each.root, each.name)
            if each.is_needed and what not in needed and what not in told:
                told.add(what)
                sentence = f"{email.language} needs {each.root}.{each.name}, which email.mjml can do without"
                hint = "give it a fallback, or put the sentence into {% if %}"
                place = each.place
                self.problems.append(
                    Problem(
                        path=place.path, line=place.line, column=place.column, code="TF337", sentence=sentence,
                        hint=hint, within=place.within, source=place.source, width=place.width, is_warning=True,
                    )
                )  # fmt: skip

    def _try_sample(self, template: CompiledTemplate, email: Email) -> bool:
        """Compose for the sample person, so that what can only be seen in a real mail is seen now."""
        try:
            message = preview(template, email.language)
            safe_header_value(message.subject)
        except (MissingData, Refused) as error:
            label = f"{self.notes.label}/{SAMPLE}"
            hint = error.hint
            if error.code == "TF328":
                hint = "write what it gives under feeds: in sample.yaml, or give it a fallback in the front matter"
            self.problems.append(no_file(label, "TF341", f"for the sample person, {error.sentence}", hint=hint))
            return False
        size = len(message.html.encode())
        if size > CLIPPED_BYTES:
            sentence = (
                f"with the sample this mail has {size // 1000} KB of HTML; Gmail cuts it at {CLIPPED_BYTES // 1000} KB"
            )
            self.problems.append(no_file(email.file.label, "TF342", sentence, is_warning=True))
        return True

    def _look(self, template: CompiledTemplate, email: Email, reader: VariantReader) -> None:
        """What the people who get it will see: the lines of the inbox, pictures, contrast, what mail programs lack."""
        facts = sample_facts(template, email.language)
        if marks := email.marks:
            self.problems += [
                marks.problem((line.key,), line.code, line.sentence, hint=line.hint, is_warning=True)
                for line in mailcheck.inspect_lines(facts["subject"], facts["preheader"])
            ]
        if reader.made:
            found = mailcheck.inspect(*reader.made, environment=reader.tongue.plain, facts=facts)
            self.notes.add(found.complaints, lambda at: at)
            template.notes = tuple(dict.fromkeys((*template.notes, *found.notes)))
