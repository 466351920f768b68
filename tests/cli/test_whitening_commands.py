"""`fit` and `whiten`: the choice on stdout and in the file, full whitening as before, errors in the user's words."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from pocketvlad import artifact
from pocketvlad.dataset import open_dataset
from pocketvlad.dataset.tensors import open_tensors
from pocketvlad.model.fit import backbone_from_photos, fit_network
from pocketvlad.model.network import load_model
from pocketvlad.steps.fit_options import FitOptions

PLACES, PHOTOS = 6, 3


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> str:
    """Six places of three photos: a smooth pattern each, shifted and noisy."""
    folder, random = tmp_path_factory.mktemp("places"), np.random.default_rng(0)
    for place in range(PLACES):
        pattern = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8)).resize(
            (112, 88), Image.BICUBIC
        )
        (folder / f"place{place}").mkdir()
        for number in range(PHOTOS):
            left, top = random.integers(0, 16, 2)
            view = np.asarray(pattern.crop((left, top, left + 96, top + 72)), np.int16)
            view = np.clip(view + random.normal(0, 8, view.shape), 0, 255).astype(np.uint8)
            Image.fromarray(view).save(folder / f"place{place}/{number}.png")
    return f"folder:{folder}"


def fit_arguments(photos, out, *more):
    options = ("--backbone", "squeezenet1_1", "--clusters", 4, "--size", "64x64")
    return ("fit", "--photos", photos, "--out", out, *options, *more)


@pytest.fixture(scope="module")
def fitted(photos, tmp_path_factory):
    """A fit with everything free, and what it wrote on stdout."""
    from pocketvlad.steps.fit import fit

    out = tmp_path_factory.mktemp("fitted") / "m.safetensors"
    options = FitOptions("squeezenet1_1", clusters=4, dim="auto", height=64, width=64)
    return out, fit(photos, out, options)


def test_the_choice_is_in_the_result_and_in_the_file(fitted):
    out, result = fitted
    kept = artifact.load_info(out)["made_from"]["whitening"]
    assert kept["chosen"] == result.to_json()["whitening"]["chosen"]
    assert kept["curve"] and kept["queries"] == PLACES * PHOTOS and kept["places"] == PLACES
    assert result.whitening.seconds > 0 and "seconds" not in kept
    assert load_model(out).config.dim == kept["chosen"]["dim"]


def test_the_same_fit_gives_the_same_bytes(fitted, photos, tmp_path):
    from pocketvlad.steps.fit import fit

    out, _ = fitted
    options = FitOptions("squeezenet1_1", clusters=4, dim="auto", height=64, width=64)
    fit(photos, tmp_path / "m.safetensors", options)
    assert (tmp_path / "m.safetensors").read_bytes() == out.read_bytes()


def test_fit_prints_the_curve(run, photos, tmp_path):
    code, out, _ = run(*fit_arguments(photos, tmp_path / "m.safetensors", "--dim", 16))
    assert code == 0
    said = " ".join(out.split())  # a long title takes two lines
    assert "places held out of the fit; choosing, neighbours counted in, took" in said
    assert "no whitening" in said
    assert sum("chosen" in line for line in out.splitlines()) == 1


@torch.no_grad()
def test_full_whitening_is_that_of_fit_network_to_the_bit(run, photos, tmp_path):
    path = tmp_path / "m.safetensors"
    code, out, _ = run(*fit_arguments(photos, path, "--dim", 16, "--whitening", "full", "--json"))
    assert code == 0 and json.loads(out)["whitening"] is None
    config = FitOptions("squeezenet1_1", clusters=4, dim=16, height=64, width=64).config()
    tensors = open_tensors(open_dataset(photos), config.preprocess)
    wanted = fit_network(config, backbone_from_photos(config, tensors, 0), tensors).state_dict()
    found = load_model(path).state_dict()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_whiten_replaces_the_whitening_alone(run, fitted, photos, tmp_path):
    source, out = fitted[0], tmp_path / "w.safetensors"
    options = ("--dim", 8, "--whitening", "0.4", "--json")
    code, text, _ = run("whiten", source, "--photos", photos, "--out", out, *options)
    assert code == 0
    chosen = json.loads(text)["whitening"]["chosen"]
    assert (chosen["dim"], chosen["strength"]) == (8, 0.4)
    before, after = load_model(source).state_dict(), load_model(out).state_dict()
    same = [name for name in before if not name.startswith("whitening")]
    assert same and all(torch.equal(before[name], after[name]) for name in same)
    assert after["whitening.weight"].shape[0] == 8
    assert artifact.load_info(out)["made_from"]["model"] == artifact.file_sha256(source)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--whitening", "strong"), "found 'strong'; allowed: auto, full, pca, 0 to 1"),
        (("--whitening", "1.5"), "found 1.5"),
        (("--whitening", "nan"), "found nan"),
        (("--dim", "many"), "found 'many'; allowed: auto, 1 or more"),
        (("--dim", "-3"), "found -3"),
        (("--dim", 1000, "--views", 1), "whitening to 1000 dimensions needs more photos"),
    ],
)
def test_values_that_are_not_allowed(run, photos, tmp_path, options, said):
    code, _, error = run(*fit_arguments(photos, tmp_path / "m.safetensors", *options))
    assert code == 1 and said in error
    assert not (tmp_path / "m.safetensors").exists()


def test_what_cannot_be_whitened_is_refused(run, fitted, photos, tmp_path):
    code, _, error = run("whiten", fitted[0], "--photos", photos, "--out", tmp_path / "w", "--dim", 0)
    assert code == 1 and "dim of a whitening is not allowed" in error
    code, _, error = run("whiten", fitted[0], "--photos", photos, "--out", tmp_path / "w", "--dim", 10**8)
    assert code == 1 and "found 100000000; allowed: 1 to " in error and "that the head gives" in error
    run("compress", fitted[0], "--recipe", "compact-7x", "--out", tmp_path / "c.safetensors")
    code, _, error = run("whiten", tmp_path / "c.safetensors", "--photos", photos, "--out", tmp_path / "w")
    assert code == 1 and "is compressed already" in error


@torch.no_grad()
def test_the_function_gives_what_the_command_writes(run, fitted, photos, tmp_path):
    import pocketvlad as pv

    source, out = fitted[0], tmp_path / "w.safetensors"
    assert run("whiten", source, "--photos", photos, "--out", out, "--dim", 8)[0] == 0
    found = pv.whiten(load_model(source), photos, dim=8).state_dict()
    assert all(torch.equal(found[name], value) for name, value in load_model(out).state_dict().items())
