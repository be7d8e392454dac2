"""Who may import whom. The house has rooms in a row and one corridor; doors open forward only.

errors, clock <- rooms, each may import earlier ones <- engine <- walk
rulefile, adapters, plugin: errors, clock, rooms, engine       config: errors, clock
compose: everything but web and cli       web: compose, walk, rooms, plugin, config       cli: everything
the bundled plugins: the public names of `triggerfish`, as anyone's plugin
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

import triggerfish

REPOSITORY = Path(__file__).parents[1]
SERVER = REPOSITORY / "server"
PLUGINS = REPOSITORY / "plugins"

ROOMS = (
    "errors", "clock", "zones", "timetable",
    "ingest", "instructions", "consent", "suppressing", "plan", "quarantine", "log", "traces", "activity", "profile",
    "people", "conditions", "figures", "wording", "segments", "misses", "steps", "rules",
    "saying", "windows", "hours", "decisions", "schedule", "gates", "languages", "render",
    "headers", "feeds", "mime", "deliver", "lanes", "blast", "handing", "underway", "machines", "measure",
    "verp", "reports", "health", "reads", "rates", "why", "versions",
)  # fmt: skip
"""In order: each may import the ones before it. errors, clock and zones are the ground they stand on."""

AROUND = {*ROOMS, "engine"}
OPENS = {room: set(ROOMS[:place]) for place, room in enumerate(ROOMS)} | {
    "engine": set(ROOMS),
    "refit": AROUND,
    "retrace": AROUND | {"refit"},
    "whynot": AROUND | {"retrace"},
    "unheard": AROUND | {"walk"},
    "leave": AROUND | {"unheard", "walk"},
    "meters": set(),
    "walk": AROUND | {"refit", "leave", "meters"},
    "mailroom": AROUND | {"walk"},
    # Tests of rules fit people to a rulebook as a reload does.
    "rulefile": AROUND | {"refit"},
    "adapters": AROUND | {"meters"},
    "plugin": AROUND | {"meters"},
    "config": {"errors", "clock"},
    "channels": AROUND | {"plugin", "config"},
    "compose": AROUND | {"meters", "channels", "walk", "mailroom", "rulefile", "adapters", "plugin", "config"},
    "web": {*ROOMS, "meters", "whynot", "walk", "mailroom", "plugin", "config", "compose"},
    "processes": AROUND
    | {"meters", "leave", "channels", "walk", "mailroom", "rulefile", "adapters", "plugin", "config", "compose", "web"},
    "cli": AROUND
    | {"channels", "whynot", "walk", "rulefile", "adapters", "plugin", "config", "compose", "web", "processes"},
    # `triggerfish` itself: what plugin authors see.
    "triggerfish": {*ROOMS, "plugin"},
}
FOR_ALL = {f"triggerfish.rulefile.{name}" for name in ("problems", "marks", "quick", "reading", "scalars", "syntax")}
"""Reading YAML with its places, and what a problem looks like to people: templates and settings need them as rules do.
They import nothing of ours but each other.
"""

PURE = {
    "__future__", "abc", "ast", "base64", "binascii", "bisect", "calendar", "collections", "contextlib", "csv",
    "dataclasses", "datetime", "decimal", "difflib", "email", "enum", "fractions", "functools", "hashlib", "heapq",
    "hmac", "html",
    "ipaddress", "itertools", "json", "math", "operator", "re", "statistics", "string", "struct", "textwrap", "types",
    "typing", "unicodedata", "urllib", "zlib",
    "flufl", "idna", "msgspec",
}  # fmt: skip
"""What rooms and engine may import besides each other: no I/O, no clock, no dice."""

EXCEPTIONS = {("clock", "time"), ("zones", "zoneinfo"), ("timetable", "zoneinfo")}
"""WallClock stands in clock.py; zones.py and timetable.py read the time zone database, the same at every call."""

IMPURE_CALLS = {"open", "print", "input", "__import__", "hash", "id"}
"""`hash` of a text differs from process to process, so nothing that is decided may come of it."""

CLOCK_READS = {"now", "utcnow", "today"}


class Import(NamedTuple):
    """One imported module; for `from triggerfish import x` the module `triggerfish.x` if there is one."""

    module: str
    names: tuple[str, ...]
    line: int


def modules() -> Iterator[tuple[str, Path]]:
    for top in (SERVER, PLUGINS):
        for file in sorted(top.rglob("*.py")):
            parts = file.relative_to(top).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def is_module(name: str) -> bool:
    path = SERVER.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports_of(name: str, source: str, *, is_package: bool = False) -> Iterator[Import]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, (), node.lineno)
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: None if is_package and node.level == 1 else -node.level + is_package]
            base = ".".join([*(above if node.level else []), *([node.module] if node.module else [])])
            names = tuple(alias.name for alias in node.names)
            inner = [n for n in names if base.partition(".")[0] == "triggerfish" and is_module(f"{base}.{n}")]
            for found in inner:
                yield Import(f"{base}.{found}", (), node.lineno)
            if rest := tuple(n for n in names if n not in inner):
                yield Import(base, rest, node.lineno)


def area_of(module: str) -> str:
    """`triggerfish.web.app` stands in `web`, `triggerfish` itself in `triggerfish`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def wrong_doors(name: str, source: str, *, is_package: bool = False) -> list[str]:
    """What the module imports and may not, in sentences."""
    found = list(imports_of(name, source, is_package=is_package))
    if name.partition(".")[0] != "triggerfish":
        return [wrong for one in found if (wrong := wrong_for_a_plugin(name, one))]
    area = area_of(name)
    if area not in OPENS:
        return [f"{name} stands nowhere in the house: say in tests/test_doors.py whom it may import"]
    wrongs = []
    for module, _, line in found:
        top, target = module.partition(".")[0], area_of(module)
        if top == "triggerfish" and target != area and target not in OPENS[area] and module not in FOR_ALL:
            may = ", ".join(sorted(OPENS[area])) or "nothing of ours"
            wrongs.append(
                f"{name}:{line}  the door from {area} to {target} opens the wrong way; {area} may import {may}"
            )
        elif top.startswith("triggerfish_"):
            wrongs.append(f"{name}:{line}  imports the plugin {top}, which is found by its entry point only")
        elif top != "triggerfish" and area in AROUND and top not in PURE and (area, top) not in EXCEPTIONS:
            wrongs.append(f"{name}:{line}  {area} is pure, and {top} is not known to be; let it come in as an argument")
    return wrongs


