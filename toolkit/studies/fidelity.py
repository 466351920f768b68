"""How close the descriptors of packed programs stay to float32, beside XNNPACK int8 of the same model.

The embedded street scenes fit the models (a backbone built from the photos, unless WEIGHTS names real ones) and
calibrate every contender; descriptors are compared on photos of other places. XNNPACK int8 is ExecuTorch's static
quantization: per channel, activations by the same calibration photos; once of the whole model, as the suites that
time it have it, and once with NetVLAD's sums in float32, whose differences of close sums do not bear 8 bits, and the
whitening's input quantized on the fly. A row's figures are mean cosines to float32 of the exported programs; its ratio
is that of what they lose, 1 - cosine.

Set POCKETVLAD_SQUEEZENET to a SqueezeNet 1.1 checkpoint for a model with trained features.
"""

from __future__ import annotations

import copy
import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import peers
import quantized
import torch
from pocketvlad.commands.models import make_backbone
from pocketvlad.model.netvlad import ModelConfig, PlaceModel
from rows import Row
from torch import Tensor, nn

from pocketvlad.compress.post_training import compress_model
from pocketvlad.compress.recipe import INT8, LayerRecipe, Recipe, load_recipe
from pocketvlad.core.native import register_executorch_ops
from pocketvlad.dataset import open_dataset
from pocketvlad.export.program import export_model
from pocketvlad.model.fit import fit_clusters, load_photo_tensors
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.model.whitening import fit_whitening
from pocketvlad.resources import resource_dir
from pocketvlad.runtime.runner import ProgramRunner

UNIT = "cosine"
HEIGHT, WIDTH = 240, 320
WEIGHTS = "POCKETVLAD_SQUEEZENET"
CALIBRATION, TESTED = 24, 30  # photos
_SMALLEST_WINDOW = 0.6  # of each side of the feature map
WHOLE, LAYERS = "XNNPACK int8", "XNNPACK int8, NetVLAD in float32"
# Ours; at 1/32 of the bytes another cosine is expected than int8's.
RECIPES = {
    "8-bit": Recipe(1, "8-bit", layer=LayerRecipe(8, "uniform", row_scale="max", calibrate="gptq")),
    "5-bit": Recipe(1, "5-bit", layer=LayerRecipe(5, "kmeans", row_scale="soft", calibrate="gptq")),
    # the convolutions in int8 throughout, whatever is faster on this machine
    "compact-10x-int8": dataclasses.replace(load_recipe("compact-10x-int8"), convolutions=INT8),
    "compact-48x": load_recipe("compact-48x"),
}
# By recipe and peer: with NetVLAD's sums in float32 that peer loses what 8 bits lose, which 3 do not match.
GOALS = {
    ("8-bit", WHOLE): 1.0,
    ("8-bit", LAYERS): 1.0,
    ("5-bit", WHOLE): 1.0,
    ("5-bit", LAYERS): 1.0,
    ("compact-10x-int8", WHOLE): 1.0,
}


def whole(model: PlaceModel, photos: list[Tensor]) -> nn.Module:
    """Everything XNNPACK takes in int8."""
    return quantized.static_int8(quantized.PlainOperators(model), photos)


def layers(model: PlaceModel, photos: list[Tensor]) -> nn.Module:
    """The convolutions and the whitening in int8."""
    return quantized.static_and_dynamic(copy.deepcopy(model), photos, torch.int8)


PEERS = {WHOLE: whole, LAYERS: layers}


@dataclass(frozen=True)
class Case:
    """A model: ``weights`` of the backbone, or None for one built from the photos."""

    backbone: str
    dim: int
    weights: Path | None = None

    @property
    def name(self) -> str:
        trained = "ImageNet" if self.weights else "untrained"
        return f"{self.backbone} ({trained}), WPCA {self.dim}, {HEIGHT}x{WIDTH}"


def cases() -> list[Case]:
    weights = os.environ.get(WEIGHTS)
    trained = [Case("squeezenet1_1", 512, Path(weights))] if weights else []
    return [Case("alexnet", 4096), Case("vgg16", 4096), *trained]


