"""Photos on disk: finding them, and naming what is missing or cannot be read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pocketvlad.errors import DatasetError
from pocketvlad.model.preprocess import PHOTO_SUFFIXES

# thumbnails and bins of network drives, and what macOS adds to archives; names with a dot in front go too
IGNORED_FOLDERS = frozenset({"@eaDir", "@__thumb", "@Recycle", "#recycle", "$RECYCLE.BIN", "__MACOSX"})
_COMPRESSED = frozenset({".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2"})
_RAW = frozenset(
    {".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".3fr"}
)
UNREAD_SUFFIXES = _COMPRESSED | _RAW


@dataclass(frozen=True)
class Scan:
    """What lies below a folder.

    Attributes:
        root: the folder.
        photos: every photo that may be read, sorted by path.
        unread: photos of kinds that are not read (:data:`UNREAD_SUFFIXES`), sorted by path.
        left_out: hidden folders and :data:`IGNORED_FOLDERS` with photos in them.
    """

    root: Path
    photos: tuple[Path, ...]
    unread: tuple[Path, ...]
    left_out: tuple[Path, ...] = ()

    @property
    def skipped(self) -> tuple[str, ...]:
        """A line about the photos of kinds that are not read, and one about folders left out, where there are any."""
        lines = [f"{self.unread_text()}: not read, convert them to JPEG"] if self.unread else []
        if self.left_out:
            count, first = len(self.left_out), self.left_out[0].relative_to(self.root)
            folders = "folder" if count == 1 else "folders"
            lines.append(f"{count} {folders} of thumbnails or hidden files (the first is {first}): left out")
        return tuple(lines)

    def unread_text(self) -> str:
        """``3 photos of kinds .avif, .heic (the first is hall/a.heic)``."""
        kinds = Counter(path.suffix.lower() for path in self.unread)
        count, kind = len(self.unread), "kinds" if len(kinds) > 1 else "kind"
        first = self.unread[0].relative_to(self.root)
        named = f"{kind} {', '.join(sorted(kinds))} (the first is {first})"
        return f"{count} photo{'s' if count > 1 else ''} of {named}"

    def require_photos(self, allowed: str) -> None:
        """Raises DatasetError when there is no photo to read."""
        if not self.photos:
            found = self.unread_text() if self.unread else None
            raise DatasetError(f"dataset {self.root} holds no photo", found=found, allowed=allowed)


def scan(root: Path) -> Scan:
    """Every photo below ``root``.

    Hidden files and folders and :data:`IGNORED_FOLDERS` are left out. Linked folders are followed, each
    folder once: a link into the collection itself adds nothing.
    """
    left_out: list[Path] = []
    files = list(_files_under(root, left_out))
    photos = sorted(path for path in files if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file())
    unread = sorted(path for path in files if path.suffix.lower() in UNREAD_SUFFIXES)
    hidden = sorted(folder for folder in left_out if _holds_photo(folder))
    return Scan(root, tuple(photos), tuple(unread), tuple(hidden))


def files_named(root: Path, ending: str) -> list[Path]:
    """Every file below ``root`` whose name ends so, sorted; folders are looked into as by :func:`scan`."""
    return sorted(path for path in _files_under(root, []) if path.name.endswith(ending))


def _holds_photo(folder: Path) -> bool:
    names = (name for _, _, files in os.walk(folder) for name in files)
    return any(Path(name).suffix.lower() in PHOTO_SUFFIXES for name in names)


def _files_under(root: Path, left_out: list[Path]) -> Iterator[Path]:
    """Files of real folders first, then those of linked ones, so that a folder has its own name.

    Folders that are not looked into are added to ``left_out``.
    """
    seen: set[tuple[int, int]] = set()
    links = [root]
    while links:
        for folder, names, files in os.walk(links.pop(0), onerror=_refuse):
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                names.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            ignored = [name for name in names if name[0] == "." or name in IGNORED_FOLDERS]
            left_out += [Path(folder, name) for name in ignored]
            names[:] = sorted(set(names) - set(ignored))
            links += [path for name in names if (path := Path(folder, name)).is_symlink()]
            yield from (Path(folder, name) for name in files if name[0] != ".")


def _refuse(error: OSError) -> None:
    raise DatasetError(f"folder {error.filename} cannot be read", found=error.strerror)


def photos_by_stem(found: Scan) -> dict[str, Path]:
    """Photos by their file name without suffix.

    Raises:
        DatasetError: no photo, or two with the same name.
    """
    by_stem: dict[str, Path] = {}
    for path in found.photos:
        if path.stem in by_stem:
            raise DatasetError(
                f"dataset {found.root} holds two photos named {path.stem}",
                found=f"{by_stem[path.stem]}, {path}",
            )
        by_stem[path.stem] = path
    found.require_photos("photos of the landmarks")
    return by_stem


def inside(root: Path, name: str, where: str) -> Path:
    """The file ``name`` below ``root``, as ``where`` lists it.

    Raises:
        DatasetError: the name leads out of ``root``: a list from elsewhere must not read other files.
    """
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "\0" in name:
        allowed = f"names below {root}; link the folder there"
        raise DatasetError(f"{where} names a photo outside its dataset", found=repr(name), allowed=allowed)
    return root / name


def require_files(what: str, paths: Iterable[Path], looked_in: str) -> None:
    """Raises DatasetError naming how many files are missing, the first of them and where it was looked for."""
    paths = list(paths)
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DatasetError(
            f"{what} lacks {len(missing)} of its {len(paths)} photos",
            found=f"no {missing[0]}",
            allowed=f"photos in {looked_in}",
        )


def require_named(found: Scan, by_stem: Container[str], names: Iterable[str], file: Path) -> None:
    """Raises DatasetError saying how many photos a ground truth names that are not there, and the first of them."""
    wanted = list(dict.fromkeys(names))
    missing = [name for name in wanted if name not in by_stem]
    if missing:
        raise DatasetError(
            f"dataset {found.root} lacks {len(missing)} of the {len(wanted)} photos that {file.name} names",
            found=f"no {missing[0]}.jpg",
            allowed=f"photos below {found.root}",
        )


def folder_of(candidates: Sequence[Path], names: Iterable[str]) -> Path | None:
    """The first candidate below which one of the files lies, the first of them if it is anywhere."""
    return next((folder for name in names for folder in candidates if (folder / name).is_file()), None)


def common_parent(database: Path, queries: Path) -> Path:
    """The folder above both, absolute.

    Raises:
        DatasetError: they are one folder, or one lies in the other: then queries would find themselves.
    """
    one, other = database.resolve(), queries.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise DatasetError(
            "the map and the queries are not two folders",
            found=f"{database} and {queries}",
            do="name two apart",
        )
    return Path(os.path.commonpath((database.absolute(), queries.absolute())))
