"""An APK in pure Python: the committed template, the libraries, the model and the index, signed.

Libraries are stored at multiples of 16 KB and the model and index at multiples of 4 KB, so that the phone
maps them from the APK; small entries fill the gaps before them. :func:`.check_apk` checks everything again.
"""

from __future__ import annotations

import itertools
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pocketvlad.android.check import ApkReport, check_apk
from pocketvlad.android.entries import CONFIG, INDEX, MANIFEST, PROGRAM, alignment, is_mapped, require_room
from pocketvlad.android.icon import launcher_icon
from pocketvlad.android.identity import Identity, with_identity
from pocketvlad.android.selftest import FOLDER as SELFTEST
from pocketvlad.android.signing import Keys, sign_apk
from pocketvlad.artifact import atomic_path

TEMPLATE = Path(__file__).parent / "template.apk"
_DEMO = Identity()
_STORED = frozenset({".so", ".pte", ".pvix", ".png", ".jpg", ".arsc"})
_ALIGNMENT_FIELD = 0xD935  # zip extra field of Android's own tools
_LEVEL = 9  # of DEFLATE
_ORDERS = 720  # of entries that are tried: all of up to six mapped files
_FIELD = 6  # bytes of that extra field without its padding
_HEADER = 30  # bytes of an entry before its name
_DATE = (1981, 1, 1, 1, 1, 2)  # the same for every entry: packages of equal content are equal


def build_apk(
    out: Path,
    *,
    program: Path,
    index: Path,
    libraries: Mapping[str, Sequence[Path]],
    config: Mapping[str, object],
    selftest: Mapping[str, bytes],
    keys: Keys,
    identity: Identity = _DEMO,
    force: bool = False,
) -> ApkReport:
    """Write a signed, installable APK.

    Args:
        out: the APK.
        program, index: what the app recognises places with.
        libraries: files by ABI.
        config: of the app (title, threshold, fingerprint), written as ``assets/app.json``.
        selftest: files of ``assets/selftest`` by name, as :func:`.selftest.build` makes them.
        keys: that sign it.
        identity: of the app to the phone.
        force: overwrite ``out``.

    Returns:
        What :func:`check_apk` says of the finished file.

    Raises:
        PackageError: a file cannot be read, or a phone would not take the result.
        ArtifactError: ``out`` exists or cannot be written.
    """
    require_room([program, index, *(path for paths in libraries.values() for path in paths)])
    with atomic_path(out, force=force) as temporary:
        with zipfile.ZipFile(temporary, "w") as apk:
            _write(apk, _small_entries(identity, config, selftest), _large_entries(program, index, libraries))
        sign_apk(temporary, keys)
        return check_apk(temporary)


def _small_entries(
    identity: Identity, config: Mapping[str, object], selftest: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Contents by name: the template's, the settings, the self-test."""
    with zipfile.ZipFile(TEMPLATE) as template:
        entries = {name: template.read(name) for name in template.namelist()}
    entries[MANIFEST] = with_identity(entries[MANIFEST], identity)
    if identity.icon is not None:
        entries[next(name for name in entries if name.endswith(".png"))] = launcher_icon(identity.icon)
    entries[CONFIG] = json.dumps(dict(config), sort_keys=True).encode()
    return entries | {f"{SELFTEST}/{name}": data for name, data in selftest.items()}


def _large_entries(program: Path, index: Path, libraries: Mapping[str, Sequence[Path]]) -> dict[str, Path]:
    """Files by name of what the phone maps."""
    named = {f"lib/{abi}/{path.name}": path for abi in sorted(libraries) for path in libraries[abi]}
    return {INDEX: index, PROGRAM: program, **named}


def _write(apk: zipfile.ZipFile, small: Mapping[str, bytes], large: Mapping[str, Path]) -> None:
    for name in _order({name: _packed(name, data) for name, data in small.items()}, large):
        if name in large:
            _add_file(apk, name, large[name])
        else:
            _add_bytes(apk, name, small[name])


def _order(packed: Mapping[str, int], large: Mapping[str, Path]) -> list[str]:
    """All entries, those that need no place of their own in the gaps before the mapped files; the shortest order
    of the first few hundred."""
    sizes = {**packed, **{name: path.stat().st_size for name, path in large.items()}}
    orders = itertools.islice(itertools.permutations(large), _ORDERS)
    filled = [_filled(order, packed, sizes) for order in orders]
    return min(filled, key=lambda order: (_end(order, sizes), order))


def _filled(mapped: Sequence[str], packed: Mapping[str, int], sizes: Mapping[str, int]) -> list[str]:
    """The mapped files, and in the gap before each the largest small entries that fit."""
    waiting = sorted((name for name in packed if not is_mapped(name)), key=lambda name: (-packed[name], name))
    last = [name for name in packed if is_mapped(name)]
    order: list[str] = []
    at = 0
    for name in mapped:
        gap = _gap(at + _HEADER + len(name), alignment(name))
        for candidate in list(waiting):
            taken = _HEADER + len(candidate) + packed[candidate]
            if taken <= gap and _gap(at + taken + _HEADER + len(name), alignment(name)) == gap - taken:
                order.append(candidate)
                waiting.remove(candidate)
                at, gap = at + taken, gap - taken
        order.append(name)
        at += gap + _HEADER + len(name) + sizes[name]
    return order + waiting + last


def _end(order: Sequence[str], sizes: Mapping[str, int]) -> int:
    """Where the last entry ends."""
    at = 0
    for name in order:
        at += _HEADER + len(name)
        at += (_gap(at, alignment(name)) if is_mapped(name) else 0) + sizes[name]
    return at


def _packed(name: str, data: bytes) -> int:
    """How many bytes an entry's data will take."""
    if Path(name).suffix in _STORED:
        return len(data)
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return len(packer.compress(data)) + len(packer.flush())


def _entry(apk: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.external_attr, entry.create_system = 0o644 << 16, 0
    entry.compress_type = zipfile.ZIP_DEFLATED
    if Path(name).suffix in _STORED:
        entry.compress_type = zipfile.ZIP_STORED
        entry.extra = padding(_position(apk) + _HEADER + len(name.encode()), alignment(name))
    return entry


def _position(apk: zipfile.ZipFile) -> int:
    return apk.fp.tell() if apk.fp else 0


def _gap(start: int, multiple: int) -> int:
    """Bytes up to the next multiple, as an extra field holds them: at least its own header's, or none."""
    missing = -start % multiple
    while 0 < missing < _FIELD:
        missing += multiple
    return missing


def padding(start: int, multiple: int) -> bytes:
    """An extra field after which the data starts at a multiple."""
    gap = _gap(start, multiple)
    if not gap:
        return b""
    return struct.pack("<HHH", _ALIGNMENT_FIELD, gap - 4, multiple) + b"\0" * (gap - _FIELD)


def _add_bytes(apk: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = _entry(apk, name)
    apk.writestr(entry, data, compresslevel=_LEVEL)
    entry.extra = b""  # padding is for the data alone, not for the directory


def _add_file(apk: zipfile.ZipFile, name: str, path: Path) -> None:
    entry = _entry(apk, name)
    entry.file_size = path.stat().st_size
    with open(path, "rb") as source, apk.open(entry, "w") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    entry.extra = b""
