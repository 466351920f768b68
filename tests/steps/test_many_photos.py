"""Many photos: a stopped run goes on at the next one, several processes share them, the bytes are those of one run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import pocketvlad
from fuzz.native import write_recogniser
from helpers import many_photos
from helpers.faults import fault
from pocketvlad.dataset import Photo, decoder, open_dataset
from pocketvlad.dataset.decoder import Wish, decoded
from pocketvlad.errors import PhotoError
from pocketvlad.evaluate.describe import Reading, collected
from pocketvlad.evaluate.files import release, room
from pocketvlad.index import open_index, search_index
from pocketvlad.index import search as searching
from pocketvlad.model.preprocess import Preprocess

PHOTOS = 300
WORKER = Path(many_photos.__file__)
TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """``photos`` of 300, two of them no photos, and ``m.pte``."""
    folder = tmp_path_factory.mktemp("many")
    many_photos.write_many(folder / "photos", PHOTOS)
    (folder / "photos/place-003/000043.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    (folder / "photos/place-005/000245.jpg").write_bytes(b"")
    write_recogniser(folder)[0].rename(folder / "m.pte")
    return folder


def run(
    files: Path, out: Path, *launcher: str, stop: int = 0, command: tuple[str, ...] = ("describe",)
) -> dict:
    """The command in a new process; the JSON it prints, {} where it was killed."""
    done = started(files, out, *launcher, stop=str(stop), command=command)
    printed, errors = done.communicate()
    assert done.returncode == (-9 if stop else 0), errors[-3000:]
    return {} if stop else json.loads(printed)


def started(files: Path, out: Path, *launcher: str, stop: str, command: tuple[str, ...]) -> subprocess.Popen:
    """The command in a new process of a session of its own."""
    sources = (str(Path(pocketvlad.__file__).parents[1]), str(WORKER.parents[1]))
    environment = {**os.environ, "PYTHONPATH": ":".join(sources), "OMP_NUM_THREADS": "1"}
    arguments = (
        *command,
        str(files / "m.pte"),
        "--dataset" if command[0] == "evaluate" else "--photos",
        f"folder:{files / 'photos'}",
        "--out",
        str(out),
        "--json",
    )
    return subprocess.Popen(
        [sys.executable, *launcher, str(WORKER), stop, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


@pytest.mark.parametrize("command, name", [(("describe",), "d.h5"), (("index", "build"), "p.pvix")])
@fault(
    "`describe` or `index build` is killed", "the same command goes on at the next photo, to the same bytes"
)
def test_a_run_stopped_twice_and_one_of_two_processes_give_the_bytes_of_one(files, tmp_path, command, name):
    whole = run(files, tmp_path / name, command=command)
    assert whole["photos"] == PHOTOS - 2 and len(whole["skipped"]) == 2
    again = tmp_path / "again" / name
    again.parent.mkdir()
    run(files, again, stop=70, command=command)
    run(files, again, stop=110, command=command)
    assert not again.exists() and (again.parent / f".{name}.resume").is_dir()
    resumed = run(files, again, command=command)
    assert {**resumed, "out": ""} == {**whole, "out": ""}
    shared = tmp_path / "shared" / name
    assert run(files, shared, *TORCHRUN, command=command)["photos"] == PHOTOS - 2
    for each in (again, shared):
        assert each.read_bytes() == (tmp_path / name).read_bytes()
        assert list(each.parent.iterdir()) == [each]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command, name", [(("describe",), "d.h5"), (("index", "build"), "p.pvix")])
@fault(
    "Ctrl-C or SIGTERM while processes of their own decode photos",
    "one line; no process stays; the same command goes on",
)
def test_an_interrupted_run_is_one_line_and_leaves_no_process(files, tmp_path, command, name, number):
    done = started(files, tmp_path / name, stop=f"110:{int(number)}", command=command)
    printed, errors = done.communicate()
    assert (done.returncode, printed) == (128 + number, "")
    assert errors.strip().endswith("interrupted; run the same command again to go on"), errors
    assert "Traceback" not in errors
    with pytest.raises(ProcessLookupError):
        os.killpg(done.pid, 0)
    assert [path.name for path in tmp_path.iterdir()] == [f".{name}.resume"]
    assert run(files, tmp_path / name, command=command)["photos"] == PHOTOS - 2


def photos_of(folder: Path, count: int) -> list[Photo]:
    many_photos.write_many(folder, count)
    return list(open_dataset(f"folder:{folder}").photos)


@fault(
    "`evaluate --out` is killed",
    "the same command goes on at the next photo, of both models, to the same bytes",
)
def test_an_evaluation_stopped_in_each_model_and_one_of_two_processes_give_the_bytes_of_one(files, tmp_path):
    command = ("evaluate", "--baseline", str(files / "m.pte"))
    whole, again, shared = (tmp_path / name / "a.json" for name in ("whole", "again", "shared"))
    for out in (whole, again, shared):
        out.parent.mkdir()
    found = run(files, whole, command=command)
    assert (found["scores"]["queries"], len(found["skipped"])) == (PHOTOS - 2, 2)
    assert found["difference"]["mean"] == 0 and found["scores"] == found["baseline"]
    for stop in (70, PHOTOS - 70 + 40):  # the second one at work on the baseline
        run(files, again, stop=stop, command=command)
    assert {path.name for path in again.parent.iterdir()} == {".a.json.resume", ".a.json.baseline.resume"}
    assert run(files, again, command=command) == run(files, shared, *TORCHRUN, command=command) == found
    assert whole.read_bytes() == again.read_bytes() == shared.read_bytes()
    assert all(list(each.parent.iterdir()) == [each] for each in (whole, again, shared))


@fault("a photo changes or goes between two runs", "it is described again, or skipped by name")
def test_a_photo_that_changes_between_two_runs_is_described_again(tmp_path):
    photos = photos_of(tmp_path / "photos", 80)
    data, seen = open_dataset(f"folder:{tmp_path / 'photos'}"), []

    def describe(path):
        seen.append(path)
        if len(seen) == 50:
            raise KeyboardInterrupt
        if not path.exists():
            raise PhotoError(f"{path} is gone")
        return np.full(2, path.stat().st_size, np.float32)

    reading = Reading(resume=tmp_path / "resume", describes=b"a")
    with pytest.raises(KeyboardInterrupt), collected(describe, data, reading):
        pass
    photos[3].path.write_bytes(b"another photo")
    photos[7].path.unlink()
    with collected(describe, data, reading) as found:
        assert [int(row[0]) for row in found] == [p.path.stat().st_size for p in photos if p.path.exists()]
        assert found.readable.skipped == (f"{photos[7].path} is gone",)
    assert seen[50:] == [photos[3].path, photos[7].path, *(photo.path for photo in photos[49:])]
    assert not (tmp_path / "resume").exists()


@fault("a run of another model was stopped before", "nothing of it is used")
def test_another_model_does_not_go_on_from_what_one_has_done(tmp_path):
    data = open_dataset(f"folder:{photos_of(tmp_path / 'photos', 80)[0].path.parents[1]}")
    for what in (b"a", b"b"):
        reading, calls = Reading(resume=tmp_path / "resume", describes=what), []

        def describe(path, calls=calls):
            calls.append(path)
            return np.ones(2, np.float32)

        with pytest.raises(ZeroDivisionError), collected(describe, data, reading):
            raise ZeroDivisionError  # after the last photo: all is kept
        assert len(calls) == 80


@fault("a photo ends or stops its decoder", "it is skipped by name; the others are described")
def test_a_decoder_that_ends_or_hangs_costs_its_photo(tmp_path, monkeypatch):
    photos = photos_of(tmp_path / "photos", 80)
    monkeypatch.setattr(decoder, "SECONDS", 3)
    monkeypatch.setenv("PYTHONPATH", str(WORKER.parents[1]))
    os.mkfifo(tmp_path / "hangs")
    odd = [Photo(tmp_path / "hangs", "hangs"), Photo(tmp_path / "ends", "ends")]
    wish = Wish(Preprocess(8, 8), many_photos.ends_at)
    (tmp_path / "ends").write_bytes(photos[0].path.read_bytes())
    found = list(decoded([*photos[:40], *odd, *photos[40:]], 82, wish, 2))
    assert [each.photo.name for each in found[40:42]] == ["hangs", "ends"]
    assert "hangs ends its decoder; found more than 3 seconds" in found[40].tensor
    assert "ends ends its decoder; found signal 9" in found[41].tensor
    sound = found[:40] + found[42:]
    assert [each.photo for each in sound] == photos
    alone = [decoder.decode(photo, Wish(Preprocess(8, 8))) for photo in photos]
    assert all(np.array_equal(a.tensor, b.tensor) for a, b in zip(sound, alone, strict=True))


def test_memory_does_not_grow_with_the_photos(tmp_path):
    """Of twice as many photos, a few bytes each and not their 4 KB."""
    peaks = {}
    for count in (200, 400):
        data = open_dataset(f"folder:{photos_of(tmp_path / str(count), count)[0].path.parents[1]}")
        tracemalloc.start()
        with collected(lambda _: np.ones(1024, np.float32), data) as found:
            assert sum(1 for _ in found) == count
            peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[400] - peaks[200] < 200 * 1000, peaks


def test_a_large_index_is_searched_part_by_part(files, tmp_path, monkeypatch):
    run(files, tmp_path / "p.pvix", command=("index", "build"))
    index = open_index(tmp_path / "p.pvix")
    queries = index.descriptors()[::29]
    whole = search_index(index, queries, 7)
    monkeypatch.setattr(searching, "_AT_ONCE", 2000)
    for threads in (1, 2):
        for found, wanted in zip(search_index(index, queries, 7, threads=threads), whole, strict=True):
            assert np.array_equal(found, wanted)


def test_arrays_in_files_keep_what_leaves_the_memory(monkeypatch):
    from pocketvlad.evaluate import files as large

    monkeypatch.setattr(large, "IN_MEMORY", 10_000)
    found = room((100, 64), np.float32)
    assert isinstance(found, np.memmap)
    found[:] = np.arange(100)[:, None]
    release(found[10:20], None, np.zeros(3))
    assert found[99, 63] == 99 and found.sum() == 64 * 4950
    assert not isinstance(room((10, 10), np.uint8), np.memmap)
