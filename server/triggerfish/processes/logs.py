"""What the processes say about themselves: a line each on stderr, for people or as JSON, without personal data.

Whatever is said passes through one formatter (discreet.py): what our own code logs, what libraries log, warnings, and
exceptions that nobody caught.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import msgspec

from triggerfish.clock import to_iso
from triggerfish.config import Settings
from triggerfish.processes.discreet import Discretion, secrets_of
from triggerfish.processes.log_events import EVENTS

QUIET = (
    "aiosmtplib", "apscheduler", "asyncio", "dkim", "dns", "flufl", "hpack", "httpcore", "httpx", "imapclient",
    "litestar", "uvicorn", "watchfiles",
)  # fmt: skip
"""Libraries that are heard only when something is wrong: below that they write mails, addresses and queries."""

log = logging.getLogger("triggerfish")
_ENCODER = msgspec.json.Encoder(order="deterministic", enc_hook=str)


def set_up_logs(settings: Settings | None = None, *, process: str) -> None:
    """Log as the settings say; before they are known, as carefully as can be."""
    level = "info" if settings is None else settings.log.level
    form = "auto" if settings is None else settings.log.format
    secrets = () if settings is None else tuple(secrets_of(settings))
    discretion = Discretion(secrets, tells_all=level == "debug")
    is_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(discretion, process) if is_json else Lines(discretion))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for library in QUIET:
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # what logging itself says of a broken call shows the call's values
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda told: _uncaught(told.exc_type, told.exc_value, told.exc_traceback)
    threading.excepthook = lambda told: _uncaught(told.exc_type, told.exc_value, told.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    log.critical("nobody caught an exception", exc_info=(kind, error or kind(), trace))


class Lines(logging.Formatter):
    """For people: time, level, who speaks, what they say."""

    def __init__(self, discretion: Discretion) -> None:
        super().__init__()
        self._discretion = discretion

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        head = f"{at},{int(record.msecs):03d} {record.levelname:<7} {record.name}  "
        error = _error_of(record)
        lines = [head + _sentence(record, self._discretion)]
        if error is not None:
            lines += self._discretion.trace(error)
        return "\n".join(lines)


class JsonLines(logging.Formatter):
    """For programs: one JSON object a line. `event` is the stable name of what is said (log_events.py), the values in
    it stand beside it under their names; `message` is the sentence for people, which may change.
    """

    def __init__(self, discretion: Discretion, process: str) -> None:
        super().__init__()
        self._discretion = discretion
        self._who = {"process": process, "pid": os.getpid()}

    def format(self, record: logging.LogRecord) -> str:
        event, names = EVENTS.get(str(record.msg), ("other", ()))
        told: dict[str, Any] = {
            "time": to_iso(int(record.created * 1_000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            **self._who,
            "event": event,
            "message": _sentence(record, self._discretion),
        }
        arguments = record.args if isinstance(record.args, tuple) else ()
        told |= {name: _value(each, self._discretion) for name, each in zip(names, arguments, strict=False)}
        error = _error_of(record)
        if error is not None:
            told["error"] = type(error).__name__
            told["trace"] = list(self._discretion.trace(error))
        return _ENCODER.encode(told).decode()


def _sentence(record: logging.LogRecord, discretion: Discretion) -> str:
    text = str(record.msg)
    if record.name == "asyncio":
        # What follows shows objects as they are, exceptions with their texts among them.
        text = text.partition("\n")[0]
        return "Exception in callback" if text.startswith("Exception in callback") else discretion.clean(text)
    if isinstance(record.msg, BaseException):
        text = discretion.said(record.msg)
    arguments = record.args
    if isinstance(arguments, tuple):
        arguments = tuple(_value(each, discretion) for each in arguments)
    elif isinstance(arguments, Mapping):
        arguments = {name: _value(each, discretion) for name, each in arguments.items()}
    try:
        text = text % arguments if arguments else text
    except (TypeError, ValueError):
        # A library's call that does not fit its own words; its values are left out.
        text = str(record.msg)
    return discretion.clean(text)


def _value(value: object, discretion: Discretion) -> Any:
    if isinstance(value, BaseException):
        return discretion.said(value)
    if isinstance(value, bool | int | float) or value is None:
        return value
    return discretion.clean(str(value))


def _error_of(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if isinstance(record.exc_info, tuple) else None
