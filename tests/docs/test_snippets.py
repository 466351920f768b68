"""What the README and the pages of docs tell a reader to type is run, on a few small photos.

A page's blocks run in order in one folder. It holds what a reader has: photos, the rendered scenes, and the files that
an earlier page made. A block that cannot run here has ``<!-- not run: reason -->`` just above it, a block that
a reader saves ``<!-- file: NAME -->``.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.pages import Block, blocks, commands
from pocketvlad.cli import main
from pocketvlad.pipeline.plan import load_plan

ROOT = Path(__file__).parents[2]
SCENES = ROOT / "calibration/scenes"
MADE = ("api.md", "cli.md")  # from the code; tests/docs/test_pages.py holds their examples
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").glob("*.md") if p.name not in MADE)]
RUNNABLE = ("python", "sh")
LANGUAGES = (*RUNNABLE, "toml", "text", "csv", "")
PLACES, VIEWS = 4, 4  # of the scenes
EARLIER = {
    "docs/ar.md": "model.pte",
    "docs/robots.md": "model.pte",
    "docs/neighbours.md": "model.pte",
    "docs/paper.md": "model.safetensors",
}  # a file of an earlier page
NOT_RUN = {  # blocks a page may leave out; more is a page that nobody tests
    "README.md": 2,
    "docs/tutorial.md": 3,
    "docs/paper.md": 2,
    "docs/robots.md": 3,
    "docs/neighbours.md": 3,
    "docs/datasets.md": 1,
    "docs/models.md": 1,
}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _scenes() -> list[Path]:
    return [path for place in range(1, PLACES + 1) for path in sorted(SCENES.glob(f"p{place:02}_*"))[:VIEWS]]


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> Path:
    """What every reader has."""
    folder = tmp_path_factory.mktemp("reader")
    scenes, photos = folder / "calibration/scenes", folder / "photos"
    scenes.mkdir(parents=True)
    for path in _scenes():
        place = path.stem[: path.stem.index("_", 4)]
        (photos / place).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, scenes)
        shutil.copy(path, photos / place)
    names = {path.name for path in _scenes()}
    with (SCENES / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.reader(file) if row[0] in {"image", *names}]
    with (scenes / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    shutil.copy(_scenes()[0], folder / "photo.jpg")
    return folder


@pytest.fixture(scope="session")
def earlier(inputs, tmp_path_factory) -> Path:
    """A small model and its program, for the pages that begin with one."""
    import pocketvlad as pv

    folder = tmp_path_factory.mktemp("earlier")
    model = pv.fit("squeezenet1_1", inputs / "photos", clusters=4, dim=8, size=(64, 96), views=1)
    pv.save(model, folder / "model.safetensors")
    pv.export(pv.compress(model, "paper-8bit"), folder / "model.pte")
    return folder


def _run_python(block: Block, names: dict[str, object], page: str) -> None:
    # the page's lines in a traceback
    source = "\n" * block.line + block.text
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(source, page, "exec"), names)


def _run_shell(block: Block, patch: pytest.MonkeyPatch, page: str) -> None:
    for command in commands(block.text):
        words = shlex.split(command)
        assert words[0] == "pocketvlad", f"{page}:{block.line}: {words[0]} cannot be run here: say so above"
        patch.setattr(sys, "argv", words)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            with pytest.raises(SystemExit) as ended:
                main()
        assert not ended.value.code, f"{page}:{block.line}: {command}\n{said.getvalue()}"


@contextlib.contextmanager
def _folder_of(page: Path, inputs: Path, request: pytest.FixtureRequest, out: Path) -> Iterator[None]:
    shutil.copytree(inputs, out, dirs_exist_ok=True)
    if name_of(page) in EARLIER:
        shutil.copy(request.getfixturevalue("earlier") / EARLIER[name_of(page)], out)
    if page.name == "robots.md":
        _name_as_poses(page, out / "photos")
        _drive(out / "drives")
    if page.name == "ar.md":
        _add_on_a_phone(out)
    before = Path.cwd()
    os.chdir(out)
    try:
        yield
    finally:
        os.chdir(before)


def _name_as_poses(page: Path, photos: Path) -> None:
    """The photos by the names in the page's file of positions."""
    (poses,) = [block.text for block in blocks(page) if block.file == "poses.csv"]
    shutil.rmtree(photos)
    for row, source in zip(csv.DictReader(io.StringIO(poses)), _scenes(), strict=False):
        (photos / row["image"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, photos / row["image"])


def _drive(drives: Path) -> None:
    """The photos that the page's two videos gave."""
    for number, source in enumerate(_scenes()):
        side, east = ("database", "queries")[number % 2], 500_000 + 100 * (number // VIEWS)
        (drives / side).mkdir(parents=True, exist_ok=True)
        shutil.copy(source, drives / side / f"@{east}.00@500000.00@{number}.00@.jpg")


def _add_on_a_phone(out: Path) -> None:
    """What a phone exported, and more photos on the workstation."""
    from pocketvlad.steps import index

    for folder, source in (("added", _scenes()[0]), ("more", _scenes()[1])):
        (out / folder / "new place").mkdir(parents=True)
        shutil.copy(source, out / folder / f"new place/{folder}.jpg")
    index.build(out / "model.pte", f"folder:{out}/added", out / "phone.pvix")


def test_frames_of_a_video_are_kept_by_the_way_between_them(tmp_path):
    """A frame each second at 1.5 m/s, seen for half a minute: every second one is kept, under its position."""
    (block,) = [each for each in blocks(ROOT / "docs/robots.md") if "def keep_frames" in each.text]
    names: dict[str, object] = {}
    _run_python(block, names, "docs/robots.md")
    (tmp_path / "way.csv").write_text("time,x,y\n0,10,0\n30,10,45\n")
    frames = [(second, np.full((8, 8, 3), 8 * second, np.uint8)) for second in range(30)]
    names["keep_frames"](iter(frames), tmp_path / "way.csv", tmp_path / "drive")
    kept = sorted(tmp_path.glob("drive/*.jpg"))
    assert [path.name for path in kept][:2] == [
        "@500010.00@500000.00@0.00@.jpg",
        "@500010.00@500003.00@2.00@.jpg",
    ]
    assert len(kept) == 15
    assert abs(int(np.asarray(Image.open(kept[3])).mean()) - 48) <= 1


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_run(page, inputs, request, tmp_path, monkeypatch):
    todo = [
        block for block in blocks(page) if block.file or (block.language in RUNNABLE and not block.not_run)
    ]
    if not todo:
        return
    names: dict[str, object] = {"__name__": "page"}
    with _folder_of(page, inputs, request, tmp_path):
        for block in todo:
            if block.file is not None:
                Path(block.file).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                _run_python(block, names, name_of(page))
            else:
                _run_shell(block, monkeypatch, name_of(page))
        for plan in Path().glob("*plan*.toml"):
            load_plan(plan)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_few_blocks_are_left_out_each_with_a_reason(page):
    found = blocks(page)
    assert not [block.line for block in found if block.language not in LANGUAGES]
    assert sum(block.not_run is not None for block in found) == NOT_RUN.get(name_of(page), 0)


@pytest.mark.parametrize("page", [*PAGES, *(ROOT / "docs" / name for name in MADE)], ids=name_of)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    targets = [each for each in re.findall(r"\]\(([^)]+)\)", text) if not each.startswith("http")]
    files = [each.partition("#")[0] for each in targets]
    assert not [each for each in files if each and not (page.parent / each).exists()]