def wrong_for_a_plugin(name: str, one: Import) -> str:
    top = one.module.partition(".")[0]
    if top.startswith("triggerfish_") and top != name.partition(".")[0]:
        return f"{name}:{one.line}  a plugin imports another, {top}"
    if top != "triggerfish":
        return ""
    if one.module != "triggerfish":
        return f"{name}:{one.line}  a plugin imports {one.module}; only `from triggerfish import …` is for plugins"
    hidden = [n for n in one.names if n not in triggerfish.__all__]
    return f"{name}:{one.line}  {', '.join(hidden)} is no public name of triggerfish" if hidden else ""


def impure_calls(name: str, source: str) -> list[str]:
    """Where a room reads a clock, a file or the process it runs in."""
    wrongs = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in IMPURE_CALLS:
            wrongs.append(f"{name}:{node.lineno}  a room calls {called.id}()")
        elif isinstance(called, ast.Attribute) and called.attr in CLOCK_READS:
            owner = ast.unparse(called.value).rpartition(".")[2]
            if owner in ("datetime", "date"):
                wrongs.append(f"{name}:{node.lineno}  a room reads the clock: {owner}.{called.attr}()")
    return wrongs


def test_doors_open_forward_only() -> None:
    wrongs = [
        wrong
        for name, file in modules()
        for wrong in wrong_doors(name, file.read_text(encoding="utf-8"), is_package=file.name == "__init__.py")
    ]
    assert not wrongs, "\n" + "\n".join(wrongs)


