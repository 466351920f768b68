"""Photos added to one index by two processes at once: neither is lost."""

from __future__ import annotations

import zlib
from contextlib import contextmanager

import numpy as np
from PIL import Image

from pocketvlad.index import open_index
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.runtime.describer import PROGRAM, Describer
from pocketvlad.steps import index as step


def describe(tensor):
    vector = np.random.default_rng(zlib.crc32(tensor.tobytes())).standard_normal(8).astype(np.float32)
    return vector / np.linalg.norm(vector)


def test_an_addition_during_another_one_stays(tmp_path, monkeypatch):
    describer = Describer(describe, Preprocess(32, 32), 8, bytes(32), PROGRAM)
    monkeypatch.setattr(step, "require_program", lambda path, threads: describer)
    program = tmp_path / "m.pte"
    program.write_bytes(b"")
    for i, name in enumerate(("first", "second", "third")):
        (tmp_path / name / "hall").mkdir(parents=True)
        Image.new("RGB", (20, 20), (i, 9, 9)).save(tmp_path / name / "hall" / f"{name}.png")
    index = tmp_path / "p.pvix"
    step.build(program, tmp_path / "first", index)
    indexed, entered = step.indexed, []

    @contextmanager
    def with_another_process(*arguments, **options):
        with indexed(*arguments, **options) as found:
            if not entered:
                entered.append(1)
                assert step.add(index, program, tmp_path / "third").photos == 2
            yield found

    monkeypatch.setattr(step, "indexed", with_another_process)
    assert step.add(index, program, tmp_path / "second").photos == 3
    names = {entry.name.rpartition("/")[2] for entry in open_index(index).entries}
    assert names == {"first.png", "second.png", "third.png"}
