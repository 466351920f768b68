"""Every step killed at random moments of its length: nothing half stands under a final name, the same command ends at
the same bytes, and no temporary files stay.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from helpers import forked

BACKBONE = "squeezenet1_1"
PLAN = f"""version = 1
[model]
backbone = "{BACKBONE}"
clusters = 4
dim = 8
height = 64
width = 96
[photos]
datasets = ["folder:photos"]
[compress]
recipes = ["paper-8bit"]
[app]
emulate = false
"""
_VARY = {".json", ".html", ".apk", ".png"}  # of a run's files: they hold times


@dataclass(frozen=True)
class Step:
    """A command that is killed.

    Attributes:
        words: of ``pocketvlad``, without the output; ``{}`` is the folder of inputs.
        out: what it writes, which later steps read.
        option: before the output.
        extends: the file of the folder that it changes; None: it writes a new one.
    """

    words: str
    out: str
    option: str = "--out"
    extends: str | None = None

    def command(self, folder: Path, out: Path) -> list[str]:
        """With its output; paths may hold spaces."""
        return [word.format(folder, out=out) for word in (*self.words.split(), *self._output())]

    def _output(self) -> tuple[str, ...]:
        return () if self.extends else (self.option, "{out}")


STEPS = {  # each reads what those before it have written
    "fit": Step(f"fit --backbone {BACKBONE} --photos folder:{{}}/photos --clusters 4 --dim 8 --size 64x96",
                "m.safetensors"),
    "import": Step("import {}/classifier.pth --as classifier", "imported.safetensors"),
    "whiten": Step("whiten {}/m.safetensors --photos folder:{}/photos --dim 6", "w.safetensors"),
    "compress": Step("compress {}/m.safetensors --recipe compact-16x --photos folder:{}/photos", "c.safetensors"),
    "compress, searched": Step("compress {}/m.safetensors --max-drop 100 --photos folder:{}/photos", "s.safetensors"),
    "export": Step("export {}/c.safetensors --photos folder:{}/photos", "m.pte"),
    "describe": Step("describe {}/m.pte --photos folder:{}/photos", "d.h5"),
    "describe, NumPy": Step("describe {}/m.pte --photos folder:{}/photos", "d.npz"),
    "index build": Step("index build {}/m.pte --photos folder:{}/photos", "p.pvix"),
    "index build, more": Step("index build {}/m.pte --photos folder:{}/more", "more.pvix"),
    "index add": Step("index add {out} --program {}/m.pte --photos folder:{}/more", "added.pvix", extends="p.pvix"),
    "index merge": Step("index merge {}/p.pvix {}/more.pvix", "merged.pvix"),
    "index export": Step("index export {}/p.pvix", "p.npz", "--numpy"),
    "index pairs": Step("index pairs {}/p.pvix --program {}/m.pte --photos folder:{}/photos", "pairs.txt"),
    "evaluate": Step(
        "evaluate {}/m.pte --dataset folder:{}/photos --baseline {}/m.safetensors", "accuracy.json"
    ),
    "package": Step("package --program {}/m.pte --index {}/p.pvix", "a.apk"),
    "run": Step("run {}/plan.toml", "run"),
}  # fmt: skip


def write_inputs(folder: Path) -> None:
    """What the first steps read."""
    import torch
    import torchvision

    from helpers.many_photos import write_many

    write_many(folder / "photos", 24, side=96, places=6)
    write_many(folder / "more", 3, side=96, places=1)
    for photo in sorted((folder / "more").rglob("*.jpg")):
        photo.rename(photo.with_stem(f"new-{photo.stem}"))
    torch.manual_seed(0)
    torch.save(getattr(torchvision.models, BACKBONE)(weights=None).state_dict(), folder / "classifier.pth")
    (folder / "plan.toml").write_text(PLAN)


def alone(words: list[str], temporary: str) -> None:
    """A command in this process, its temporary files in a folder of their own."""
    os.environ["TMPDIR"] = tempfile.tempdir = temporary
    os.environ["XDG_CONFIG_HOME"] = f"{temporary}/configuration"
    forked.command(words)


def kill(name: str, folder: Path, kills: int, seed: int) -> list[float]:
    """Run a step to its end, kill it at ``kills`` random moments of its length, and let it end again.

    Args:
        name: of the step.
        folder: of inputs; gets what the step, and those that it reads from, have written.
        kills: as many.
        seed: of the moments.

    Returns:
        Seconds from the start to each kill; every one met it at work.
    """
    step, draw, moments = STEPS[name], random.Random(seed), []
    make_inputs(step, folder)
    work, temporary = folder / f"{name} at work", folder / "temporary files"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    temporary.mkdir(exist_ok=True)
    out, arguments = work / step.out, [step.command(folder, work / step.out), str(temporary)]
    _begin(step, folder, out, True)
    start = time.monotonic()
    forked.finish(alone, *arguments)
    length, whole, afresh = time.monotonic() - start, contents(out), True
    _keep(out, folder)
    while len(moments) < kills:
        _begin(step, folder, out, afresh)
        start = time.monotonic()
        process = forked.start(alone, *arguments)
        process.join(draw.uniform(0, length))
        if process.is_alive():
            process.kill()
            moments.append(round(time.monotonic() - start, 2))
        elif afresh:  # the caches are warm by now
            length = time.monotonic() - start
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
        assert _is_sound(step, folder, out, whole), f"half a file, seed {seed}, after kills at {moments} s"
        afresh = process.exitcode == 0
    _begin(step, folder, out, afresh)
    forked.finish(alone, *arguments)
    assert contents(out) == whole, "other bytes"
    left = {path.name for path in (*work.iterdir(), *temporary.iterdir())}
    assert left - {"configuration"} == {step.out}, left
    return moments


def make_inputs(step: Step, folder: Path) -> None:
    """What it reads and no step before it has left."""
    for other in STEPS.values():
        read = f"{{}}/{other.out}" in step.words or step.extends == other.out
        if read and not (folder / other.out).exists():
            make_inputs(other, folder)
            forked.finish(forked.command, other.command(folder, folder / other.out))


def _begin(step: Step, folder: Path, out: Path, afresh: bool) -> None:
    """As before the first run, but for what a killed one keeps to go on from; a folder is gone on with, or afresh."""
    if step.extends:
        shutil.copy(folder / step.extends, out)
    elif out.is_file():
        out.unlink()
    elif afresh:
        shutil.rmtree(out, ignore_errors=True)


def _keep(out: Path, folder: Path) -> None:
    copy: Callable[[Path, Path], object] = shutil.copytree if out.is_dir() else shutil.copy
    if not (folder / out.name).exists():
        copy(out, folder / out.name)


def _is_sound(step: Step, folder: Path, out: Path, whole: object) -> bool:
    """After a kill: nothing yet, or all; of an index that is added to the old one, or the new one."""
    if step.extends:
        return rows(out) in (rows(folder / step.extends), rows(folder / step.out))
    return not out.exists() or out.is_dir() or contents(out) == whole


def rows(index: Path) -> list[tuple[str, bytes]]:
    """Names and vectors of an index."""
    from pocketvlad.index import open_index

    found = open_index(index)
    return [(name, row.tobytes()) for name, row in zip(found.names(), found.descriptors(), strict=True)]


def contents(out: Path) -> object:
    """What two runs must have in common: a file's bytes, of an APK those before its signature, of a run its files'."""
    if out.is_dir():
        files = sorted(path for path in out.rglob("*") if path.suffix not in _VARY)
        return {path.name: path.read_bytes() for path in files if path.is_file()}
    if out.suffix == ".apk":
        import zipfile

        with zipfile.ZipFile(out) as apk:
            return {entry.filename: (entry.header_offset, apk.read(entry)) for entry in apk.infolist()}
    return out.read_bytes()
