"""The house rules a reader relies on: imports point one way, only the command line prints, files stay small."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TOOLKIT = Path(__file__).parents[1] / "toolkit"
PACKAGE = TOOLKIT / "pocketvlad"
_NAMES = (
    "errors given schema resources unfinished artifact locks outputs progress threads ranks core machine lut model "
    "importer dataset evaluate compress runtime export index android report steps pipeline api cli __main__"
)
ORDER = _NAMES.split()
_INSIDE_MODEL = (
    "kinds names wanted roles unit attention colours depth preprocess frames batchnorm features views backbones heads "
    "whitening questions choice network scratch fit"
)
_INSIDE_COMPRESS = (
    "layers graph grid train_recipe recipe codes whitened compressed sizes calibrate ratio post_training modules "
    "search train"
)
INSIDE = {"model": _INSIDE_MODEL.split(), "compress": _INSIDE_COMPRESS.split()}
MODULES = sorted(PACKAGE.rglob("*.py"))
EVERY = [
    path for room in ("pocketvlad", "bench", "studies") for path in sorted((TOOLKIT / room).rglob("*.py"))
]
LONGEST_FILE, LONGEST_FUNCTION = 320, 60
LAYER_NAMES = re.compile(r"(backbone|head|pool|whitening)\.\S*|whitening|assignment\.\S+")
NAMES_ALLOWED = (
    "model/heads",
    "importer",
    "steps/fit",
    "steps/whitening",
    "cli/models",
)  # the last: an option


def name_of(path: Path) -> str:
    return str(path.relative_to(TOOLKIT))


def part_of(path: Path, depth: int = 0) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[depth].removesuffix(".py") if depth < len(parts) else "__init__"


def imports_of(path: Path) -> set[tuple[str, ...]]:
    """What a file imports of the package, as paths inside it; imports in functions and for typing alone too."""
    tree, found = ast.parse(path.read_text()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pocketvlad":
            module = tuple(node.module.split(".")[1:])
            found |= {(*module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {tuple(a.name.split(".")[1:]) for a in node.names if a.name.startswith("pocketvlad.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_one_way(path):
    part = part_of(path)
    if part == "__init__":
        return
    assert part in ORDER, f"{part} has no place in the order of imports"
    imported = {names[0] for names in imports_of(path) if names[0] in ORDER}
    later = {name for name in imported if ORDER.index(name) > ORDER.index(part)}
    assert not later, f"{path.name} imports {', '.join(sorted(later))}"


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) in INSIDE], ids=name_of)
def test_imports_point_one_way_inside_a_room(path):
    order, part = INSIDE[part_of(path)], part_of(path, 1)
    if part == "__init__":
        return
    assert part in order, f"{part} has no place inside {part_of(path)}"
    imported = {names[1] for names in imports_of(path) if names[0] == part_of(path) and names[1] in order}
    later = {name for name in imported if order.index(name) > order.index(part)}
    assert not later, f"{path.name} imports {', '.join(sorted(later))}"


def test_no_two_files_import_each_other():
    """Not even over others: a walk along the imports never comes back."""
    files = {path.relative_to(PACKAGE).with_suffix("").parts: path for path in MODULES}
    edges = {
        parts: {t for n in imports_of(path) if (t := _file_of(n, files))} for parts, path in files.items()
    }
    seen: dict[tuple[str, ...], bool] = {}

    def visit(parts, trail):
        assert parts not in trail, " -> ".join("/".join(each) for each in (*trail, parts))
        if parts in seen:
            return
        for target in edges[parts] - {parts}:
            visit(target, (*trail, parts))
        seen[parts] = True

    for parts in edges:
        if parts != ("__init__",):
            visit(parts, ())


def _file_of(names, files):
    for length in (len(names), len(names) - 1):
        for candidate in (names[:length], (*names[:length], "__init__")):
            if candidate in files and candidate != ("__init__",):
                return candidate
    return None


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_command_line_prints(path):
    if part_of(path) == "cli":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            printing = called in ("print", "sys.stdout.write", "sys.stderr.write", "typer.echo")
            assert not printing and not called.endswith(").print"), f"line {node.lineno}: {called}"


@pytest.mark.parametrize("path", EVERY, ids=name_of)
def test_files_and_functions_fit(path):
    text = path.read_text()
    assert text.count("\n") <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_layers_are_known_by_role_not_by_name(path):
    if str(path.relative_to(PACKAGE)).startswith(NAMES_ALLOWED):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not LAYER_NAMES.fullmatch(node.value), f"line {node.lineno}: {node.value!r}"


def test_files_of_tests_have_names_of_their_own():
    """pytest imports them by their names alone."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == []
