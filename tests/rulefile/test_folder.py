"""The folder of rule files: what is read, what is left out, and what cannot be read."""

import os
from pathlib import Path

import pytest

from triggerfish.rulefile.folder import FILE_LIMIT, read_folder
from triggerfish.rulefile.reading import SIZE_LIMIT


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    return folder


def test_rule_files_are_read_in_order_of_their_paths(rules: Path) -> None:
    (rules / "shop").mkdir()
    for name in ("b.yaml", "a.yml", "shop/c.yaml"):
        (rules / name).write_text(f"description: {name}")
    texts, problems = read_folder(rules)
    assert list(texts) == ["rules/a.yml", "rules/b.yaml", "rules/shop/c.yaml"]
    assert texts["rules/b.yaml"] == "description: b.yaml"
    assert not problems


def test_tests_hidden_files_and_others_are_left_out(rules: Path) -> None:
    (rules / ".git").mkdir()
    for name in ("a.test.yaml", ".hidden.yaml", ".git/x.yaml", "notes.md", "a.yaml~"):
        (rules / name).write_text("x")
    assert read_folder(rules) == ({}, [])


def codes(rules: Path) -> list[tuple[str, str]]:
    return [(problem.path, problem.code) for problem in read_folder(rules)[1]]


def test_a_missing_folder_is_a_problem(tmp_path: Path) -> None:
    assert codes(tmp_path / "rules") == [("rules", "TF201")]


def test_a_file_at_the_limit_is_read_and_one_beyond_is_not(rules: Path) -> None:
    (rules / "a.yaml").write_bytes(b"#" * SIZE_LIMIT)
    (rules / "b.yaml").write_bytes(b"#" * (SIZE_LIMIT + 1))
    texts, problems = read_folder(rules)
    assert list(texts) == ["rules/a.yaml"]
    assert [problem.code for problem in problems] == ["TF202"]


def test_what_is_no_ordinary_file_is_never_opened(rules: Path) -> None:
    os.mkfifo(rules / "pipe.yaml")
    (rules / "gone.yaml").symlink_to(rules / "nowhere")
    assert codes(rules) == [("rules/gone.yaml", "TF201"), ("rules/pipe.yaml", "TF201")]


def test_too_many_files_are_refused(rules: Path) -> None:
    for number in range(FILE_LIMIT + 1):
        (rules / f"{number}.yaml").touch()
    texts, problems = read_folder(rules)
    assert len(texts) == FILE_LIMIT
    assert [problem.code for problem in problems] == ["TF202"]


def test_bytes_that_are_no_utf_8_are_pointed_at(rules: Path) -> None:
    (rules / "a.yaml").write_bytes("\ufeffé: 1\nb: é\n".encode()[:-3] + b"\xe9\n")
    (problem,) = read_folder(rules)[1]
    assert (problem.code, problem.line, problem.column) == ("TF203", 2, 4)
