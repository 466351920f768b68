"""Photos on disk: finding them, and naming what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pocketvlad.errors import DatasetError
from pocketvlad.model.preprocess import PHOTO_SUFFIXES


def photos_under(root: Path) -> list[Path]:
    """Every photo below ``root``, sorted; hidden files and folders are left out."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in PHOTO_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and path.is_file()
    )


def photos_by_stem(root: Path) -> dict[str, Path]:
    """Photos below ``root`` by their file name without suffix.

    Raises:
        DatasetError: no photo, or two with the same name.
    """
    found: dict[str, Path] = {}
    for path in photos_under(root):
        if path.stem in found:
            raise DatasetError(
                f"dataset {root} holds two photos named {path.stem}", found=f"{found[path.stem]}, {path}"
            )
        found[path.stem] = path
    if not found:
        raise DatasetError(f"dataset {root} holds no photo")
    return found


def require_files(what: str, paths: Iterable[Path]) -> None:
    """Raises DatasetError naming how many files are missing and the first of them."""
    paths = list(paths)
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DatasetError(
            f"{what} lacks {len(missing)} of its {len(paths)} photos", found=f"no {missing[0]}"
        )


def first_folder(candidates: Iterable[Path], name: str) -> Path | None:
    """The first candidate in which the file ``name`` lies."""
    return next((folder for folder in candidates if (folder / name).is_file()), None)
