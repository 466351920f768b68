"""A program called as a function, by a path, by pixels, by its own inputs; describers over every kind of model."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers.models import make_classifier, make_model
from pocketvlad.compress.compressed import save_compressed
from pocketvlad.compress.graph import as_graph
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import LayerRecipe, Recipe
from pocketvlad.core.program import LoadedProgram
from pocketvlad.errors import ArtifactError, PhotoError
from pocketvlad.export.program import export_program
from pocketvlad.model.network import save_model
from pocketvlad.model.preprocess import photo_tensor
from pocketvlad.runtime.describer import open_describer, require_places, torch_describer
from pocketvlad.runtime.runner import ProgramRunner

RECIPE = Recipe(1, "test", layer=LayerRecipe(bits=8, codebook="uniform", row_scale="max"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model, its compressed form, its program of exact weights, and a photo."""
    folder = tmp_path_factory.mktemp("models")
    model = make_model(dim=12)
    compressed = compress_network(model, RECIPE)
    save_model(folder / "m.safetensors", model, {})
    save_compressed(folder / "c.safetensors", compressed, {})
    export_program(compressed, folder / "m.pte", semantics="exact")
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    Image.fromarray(pixels).resize((120, 90), Image.Resampling.BICUBIC).save(folder / "photo.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 cut short")
    return folder


def test_a_path_pixels_and_a_tensor_are_the_same_photo(files):
    run, path = ProgramRunner(files / "m.pte"), files / "photo.png"
    pixels = np.asarray(Image.open(path))
    tensor = photo_tensor(path, run.preprocess)
    found = run(path)
    assert found.dtype == np.float32 and found.shape == (12,) and run.info.dim == 12
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)
    assert tensor.dtype == np.float32 and tensor.shape == (3, 64, 64)
    for photo in (str(path), pixels, np.asfortranarray(pixels), tensor, tensor.astype(np.float64)):
        assert np.array_equal(run(photo), found)
    assert not np.allclose(run(pixels[::-1].copy()), found, atol=1e-3)
    kept = found.copy()
    run(pixels[::-1].copy())
    assert np.array_equal(found, kept)  # an answer is the caller's own, not the runtime's memory


def test_frames_of_a_camera(files):
    run, rgb = ProgramRunner(files / "m.pte"), np.asarray(Image.open(files / "photo.png"))
    expected = run(rgb)
    bgr = rgb[:, :, ::-1]
    for frame in (bgr, np.ascontiguousarray(bgr), np.asfortranarray(bgr)):
        assert np.array_equal(run(frame, order="bgr"), expected)
    assert not np.allclose(run(bgr), expected, atol=1e-3)
    wide = np.zeros((90, 240, 3), np.uint8)
    wide[:, ::2] = rgb  # a view with strides of its own, as of a stereo camera
    assert np.array_equal(run(wide[:, ::2]), expected)
    grey = rgb.mean(axis=2).astype(np.uint8)
    assert np.array_equal(run(grey), run(np.dstack([grey] * 3)))
    assert np.array_equal(run(grey, order="bgr"), run(grey))


@pytest.mark.parametrize(
    ("frame", "order", "words"),
    [
        (
            np.zeros((90, 120, 3), np.float32),
            "rgb",
            "another type; found float32 .90, 120, 3.*convert it to uint8",
        ),
        (np.zeros((90, 120), np.uint16), "rgb", "another type; found uint16"),
        (np.zeros((3, 60, 64), np.float32), "rgb", "another type; found float32 .3, 60, 64"),
        (np.zeros((90, 120, 4), np.uint8), "rgb", "another shape; found uint8 .90, 120, 4"),
        (np.zeros((90, 120, 1), np.uint8), "rgb", "another shape"),
        (np.zeros(90, np.uint8), "rgb", "another shape"),
        (np.zeros((2, 90, 120, 3), np.uint8), "rgb", "another shape"),
        (np.zeros((0, 120, 3), np.uint8), "rgb", "too small"),
        (
            np.zeros((90, 120, 3), np.uint8),
            "gbr",
            "order of the colours is unknown; found 'gbr'; allowed: rgb, bgr",
        ),
    ],
)
def test_what_is_no_frame_is_one_line(files, frame, order, words):
    with pytest.raises(PhotoError, match=words):
        ProgramRunner(files / "m.pte")(frame, order=order)