def test_rooms_and_engine_read_no_clock_no_file_and_no_process() -> None:
    wrongs = [
        wrong
        for name, file in modules()
        if name.startswith("triggerfish.") and area_of(name) in AROUND
        for wrong in impure_calls(name, file.read_text(encoding="utf-8"))
    ]
    assert not wrongs, "\n" + "\n".join(wrongs)


def test_what_is_for_all_imports_nothing_else_of_ours() -> None:
    for name in FOR_ALL:
        file = SERVER.joinpath(*name.split(".")).with_suffix(".py")
        found = {one.module for one in imports_of(name, file.read_text(encoding="utf-8"))}
        assert {module for module in found if module.startswith("triggerfish")} <= FOR_ALL, name


@pytest.mark.parametrize(
    ("name", "source", "says"),
    [
        ("triggerfish.log", "from triggerfish.profile import Profile", "from log to profile opens the wrong way"),
        ("triggerfish.log", "from triggerfish import profile", "from log to profile opens the wrong way"),
        ("triggerfish.log", "from .profile import Profile", "from log to profile opens the wrong way"),
        ("triggerfish.log", "from . import profile", "from log to profile opens the wrong way"),
        ("triggerfish.log", "import triggerfish.profile as p", "from log to profile opens the wrong way"),
        ("triggerfish.log", "def f():\n    import triggerfish.profile", "triggerfish.log:2 "),
        ("triggerfish.log", "if TYPE_CHECKING:\n    from triggerfish.profile import P", "triggerfish.log:2 "),
        ("triggerfish.ingest", "from triggerfish import Message", "from ingest to triggerfish opens the wrong way"),
        ("triggerfish.engine", "from triggerfish.walk import x", "from engine to walk"),
        ("triggerfish.engine", "from triggerfish.adapters.memory import x", "from engine to adapters"),
        ("triggerfish.adapters.sqlite.log", "from triggerfish.walk import x", "from adapters to walk"),
        ("triggerfish.adapters.sqlite.log", "from ...config import x", "from adapters to config"),
        ("triggerfish.rulefile.format", "from triggerfish.adapters import x", "from rulefile to adapters"),
        ("triggerfish.adapters.templates", "from triggerfish.rulefile.compile import x", "from adapters to rulefile"),
        ("triggerfish.plugin.guard", "from triggerfish.rulefile.format import x", "from plugin to rulefile"),
        ("triggerfish.config.file", "from triggerfish.ingest import x", "from config to ingest"),
        ("triggerfish.compose", "from triggerfish.web.app import x", "from compose to web"),
        ("triggerfish.web.app", "from triggerfish.engine import decide", "from web to engine"),
        ("triggerfish.web.app", "from triggerfish.adapters.sqlite.log import x", "from web to adapters"),
        ("triggerfish.cli.serve", "import triggerfish_smtp", "found by its entry point only"),
        ("triggerfish.bathroom", "", "stands nowhere in the house"),
        ("triggerfish.profile", "import sqlite3", "profile is pure, and sqlite3 is not"),
        ("triggerfish.profile", "import time", "profile is pure, and time is not"),
        ("triggerfish.profile", "from os import path", "profile is pure, and os is not"),
        ("triggerfish.engine", "import random, uuid", "engine is pure, and uuid is not"),
        ("triggerfish.ingest", "import litestar", "ingest is pure, and litestar is not"),
        ("triggerfish_smtp.channel", "from triggerfish.deliver import Receipt", "only `from triggerfish import"),
        ("triggerfish_smtp.channel", "from triggerfish import deliver", "only `from triggerfish import"),
        ("triggerfish_smtp.channel", "from triggerfish import Receipt, Nonsense", "Nonsense is no public name"),
        ("triggerfish_smtp.channel", "import triggerfish_outbox", "a plugin imports another"),
    ],
)
def test_a_door_that_opens_the_wrong_way_is_caught(name: str, source: str, says: str) -> None:
    assert says in "\n".join(wrong_doors(name, source))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("triggerfish.profile", "import msgspec, re\nfrom triggerfish.ingest import Event"),
        ("triggerfish.clock", "import time"),
        ("triggerfish.adapters.templates", "from triggerfish.rulefile.reading import read_yaml"),
        ("triggerfish.walk", "import uuid\nfrom triggerfish import engine"),
        ("triggerfish.adapters.sqlite.log", "import sqlite3\nfrom triggerfish.adapters.memory import x"),
        ("triggerfish.compose", "from triggerfish.adapters import memory\nfrom triggerfish.walk import x"),
        ("triggerfish.cli.serve", "from triggerfish.web.app import x"),
        ("triggerfish_smtp.channel", "import smtplib\nfrom triggerfish import Receipt\nfrom .config import x"),
    ],
)
def test_a_door_that_opens_forward_is_no_fault(name: str, source: str) -> None:
    assert wrong_doors(name, source) == []


