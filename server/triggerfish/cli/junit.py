"""Results of rule tests as JUnit XML, the form that CI servers read.

As `pytest --junit-xml` writes it: testsuites > testsuite (a file) > testcase, with failure
(https://github.com/testmoapp/junitxml has the elements and attributes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from triggerfish.rulefile.problems import Problem
from triggerfish.rulefile.trial import Failure, Result

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not have (section 2.2)."""


def write_junit(path: Path, results: Sequence[Result], problems: Iterable[Problem]) -> None:
    """Write the results of a run; a test file that cannot be read is an error. Raises OSError."""
    root = Element("testsuites", name="triggerfish test")
    files = list(dict.fromkeys([*(problem.path for problem in problems), *(result.file for result in results)]))
    for file in files:
        _suite(root, file, [each for each in results if each.file == file], [p for p in problems if p.path == file])
    for word in ("tests", "failures", "errors"):
        root.set(word, str(sum(int(suite.get(word, 0)) for suite in root)))
    root.set("time", f"{sum(result.seconds for result in results):.3f}")
    indent(root)
    ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _suite(root: Element, file: str, results: Sequence[Result], problems: Sequence[Problem]) -> None:
    suite = SubElement(
        root, "testsuite", name=_clean(file), tests=str(len(results) + len(problems)), errors=str(len(problems)),
        failures=str(sum(not result.has_passed for result in results)), skipped="0",
        time=f"{sum(result.seconds for result in results):.3f}",
    )  # fmt: skip
    for problem in problems:
        case = SubElement(suite, "testcase", classname=_clean(file), name=f"line {problem.line}", time="0")
        error = SubElement(case, "error", type=problem.code, message=_clean(problem.sentence))
        error.text = _clean(problem.render())
    for result in results:
        case = SubElement(
            suite, "testcase", classname=_clean(file.removesuffix(".yaml").replace("/", ".")), name=_clean(result.name),
            file=_clean(file), line=str(result.line), time=f"{result.seconds:.3f}",
        )  # fmt: skip
        if not result.has_passed:
            first = result.failures[0]
            message = f"at {first.when}: {first.key}: expected {first.expected}, but it was {first.actual}"
            failure = SubElement(case, "failure", type=first.key, message=_clean(message))
            failure.text = _clean("\n".join([*map(_told, result.failures), "", *first.timeline]))


def _told(failure: Failure) -> str:
    return (
        f"line {failure.line}, at {failure.when}: {failure.key}\n  expected: {failure.expected}\n"
        f"  actual:   {failure.actual}"
    )


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
