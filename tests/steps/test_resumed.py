"""`fit`, `whiten` and `compress` go on where a kill stopped them, to the bytes of a run that nothing stopped."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from helpers import forked, many_photos
from helpers.faults import fault
from pocketvlad.compress.calibrate.kept import KeptLayers
from pocketvlad.compress.search import sensitivity
from pocketvlad.compress.search.kept import KeptSearch

PHOTOS = 24
FIT = "fit --backbone squeezenet1_1 --clusters 4 --dim 6 --size 64x96"
WHITEN = "whiten {folder}/m.safetensors --dim 5"
COMPRESS = "compress {folder}/m.safetensors --recipe"
SEARCH = "compress {folder}/m.safetensors --max-drop 100"
LAYERS = 27  # of the model: 25 convolutions, the soft assignment, the whitening


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """``photos``, a ``few`` others, and ``m.safetensors`` fitted to them."""
    found = tmp_path_factory.mktemp("fits that are stopped")
    many_photos.write_many(found / "photos", PHOTOS, side=96, places=6)
    many_photos.write_many(found / "few", 6, side=96, places=3)
    forked.finish(forked.command, words(FIT, found, found / "m.safetensors"))
    return found


def words(command: str, folder: Path, out: Path, photos: str = "photos") -> list[str]:
    given = [word.format(folder=folder) for word in command.split()]
    return [*given, "--photos", f"folder:{folder / photos}", "--out", str(out)]


def killed_at(photos: int, arguments: list[str]) -> None:
    """In this process: when so many photos are written down."""
    many_photos.stop_at(photos)
    forked.command(arguments)


def ends_by_a_kill(stop: int, arguments: list[str], stopped=killed_at) -> bool:
    process = forked.start(stopped, stop, arguments)
    process.join()
    assert process.exitcode in (0, -9)
    return process.exitcode == -9


@fault("`fit` or `whiten` is killed", "the same command goes on at the next photo, to the same bytes")
@pytest.mark.parametrize("command, stops, left", [(FIT, (10, 20), 18), (WHITEN, (9,), 15)])
def test_a_fit_that_is_stopped_goes_on_at_the_next_photo(folder, tmp_path, command, stops, left):
    """The head looks at each photo once, the whitening at all its views at once."""
    whole, again = tmp_path / "whole.safetensors", tmp_path / "again" / "m.safetensors"
    forked.finish(forked.command, words(command, folder, whole))
    for stop in stops:
        assert ends_by_a_kill(stop, words(command, folder, again))
        assert [path.name for path in again.parent.iterdir()] == [f".{again.name}.resume"]
    assert not ends_by_a_kill(left + 1, words(command, folder, again)), "more photos than were left"
    assert whole.read_bytes() == again.read_bytes()
    assert [path.name for path in again.parent.iterdir()] == [again.name]


def test_a_photo_that_changes_between_two_runs_is_looked_at_again(folder, tmp_path):
    shutil.copytree(folder / "photos", tmp_path / "photos")
    whole, again = tmp_path / "whole.safetensors", tmp_path / "m.safetensors"
    arguments = words(WHITEN, folder, again)
    arguments[arguments.index("--photos") + 1] = f"folder:{tmp_path / 'photos'}"
    assert ends_by_a_kill(20, arguments)
    first, *_, last = sorted((tmp_path / "photos").rglob("*.jpg"))
    first.write_bytes(last.read_bytes())
    assert not ends_by_a_kill(PHOTOS - 20 + 2, arguments), "only the photos that are new"
    forked.finish(forked.command, [*arguments[:-1], str(whole)])
    assert whole.read_bytes() == again.read_bytes()
    assert whole.read_bytes() != (folder / "m.safetensors").read_bytes()


def test_another_fit_does_not_go_on_from_what_one_has_done(folder, tmp_path):
    out, wanted = tmp_path / "m.safetensors", tmp_path / "wanted.safetensors"
    assert ends_by_a_kill(30, words(FIT, folder, out))
    other = FIT.replace("--clusters 4", "--clusters 3")
    forked.finish(forked.command, words(other, folder, out))
    forked.finish(forked.command, words(other, folder, wanted))
    assert out.read_bytes() == wanted.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {out.name, wanted.name}


def killed_behind(layers: int, arguments: list[str]) -> None:
    """In this process: when so many layers are written down."""
    keep, seen = KeptLayers.keep, []

    def keep_until(self, *values):
        keep(self, *values)
        seen.append(1)
        if len(seen) == layers:
            os.kill(os.getpid(), 9)

    KeptLayers.keep = keep_until
    forked.command(arguments)


@fault("`compress` is killed", "the same command goes on at the next layer, to the same bytes")
@pytest.mark.parametrize("recipe", ["compact-16x", "compact-10x-int8"])
def test_a_compression_that_is_stopped_goes_on_at_the_next_layer(folder, tmp_path, recipe):
    """The last stop is behind the whitening, which is fitted to vectors, the first in the backbone."""
    whole, again = tmp_path / "whole.safetensors", tmp_path / "again" / "c.safetensors"
    forked.finish(forked.command, words(f"{COMPRESS} {recipe}", folder, whole, "few"))
    arguments = words(f"{COMPRESS} {recipe}", folder, again, "few")
    for stop in (11, LAYERS - 11):
        assert ends_by_a_kill(stop, arguments, killed_behind)
    damaged = next(again.parent.rglob("layers-*/*.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert not ends_by_a_kill(2, arguments, killed_behind), "more layers than the one that was damaged"
    assert whole.read_bytes() == again.read_bytes()
    assert [path.name for path in again.parent.iterdir()] == [again.name]


def killed_in_a_search(steps: int, arguments: list[str]) -> None:
    """In this process, of one setting for each layer: behind so many losses, candidates begun and their layers."""
    sensitivity.BITS, sensitivity.PROJECTIONS = (8,), sensitivity.PROJECTIONS[:1]
    losses, judged, keep, seen = KeptSearch.losses, KeptSearch.judged, KeptLayers.keep, []

    def counted(work):
        def begin(*values):
            if len(seen) == steps:
                os.kill(os.getpid(), 9)
            seen.append(1)
            return work(*values)

        return begin

    KeptSearch.losses = lambda self, what, count, measure: losses(self, what, count, counted(measure))
    KeptSearch.judged = lambda self, candidate, judge: judged(self, candidate, counted(judge))
    KeptLayers.keep = counted(keep)
    forked.command(arguments)


@fault(
    "`compress --max-mb` or `--max-drop` is killed",
    "the same command goes on at the next layer of the same candidate, to the same bytes",
)
def test_a_search_that_is_stopped_goes_on_at_the_next_layer(folder, tmp_path):
    """Stopped among the losses of layers, and in a candidate; some of what is kept is damaged."""
    whole, again = tmp_path / "whole.safetensors", tmp_path / "again" / "c.safetensors"
    every = LAYERS + 1 + LAYERS
    assert not ends_by_a_kill(every, words(SEARCH, folder, whole), killed_in_a_search)
    arguments = words(SEARCH, folder, again)
    for steps in (15, LAYERS - 15 + 1 + 10):
        assert ends_by_a_kill(steps, arguments, killed_in_a_search)
    for kind in ("losses-*", "layers-*/*"):
        damaged = next(again.parent.rglob(kind))
        damaged.write_bytes(damaged.read_bytes()[:10])
    left = 1 + (1 + LAYERS - 10 + 1)
    assert not ends_by_a_kill(left, arguments, killed_in_a_search), "more than was left and damaged"
    assert whole.read_bytes() == again.read_bytes()
    assert [path.name for path in again.parent.iterdir()] == [again.name]
