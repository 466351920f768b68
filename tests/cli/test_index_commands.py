"""`pocketvlad index`: build, search, extend; indexes of other models."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from helpers.refusals import refused


def test_the_steps_make_files_that_answer(chain, photos, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # a line for each row, however long the paths are
    program, index = chain["model.pte"], chain["p.pvix"]
    code, out, _ = run("index", "search", index, photos / "place-2/0.jpg", "--program", program, "--json")
    best = json.loads(out)["queries"][0]["matches"][0]
    assert code == 0 and best["place"] == "place-2" and best["cosine"] > 0.99
    code, out, _ = run("index", "info", index, "--json")
    assert json.loads(out)["photos"] == 9  # the corrupt one was skipped
    model = chain["model.safetensors"]
    evaluate = ("evaluate", program, "--dataset", photos, "--baseline", model)
    _, out, _ = run(*evaluate, "--json")
    values = json.loads(out)
    assert values["queries"] == 9 and 0 < values["mAP"] <= 1
    assert any("broken.jpg" in line for line in values["skipped"])
    assert values["difference"]["low"] <= values["difference"]["mean"] <= values["difference"]["high"]
    _, out, _ = run(*evaluate)
    shown = [line.split() for line in out.partition("against the baseline")[2].splitlines()]
    scores = {cells[0]: cells[1] for cells in shown if cells}
    assert scores["model"] == "mAP"
    assert scores[str(model)] == f"{100 * values['baseline']['mAP']:.2f}"
    assert scores[str(program)] == f"{100 * values['mAP']:.2f}"


def test_photos_join_an_index(chain, photos, run, tmp_path):
    index = tmp_path / "grown.pvix"
    index.write_bytes(chain["p.pvix"].read_bytes())
    new = tmp_path / "new/place-9"
    new.mkdir(parents=True)
    Image.effect_noise((160, 120), 80).convert("RGB").save(new / "a.jpg")
    add = ("index", "add", index, "--program", chain["model.pte"], "--photos", tmp_path / "new")
    code, out, _ = run(*add, "--json")
    assert code == 0 and json.loads(out)["photos"] == 10
    before = index.read_bytes()
    refused(run(*add), "in the index already", "--replace")
    assert index.read_bytes() == before
    assert run(*add, "--replace")[0] == 0


def test_places_named_like_markup_are_shown_as_they_are(chain, photos, run, tmp_path):
    named = {"place-0/0.jpg": "[/red]", "place-1/0.jpg": "[red]x", "place-2/0.jpg": "\x1b[31mred"}
    for name in named:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes((photos / name).read_bytes())
    rows = [f"{name},{place}" for name, place in named.items()]
    (tmp_path / "manifest.csv").write_text("\n".join(["image,place", *rows]))
    index, program = tmp_path / "p.pvix", chain["model.pte"]
    assert run("index", "build", program, "--photos", tmp_path, "--out", index)[0] == 0
    code, out, err = run("index", "search", index, photos / "place-0/0.jpg", "--program", program, "--top", 3)
    assert code == 0 and "[/red]" in out and "[red]x" in out and "[31mred" in out
    assert "\x1b" not in out + err


def test_indices_are_merged(chain, run, tmp_path):
    index, merge = chain["p.pvix"], ("index", "merge", chain["p.pvix"])
    out = ("--out", tmp_path / "all.pvix")
    refused(run(*merge, *out), "one index alone cannot be joined; found 1; allowed: two or more")
    refused(run(*merge, index, *out), "in the index already", "--replace")
    code, shown, _ = run(*merge, index, "--replace", *out, "--json")
    values = json.loads(shown)
    assert code == 0 and (values["photos"], values["added"]) == (9, 9)
    refused(run(*merge, index, "--replace", *out), "exists")


def test_an_index_of_another_model_is_refused(chain, photos, run, tmp_path):
    other = tmp_path / "other.pte"
    assert run("export", chain["small.safetensors"], "--semantics", "exact", "--out", other)[0] == 0
    search = ("index", "search", chain["p.pvix"], photos / "place-0/0.jpg", "--program", other)
    refused(run(*search), "another model")
    refused(
        run("package", "--program", other, "--index", chain["p.pvix"], "--out", tmp_path / "a.apk"), "another"
    )
    assert not (tmp_path / "a.apk").exists()


def test_answers_are_drawn(chain, photos, run, tmp_path):
    """A line per photo that could be read; the picture is replaced by force alone."""
    out, asked = tmp_path / "matches.png", [photos / "place-2/0.jpg", photos / "place-0/broken.jpg"]
    search = ("index", "search", chain["p.pvix"], *asked, "--program", chain["model.pte"])
    for _ in range(2):
        code, _, err = run(*search, "--top", 2, "--draw", out, "--force")
        assert code == 0 and "broken.jpg" in err
    refused(run(*search, "--draw", out), "matches.png exists already")
    refused(run(*search, "--draw", photos / "place-2/1.jpg", "--force"), "a name that ends in .png")
    with Image.open(out) as sheet:
        assert sheet.size == (8 + 3 * 168, 8 + 162)
        yours, best = (np.asarray(sheet.crop((x, 8, x + 160, 128)), float) for x in (8, 176))
    assert np.abs(yours - best).mean() < 3  # the photo itself is in the index


def test_a_photo_that_is_in_the_index_is_marked(chain, photos, run, tmp_path):
    """Its cosine of 1 says nothing about recognition; a copy under another name is the photo all the same."""
    copy, other = tmp_path / "copy.jpg", tmp_path / "other.jpg"
    copy.write_bytes((photos / "place-2/0.jpg").read_bytes())
    Image.effect_noise((160, 120), 60).convert("RGB").save(other)
    search = ("index", "search", chain["p.pvix"], copy, other, "--program", chain["model.pte"], "--top", 2)
    first, second = json.loads(run(*search, "--json")[1])["queries"]
    assert [match["itself"] for match in first["matches"]] == [True, False]
    assert [match["itself"] for match in second["matches"]] == [False, False]
    assert run(*search)[1].count("the photo itself") == 1


def test_an_index_without_a_threshold_says_what_that_means(chain, photos, run, tmp_path):
    (tmp_path / "one/place").mkdir(parents=True)
    (tmp_path / "one/place/a.jpg").write_bytes((photos / "place-2/0.jpg").read_bytes())
    out = tmp_path / "one.pvix"
    code, shown, _ = run("index", "build", chain["model.pte"], "--photos", tmp_path / "one", "--out", out)
    assert code == 0 and "threshold  none, every match counts as known" in shown
    shown = run("index", "info", out)[1]
    assert "threshold  none, every match counts as known" in shown and "None" not in shown
    assert json.loads(run("index", "info", out, "--json")[1])["threshold"] is None
