"""Every sentence of the log has a stable name, and nothing is said that people's data could get into unseen."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from triggerfish.processes.log_events import EVENTS

REPOSITORY = Path(__file__).parents[1]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
LOGS = {"log", "_log", "self._log"}
PLACEHOLDER = re.compile(r"%(?:\.\d+)?[a-z]")
OWN = {"event", "time", "level", "logger", "process", "pid", "message", "error", "trace"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for top in ("server", "plugins"):
        for file in sorted((REPOSITORY / top).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                if node.func.attr in LEVELS and ast.unparse(node.func.value) in LOGS:
                    yield f"{file.relative_to(REPOSITORY)}:{node.lineno}", node


def test_every_sentence_of_the_log_has_a_stable_name_and_no_other_has():
    said = {}
    for place, call in calls():
        sentence = call.args[0]
        assert isinstance(sentence, ast.Constant), f"{place}: let the sentence stand there as it is, values behind it"
        said[sentence.value] = place
    unnamed = {sentence: place for sentence, place in said.items() if sentence not in EVENTS}
    assert not unnamed, "give them names in processes/log_events.py"
    assert EVENTS.keys() == said.keys()


def test_there_is_something_to_look_at():
    assert len(list(calls())) > 40


@pytest.mark.parametrize("sentence", sorted(EVENTS))
def test_every_value_of_a_sentence_has_a_name_of_its_own(sentence):
    event, names = EVENTS[sentence]
    assert re.fullmatch(r"[a-z]+(?:\.[a-z_]+)?", event)
    assert len(names) == len(PLACEHOLDER.findall(sentence))
    assert max(Counter(names).values(), default=1) == 1
    assert not OWN & set(names)