def run(folder: Path, threads: int, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """A row for each model and recipe."""
    del folder, rounds  # a program that was cached might be another model's
    register_executorch_ops()
    peers.portable_lib._unsafe_reset_threadpool(threads)
    torch.set_num_threads(threads)
    photos = open_dataset(str(resource_dir("calibration") / "scenes"))
    fitting, testing = ([photo.path for photo in photos.split(half).photos] for half in ("even", "odd"))
    found: list[Row] = []
    for case in cases():
        say(f"{case.name}: fitting")
        model, tensors = fit(case, fitting)
        tests = load_photo_tensors(testing[:: max(1, len(testing) // TESTED)], model.config)[0]
        calibration = torch.stack(tensors[:: max(1, len(tensors) // CALIBRATION)])
        with tempfile.TemporaryDirectory() as work, torch.no_grad():
            found += _rows(case, model, calibration, tests, Path(work), threads, say)
    return found


def _rows(
    case: Case,
    model: PlaceModel,
    calibration: Tensor,
    tests: list[Tensor],
    work: Path,
    threads: int,
    say: Callable[[str], None],
) -> Iterator[Row]:
    wanted = np.concatenate([model(photo[None]).numpy() for photo in tests])

    def cosine(describe: Callable[[Tensor], np.ndarray]) -> float:
        return float(np.mean([describe(photo) @ row for photo, row in zip(tests, wanted, strict=True)]))

    theirs: dict[str, tuple[float, int]] = {}
    for peer, build in PEERS.items():
        say(f"{case.name}: {peer}")
        program = work / f"{peer}.pte"
        size = quantized.write_program(
            build(model, list(calibration[:, None])), model.config.preprocess, program
        )
        call = peers.loaded(program)
        theirs[peer] = cosine(lambda photo, call=call: call(photo[None])[0].reshape(-1).numpy()), size
    for name, recipe in RECIPES.items():
        say(f"{case.name}: {name}")
        program = work / f"{name}.pte"
        export_model(compress_model(model, recipe, calibration=calibration), program)
        runner, size = ProgramRunner(program, threads=threads), program.stat().st_size
        ours = cosine(lambda photo, runner=runner: runner.describe_tensor(photo.numpy()))
        for peer, (cosine_of_peer, peer_size) in theirs.items():
            title = f"{case.name}, {name}: {size / 1e6:.1f} MB, the peer {peer_size / 1e6:.1f} MB"
            ratio = (1 - cosine_of_peer) / max(1 - ours, 1e-9)
            sizes = size, peer_size
            goal = GOALS.get((name, peer))
            yield Row(title, ours, peer, cosine_of_peer, ratio, goal, threads, unit=UNIT, bytes=sizes)


@torch.no_grad()
def fit(case: Case, photos: list[Path]) -> tuple[PlaceModel, list[Tensor]]:
    """The float32 model, and the photos as its inputs.

    As ``fit_model``, but what the whitening is fitted to are windows of the photos' feature maps: thousands of
    crops of the photos would take VGG16 half an hour.
    """
    config = ModelConfig(case.backbone, 64, case.dim, Preprocess(HEIGHT, WIDTH))
    tensors, _ = load_photo_tensors(photos, config)
    model = PlaceModel(config, make_backbone(config, case.weights, photos, 0)).eval()
    fit_clusters(model, tensors, 0)
    vectors = torch.cat(list(_vectors(model, tensors, -(-5 * case.dim // (4 * 2 * len(tensors))))))
    model.whitening = fit_whitening(vectors, case.dim)
    return model.requires_grad_(False), tensors


def _vectors(model: PlaceModel, photos: list[Tensor], windows: int) -> Iterator[Tensor]:
    """VLAD vectors [1, K * D] of random windows of every photo's and mirror image's features."""
    random = np.random.default_rng(0)
    for photo in photos:
        for view in (photo, photo.flip(2)):
            features = model.backbone(view[None])
            height, width = features.shape[2:]
            for _ in range(windows):
                h, w = (int(np.ceil(random.uniform(_SMALLEST_WINDOW, 1) * n)) for n in (height, width))
                top, left = random.integers(0, height - h + 1), random.integers(0, width - w + 1)
                yield model.pool(features[:, :, top : top + h, left : left + w])
