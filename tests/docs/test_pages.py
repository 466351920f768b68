"""The pages made from the code are current, and every command explains itself."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = "Example: pocketvlad "
LARGE = {"torch", "executorch", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "safetensors", "h5py"}
HELP = f"""
import sys
from pocketvlad.cli import main
sys.argv = ["pocketvlad", "compress", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code
print(sorted({LARGE} & set(sys.modules)))
"""


def _make():
    spec = importlib.util.spec_from_file_location("docs_make", ROOT / "docs/make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _make()
COMMANDS = {name: (command, context) for name, command, context in make.commands()}
LEAVES = {name: each for name, each in COMMANDS.items() if not hasattr(each[0], "commands")}
EXAMPLES = {name: command.epilog for name, (command, _) in LEAVES.items()}


@pytest.mark.parametrize("page", make.PAGES)
def test_pages_are_current(page):
    written = (ROOT / page).read_text(encoding="utf-8")
    assert written == make.PAGES[page](), f"{page} is not what the code says: python docs/make.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_and_its_options_do(name):
    command, _ = COMMANDS[name]
    assert command.help, f"{name} has no docstring"
    silent = [each.name for each in command.params if each.name != "help" and not each.help]
    assert not silent, f"{name}: {', '.join(silent)} without help"


@pytest.mark.parametrize("name", LEAVES)
def test_the_example_of_a_command_is_right_usage(name):
    example = EXAMPLES[name] or ""
    assert example.startswith(EXAMPLE), f"{name} has no example"
    command, context = LEAVES[name]
    words = shlex.split(example.removeprefix(EXAMPLE))
    path = name.split()[1:]
    assert words[: len(path)] == path
    command.make_context(path[-1], words[len(path) :], parent=context.parent)  # raises where usage is wrong


def test_names_of_objects_are_all_on_the_page():
    import pocketvlad as pv

    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    assert [name for name in pv.__all__ if f"\n## {name}\n" not in page] == []


def test_public_functions_and_classes_have_docstrings():
    silent = [name for name, each in make.public_objects().items() if not each.__doc__]
    assert not silent


def test_a_mistyped_command_is_put_right(run):
    code, _, err = run("comprss")
    assert code == 2 and "compress" in err


def test_help_loads_none_of_the_large_packages():
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "toolkit")}
    done = subprocess.run([sys.executable, "-c", HELP], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "Usage: pocketvlad compress" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
