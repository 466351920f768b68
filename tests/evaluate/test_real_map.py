"""Real photos: queries against a map, with descriptors of a trained network, beside a plain computation."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pocketvlad.dataset import open_dataset
from pocketvlad.evaluate.describe import describe_photos
from pocketvlad.evaluate.retrieval import evaluate_descriptors
from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.preprocess import Preprocess, photo_tensor

SHARED = Path(__file__).parents[2] / "../shared/data"
WEIGHTS = SHARED / "weights/squeezenet1_1-imagenet.safetensors"
SIZE = Preprocess(120, 160)


@pytest.fixture(scope="module")
def describe():
    """The mean of SqueezeNet's features, a unit row."""
    if not WEIGHTS.is_file():
        pytest.skip(f"the real weights are not here: {WEIGHTS.name}")
    backbone = build_backbone("squeezenet1_1", load_file(WEIGHTS))

    def row(path: Path) -> np.ndarray:
        with torch.inference_mode():
            mean = backbone(torch.from_numpy(photo_tensor(path, SIZE))[None]).clamp(min=0).mean((2, 3))[0]
        return (mean / mean.norm()).numpy()

    return row


def real(name: str) -> Path:
    if not (SHARED / name / "manifest.csv").is_file():
        pytest.skip(f"the real photos are not here: {name}")
    return SHARED / name


def recall_at_1(asked, searched, vectors, right, ignored) -> float:
    hits = []
    for query in asked:
        left = [name for name in searched if name not in ignored(query)]
        cosines = np.stack([vectors[name] for name in left]) @ vectors[query]
        hits.append(left[int(cosines.argmax())] in right(query))
    return float(np.mean(hits))


def test_outdoor_queries_against_an_outdoor_map(tmp_path, describe):
    """The first photo of each place is the map, the others ask. Other queries in the database decide the figure."""
    with (real("places_outdoor") / "manifest.csv").open() as file:
        place = {row["image"]: row["place"] for row in csv.DictReader(file)}
    first = {place[image]: image for image in reversed(place)}
    lines = [f"{i},{p},{'good' if first[p] == i else 'query'}" for i, p in place.items()]
    (tmp_path / "manifest.csv").write_text("\n".join(["image,place,role", *lines]))
    (tmp_path / "images").symlink_to((SHARED / "places_outdoor/images").resolve())
    dataset = open_dataset(f"folder:{tmp_path}")
    rows, readable = describe_photos(describe, dataset)
    result = evaluate_descriptors(readable, rows)
    vectors = dict(zip(place, rows, strict=True))
    queries, refs = [i for i in place if first[place[i]] != i], list(first.values())
    mine = recall_at_1(queries, refs, vectors, lambda q: {first[place[q]]}, lambda q: set())
    others = {p: {i for i in queries if place[i] == p} for p in first}
    mixed = recall_at_1(
        queries, list(place), vectors, lambda q: {first[place[q]]}, lambda q: others[place[q]]
    )
    assert len(result.queries) == 81 and result.recalls[1] == pytest.approx(mine)
    everything = replace(readable, database=tuple(range(len(place))))
    assert evaluate_descriptors(everything, rows).recalls[1] == pytest.approx(mixed)
    assert mixed < mine  # what the figure was when other queries could be found


@pytest.mark.slow
def test_indoor_queries_against_an_indoor_map(describe):
    """Good, junk and query as the photos' own manifest has them."""
    with (real("places_indoor") / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    dataset = open_dataset(f"folder:{SHARED / 'places_indoor'}")
    descriptors, readable = describe_photos(describe, dataset)
    vectors = dict(zip((photo.name for photo in readable.photos), descriptors, strict=True))
    by = {
        role: {
            p: {r["image"] for r in rows if r["place"] == p and r["role"] == role}
            for p in {r["place"] for r in rows}
        }
        for role in ("query", "good", "junk")
    }
    place = {r["image"]: r["place"] for r in rows if r["role"] == "query"}
    searched = [r["image"] for r in rows if r["role"] != "query"]
    mine = recall_at_1(
        place, searched, vectors, lambda q: by["good"][place[q]], lambda q: by["junk"][place[q]]
    )
    assert evaluate_descriptors(readable, descriptors).recalls[1] == pytest.approx(mine)
