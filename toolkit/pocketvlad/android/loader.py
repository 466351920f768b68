"""What Android's loader refuses, said of a folder of libraries without a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

from pocketvlad.android.elf import SharedLibrary
from pocketvlad.android.entries import LIBRARY_PAGE
from pocketvlad.errors import PackageError

_SYSTEM = frozenset({"libc.so", "libm.so", "libdl.so", "liblog.so", "libandroid.so"})
_SHOWN = 5  # symbols named in a message


@cache
def system_symbols() -> Mapping[str, frozenset[str | None]]:
    """Versions by name of what phones of API 26, the oldest the app runs on, offer apps of their own libraries."""
    listing = json.loads(files("pocketvlad.android").joinpath("bionic/api26.json").read_text())
    symbols: dict[str, set[str | None]] = {}
    for library in sorted(_SYSTEM & set(listing)):
        for version, names in listing[library].items():
            for name in names.split():
                symbols.setdefault(name, set()).add(version or None)
    return {name: frozenset(versions) for name, versions in symbols.items()}


def check_libraries(libraries: Mapping[str, SharedLibrary]) -> None:
    """Refuse what Android's loader would, from API 26 on and with pages of 16 KB.

    Args:
        libraries: all of one ABI, by file name.

    Raises:
        PackageError: naming the library and the broken rule.
    """
    for name, library in libraries.items():
        for problem in _problems(name, library, libraries):
            raise PackageError(f"{name} would not load on Android", found=problem)


def _problems(name: str, library: SharedLibrary, others: Mapping[str, SharedLibrary]) -> Iterator[str]:
    for load in library.loads:
        if load.align < LIBRARY_PAGE:
            yield "segments aligned to less than 16 KB"
        if (load.address - load.offset) % max(1, load.align):
            yield "a segment whose place in the file cannot be mapped"
        if load.flags & 3 == 3:
            yield "a segment both writable and executable"
    if library.soname != name:
        yield f"the SONAME {library.soname}"
    for needed in library.needed:
        if needed not in others and needed not in _SYSTEM:
            yield f"the missing {needed}"
    if library.has_tls:
        yield "ELF thread-local storage, which API 26 to 28 lack"
    if library.has_text_relocations:
        yield "text relocations"
    yield from _imports(library, others)


def _imports(library: SharedLibrary, others: Mapping[str, SharedLibrary]) -> Iterator[str]:
    exported = frozenset[str]().union(*(other.defined for other in others.values()))
    missing = []
    for name, version in sorted(library.undefined.items()):
        offered = system_symbols().get(name)
        if name in exported and version is None:
            continue
        if offered is None or (version is not None and version not in offered):
            missing.append(name if version is None else f"{name}@{version}")
    if missing:
        yield f"undefined symbols {', '.join(missing[:_SHOWN])}, which API 26 lacks"
