"""Under torchrun the first process alone writes what a step makes; the others leave it."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import many_photos
from helpers.models import make_model
from pocketvlad import ranks
from pocketvlad.model.network import save_model
from pocketvlad.steps.compress import compress
from pocketvlad.steps.fit import fit
from pocketvlad.steps.fit_options import FitOptions
from pocketvlad.steps.whitening import whiten_file

TINY = FitOptions("squeezenet1_1", clusters=2, dim=2, height=64, width=64, views=1, whitening="pca")


@pytest.fixture
def out(tmp_path, monkeypatch) -> Path:
    """What the first process has written, beside photos and a model; this is the second one."""
    many_photos.write_many(tmp_path / "photos", 6, side=64, places=2)
    save_model(tmp_path / "m.safetensors", make_model(clusters=2, dim=None), {})
    monkeypatch.setattr(ranks, "rank_and_world", lambda: (1, 2))
    monkeypatch.setattr(ranks, "wait_for_all", lambda: None)
    (tmp_path / ".out.resume").mkdir()
    (tmp_path / "out").write_bytes(b"the first one's")
    return tmp_path / "out"


@pytest.mark.parametrize("photos", [False, True])
def test_the_first_process_alone_compresses(out, photos):
    given = f"folder:{out.parent / 'photos'}" if photos else None
    assert compress(out.parent / "m.safetensors", out, "paper-8bit", given, force=True) is None
    assert out.read_bytes() == b"the first one's"


def test_the_first_process_alone_writes_a_fit(out):
    found = fit(f"folder:{out.parent / 'photos'}", out, TINY, force=True)
    assert found.photos == 6 and out.read_bytes() == b"the first one's"


def test_the_first_process_alone_writes_a_whitening(out):
    photos = f"folder:{out.parent / 'photos'}"
    found = whiten_file(
        out.parent / "m.safetensors", photos, out, dim=2, whitening="pca", views=1, force=True
    )
    assert found.photos == 6 and out.read_bytes() == b"the first one's"
