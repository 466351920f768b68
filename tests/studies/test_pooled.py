"""Queries of several ways pooled: the mean over all, each set asked alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from helpers import many_photos
from pocketvlad.errors import ArtifactError, RecipeError
from studies import pooled


@pytest.fixture
def ways(tmp_path) -> list[str]:
    """Two sets of two places; a recipe ruins one query of the first set and none of the second."""
    said = []
    for name, photos in (("a", 4), ("b", 6)):
        many_photos.write_many(tmp_path / name, photos, places=2)
        folder = tmp_path / f"from-{name}"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"the same")
        rows = np.repeat(np.eye(2, dtype=np.float32), photos // 2, axis=0)  # place by place
        np.save(folder / "float32.npy", rows)
        ruined = rows.copy()
        if name == "a":
            ruined[0] = rows[-1]
        np.save(folder / "compact-8x.npy", ruined)
        said.append(f"{folder}=folder:{tmp_path / name}")
    return said


def test_every_query_counts_once(ways, tmp_path):
    pooled.main(["--recipes", "compact-8x", "--asked", *ways, "--out", str(tmp_path)])
    (row,) = json.loads((tmp_path / "pooled.json").read_text())["figures"]
    assert (row["queries"], row["map_before"]) == (10, 100.0)
    alone = pooled._precisions([pooled._way(ways[0])], "compact-8x")
    # the other set's six queries keep their 1 each
    assert row["mean"] == pytest.approx(100 * (alone.sum() + 6) / 10 - 100) and row["mean"] < -5


def test_models_that_differ_are_not_pooled(ways, tmp_path):
    (tmp_path / "from-b/model.safetensors").write_bytes(b"another")
    with pytest.raises(ArtifactError, match="the folders are of several models"):
        pooled.main(["--recipes", "compact-8x", "--asked", *ways, "--out", str(tmp_path)])


def test_what_was_not_measured_is_one_line(ways, tmp_path):
    with pytest.raises(ArtifactError, match=r"compact-12x\.npy does not exist; run studies\.scenes"):
        pooled.main(["--recipes", "compact-12x", "--asked", *ways, "--out", str(tmp_path)])
    with pytest.raises(RecipeError, match="allowed: FOLDER=KIND:PATH"):
        pooled.main(["--recipes", "compact-8x", "--asked", "nothing"])