@pytest.mark.parametrize(
    "source", ["datetime.now(UTC)", "datetime.date.today()", "open('x')", "print(1)", "bucket = hash(name) % 10"]
)
def test_an_impure_call_in_a_room_is_caught(source: str) -> None:
    assert len(impure_calls("triggerfish.rules", source)) == 1


def test_no_file_of_the_code_is_longer_than_500_lines() -> None:
    long = {str(file.relative_to(REPOSITORY)): n for _, file in modules() if (n := lines_of(file)) > 500}
    assert not long, f"split these, one concept a file: {long}"


def lines_of(file: Path) -> int:
    return file.read_text(encoding="utf-8").count("\n")


REGISTRIES = frozenset({
    "a4aa2ac280bb8d1a", "8b5bb5eb9d758455", "8743857e3ea00fd1", "3ca29e55be4befa4",
    "87d14f070cb96869", "fad691c6d9ae77c4",
})  # fmt: skip
"""The domains of package registries as `digest` has them, so that this file names none either."""
HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
SOURCES = re.compile(r"--(?:extra-)?index-url|\"resolved\":\s*\"https?:|registry\s*=\s*\"?https?:")
MACHINE = re.compile(r"(?:^|[^A-Za-z0-9_.])/(?:farm|work)/[a-z]")


def digest(domain: str) -> str:
    return sha256(domain.encode()).hexdigest()[:16]


def names_one_of(registries: frozenset[str], line: str) -> bool:
    """Whether a host in this line stands in one of these domains."""
    labels = (host.split(".") for host in HOST.findall(line.lower()))
    return any(
        digest(".".join(host[start : start + 2])) in registries for host in labels for start in range(len(host) - 1)
    )


def telling_lines(text: str, registries: frozenset[str] = REGISTRIES) -> Iterator[str]:
    """The lines that name a package registry or a path of the machine on which they were written."""
    for number, line in enumerate(text.splitlines(), 1):
        if names_one_of(registries, line) or SOURCES.search(line) or MACHINE.search(line):
            yield f"{number}: {line.strip()[:120]}"


def test_tracked_files_name_no_registry_host_and_no_path_of_a_machine() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    found = {
        name: told
        for name in tracked.stdout.split("\0")
        if name and (file := REPOSITORY / name).is_file()
        if (told := list(telling_lines(file.read_text(encoding="utf-8", errors="replace"))))
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "see https://registry.example/project/x",
        "FROM files.registry.example:443/x",
        '  "resolved"' + ': "https://elsewhere.example/x"',
        "--extra-index" + "-url https://x",
        "cd /" + "work/somewhere",
    ],
)
def test_a_line_that_tells_of_a_registry_or_a_machine_is_caught(line: str) -> None:
    assert list(telling_lines(line, frozenset({digest("registry.example")})))
    assert not list(telling_lines("uv pip compile --no-emit-index" + "-url, and put it to work/later"))
