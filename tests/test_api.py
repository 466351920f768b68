"""The public names and their signatures, and whose language an error speaks."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import pocketvlad as pv
from pocketvlad.cli.remedies import REMEDIES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "toolkit/pocketvlad"
GOLDEN = ROOT / "tests/golden/api.txt"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def _make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_make", ROOT / "docs/make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def described_api() -> str:
    """A public name to a paragraph: its signature, and for a class those of its public methods."""
    make = _make()
    lines = []
    for name in pv.__all__:
        each = getattr(pv, name)
        if inspect.isfunction(each):
            lines.append(make.signature(name, each))
            continue
        lines.append(f"class {name}")
        for member_name, member in make.members(each):
            plain = getattr(member, "__func__", member)
            shown = make.signature(member_name, plain) if inspect.isfunction(plain) else member_name
            lines.append(f"    {' '.join(shown.split())}")
    return "\n".join(lines) + "\n"


def library_strings() -> dict[str, list[str]]:
    """Every string of the library by its file, docstrings left out; the command line is not the library."""
    return {
        str(path.relative_to(PACKAGE)): _strings(ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] != "cli"
    }


def _strings(tree: ast.AST) -> list[str]:
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in said]
    return [node.value for node in constants if isinstance(node.value, str)]


def _error_strings(tree: ast.AST) -> list[str]:
    """Strings inside what is raised, and inside calls of ``require`` and ``one_of``, which raise."""
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc is not None]
    made = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and re.search(r"(Error|require|one_of|_error)$", ast.unparse(node.func))
    ]
    return [string for node in (*raised, *made) for string in _strings(node)]


def test_the_public_names_are_those_of_the_golden_file():
    """After a change that is meant: python tests/test_api.py"""
    assert described_api() == GOLDEN.read_text(encoding="utf-8")


def test_a_name_that_is_not_public_is_refused():
    assert sorted(pv.__all__) == list(pv.__all__)
    assert set(pv.__all__) <= set(dir(pv))
    assert not hasattr(pv, "no_such_name")


def test_errors_of_the_library_do_not_speak_of_options():
    """Options of other programs, such as pip's, may be named."""
    make = _make()
    ours = {option for _, command, _ in make.commands() for each in command.params for option in each.opts}
    assert "--photos" in ours
    speaking = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE)
        if name.parts[0] == "cli":
            continue
        strings = _error_strings(ast.parse(path.read_text("utf-8")))
        if found := [each for each in strings if ours & set(OPTION.findall(each))]:
            speaking[str(name)] = found
    assert not speaking


def test_every_remedy_is_one_the_library_gives():
    given = {string for strings in library_strings().values() for string in strings}
    assert not [remedy for remedy in REMEDIES if remedy not in given]


if __name__ == "__main__":
    GOLDEN.write_text(described_api(), encoding="utf-8")
