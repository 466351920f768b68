"""`--force` overwrites results, never what they are made from; two results never share a file."""

from __future__ import annotations

import shutil

import pytest

from helpers.refusals import refused


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


def test_nothing_is_written_over_what_it_is_made_from(here, run):
    for name in ("d.npz", "p.png"):
        shutil.copy("model.pte", name)
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    for command in OVER.values():
        refused(run(*command.split(), "--force"), "would be written over what it is made from")
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


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
