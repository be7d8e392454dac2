"""`feeds:` in front matter: what a template wants of other servers. Nothing is fetched here."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from triggerfish.clock import DAY, MINUTE, SECOND, Millis, parse_duration, say_duration
from triggerfish.render import FeedSpec
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.problems import Problem, nearest

MOST_FEEDS = 5
LONGEST_TIMEOUT, LONGEST_LIFETIME, LARGEST_BYTES = 10 * SECOND, 7 * DAY, 1024 * 1024
USUAL_TIMEOUT, USUAL_LIFETIME, USUAL_BYTES = 2 * SECOND, 10 * MINUTE, 100 * 1024

_KEYS = ("url", "timeout", "cache", "largest", "fallback")
_NAME = re.compile(r"[A-Za-z_]\w{0,63}")
_HOST = re.compile(r"https?://[^\s/?#@{}%\\]+(?=[/?#]|$)", re.IGNORECASE)
_SIZE = re.compile(r"(\d{1,7})\s*(B|KB|MB)?", re.IGNORECASE)
_UNITS = {"B": 1, "KB": 1024, "MB": 1024 * 1024}


class DeclaredFeed(NamedTuple):
    """A feed with its address as Liquid text, which stands at `path` of the front matter."""

    spec: FeedSpec
    url: str
    path: Path


def read_feeds(marks: Marks, problems: list[Problem]) -> dict[str, DeclaredFeed]:
    """The feeds that front matter declares, by name. Problems: TF302 for keys, TF303 for values, TF336 as a warning for
    a feed without which there is no message.
    """
    declared = marks.data.get("feeds", {})
    if not isinstance(declared, dict):
        hint = "write  feeds: {weather: {url: https://…, fallback: {}}}"
        problems.append(marks.problem(("feeds",), "TF303", "feeds holds names, each with its url", hint=hint))
        return {}
    if len(declared) > MOST_FEEDS:
        problems.append(marks.problem(("feeds",), "TF303", f"an email has {MOST_FEEDS} feeds at most", at_key=True))
    found = {}
    for name, form in declared.items():
        before = len(problems)
        feed = _feed(marks, name, form, problems)
        if feed and not any(not problem.is_warning for problem in problems[before:]):
            found[name] = feed
    return found


def _feed(marks: Marks, name: str, form: Any, problems: list[Problem]) -> DeclaredFeed | None:
    path: Path = ("feeds", name)
    if not _NAME.fullmatch(name):
        hint = "letters, digits and _"
        problems.append(marks.problem(path, "TF303", f'"{name}" is no name of a feed', hint=hint, at_key=True))
    if not isinstance(form, dict):
        hint = f"write  {name}: {{url: https://…, fallback: {{}}}}"
        problems.append(marks.problem(path, "TF303", "a feed has keys", hint=hint))
        return None
    for key in form:
        if key not in _KEYS:
            hint = nearest(key, _KEYS) or f"there are {', '.join(_KEYS)}"
            problems.append(marks.problem((*path, key), "TF302", f'unknown key "{key}"', hint=hint, at_key=True))
    url = form.get("url")
    if not isinstance(url, str) or not _HOST.match(url):
        # A host that came out of a person's data would let that person choose whom we ask.
        hint = "it starts with https:// and a host; values may stand in the path and behind ?"
        problems.append(marks.problem((*path, "url"), "TF303", "a feed needs a url with a fixed host", hint=hint))
        return None
    if "fallback" not in form:
        hint = "add  fallback: {}  and ask {% if feeds." + name + ".… %}, if it can do without"
        sentence = f'when "{name}" cannot be fetched, nobody gets this email'
        problems.append(marks.problem(path, "TF336", sentence, hint=hint, at_key=True, is_warning=True))
    spec = FeedSpec(
        name=name,
        timeout=_length(marks, (*path, "timeout"), form.get("timeout"), USUAL_TIMEOUT, LONGEST_TIMEOUT, problems),
        lifetime=_length(marks, (*path, "cache"), form.get("cache"), USUAL_LIFETIME, LONGEST_LIFETIME, problems),
        largest=_size(marks, (*path, "largest"), form.get("largest"), problems),
        fallback=form.get("fallback"),
        has_fallback="fallback" in form,
    )
    return DeclaredFeed(spec, url, (*path, "url"))


def _length(marks: Marks, path: Path, value: Any, usual: Millis, longest: Millis, problems: list[Problem]) -> Millis:
    if value is None:
        return usual
    try:
        length = parse_duration(value) if isinstance(value, str) else -1
    except ValueError:
        length = -1
    if not 0 < length <= longest:
        sentence = f"{path[-1]} is a length of time of at most {say_duration(longest)}"
        problems.append(marks.problem(path, "TF303", sentence, hint=f'such as "{say_duration(usual)}"'))
        return usual
    return length


def _size(marks: Marks, path: Path, value: Any, problems: list[Problem]) -> int:
    if value is None:
        return USUAL_BYTES
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    size = int(found[1]) * _UNITS[(found[2] or "B").upper()] if found else 0
    if not 0 < size <= LARGEST_BYTES:
        problems.append(marks.problem(path, "TF303", "largest is a size of at most 1 MB", hint='like "100 KB"'))
        return USUAL_BYTES
    return size
