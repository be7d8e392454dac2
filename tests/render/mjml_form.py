"""Compiled MJML as lines that can be compared: every tag with its attributes and styles sorted, every text, every
comment for Outlook opened. What no mail program sees is left out: blanks, the order of declarations, <tbody>.
"""

import json
import re
import subprocess
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from triggerfish.adapters.mjml import compile_mjml
from triggerfish.adapters.mjml_reader import read_mjml
from triggerfish.adapters.sources import Woven

NODE = Path(__file__).parents[1] / "node"
_UNSEEN = {"<tbody>", "</tbody>", "</br>", "</img>", "C <!"}
_CHANCE = re.compile(r"(?:mj-carousel-|id=\"|for=\")([0-9a-f]{16})\b")


def compile_here(mjml: str) -> str:
    """What Triggerfish makes of an email; AssertionError with all complaints that are no warnings."""
    root, complaints = read_mjml(mjml)
    problems = [f"{each.code} {each.sentence}" for each in complaints if not each.is_warning]
    assert root is not None, problems
    assert not problems, problems
    done = compile_mjml(
        Woven([(mjml, 0)]), root, language="und", title="", preview="", wrap_image=lambda _: ("", "")
    )  # fmt: skip
    assert all(each.is_warning for each in done.complaints), done.complaints
    return done.html.text


class Npm(NamedTuple):
    """What npm's `mjml` makes of emails, and the attributes that its components take."""

    pages: list[str]
    attributes: dict[str, dict[str, str]]


def compile_by_npm(sources: Sequence[str]) -> Npm:
    done = subprocess.run(
        ["node", "mjml.mjs"], cwd=NODE, input=json.dumps(sources), capture_output=True, text=True, check=True
    )
    return Npm(**json.loads(done.stdout))


def form_of(html: str) -> list[str]:
    """The lines. Ids that npm's compiler takes from chance are numbered."""
    for number, chance in enumerate(dict.fromkeys(_CHANCE.findall(html))):
        html = html.replace(chance, f"id-{number}")
    lines: list[str] = []
    _Reader(lines).read(html)
    return [line for line in lines if line not in _UNSEEN]


class _Reader(HTMLParser):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.lines = lines
        self.text = ""
        self.is_style = False

    def read(self, html: str) -> None:
        self.feed(html)
        self.close()
        self.flush()

    def flush(self) -> None:
        text = " ".join(self.text.split())
        if self.is_style:
            text = re.sub(r"\s*([+,{}:;>])\s*", r"\1", text)
        if text:
            self.lines.append(f"T {text}")
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.flush()
        self.is_style = tag == "style"
        parts = []
        for name, value in sorted(attrs, key=lambda each: each[0]):
            written = _declarations(value or "") if name == "style" else " ".join((value or "").split())
            if written or name not in ("style", "class"):
                parts.append(f'{name}="{written}"')
        self.lines.append(f"<{' '.join([tag, *parts])}>")

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag: str) -> None:
        self.flush()
        self.is_style = False
        self.lines.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.flush()
        condition = re.fullmatch(r"\[if ([^\]]*)\]>(.*)<!\[endif\]", data, re.DOTALL)
        if condition:
            self.lines.append(f"[if {condition[1]}]")
            _Reader(self.lines).read(condition[2])
            self.lines.append("[endif]")
        elif "[if" in data or "[endif]" in data:
            self.lines.append(f"C {data.strip()}")

    def unknown_decl(self, data: str) -> None:
        self.lines.append(f"D {data}")


def _declarations(style: str) -> str:
    """A style's declarations by name; of two of one name, the later."""
    found = {}
    for declaration in re.split(r";(?![^(]*\))", style):
        name, colon, value = declaration.partition(":")
        if colon:
            found[name.strip()] = " ".join(value.split())
    return ";".join(f"{name}:{value}" for name, value in sorted(found.items()))
