"""The parts of a DEX file that decide whether a phone loads an app: version, checksum, classes.

Source: source.android.com, "Dalvik executable format".
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from pocketvlad.errors import PackageError

_MAP_TYPE_CALL_SITE = 0x0007


@dataclass(frozen=True)
class Dex:
    """Byte code.

    Attributes:
        version: of the format; API 26 reads up to 38.
        classes: names with dots, as in a manifest.
        has_call_sites: calls (lambdas) resolved at run time by a class Android does not have.
    """

    version: int
    classes: frozenset[str]
    has_call_sites: bool


def read_dex(data: bytes) -> Dex:
    """Parse ``classes.dex``; PackageError when it is damaged."""
    try:
        return _parse(data)
    except (struct.error, IndexError, ValueError) as error:
        raise PackageError("the APK's byte code is damaged", found=str(error)) from error


def _parse(data: bytes) -> Dex:
    if data[:4] != b"dex\n" or data[7:8] != b"\0":
        raise ValueError("no DEX file")
    checksum, size = struct.unpack_from("<I20xI", data, 8)
    if size != len(data) or checksum != zlib.adler32(data[12:]):
        raise ValueError("a wrong checksum")
    map_at, _, strings_at, _, types_at = struct.unpack_from("<5I", data, 52)
    class_count, classes_at = struct.unpack_from("<2I", data, 96)
    (map_size,) = struct.unpack_from("<I", data, map_at)
    kinds = {struct.unpack_from("<H", data, map_at + 4 + 12 * i)[0] for i in range(map_size)}

    def class_name(number: int) -> str:
        (type_index,) = struct.unpack_from("<I", data, classes_at + 32 * number)
        (string_index,) = struct.unpack_from("<I", data, types_at + 4 * type_index)
        (at,) = struct.unpack_from("<I", data, strings_at + 4 * string_index)
        while data[at] & 0x80:  # the length, a LEB128 number
            at += 1
        text = data[at + 1 : data.index(b"\0", at + 1)].decode("utf-8", "replace")
        return text.removeprefix("L").removesuffix(";").replace("/", ".")

    names = frozenset(class_name(i) for i in range(class_count))
    return Dex(int(data[4:7]), names, _MAP_TYPE_CALL_SITE in kinds)
