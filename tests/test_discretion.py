"""What the log tells, line by line: for people or as JSON, and of exceptions nothing that may be personal."""

import json
import logging
import sqlite3
import subprocess
import sys

import pytest

from triggerfish.config.secret import PluginTable
from triggerfish.errors import Refused, Unavailable
from triggerfish.plugin.channel import NotHandedOver
from triggerfish.processes.discreet import Discretion, _secrets_in
from triggerfish.processes.logs import JsonLines, Lines

PERSON = "Ana Lima"
SECRET = "a secret of the shop"


def record(message, *values, name="triggerfish.worker", level=logging.WARNING, error=None):
    info = (type(error), error, error.__traceback__) if error is not None else None
    made = logging.LogRecord(name, level, "file.py", 1, message, values, info)
    made.created = 1_767_225_600.25
    return made


def raised(error):
    try:
        raise error
    except type(error) as caught:
        return caught


def as_json(*given, discretion=None, **more):
    line = JsonLines(discretion or Discretion(), "worker").format(record(*given, **more))
    assert "\n" not in line
    return json.loads(line)


def test_a_line_for_programs_has_a_stable_name_and_values_by_name():
    told = as_json("event %d was put aside: %s", 7, "ValueError")
    assert told.pop("pid") > 0
    assert told == {
        "time": "2026-01-01T00:00:00.250Z",
        "level": "warning",
        "logger": "triggerfish.worker",
        "process": "worker",
        "event": "event.dead_letter",
        "message": "event 7 was put aside: ValueError",
        "position": 7,
        "why": "ValueError",
    }


def test_a_line_for_people_says_who_speaks():
    line = Lines(Discretion()).format(record("event %d was put aside: %s", 7, "ValueError"))
    assert line.endswith("WARNING triggerfish.worker  event 7 was put aside: ValueError")


def test_an_exception_is_told_by_its_type_and_place():
    error = raised(ValueError(f"cannot greet {PERSON}"))
    told = as_json("a batch could not be decided; it is taken one by one", error=error)
    assert told["error"] == "ValueError"
    assert told["trace"][-1] == "ValueError"
    assert told["trace"][0].endswith("in raised")
    assert PERSON not in json.dumps(told)
    lines = Lines(Discretion()).format(record("a batch", error=error)).splitlines()
    assert lines[-1] == "ValueError"
    assert not any(PERSON in line for line in lines)


def test_what_an_exception_came_of_is_told_and_groups_are_opened():
    try:
        try:
            raise KeyError(PERSON)
        except KeyError as cause:
            raise ExceptionGroup(PERSON, [OSError(28, "No space left on device", PERSON), TypeError(PERSON)]) from cause
    except ExceptionGroup as error:
        trace = list(Discretion().trace(error))
    assert [line for line in trace if "File" not in line] == [
        "KeyError", "then, because of that:", "ExceptionGroup", "  OSError: No space left on device", "  TypeError",
    ]  # fmt: skip


def test_a_chain_that_bites_its_tail_ends():
    one, two = ValueError("1"), ValueError("2")
    one.__cause__, two.__cause__ = two, one
    assert len(list(Discretion().trace(one))) == 3


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unavailable("the disk is full", hint="make room"), "TF121  the disk is full (make room)"),
        (Refused("ana@example.org is no name"), "TF100  [address] is no name"),
        (NotHandedOver("<ana@example.org> is unknown here"), "NotHandedOver: <[address]> is unknown here"),
        (sqlite3.OperationalError("database is locked"), "OperationalError: database is locked"),
        (ConnectionRefusedError(111, "Connection refused"), "ConnectionRefusedError: Connection refused"),
        (OSError(f"no {PERSON}"), "OSError"),
        (ValueError(PERSON), "ValueError"),
        (ValueError(), "ValueError"),
    ],
)
def test_texts_are_told_of_what_is_about_the_machine_alone(error, said):
    assert Discretion().said(error) == said
    assert as_json("could not: %s", error)["message"] == f"could not: {said}"


def test_whoever_debugs_is_told_all_but_addresses_and_secrets():
    discretion = Discretion([SECRET], tells_all=True)
    assert (
        discretion.said(ValueError(f"{PERSON} ana@example.org {SECRET}")) == f"ValueError: {PERSON} [address] [secret]"
    )


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("to ana.lima+x@example.co.uk.", "to [address]."),
        ("<Ana@Example.org>, 'bo@b.example'", "<[address]>, '[address]'"),
        ("mailto:ana@example.org", "mailto:[address]"),
        ("imap://shop@mail.example.org/INBOX", "imap://[address]/INBOX"),
        ("änni@bücher.example", "[address]"),
        ("3 @ 4 and @name", "3 @ 4 and @name"),
        (f"with {SECRET}!", "with [secret]!"),
    ],
)
def test_addresses_and_secrets_are_taken_out_of_all_text(text, clean):
    discretion = Discretion([SECRET])
    assert discretion.clean(text) == clean
    assert as_json(text, discretion=discretion)["message"] == clean
    assert as_json("%s", text, discretion=discretion)["message"] == clean


def test_secrets_of_plugins_are_found_by_their_names():
    table = PluginTable(
        {
            "host": "mail.example",
            "password": "p1",
            "login": {"api_token": "t1", "name": "n"},
            "keys": ["k1", {"x": "k2"}],
        }
    )
    assert set(_secrets_in(table)) == {"p1", "t1", "k1", "k2"}


def test_what_asyncio_shows_of_objects_is_left_out():
    shown = f"Exception in callback <TimerHandle {PERSON}>\nhandle: <Task exception=ValueError('{PERSON}')>"
    assert as_json(shown, name="asyncio")["message"] == "Exception in callback"
    shown = f"Task exception was never retrieved\nfuture: <Task exception=ValueError('{PERSON}')>"
    assert as_json(shown, name="asyncio")["message"] == "Task exception was never retrieved"


@pytest.mark.parametrize("values", [(1, 2, 3), ()])
def test_a_call_that_does_not_fit_its_own_words_is_told_without_its_values(values):
    assert as_json("%d of %s", *values, name="library")["message"] == "%d of %s"


def test_an_exception_that_nobody_caught_comes_out_the_same_way():
    code = f"""
import threading
from triggerfish.processes.logs import set_up_logs
set_up_logs(process="api")
class Held:
    def __del__(self):
        raise LookupError({PERSON!r})
held = Held()
del held
thread = threading.Thread(target=lambda: {{}}[{PERSON!r}])
thread.start()
thread.join()
raise ValueError({PERSON!r})
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    told = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [(line["event"], line["error"]) for line in told] == [
        ("uncaught", "LookupError"), ("uncaught", "KeyError"), ("uncaught", "ValueError"),
    ]  # fmt: skip
    assert PERSON not in ran.stderr
