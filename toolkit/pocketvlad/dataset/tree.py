"""Which place, and which side, a photo's folders name: nested folders are read only where they say one thing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

from pocketvlad.errors import DatasetError

MAP_FOLDERS = frozenset(
    {"database", "databases", "db", "map", "ref", "refs", "reference", "references", "gallery"}
)
QUERY_FOLDERS = frozenset({"query", "queries"})
_LIGHT = {"day", "night", "dawn", "dusk", "morning", "evening", "noon"}
_WEATHER = {"sun", "sunny", "rain", "rainy", "snow", "snowy", "fog", "overcast", "cloudy"}
_SEASON = {"spring", "summer", "autumn", "fall", "winter"}
CONDITIONS = frozenset({*_LIGHT, *_WEATHER, *_SEASON, "left", "right", "front", "rear"})
_DO = "make one sub-folder per place, or list the photos in manifest.csv (image, place, role)"
_DO_SIDES = "or list the photos in manifest.csv (image, place, role)"


def places_of(root: Path, names: Sequence[PurePath]) -> list[tuple[str, str | None]]:
    """Place and role of each photo by its path below ``root``.

    A sub-folder is a place; a photo directly in ``root`` is one of its own; folders ``database`` and ``queries``
    (or ``ref`` and ``query``, …) at the top hold the map's places and the same places asked for.

    Returns:
        For each name its place and ``query``, ``good`` or None.

    Raises:
        DatasetError: the folders do not say which of them are the places.
    """
    tops = {name.parts[0].lower() for name in names if len(name.parts) > 1}
    if tops & MAP_FOLDERS and tops & QUERY_FOLDERS:
        return _two_sides(root, names)
    _require_plain(root, names)
    return [(name.parent.as_posix() if len(name.parts) > 1 else name.stem, None) for name in names]


def _two_sides(root: Path, names: Sequence[PurePath]) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for name in names:
        side = name.parts[0].lower()
        if side not in MAP_FOLDERS | QUERY_FOLDERS or len(name.parts) < 3:
            raise DatasetError(
                f"dataset {root} has a map and queries, but no place for each photo",
                found=name.as_posix(),
                allowed="such as database/PLACE/a.jpg and queries/PLACE/b.jpg",
                do=_other_layout(root, names) or _DO_SIDES,
            )
        found.append((PurePath(*name.parts[1:-1]).as_posix(), "query" if side in QUERY_FOLDERS else "good"))
    _require_plain(root, [PurePath(place, "photo") for place, _ in found])
    return found


def _other_layout(root: Path, names: Sequence[PurePath]) -> str | None:
    """The layout that such a folder belongs to, if it is one: VPR-Bench's, or positions in the names."""
    if (root / "ground_truth_new.npy").is_file():
        return f"name its layout: vpr-bench:{root}"
    if all(len(name.name.split("@")) > 3 for name in names):
        return f"name its layout: utm:{root}"
    return None


def _require_plain(root: Path, names: Sequence[PurePath]) -> None:
    """Raises DatasetError where a folder may be a place or only a condition or a part of one."""
    folders = sorted({name.parent for name in names} - {PurePath()})
    pair = _parent_and_part(folders) or _same_name(folders) or _conditions(folders)
    if pair:
        found = " and ".join(folder.as_posix() for folder in pair)
        raise DatasetError(f"dataset {root} does not say which folders are its places", found=found, do=_DO)


def _parent_and_part(folders: Sequence[PurePath]) -> tuple[PurePath, ...]:
    """A folder with photos inside another: hall and hall/night."""
    known = set(folders)
    return next(((other, folder) for folder in folders for other in folder.parents if other in known), ())


def _same_name(folders: Sequence[PurePath]) -> tuple[PurePath, ...]:
    """Two folders of one name: hall/june and gate/june, or june/hall and may/hall."""
    named: dict[str, PurePath] = {}
    return next(((named[f.name], f) for f in folders if named.setdefault(f.name, f) != f), ())


def _conditions(folders: Sequence[PurePath]) -> tuple[PurePath, ...]:
    """Folders that name a light, a season or a side: hall/day and hall/night, or day and night alone."""
    nested = [f for f in folders if len(f.parts) > 1 and {part.lower() for part in f.parts} & CONDITIONS]
    if nested:
        return tuple(nested[:2])
    alone = len(folders) > 1 and all(folder.name.lower() in CONDITIONS for folder in folders)
    return tuple(folders[:2]) if alone else ()
