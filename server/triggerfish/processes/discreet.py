"""What may be told of an error in a log. People's data comes into exceptions in many ways: a plugin's KeyError quotes a
trait, a mail server's answer the recipient, a template's error the value that it stumbled over.

So an exception is told by its type and the place where it was raised. Its text is told only of kinds whose texts are
about the machine or written by us (SPEAKING), and with debugging switched on. From all text that is logged, mail
addresses and the workspace's secrets are taken out, whoever wrote it.
"""

from __future__ import annotations

import re
import sqlite3
import traceback
from collections.abc import Iterable, Iterator
from types import TracebackType

from triggerfish.config import Settings
from triggerfish.errors import TriggerfishError
from triggerfish.plugin.channel import NotHandedOver

SPEAKING: tuple[type[BaseException], ...] = (TriggerfishError, NotHandedOver, sqlite3.Error, ImportError, SyntaxError)
"""Exceptions whose text is told. Of an OSError it is the system's own words for its number."""

_PART = r"[^\s<>()\[\]{},;:\"'`=|/]"
_ADDRESS = re.compile(rf"{_PART}+@{_PART}+\.{_PART}*\w")
_SECRET_NAMES = re.compile(r"pass|secret|key|token|credential|auth", re.IGNORECASE)
_LONGEST_CHAIN = 5
_MOST_FRAMES = 30


class Discretion:
    """How discreet one process's log is. `secrets` are texts that never stand in it; `tells_all` lets exceptions speak,
    for whoever is looking for a fault and may see people's data.
    """

    def __init__(self, secrets: Iterable[str] = (), *, tells_all: bool = False) -> None:
        longest_first = sorted({each for each in secrets if len(each) >= 8}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._tells_all = tells_all

    def clean(self, text: str) -> str:
        """Text without mail addresses and secrets."""
        if self._secrets is not None:
            text = self._secrets.sub("[secret]", text)
        return _ADDRESS.sub("[address]", text) if "@" in text else text

    def said(self, error: BaseException) -> str:
        """An exception on one line."""
        name = type(error).__name__
        if isinstance(error, TriggerfishError):
            return self.clean(" ".join(str(error).splitlines()))
        if isinstance(error, OSError) and not self._tells_all:
            text = error.strerror or ""
        elif self._tells_all or isinstance(error, SPEAKING):
            text = " ".join(str(error).split())
        else:
            text = ""
        return self.clean(f"{name}: {text}" if text else name)

    def trace(self, error: BaseException) -> Iterator[str]:
        """Where it was raised, and what it came of: lines without any value."""
        chain: list[BaseException] = []
        each: BaseException | None = error
        while each is not None and each not in chain and len(chain) < _LONGEST_CHAIN:
            chain.append(each)
            each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
        for number, one in enumerate(reversed(chain)):
            if number:
                yield "then, because of that:"
            yield from self._frames(one.__traceback__)
            yield self.said(one)
            if isinstance(one, BaseExceptionGroup):
                for inner in one.exceptions[:_LONGEST_CHAIN]:
                    yield from (f"  {line}" for line in self.trace(inner))

    def _frames(self, trace: TracebackType | None) -> Iterator[str]:
        for frame in traceback.extract_tb(trace)[-_MOST_FRAMES:]:
            yield f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'


def secrets_of(settings: Settings) -> Iterator[str]:
    """Every secret that the settings hold, those of plugins' tables too, as far as their names say that they are."""
    keys = settings.keys
    yield from (key.reveal() for key in (*keys.write, keys.admin, keys.secret, *keys.retired_secrets))
    for table in settings.plugins.values():
        yield from _secrets_in(table)


def _secrets_in(table: object, is_secret: bool = False) -> Iterator[str]:
    if isinstance(table, dict):
        for name, value in table.items():
            yield from _secrets_in(value, is_secret or bool(_SECRET_NAMES.search(str(name))))
    elif isinstance(table, list | tuple):
        for value in table:
            yield from _secrets_in(value, is_secret)
    elif isinstance(table, str) and is_secret:
        yield str.__str__(table)
