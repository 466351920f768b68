"""Values of a plan that cannot be: one line each, before any photo is read."""

from __future__ import annotations

import pytest

from helpers.refusals import refused
from helpers.runs import MODEL, write_plan

GOOD = dict(line.split(" = ") for line in MODEL.splitlines())


def written(folder, photos: int = 2, **model: object):
    """A plan with photos that cannot be read, which is what it would end in."""
    for place in range(2):
        for view in range(photos):
            photo = folder / f"photos/{place}/{view}.jpg"
            photo.parent.mkdir(parents=True, exist_ok=True)
            photo.write_bytes(b"\xff\xd8\xff\xe0 cut short")
    lines = "".join(f"{key} = {value}\n" for key, value in {**GOOD, **model}.items())
    return write_plan(folder, model=lines, recipes=("paper-8bit",))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("clusters", 0, "clusters of a fit is not allowed; found 0; allowed: 2 to 65536"),
        ("clusters", 1, "found 1; allowed: 2 to 65536"),
        ("clusters", -3, "found -3; allowed: 2 to 65536"),
        ("clusters", 300, "the whitening cannot be packed; found 153600 inputs"),
        ("clusters", 10**9, "found 1000000000; allowed: 2 to 65536"),
        ("clusters", "4.5", "clusters has a wrong type"),
        ("dim", -1, "dim of a whitening is not allowed; found -1"),
        ("dim", '"all"', "found 'all'; allowed: auto, 1 or more"),
        ("dim", 10**23, "dim of a whitening is not allowed; found 1000"),
        ("seed", 2**70, "seed of a fit is not allowed"),
        ("seed", -1, "seed of a fit is not allowed; found -1; allowed: 0 to 9223372036854775807"),
        ("views", -1, "views of a whitening is not allowed"),
        ("views", 10**6, "found 1000000; allowed: 0 to 1000"),
        ("whitening", "2.0", "strength of a whitening is not allowed; found 2.0"),
        ("whitening", '"strong"', "found 'strong'; allowed: auto, full, pca, 0 to 1"),
        ("height", 16, "too small for the backbone; found 16x96"),
        ("height", 0, "input size is impossible; found 0x96"),
        ("head", '"netvald"', "did you mean 'netvlad'"),
        ("head", '"scores"', "describes no places"),
        ("backbone", '"squeezenet"', "did you mean 'squeezenet1_1'"),
    ],
)
def test_a_value_that_cannot_be(run, tmp_path, key, value, words):
    plan = written(tmp_path, **{key: value})
    refused(run("run", plan, "--out", tmp_path / "out"), words)
    assert not (tmp_path / "out/model.safetensors").exists()


def test_a_plan_without_recipes(run, tmp_path):
    plan = write_plan(
        tmp_path, model="".join(f"{key} = {value}\n" for key, value in GOOD.items()), recipes=()
    )
    refused(run("run", plan, "--out", tmp_path / "out"), "compress.recipes is empty")


def test_good_values_come_as_far_as_the_photos(run, tmp_path):
    refused(run("run", written(tmp_path), "--out", tmp_path / "out"), "no photo of", "can be read")


def test_one_photo_a_place_is_said_before_it_is_read(run, tmp_path):
    result = run("run", written(tmp_path, photos=1), "--out", tmp_path / "out")
    refused(result, "have no query with a right answer", "places with two photos or more")


def test_options_out_of_range_are_wrong_usage(run, tmp_path):
    for words in (
        ("fit", "--backbone", "alexnet", "--photos", tmp_path, "--out", tmp_path / "m", "--clusters", 1),
        ("fit", "--backbone", "alexnet", "--photos", tmp_path, "--out", tmp_path / "m", "--seed", -1),
        ("reproduce", "--backbone", "alexnet", "--train", "a", "--test", "b", "--out", "o", "--clusters", 1),
    ):
        code, out, err = run(*words)
        assert code == 2 and not out and "Invalid value for" in err
