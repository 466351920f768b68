"""The formats that are read in Python: sound files to start from, and the function that reads one."""

from __future__ import annotations

import contextlib
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from pocketvlad.dataset import Photo

PHOTOS = ("jpg", "png", "webp", "tiff", "gif", "bmp", "ppm")
_DESCRIBED = 12_000  # bytes of a network's file that describe it; its values are told by their fingerprint
VALUES = {"net": {"layers": [{"name": "conv1", "weights": [np.ones((2, 3), np.float32)]}]}, "text": "Straße"}


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        suffix: of its files.
        write: a sound one to a path.
        read: any one; an error of ours, or an answer.
        changed: of its bytes, from the first one on; None: all.
    """

    suffix: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    changed: int | None = None


def formats() -> dict[str, Format]:
    """Every format by name."""
    import torch

    from helpers import matfiles
    from pocketvlad import artifact
    from pocketvlad.android.apk import MANIFEST, TEMPLATE
    from pocketvlad.android.axml import read_manifest
    from pocketvlad.android.dex import read_dex
    from pocketvlad.android.elf import read_library
    from pocketvlad.compress.compressed import load_compressed
    from pocketvlad.compress.recipe import load_recipe
    from pocketvlad.dataset import open_dataset
    from pocketvlad.dataset.pickled import read_array, read_pickle
    from pocketvlad.evaluate.descriptor_files import read_descriptors, write_descriptors
    from pocketvlad.importer.matlab import read_mat
    from pocketvlad.importer.reading import read_checkpoint
    from pocketvlad.index import open_index
    from pocketvlad.model.network import load_model
    from pocketvlad.model.preprocess import load_photo
    from pocketvlad.pipeline.log import StageLog
    from pocketvlad.pipeline.plan import load_plan
    from pocketvlad.runtime.sealed import check_program

    root = Path(__file__).parents[2]
    weights = {"a.weight": torch.ones(3, 2), "b": torch.arange(4)}
    arrays = {"a.weight": np.ones((3, 2)), "arch": np.str_("alexnet"), "names": np.array(["a", "b"])}
    old = {"_use_new_zipfile_serialization": False}
    truth = {
        "imlist": ["a"],
        "qimlist": ["b"],
        "gnd": [{"bbx": [0, 1, 2, 3], "easy": [0], "hard": [], "junk": []}],
    }
    tensors = {"a": np.ones((3, 2), np.float32)}

    def copy(source: Path) -> Callable[[Path], object]:
        return lambda path: path.write_bytes(source.read_bytes())

    return {
        "mat v5": Format("mat", lambda p: matfiles.write_v5(p, VALUES), read_mat),
        "mat v7.3": Format("mat", lambda p: matfiles.write_v73(p, VALUES), read_mat),
        "stage": Format("safetensors", lambda p: artifact.save_tensors(p, "model", tensors, {}, force=True),
                        lambda p: artifact.load_tensors(p, "model")),
        "model": Format("safetensors", write_model, load_model, changed=_DESCRIBED),
        "compressed": Format("safetensors", write_compressed, load_compressed, changed=_DESCRIBED),
        "journal": Format("photos", write_journal, read_journal),
        "safetensors": Format("safetensors", lambda p: artifact.save_tensors(p, "x", tensors, {}, force=True),
                              read_checkpoint),
        "pth": Format("pth", lambda p: torch.save(weights, p), read_checkpoint),
        "pth, old": Format("pth", lambda p: torch.save(weights, p, **old), read_checkpoint),
        "pth, arrays": Format("pth", lambda p: torch.save(arrays, p, **old), read_checkpoint),
        "npz": Format("npz", lambda p: np.savez(p, **{"a.weight": np.ones((3, 2))}), read_checkpoint),
        "pickled truth": Format("pkl", lambda p: p.write_bytes(pickle.dumps(truth)), read_pickle),
        "npy": Format("npy", lambda p: np.save(p, np.array([[1, 2], [3]], object), allow_pickle=True), read_array),
        "descriptors": Format("h5", lambda p: write_descriptors(p, ["a.jpg"], np.ones((1, 4)), force=True),
                              read_descriptors),
        "index": Format("pvix", copy(root / "tests/golden/tiny.pvix"), open_index),
        "index of parts": Format("pvix", write_parts, open_index),
        "program": Format("pte", write_program, check_program),
        **{f"photo, {suffix}": Format(suffix, write_photo, load_photo) for suffix in PHOTOS},
        "manifest": Format("csv", write_manifest, lambda p: open_dataset(str(p))),
        "recipe": Format("toml", copy(root / "calibration/recipes/compact-16x.toml"), lambda p: load_recipe(str(p))),
        "plan": Format("toml", copy(root / "calibration/plans/demo.toml"), load_plan),
        "stage log": Format("json", write_log, lambda p: StageLog(p.parent)),
        "library": Format("so", write_library, read_library),
        "apk": Format("apk", write_apk, read_apk),
        "apk manifest": Format("xml", member(TEMPLATE, MANIFEST), lambda p: read_manifest(p.read_bytes())),
        "apk code": Format("dex", member(TEMPLATE, "classes.dex"), lambda p: read_dex(p.read_bytes())),
    }  # fmt: skip


def write_model(path: Path) -> None:
    """The smallest network."""
    from helpers.models import make_model
    from pocketvlad.model.network import save_model

    save_model(path, make_model(clusters=2, dim=4), {}, force=True)


def write_compressed(path: Path) -> None:
    """It at two bits, some of it pruned."""
    from helpers.models import make_model
    from pocketvlad.compress.compressed import save_compressed
    from pocketvlad.compress.post_training import compress_network
    from pocketvlad.compress.recipe import LayerRecipe, Recipe

    recipe = Recipe(1, "test", layer=LayerRecipe(bits=2, sparsity=0.5))
    save_compressed(path, compress_network(make_model(clusters=2, dim=4), recipe), {}, force=True)


def write_journal(path: Path) -> None:
    """Two photos' descriptors and one that could not be read."""
    from pocketvlad.evaluate.journal import Journal

    with Journal(path.parent, b"x", described()) as journal:
        for photo, row in enumerate((np.ones(8), "it is none", np.zeros(8))):
            journal.add(photo, row, b"" if isinstance(row, str) else b"beside")
    next(path.parent.glob("0-*")).rename(path)


