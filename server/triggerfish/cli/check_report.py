"""What `check` found, as programs read it: SARIF for code scanning, and the lines that GitHub turns into annotations.

SARIF is version 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html); GitHub's lines are its
workflow commands (https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from triggerfish.rulefile.problems import Problem

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_sarif(problems: Sequence[Problem], folder: str = "") -> dict[str, Any]:
    """A SARIF log with one run. `folder` is where the workspace lies below the root of the sources."""
    codes = sorted({problem.code for problem in problems})
    places = {code: place for place, code in enumerate(codes)}
    driver = {
        "name": "triggerfish check",
        "semanticVersion": version("triggerfish"),
        "rules": [{"id": code, "shortDescription": {"text": f"{code}: docs/errors.md says more"}} for code in codes],
    }
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(problem, places[problem.code], folder) for problem in problems],
            }
        ],
    }


def _result(problem: Problem, place: int, folder: str) -> dict[str, Any]:
    where: dict[str, Any] = {
        "artifactLocation": {"uri": quote(_below(folder, problem.path)), "uriBaseId": "%SRCROOT%"},
    }
    if problem.line:
        where["region"] = {
            "startLine": problem.line,
            "startColumn": problem.column,
            "endColumn": problem.column + max(1, problem.width),
        }
    mark = f"{problem.path}\0{problem.code}\0{problem.source.strip()}\0{problem.within}"
    return {
        "ruleId": problem.code,
        "ruleIndex": place,
        "level": "warning" if problem.is_warning else "error",
        "message": {"text": _told(problem)},
        "locations": [{"physicalLocation": where}],
        "partialFingerprints": {"triggerfish/v1": blake2b(mark.encode(), digest_size=12).hexdigest()},
    }


def as_annotation(problem: Problem, folder: str = "") -> str:
    """One workflow command: GitHub shows it at its line of the pull request."""
    given = {"file": _below(folder, problem.path)}
    if problem.line:
        end = problem.column + max(1, problem.width) - 1
        given |= {"line": str(problem.line), "col": str(problem.column), "endColumn": str(end)}
    given["title"] = problem.code
    listed = ",".join(f"{key}={_property(value)}" for key, value in given.items())
    return f"::{'warning' if problem.is_warning else 'error'} {listed}::{_data(_told(problem))}"


def _below(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder else path


def _told(problem: Problem) -> str:
    """Sentence, hint and place on one line."""
    hint = f" ({problem.hint})" if problem.hint else ""
    within = f", in {problem.within}" if problem.within else ""
    return problem.sentence + hint + within


def _data(text: str) -> str:
    """Text as the data of a workflow command: nothing in it begins another command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
