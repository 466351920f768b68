"""The house rules a reader relies on: imports point one way, only the command line prints, files stay small."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "toolkit/pocketvlad"
_NAMES = (
    "errors schema resources artifact machine core lut model importer dataset evaluate compress runtime export "
    "index android report commands pipeline cli __main__"
)
ORDER = _NAMES.split()
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 400, 80


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pocketvlad"):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            parts = [name.split(".") for name in names]
            found |= {p[1] for p in parts if len(p) > 1 and p[1] in ORDER}
        elif isinstance(node, ast.Import):
            parts = [alias.name.split(".") for alias in node.names]
            found |= {p[1] for p in parts if p[0] == "pocketvlad" and len(p) > 1}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    part = part_of(path)
    if part == "__init__":
        return
    assert part in ORDER, f"{part} has no place in the order of imports"
    later = {
        name for name in imported_parts(ast.parse(path.read_text())) if ORDER.index(name) > ORDER.index(part)
    }
    assert not later, f"{path.name} imports {', '.join(sorted(later))}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_prints(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    printing = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    assert not printing or part_of(path) in ("cli",)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_fit(path):
    text = path.read_text()
    assert text.count("\n") <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name