def test_threads_take_turns(files):
    """ctypes lets other threads run during a call; answers stay each caller's own."""
    runs = [ProgramRunner(files / "m.pte") for _ in range(2)]
    tensors = [np.full((3, 64, 64), value, np.float32) for value in range(-2, 3)]
    expected = [runs[0](tensor) for tensor in tensors]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: runs[i % 2](tensors[i % 5]), range(60)))
    assert all(np.array_equal(row, expected[i % 5]) for i, row in enumerate(found))


def test_what_is_no_photo_is_one_line(files):
    run = ProgramRunner(files / "m.pte")
    with pytest.raises(PhotoError):
        run(files / "broken.jpg")
    with pytest.raises(PhotoError):
        run(files / "none.jpg")
    with pytest.raises(ArtifactError, match="does not exist"):
        ProgramRunner(files / "none.pte")
    with pytest.raises(ArtifactError, match="is damaged or not a program; found broken rule 1"):
        ProgramRunner(files / "photo.png")


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(5, 3)

    def forward(self, a, b):
        return torch.relu(self.left(a)) + self.right(b)


def test_a_modules_program_takes_its_arguments(tmp_path):
    torch.manual_seed(0)
    example = (torch.randn(1, 4), torch.randn(1, 5))
    compressed = compress_network(as_graph(TwoInputs(), example), RECIPE, example=example)
    export_program(compressed, tmp_path / "m.pte", example=example, semantics="exact")
    run = ProgramRunner(tmp_path / "m.pte")
    with torch.no_grad():
        expected = compressed.to_torch()(*example).numpy()
    np.testing.assert_allclose(run(*example), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run(*(each.numpy() for each in example)), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ArtifactError, match="takes other inputs; found float32 .1, 4.; allowed: float32"):
        run(example[0])
    with pytest.raises(ArtifactError, match="found float64 .1, 4.,"):
        run(*(each.numpy().astype(np.float64) for each in example))
    assert run.info.preprocess is None and run.info.dim == 3
    with pytest.raises(ArtifactError, match="takes no photos"):
        _ = run.preprocess


def test_every_kind_of_file_describes_alike(files):
    describers = {name: open_describer(files / name) for name in ("m.safetensors", "c.safetensors", "m.pte")}
    model, compressed, program = (each.describe(files / "photo.png") for each in describers.values())
    assert [each.kind for each in describers.values()] == ["model", "compressed", "program"]
    assert {(each.dim, each.classes) for each in describers.values()} == {(12, None)}
    assert all(len(each.fingerprint) == 32 for each in describers.values())
    sizes = {(each.preprocess.height, each.preprocess.width) for each in describers.values()}
    assert sizes == {(64, 64)}
    assert program @ compressed > 0.9999 and model @ compressed > 0.99
    assert require_places(describers["m.pte"], "m.pte") is describers["m.pte"]


def test_a_classifier_says_how_many_classes_it_has(tmp_path, files):
    network = make_classifier("squeezenet1_1")
    compressed = compress_network(network, RECIPE)
    export_program(compressed, tmp_path / "c.pte", semantics="exact")
    program, torch_one = open_describer(tmp_path / "c.pte"), torch_describer(compressed)
    assert program.classes == torch_one.classes == torch_describer(network).classes == 7
    scores = program.describe(files / "photo.png")
    np.testing.assert_allclose(scores, torch_one.describe(files / "photo.png"), rtol=1e-3, atol=1e-4)
    with pytest.raises(ArtifactError, match="is a classifier and describes no places"):
        require_places(program, "c.pte")


def test_numbers_that_numpy_lacks_are_one_line(tmp_path):
    """A program of another maker may answer in bfloat16."""
    from executorch.exir import to_edge

    class Short(nn.Module):
        def forward(self, x):
            return (x + 1).to(torch.bfloat16)

    edge = to_edge(torch.export.export(Short(), (torch.zeros(2, 4),)))
    (tmp_path / "short.pte").write_bytes(edge.to_executorch().buffer)
    with pytest.raises(ArtifactError, match="a kind that NumPy lacks; found ExecuTorch's type 15; allowed: "):
        LoadedProgram(tmp_path / "short.pte").run([np.zeros((2, 4), np.float32)])
