"""`--force` overwrites results, never what they are made from; two results never share a file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from helpers.refusals import refused
from pocketvlad.android.signing import DEBUG_PASSWORD, debug_keys
from pocketvlad.cli import app


@pytest.fixture
def here(chain, photos, tmp_path, monkeypatch):
    """Copies of a chain's files in the working directory."""
    for path in chain.values():
        shutil.copy(path, tmp_path)
    shutil.copytree(photos, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    return tmp_path


OVER = {
    "import": "import model.pte --out model.pte",
    "fit": "fit --backbone squeezenet1_1 --photos photos --weights model.pte --out model.pte",
    "fit, a photo": "fit --backbone squeezenet1_1 --photos photos --out photos/place-1/0.jpg",
    "whiten": "whiten model.safetensors --photos photos --out model.safetensors",
    "compress": "compress model.safetensors --out model.safetensors",
    "export": "export small.safetensors --out small.safetensors",
    "evaluate": "evaluate model.pte --dataset photos --out model.pte",
    "evaluate, its baseline": "evaluate model.pte --dataset photos --baseline p.pvix --out p.pvix",
    "evaluate, a photo": "evaluate model.pte --dataset photos --out photos/place-1/0.jpg",
    "describe": "describe d.npz --photos photos --out d.npz",
    "index build": "index build model.pte --photos photos --out model.pte",
    "index merge": "index merge p.pvix p.pvix --out p.pvix --replace",
    "index search": "index search p.pvix p.png --program model.pte --draw p.png",
    "index export": "index export p.pvix --faiss p.pvix",
    "index pairs": "index pairs p.pvix --program model.pte --photos photos --out p.pvix",
    "package": "package --program model.pte --index p.pvix --out model.pte",
    "package, its bundle": "package --program model.pte --index p.pvix --out x.apk --bundle p.pvix",
}


def output_of(command: str) -> str:
    """The option that the last words of a command give."""
    return [word for word in command.split() if word.startswith("--") and word != "--replace"][-1]


def test_nothing_is_written_over_what_it_is_made_from(here, run):
    for name in ("d.npz", "p.png"):
        shutil.copy("model.pte", name)
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    for command in OVER.values():
        over = refused(run(*command.split(), "--force"), "would be written over what it is made from")
        assert over.endswith(f"; choose another {output_of(command)}")
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


THERE = {
    "import": "import model.safetensors --out there",
    "fit": "fit --backbone squeezenet1_1 --photos photos --out there",
    "whiten": "whiten model.safetensors --photos photos --out there",
    "compress": "compress model.safetensors --out ./there",
    "export": "export small.safetensors --out=there",
    "evaluate": "evaluate model.pte --dataset photos --out there",
    "describe": "describe model.pte --photos photos --out there.npz",
    "index build": "index build model.pte --photos photos --out there",
    "index merge": "index merge p.pvix p.pvix --replace --out there",
    "index search": "index search p.pvix photos/place-1/0.jpg --program model.pte --draw there.png",
    "index export": "index export p.pvix --numpy other.npz --faiss there",
    "index export, for NumPy": "index export p.pvix --faiss=other --numpy there.npz",
    "index pairs": "index pairs p.pvix --program model.pte --photos photos --out there",
    "package": "package --program model.pte --index p.pvix --out there",
    "package, its bundle": "package --program model.pte --index p.pvix --out x.apk --bundle=there",
}


@pytest.mark.parametrize("name", THERE)
def test_the_advice_about_a_file_that_is_there_names_the_option_that_was_given(here, run, name):
    for there in ("there", "there.npz", "there.png"):
        (here / there).write_text("kept")
    line = refused(run(*THERE[name].split()), "exists already")
    option = output_of(THERE[name]).partition("=")[0]
    assert line.endswith(f"; choose another {option} or add --force")


def commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        below = commands(command, f"{above}{name} ") if hasattr(command, "commands") else ()
        yield from below or [(above + name, command)]


def test_every_command_that_overwrites_is_among_them():
    found = dict(commands(get_command(app)))
    forced = {name for name, each in found.items() if any("--force" in option.opts for option in each.params)}
    assert forced == {name.partition(",")[0] for name in THERE}


def test_the_advice_about_a_password_names_the_one_of_its_keystore(here, run):
    for name in ("new.p12", "old.p12"):
        debug_keys(here / name)
    package = ["package", "--program", "model.pte", "--index", "p.pvix", "--out", "x.apk"]
    package += ["--keystore", "new.p12", "--old-keystore", "old.p12", "--password"]
    line = refused(run(*package, "wrong"), "keystore new.p12")
    assert line.endswith("; check --password")
    line = refused(run(*package, DEBUG_PASSWORD, "--old-password", "wrong"), "keystore old.p12")
    assert line.endswith("; check --old-password")


TWICE = {
    "package": "package --program model.pte --index p.pvix --out x --bundle x",
    "package, symbols": "package --program model.pte --index p.pvix --out x --symbols x",
    "index export": "index export p.pvix --faiss x.npz --numpy x.npz",
}


def test_results_never_share_a_file(here, run):
    for command in TWICE.values():
        refused(run(*command.split()), "would be written twice")
    package = "package --program model.pte --index p.pvix --out x --symbols p.pvix"
    refused(run(*package.split()), "p.pvix is not a folder")
    assert not list(here.glob("x*"))
