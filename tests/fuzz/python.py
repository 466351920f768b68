"""The readers in Python, by changed files, each in a process that may end by a signal."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pocketvlad
from fuzz import child, readers
from fuzz.outcome import Outcome, timed

_PACKAGE = Path(pocketvlad.__file__).parent


def fuzz_readers(names: Sequence[str], seed: int, count: int) -> dict[str, Counter[str]]:
    """What became of ``count`` changed files of each format; after a signal a new process goes on behind its input."""
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    left, at = list(names), 0
    while left:
        command = [sys.executable, "-m", "fuzz.child", *map(str, (seed, at, count)), *left]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 2]
        for name, number, outcome in lines:
            shown = outcome or f"BAD signal {-done.returncode}"
            found[name][shown] += 1
            if shown.startswith("BAD"):
                print(f"{name}: input {number} of seed {seed}: {shown}", flush=True)
        if not done.returncode:
            return found
        if not lines or lines[-1][2]:
            raise SystemExit(f"fuzz.child ends outside of its readers:\n{done.stderr[-2000:]}")
        at = int(lines[-1][1]) + 1
        left = left[left.index(lines[-1][0]) :]
    return found


def fuzz_all(seed: int, count: int) -> Outcome:
    """Every format, ``count`` changed files of each."""
    with timed() as spent:
        found = fuzz_readers(list(readers.formats()), seed, count)
    bad = {
        f"{name}: {what}": n for name, each in found.items() for what, n in each.items() if what[:3] == "BAD"
    }
    return Outcome(sum(each.total() for each in found.values()), spent(), sum(bad.values()), ", ".join(bad))


def files() -> list[Path]:
    """The modules that the readers are made of, all that those import included, and what changes files for them."""
    ours = [Path(str(readers.__file__)), Path(str(child.__file__))]
    found: set[Path] = set()
    left = list(_imported(ast.walk(ast.parse(ours[0].read_text()))))
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            left += _imported(ast.parse(path.read_text()).body)
    return [*ours, *sorted(found)]


def _imported(nodes: Iterable[ast.AST]) -> Iterator[Path]:
    """Files of the package's modules in statements of import."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == _PACKAGE.name:
            for name in node.names:
                tried = (
                    _PACKAGE.parent.joinpath(*str(node.module).split("."), *more)
                    for more in ((name.name,), ())
                )
                files = (file for path in tried for file in (path.with_suffix(".py"), path / "__init__.py"))
                yield next(file for file in files if file.exists())
