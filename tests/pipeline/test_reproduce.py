"""The paper's table: its figures, its settings as recipes, a tiny run checked against its own files."""

import json
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from rich.console import Console

from pocketvlad.cli import main
from pocketvlad.compress.compressed import load_compressed
from pocketvlad.compress.recipe import check_recipe
from pocketvlad.dataset import open_dataset
from pocketvlad.evaluate.metrics import Difference
from pocketvlad.evaluate.retrieval import compare, evaluate_descriptors
from pocketvlad.pipeline import reproduce
from pocketvlad.pipeline.paper import (
    ALEXNET,
    MATCHES,
    VGG16,
    l1_recipe,
    paper_network,
    row_recipe,
)
from pocketvlad.report.paper import markdown, terminal_table
from pocketvlad.report.reproduction import Counted, DirectionResult, PaperNetwork, Reproduction
from pocketvlad.runtime.describer import open_describer
from pocketvlad.schema import from_table

ROWS = (ALEXNET.rows[2], ALEXNET.rows[5])


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    """Two collections of three places, three smooth random views each."""
    root = tmp_path_factory.mktemp("streets")
    random = np.random.default_rng(0)
    for name in ("north", "south"):
        for place in range(3):
            scene = random.normal(128, 60, (8, 10, 3))
            for view in range(3):
                path = root / f"{name}/place-{place}/{view}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = np.clip(scene + random.normal(0, 12, scene.shape), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).resize((160, 120), Image.Resampling.BICUBIC).save(path)
    (root / "north/place-0/broken.jpg").write_bytes(b"\xff\xd8 cut short")
    torch.manual_seed(0)
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), root / "weights.pth")
    return root


def arguments(streets, out, *more):
    fixed = ["--clusters", 4, "--dim", 8, "--size", "64x96", "--weights", streets / "weights.pth"]
    pair = ["--train", f"folder:{streets}/north", "--test", f"folder:{streets}/south"]
    return ["reproduce", "--backbone", "squeezenet1_1", *pair, *fixed, "--out", out, *more]


def call(patch, *command):
    """Run a command in this process with two of the paper's rows; its exit code."""
    patch.setattr(sys, "argv", ["pocketvlad", *map(str, command)])
    patch.setattr(reproduce, "paper_network", lambda name: PaperNetwork("AlexNet", ALEXNET.base_mb, ROWS))
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def post_training(streets, tmp_path_factory):
    """Both ways, nothing trained."""
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        assert call(patch, *arguments(streets, out, "--both-ways", "--match", "pruned")) == 0
    return out


def reproduction(folder: Path) -> Reproduction:
    """As ``reproduce.json`` has it."""
    return from_table(Reproduction, json.loads((folder / "reproduce.json").read_text()), "reproduce.json")


def test_the_papers_figures():
    assert paper_network("vgg16") is VGG16 and paper_network("alexnet") is ALEXNET
    assert paper_network("squeezenet1_1") is ALEXNET
    for network in (ALEXNET, VGG16):
        assert [(row.bits, row.threshold) for row in network.rows] == [
            (8, 0.001), (8, 0.005), (8, 0.01), (8, 0.05), (5, 0.005), (5, 0.01)
        ]  # fmt: skip
        for row in network.rows:  # what is left of the base, in codes alone, is near the size reported
            codes = network.base_mb / 4 * (1 - row.pruned / 100) * row.bits / 8
            assert 0.88 < row.mb / codes < 1.19, row
    assert ALEXNET.base_mb / ALEXNET.rows[2].mb == pytest.approx(12.4, abs=0.05)


@pytest.mark.parametrize("steps", [0, 9])
@pytest.mark.parametrize("match", MATCHES)
def test_settings_are_recipes(match, steps):
    for row in VGG16.rows:
        recipe = row_recipe(row, match, steps)
        check_recipe(recipe, recipe.name)
        layer = recipe.for_layer("whitening")
        expected = (row.threshold, 0.0) if match == "thresholds" else (0.0, row.pruned / 100)
        assert (layer.bits, layer.threshold, layer.sparsity) == (row.bits, *expected)
        assert (recipe.train is None) == (steps == 0)
        assert recipe.train is None or (recipe.train.steps, recipe.train.prune_steps) == (9, 4)
    check_recipe(l1_recipe(1e-5, 3), "l1")


