"""The library of broken rule files: each is named for its fault, and has exactly this answer.

`TRIGGERFISH_UPDATE_GOLDEN=1 pytest tests/rulefile/test_broken_files.py` writes the answers anew; read the difference.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from triggerfish.cli import main
from triggerfish.rulefile.check import check_files
from triggerfish.rulefile.folder import read_folder
from triggerfish.rulefile.problems import Problem
from triggerfish.rulefile.reading import PROBLEM_LIMIT

REPOSITORY = Path(__file__).parents[2]
LIBRARY = REPOSITORY / "tests" / "golden" / "problems"
FAULTS = sorted(path.stem for path in LIBRARY.glob("*.yaml"))

TEMPLATE = {
    "email.mjml": "---\nsubject: Hello\npreheader: There is something for you.\nclass: transactional\n---\n"
    '<mjml><mj-head><mj-raw><meta name="color-scheme" content="light"></mj-raw></mj-head>'
    "<mj-body><mj-section><mj-column><mj-text>Hello</mj-text></mj-column></mj-section></mj-body></mjml>",
    "sample.yaml": "traits: {}\n",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace without rules, and with the one template that the library's rules send."""
    shutil.copy(REPOSITORY / "triggerfish.toml", tmp_path)
    (tmp_path / "rules").mkdir()
    template = tmp_path / "templates" / "cart-reminder"
    template.mkdir(parents=True)
    for name, text in TEMPLATE.items():
        (template / name).write_text(text)
    return tmp_path


def check(workspace: Path) -> tuple[str, int]:
    result = CliRunner().invoke(main, ["check", "--workspace", str(workspace)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output, result.exit_code


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_exactly_this_answer(fault: str, workspace: Path) -> None:
    shutil.copy(LIBRARY / f"{fault}.yaml", workspace / "rules")
    output, exit_code = check(workspace)
    expected = LIBRARY / f"{fault}.txt"
    if os.environ.get("TRIGGERFISH_UPDATE_GOLDEN"):
        expected.write_text(output, encoding="utf-8")
    assert output == expected.read_text(encoding="utf-8")
    assert exit_code == (1 if " problem" in output.splitlines()[-1] else 3)


def test_the_library_is_whole() -> None:
    assert len(FAULTS) >= 40
    assert sorted(path.stem for path in LIBRARY.glob("*.txt")) == FAULTS


def test_every_answer_names_code_and_place_and_is_fit_for_a_terminal() -> None:
    for fault in FAULTS:
        answer = (LIBRARY / f"{fault}.txt").read_text(encoding="utf-8")
        assert re.search(rf"^rules/{fault}\.yaml(:\d+:\d+)?  TF[26]\d\d  ", answer), fault
        assert all(line.isprintable() for line in answer.splitlines()), fault


HOSTILE = {
    "deep-lists": b"a: " + b"[" * 100_000,
    "deep-mappings": b"{a: " * 50_000,
    "deep-blocks": b"- " * 100_000,
    "deep-keys": b"? " * 100_000,
    "ten-megabytes": b"# " + b"x" * 10_000_000,
    "many-values": b"[" + b"1," * 120_000 + b"]",
    "many-duplicates": b"a: 1\n" * 50_000,
    "many-unknown-keys": b"".join(b"k%d: 1\n" % number for number in range(20_000)),
    "many-anchors": b"".join(b"- &a%d x\n" % number for number in range(20_000)),
    "one-long-line": b"a" * 250_000,
    "one-long-key": b"a" * 250_000 + b": 1",
    "long-unclosed-quote": b'a: "' + b"x\n" * 120_000,
    "many-line-breaks": b"a: |\n" + b"\n" * 250_000,
    "a-number-of-digits": b"priority: " + b"9" * 200_000,
    "many-tabs": b"\t" * 250_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_quickly(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(HOSTILE[name])
    began = time.process_time()
    problems = problems_of(tmp_path)
    seconds = time.process_time() - began
    assert 0 < len(problems) <= PROBLEM_LIMIT + 1
    assert sum(len(problem.render()) for problem in problems) < 100_000
    # The slowest takes three seconds or so on a slow core; without the bounds, it is minutes or for ever.
    assert seconds < 15


def problems_of(folder: Path) -> list[Problem]:
    texts, problems = read_folder(folder)
    return [*problems, *check_files(texts).problems]


def test_hostile_files_take_bounded_memory(tmp_path: Path) -> None:
    for name in ("ten-megabytes", "many-values", "many-unknown-keys", "many-line-breaks", "deep-lists"):
        (tmp_path / f"{name}.yaml").write_bytes(HOSTILE[name])
    result = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path)], check=True, capture_output=True, text=True)
    found, megabytes = (int(word) for word in result.stdout.split())
    assert found >= 5
    assert megabytes < 150


MEASURE = """
import resource, sys
from pathlib import Path
from triggerfish.rulefile.check import check_files
from triggerfish.rulefile.folder import read_folder

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
texts, problems = read_folder(Path(sys.argv[1]))
found = len(problems) + len(check_files(texts).problems)
print(found, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
