"""One damaged photo: every command leaves it out, names it once, and works on the others."""

from __future__ import annotations

import json
import shutil

import pytest

from helpers.photos import write_photo, write_places
from helpers.refusals import refused
from helpers.runs import FITTED

GOOD, DAMAGED = 6, "0 damaged.jpg"


@pytest.fixture(scope="module")
def photos(tiny_run, tmp_path_factory):
    """Two places; the damaged photo comes first in the order of names."""
    folder = tmp_path_factory.mktemp("photos")
    for place in ("place-0", "place-1"):
        shutil.copytree(tiny_run.plan.parent / "photos" / place, folder / place)
    whole = (folder / "place-0/0.jpg").read_bytes()
    (folder / "place-0" / DAMAGED).write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture(scope="module")
def commands(tiny_run, photos, tmp_path_factory):
    """Every command that reads a collection, by name."""
    out, work = tiny_run.out, tmp_path_factory.mktemp("work")
    model, program = out / "model.safetensors", out / "fitted.pte"
    recipe = work / "fitted.toml"
    recipe.write_text(FITTED.replace("gptq", "moments"))
    fit = ("fit", "--backbone", "squeezenet1_1", "--clusters", 2, "--dim", 4, "--size", "64x96")
    index = work / "places.pvix"
    shutil.copy(out / "places.pvix", index)
    return {
        "fit": (*fit, "--photos", photos, "--out", work / "m.safetensors"),
        "compress": (
            "compress",
            model,
            "--recipe",
            recipe,
            "--photos",
            photos,
            "--out",
            work / "s.safetensors",
        ),
        "export": ("export", model, "--photos", photos, "--out", work / "m.pte"),
        "evaluate": ("evaluate", program, "--dataset", photos, "--baseline", model),
        "describe": ("describe", program, "--photos", photos, "--out", work / "d.h5"),
        "index build": ("index", "build", program, "--photos", photos, "--out", work / "i.pvix"),
        "index add": ("index", "add", index, "--program", program, "--photos", photos, "--replace"),
        "index search": ("index", "search", index, "--program", program, *sorted(photos.rglob("*.jpg"))),
    }


NAMES = ("fit", "compress", "export", "evaluate", "describe", "index build", "index add", "index search")


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_photo_is_skipped_and_named_once(run, commands, name):
    code, out, err = run(*commands[name], "--json")
    assert code == 0, err
    values = json.loads(out)
    (line,) = values["skipped"]
    assert DAMAGED in line and "\n" not in line
    counts = {"queries": GOOD, "photos": GOOD, "added": GOOD}
    for key in {"evaluate": ["queries"], "index add": ["added"]}.get(name, ["photos"]):
        if key in values:
            assert values[key] == counts[key]


@pytest.mark.parametrize(
    "name, more", [("evaluate", []), ("describe", ["--force"]), ("index build", ["--force"])]
)
def test_people_read_of_it_too(run, commands, name, more):
    code, out, err = run(*commands[name], *more)
    assert code == 0 and DAMAGED not in out
    assert [line.split()[0] for line in err.splitlines() if DAMAGED in line] == ["skipped"]


def test_a_check_looks_past_damaged_photos(run, tiny_run, tmp_path):
    """However many come first."""
    for number in range(12):
        (tmp_path / f"photos/a/{number:02}.jpg").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"photos/a/{number:02}.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    shutil.copy(tiny_run.plan.parent / "photos/place-0/0.jpg", tmp_path / "photos/a/last.jpg")
    small, out = tiny_run.out / "fitted.safetensors", tmp_path / "m.pte"
    code, printed, err = run("export", small, "--photos", tmp_path / "photos", "--out", out, "--json")
    assert code == 0, err
    values = json.loads(printed)
    assert values["worst_cosine"] > 0.9 and len(values["skipped"]) == 12


def test_what_a_dataset_left_out_is_said_once(run, tmp_path):
    """Of a place with one photo, too."""
    write_places(tmp_path / "photos", places=2, views=2)
    shutil.copy(tmp_path / "photos/place-0/view-0.jpg", tmp_path / "photos/alone.jpg")
    fit = ("fit", "--backbone", "squeezenet1_1", "--clusters", 2, "--dim", 2, "--size", "64x96")
    code, out, err = run(*fit, "--photos", tmp_path / "photos", "--out", tmp_path / "m.safetensors", "--json")
    assert code == 0, err
    assert json.loads(out)["skipped"] == ["1 place with one photo: searched, but asks nothing (alone)"]


@pytest.mark.parametrize(
    ("colour", "recipe"),
    [((124, 116, 104), "compact-8x-int8"), ((0, 0, 0), "compact-16x")],
    ids=["grey", "black"],
)
def test_photos_of_one_colour_calibrate_nothing(run, tiny_run, tmp_path, recipe, colour):
    for number in range(3):
        write_photo(tmp_path / f"photos/{number}.png", colour, (96, 64))
    given = (tiny_run.out / "model.safetensors", "--photos", tmp_path / "photos", "--recipe", recipe)
    refused(run("compress", *given, "--out", tmp_path / "c.safetensors"), "that calibrate hardly differ")