def test_the_figures_are_those_of_the_files(post_training, streets):
    directions = reproduction(post_training).directions
    assert [way.test.rsplit("/", 1)[1] for way in directions] == ["south", "north"]
    way, folder = directions[0], post_training / "direction-1"
    assert sum("broken.jpg" in line for line in way.skipped) == 1
    south = open_dataset(f"folder:{streets}/south")
    results = {}
    for name in ("float32", *(row.name for row in way.rows)):
        describer = open_describer(folder / f"{name}.pte")
        results[name] = evaluate_descriptors(
            south, np.stack([describer.describe(p.path) for p in south.photos])
        )
    assert way.score == pytest.approx(100 * results["float32"].score)
    for row, of_paper in zip(way.rows, ROWS, strict=True):
        change = compare(results["float32"], results[row.name])
        lost = {"mean": -change.mean, "low": -change.high, "high": -change.low}
        assert asdict(row.drop) == pytest.approx(lost) and row.paper == of_paper
        compressed = load_compressed(folder / f"{row.name}.safetensors")
        weights = sum(lut.codes.size for lut in compressed.layers.values())
        zeros = sum(np.count_nonzero(lut.dequantize() == 0) for lut in compressed.layers.values())
        assert row.counted.pruned == pytest.approx(100 * zeros / weights)
        assert of_paper.pruned - 0.1 < row.counted.pruned < of_paper.pruned + 5
        assert row.program_bytes == (folder / f"{row.name}.pte").stat().st_size > row.counted.codes_bytes
        packed = sum(lut.packed.nbytes for lut in compressed.layers.values())
        assert row.counted.codes_bytes == packed


def test_files_for_people(post_training):
    values = reproduction(post_training)
    table = (post_training / "table.md").read_text()
    assert table == markdown(values) and table.count("| 8b 0.01 | 69.9% | 2.1/1.8 | 20.0 | 12.4× |") == 2
    assert "left out: they need fine-tuning steps" in table and "its AlexNet stands beside" in table
    assert all(Image.open(post_training / f"direction-{n}/matches.png").width > 700 for n in (1, 2))
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(terminal_table(replace(values, directions=tuple(map(largest, values.directions)))))
    text = console.export_text()
    assert "…" not in text and "−14.2 (−20.1, −9.9) 123.45 134.56" in re.sub(" +", " ", text)


def largest(way: DirectionResult) -> DirectionResult:
    """With sizes and losses of the largest model, which must still fit."""
    rows = tuple(
        replace(
            row,
            drop=Difference(-14.2, -20.1, -9.9),
            program_bytes=134_560_000,
            counted=Counted(row.counted.pruned, 123_450_000),
        )
        for row in way.rows
    )
    return replace(way, weights_bytes=595_000_000, program_bytes=596_000_000, rows=rows)


def test_a_second_run_goes_on(post_training, streets, monkeypatch, capfd):
    """Only what a lost file needs runs again, to the same bytes."""
    program = post_training / "direction-1" / f"{ROWS[1].name}.pte"
    before = program.read_bytes()
    table = (post_training / "table.md").read_text()
    program.unlink()
    assert call(monkeypatch, *arguments(streets, post_training, "--both-ways", "--match", "pruned")) == 0
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("✓")]
    assert len(lines) == 18 and [line for line in lines if " kept " not in line] == [
        line for line in lines if f"direction-1 program {ROWS[1].name}" in line
    ]
    assert program.read_bytes() == before and (post_training / "table.md").read_text() == table


def test_steps_fine_tune_and_show_the_l1_penalty(streets, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROWS", ROWS[1:])
    assert call(monkeypatch, *arguments(streets, tmp_path / "out", "--steps", 2, "--l1", 0.01)) == 0
    folder = tmp_path / "out/direction-1"
    svg = (folder / "weights.svg").read_text()
    assert "<svg" in svg and "whitening" in svg and "before" in svg and "after" in svg
    recipe = load_compressed(folder / f"{ROWS[0].name}.safetensors").recipe
    assert recipe.train.steps == 2 and not list(folder.glob("*.state"))
    assert reproduction(tmp_path / "out").directions[0].l1 == 0.01
    assert "fine-tuned for 2 steps" in (tmp_path / "out/table.md").read_text()


def test_bad_options_are_one_line(streets, tmp_path, monkeypatch, capfd, post_training):
    model = post_training / "direction-1/model.safetensors"
    assert call(monkeypatch, *arguments(streets, tmp_path / "a", "--match", "size")) == 1
    assert "thresholds, pruned" in capfd.readouterr().err
    command = [str(part).replace("squeezenet1_1", "vgg16") for part in arguments(streets, tmp_path / "b")]
    assert call(monkeypatch, *command, "--model", model) == 1
    err = capfd.readouterr().err
    assert "another backbone" in err and "Traceback" not in err