def read_journal(path: Path) -> None:
    """All that it says of its photos."""
    from pocketvlad.evaluate.journal import Journal

    with Journal(path.parent, b"x", described()) as journal:
        for photo in journal.described():
            assert journal.row(photo).shape == (8,) and journal.beside(photo) == b"beside"
            assert len(set(journal.row(photo))) == 1


def described() -> tuple[Photo, ...]:
    """Photos of a journal; they need not be there."""
    return tuple(Photo(Path(f"/nowhere/{number}.jpg"), f"{number}.jpg") for number in range(3))


def write_program(path: Path) -> None:
    """XNNPACK's and ours in 10 KB, without a seal: a seal would notice every change."""
    import torch

    from pocketvlad.export.lower import lower

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 5)
    )
    with path.open("wb") as file:
        lower(module, (torch.zeros(1, 3, 8, 8),), {"pv_dim": torch.tensor([5])}).write_to_file(file)


def write_parts(path: Path) -> None:
    """A place index of two parts."""
    from pocketvlad.index import open_index
    from pocketvlad.index.format import append_part

    path.write_bytes((Path(__file__).parents[1] / "golden/tiny.pvix").read_bytes())
    index = open_index(path)
    others = tuple(replace(entry, name=f"2-{entry.name}") for entry in index.entries)
    append_part(path, replace(index, entries=others))


def write_log(path: Path) -> None:
    """A log of one stage, under the one name it is read by."""
    from pocketvlad.pipeline.log import StageLog

    StageLog(path.parent).run("s", {}, [], lambda: {"n": 1})


def write_library(path: Path) -> None:
    """Our own kernels."""
    from pocketvlad.core.build import core_library

    path.write_bytes(core_library().read_bytes())


def write_photo(path: Path) -> None:
    """A photo of 24x16 pixels, with alpha, an EXIF orientation and position where its format has them."""
    mode = "RGBA" if path.suffix in (".png", ".webp") else "RGB"
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, len(mode)), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 7.0, 30.0), 3: "E", 4: (11.0, 30.0, 0.0)})
    options = {"exif": exif} if path.suffix in (".jpg", ".png", ".webp") else {}
    Image.fromarray(pixels, mode).save(path, **options)


def write_manifest(path: Path) -> None:
    """A list of photos, which lie beside it."""
    for name in "abc":
        write_photo(path.with_name(f"{name}.jpg"))
    path.write_text(
        "image,place,role,latitude,longitude\na.jpg,hall,query,48.1,11.5\nb.jpg,hall,good,48.1,11.5\nc.jpg,yard,,,\n"
    )


def member(archive: Path, name: str) -> Callable[[Path], object]:
    """Writes a file of an archive."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(archive) as opened:
            path.write_bytes(opened.read(name))

    return write


def write_apk(path: Path) -> None:
    """The app's template with a few small files of ours, signed with a key of its own each time."""
    from pocketvlad.android.apk import TEMPLATE
    from pocketvlad.android.signing import debug_keys, sign_apk

    with zipfile.ZipFile(TEMPLATE) as template, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as apk:
        for name in ("AndroidManifest.xml", "resources.arsc"):
            apk.writestr(zipfile.ZipInfo(name, (1981, 1, 1, 1, 1, 2)), template.read(name))
    keys = path.with_suffix(".p12")
    sign_apk(path, debug_keys(keys))
    keys.unlink()


def read_apk(path: Path) -> None:
    """Its signature, and what a command looks for in it."""
    from pocketvlad.android.apk import check_apk
    from pocketvlad.android.verify import verify_apk
    from pocketvlad.errors import PackageError

    with contextlib.suppress(PackageError):
        check_apk(path)  # even the sound one lacks the libraries
    verify_apk(path)
