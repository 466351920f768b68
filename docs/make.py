"""``python docs/make.py`` writes what comes from the code: api.md, cli.md, faults.md and the order in
CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "toolkit"))
WIDTH = 80  # columns of the command line's help
LONGEST_SIGNATURE = 100  # characters of a signature that stays on one line
RESULTS = {"Evaluation": "pocketvlad.steps.evaluate", "Match": "pocketvlad.steps.index"}
MADE = "<!-- Made by docs/make.py: change the source, then run it. -->"
_ABOUT_API = """\
`import pocketvlad as pv` is quick; torch is loaded when a name is first used. Every error that a caller can cause is a
`pv.PocketvladError`: one line that says what failed, what was found, what is allowed and what to do.

In the signatures, `Photos` is `KIND:PATH` ([datasets](datasets.md)), a folder's path or an open dataset, `Inputs` a
tensor [N, ...] or a list of tuples of tensors, and `Progress` a function of (done, all, words)."""
_ABOUT_CLI = """\
Every command ends with 0 (done), 1 (an error, explained in one line) or 2 (wrong usage). `--json` prints one JSON
object on stdout and nothing else there; progress goes to stderr. A file of `--out` is never half written.

`pocketvlad --install-completion` makes your shell (bash, zsh, fish or PowerShell) complete commands and options with
the Tab key, from the next shell on; `--show-completion` prints what it would write. A mistyped command, option, recipe,
backbone, layout or kind of dataset is answered with the nearest one. Tables fit 80 columns and cut no name; in a file
or a pipe they are as wide as they need to be."""
_ABOUT_FAULTS = """\
A file is written under another name first and takes its own when it is whole, so that none is ever half written. A
command that was stopped is run again as it was: it goes on where it can. What `describe`, `index build`, `evaluate`,
`fit` and `whiten` have done of each photo, and `compress` of each layer and each candidate of a search, lies in a
hidden folder `.NAME.resume` beside the file that they write, and goes when the file is there. It stays where no
candidate keeps the limit of a search: the same command with another limit need not measure again."""
_FAULTS_HEAD = ("| what happens | what you get | tested in |", "|---|---|---|")
_ORDER = re.compile(r"(<!-- order -->\n).*?(<!-- end -->)", re.DOTALL)
_SECTION = re.compile(r"^(Args|Returns|Raises|Attributes):$")
_ROLE = re.compile(r":\w+:`~?([^`]+)`")  # :class:`pocketvlad.X`
_ENTRY = re.compile(r"^    (?=\S)")
_MODULE = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Z])")  # pocketvlad.model.network.Network -> Network


# ---- api.md


def public_objects() -> dict[str, Any]:
    """Every public name with what it stands for: functions in the order one calls them, then classes by name."""
    import pocketvlad as pv

    found = {name: getattr(pv, name) for name in pv.__all__}
    functions = {name: each for name, each in found.items() if inspect.isfunction(each)}
    home = lambda item: (item[1].__module__, inspect.unwrap(item[1]).__code__.co_firstlineno)  # noqa: E731
    classes = {name: each for name, each in sorted(found.items()) if name not in functions}
    return {**dict(sorted(functions.items(), key=home)), **classes}


def results() -> dict[str, type]:
    """Classes that are no public names but come back from public functions."""
    return {name: getattr(importlib.import_module(module), name) for name, module in RESULTS.items()}


def signature(name: str, each: Callable[..., Any]) -> str:
    """``name(parameters) -> type``, a parameter to a line where it is long."""
    found = inspect.signature(each)
    kept = [p for p in found.parameters.values() if p.name not in ("self", "cls")]
    shown = _shown(found.replace(parameters=kept))
    line = f"{name}{shown}"
    if len(line) <= LONGEST_SIGNATURE:
        return line
    parts = [_shown(inspect.Signature([p]))[1:-1] for p in kept]
    first = next((at for at, p in enumerate(kept) if p.kind is p.KEYWORD_ONLY), None)
    parts = [part.removeprefix("*, ") for part in parts]
    if first is not None:
        parts.insert(first, "*")
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), shown[shown.rindex(")") :]])


def _shown(found: inspect.Signature) -> str:
    """A signature as its source has it: annotations are strings already."""
    parameters = [
        p.replace(annotation=_Text(p.annotation)) if p.annotation is not p.empty else p
        for p in found.parameters.values()
    ]
    answer = found.return_annotation
    answer = answer if answer is found.empty else _Text(answer)
    return _MODULE.sub("", str(found.replace(parameters=parameters, return_annotation=answer)))


class _Text:
    """An annotation that prints without quotation marks."""

    def __init__(self, annotation: object):
        self.text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)

    def __repr__(self) -> str:
        return self.text


def members(each: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties with a docstring, in the order of the source."""
    for name, member in vars(each).items():
        plain = inspect.unwrap(getattr(member, "__func__", getattr(member, "func", member)))
        public = name == "__call__" or not name.startswith("_")
        described = isinstance(plain, property) or callable(plain)
        if public and described and plain.__doc__:
            yield name, member


