"""Speed and accuracy are apart: the package knows neither, the bench no study; files and functions fit."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TOOLKIT = Path(__file__).parents[2] / "toolkit"
UNKNOWN = {"pocketvlad": {"bench", "studies"}, "bench": {"studies"}, "studies": set()}
LONGEST_FILE, LONGEST_FUNCTION = 320, 60


def sources(room: str) -> list[Path]:
    return sorted((TOOLKIT / room).rglob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
    return found


@pytest.mark.parametrize("room", UNKNOWN)
def test_imports_point_one_way(room):
    for path in sources(room):
        known = imported(ast.parse(path.read_text()))
        assert not known & UNKNOWN[room], path.name
        assert room == "pocketvlad" or "path.insert" not in path.read_text(), path.name


@pytest.mark.parametrize("room", ["bench", "studies"])
def test_files_and_functions_fit(room):
    assert sources(room)
    for path in sources(room):
        text = path.read_text()
        assert text.count("\n") <= LONGEST_FILE, path.name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= LONGEST_FUNCTION, f"{path.name}: {node.name}"
