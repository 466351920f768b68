"""Finding photos: links, what network drives and archives add, and kinds that are not read."""

import os
from pathlib import Path

import pytest
from PIL import Image

from pocketvlad.dataset import LAYOUTS, open_dataset
from pocketvlad.dataset.files import IGNORED_FOLDERS, UNREAD_SUFFIXES, scan
from pocketvlad.dataset.truth import listed_photos
from pocketvlad.errors import DatasetError
from pocketvlad.model.preprocess import PHOTO_SUFFIXES


def found(root):
    return [path.relative_to(root).as_posix() for path in scan(root).photos]


def test_linked_folders_are_followed(tmp_path, photo):
    for name in ("set/a/1.jpg", "set/a/2.jpg", "elsewhere/b/1.jpg", "elsewhere/b/deep/2.jpg"):
        photo(tmp_path / name)
    (tmp_path / "set/b").symlink_to(tmp_path / "elsewhere/b")
    assert found(tmp_path / "set") == ["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/deep/2.jpg"]


def test_a_link_into_the_collection_adds_nothing_and_loops_end(tmp_path, photo):
    photo(tmp_path / "zoo/1.jpg")
    (tmp_path / "alias").symlink_to(tmp_path / "zoo")
    (tmp_path / "zoo/up").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    assert found(tmp_path) == ["zoo/1.jpg"]


def test_two_links_to_one_folder_are_one(tmp_path, photo):
    photo(tmp_path / "elsewhere/1.jpg")
    (tmp_path / "set").mkdir()
    for name in ("one", "two"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "elsewhere")
    assert found(tmp_path / "set") == ["one/1.jpg"]


@pytest.mark.parametrize("folder", [*sorted(IGNORED_FOLDERS), ".thumbnails"])
def test_what_drives_and_archives_add_is_no_place(tmp_path, photo, folder):
    for name in (
        "a/1.jpg",
        "a/2.jpg",
        f"a/{folder}/1.jpg/SYNOPHOTO_THUMB_M.jpg",
        f"{folder}/a/1.jpg",
        "a/._1.jpg",
    ):
        photo(tmp_path / name)
    dataset = open_dataset(str(tmp_path))
    assert dataset.places() == ["a"] and len(dataset.photos) == 2
    first = sorted((f"a/{folder}", folder))[0]
    line = f"2 folders of thumbnails or hidden files (the first is {first}): left out"
    assert dataset.skipped == (line,)


def test_hidden_folders_without_photos_are_no_news(tmp_path, photo):
    for name in ("a/1.jpg", "a/2.jpg"):
        photo(tmp_path / name)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").touch()
    assert not open_dataset(str(tmp_path)).skipped


def test_kinds_that_are_not_read_are_counted_and_named(tmp_path, photo):
    for name in ("a/1.jpg", "a/2.jfif", "b/IMG_1.HEIC", "b/IMG_2.avif", "b/IMG_3.DNG", "b/notes.txt"):
        photo(tmp_path / name)
    dataset = open_dataset(str(tmp_path))
    assert [photo.name for photo in dataset.photos] == ["a/1.jpg", "a/2.jfif"]
    line = "3 photos of kinds .avif, .dng, .heic (the first is b/IMG_1.HEIC): not read, convert them to JPEG"
    assert dataset.skipped == (line,)
    assert not PHOTO_SUFFIXES & UNREAD_SUFFIXES


def test_a_folder_of_nothing_else_says_so(tmp_path, photo):
    photo(tmp_path / "a/1.heic")
    with pytest.raises(
        DatasetError, match=r"holds no photo; found 1 photo of kind .heic \(the first is a/1.heic\)"
    ):
        open_dataset(str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read_is_said(tmp_path, photo):
    photo(tmp_path / "a/1.jpg").parent.chmod(0)
    with pytest.raises(DatasetError, match="a cannot be read; found Permission denied"):
        scan(tmp_path)


def test_the_page_on_collections_names_every_kind_and_every_ending():
    page = (Path(__file__).parents[2] / "docs/datasets.md").read_text(encoding="utf-8")
    assert all(f"`{kind}`" in page for kind in LAYOUTS)
    assert all(f"`{folder}`" in page for folder in IGNORED_FOLDERS)
    assert all(suffix.lstrip(".")[:3] in page.lower() for suffix in PHOTO_SUFFIXES)


@pytest.mark.parametrize("name", ["../secret.jpg", "a/../../secret.jpg", "/etc/secret.jpg", "a\0.jpg"])
def test_a_list_does_not_lead_out_of_its_dataset(tmp_path, name):
    root = tmp_path / "photos"
    root.mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.jpg")
    refusal = (
        r"manifest\.csv names a photo outside its dataset; found .*; allowed: names below .*photos; link"
    )
    (root / "manifest.csv").write_text(f"image,place\n{name},hall\n")
    with pytest.raises(DatasetError, match=refusal if "\0" not in name else "manifest"):
        open_dataset(f"folder:{root}")
    with pytest.raises(DatasetError, match="positives names a photo outside its dataset"):
        listed_photos(["../secret.jpg"], [root], "queries", Path("positives"))