def api_page() -> str:
    """The page of the public names."""
    found = public_objects()
    names = ", ".join(f"[{name}](#{name.lower()})" for name in found)
    parts = [
        "# Python API",
        MADE,
        _ABOUT_API,
        f"{names}.",
        *(_described(name, each) for name, each in found.items()),
        "## What comes back",
        *(_described(name, each, "###") for name, each in results().items()),
    ]
    return "\n\n".join(parts) + "\n"


def _described(name: str, each: Any, level: str = "##") -> str:
    if inspect.isfunction(each):
        return f"{level} {name}\n\n```text\n{signature('pv.' + name, each)}\n```\n\n{_markdown(each)}"
    inner = [_member(name, member_name, member) for member_name, member in members(each)]
    return "\n\n".join([f"{level} {name}\n\n{_markdown(each)}", *inner])


def _member(owner: str, name: str, member: Any) -> str:
    plain = getattr(member, "__func__", member)
    if isinstance(member, property) or not inspect.isfunction(plain):
        return f"`.{name}`: {_markdown(getattr(member, 'func', member))}"
    shown = signature(owner.lower() if name == "__call__" else f".{name}", plain)
    return f"```text\n{shown}\n```\n\n{_markdown(member)}"


def _markdown(each: Any) -> str:
    """A docstring as Markdown: its sections become lists."""
    text = inspect.cleandoc(each.__doc__ or "")
    text = _ROLE.sub(lambda match: f"`{match[1]}`", text).replace("``", "`")
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        if _SECTION.match(line):
            lines += [f"**{line.rstrip(':')}**", ""]
            inside = True
        elif inside and _ENTRY.match(line):
            name, _, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}" if rest else f"- {name}")
        else:
            inside = inside and line.startswith(" ")
            lines.append(f"  {line.strip()}" if inside else line)
    return "\n".join(lines).strip()


# ---- cli.md


def commands() -> Iterator[tuple[str, Any, Any]]:
    """(name, command, context) of every command and group, the root first."""
    from typer.core import _click
    from typer.main import get_command

    from pocketvlad.cli import app

    def walk(command: Any, name: str, parent: Any) -> Iterator[tuple[str, Any, Any]]:
        context = _click.Context(
            command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
        )
        yield context.command_path, command, context
        for each, below in getattr(command, "commands", {}).items():
            yield from walk(below, each, context)

    yield from walk(get_command(app), "pocketvlad", None)


def help_text(command: Any, context: Any) -> str:
    """What ``--help`` says, without frames, the example on one line."""
    example, command.epilog, command.rich_markup_mode = command.epilog, None, None
    text = command.get_help(context).rstrip()
    return text if example is None else f"{text}\n\n{example}"


def cli_page() -> str:
    """The page of the commands."""
    parts = [
        "# Command line",
        MADE,
        _ABOUT_CLI,
    ]
    for name, command, context in commands():
        parts.append(f"## {name}\n\n```text\n{help_text(command, context)}\n```")
    return "\n\n".join(parts) + "\n"


# ---- CONTRIBUTING.md


def contributing() -> str:
    """The page as it is, with the order of imports that the test of the architecture holds."""
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "tests/test_architecture.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    order = textwrap.fill(" ".join(module.ORDER), WIDTH)
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return _ORDER.sub(lambda match: f"{match[1]}```text\n{order}\n```\n{match[2]}", page)


# ---- faults.md


def faults() -> list[tuple[str, str, str]]:
    """What goes wrong, what then happens, and where it is proved: every ``@fault`` of the tests."""
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for mark in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "fault":
                    what, then = (ast.literal_eval(argument) for argument in mark.args)
                    found.append((what, then, str(path.relative_to(ROOT))))
    return sorted(found, key=lambda row: row[0].strip("`").lower())


def faults_page() -> str:
    """The page of what may go wrong."""
    rows = [f"| {what} | {then} | [{Path(path).name}](../{path}) |" for what, then, path in faults()]
    return "\n".join(
        ["# When something goes wrong", "", MADE, "", _ABOUT_FAULTS, "", *_FAULTS_HEAD, *rows, ""]
    )


PAGES: dict[str, Callable[[], str]] = {
    "docs/api.md": api_page,
    "docs/cli.md": cli_page,
    "docs/faults.md": faults_page,
    "CONTRIBUTING.md": contributing,
}


if __name__ == "__main__":
    for page, make in PAGES.items():
        (ROOT / page).write_text(make(), encoding="utf-8")
        print(page)
