"""Android's binary XML, as far as an APK's manifest needs it.

Source: ResourceTypes.h of the Android Open Source Project (ResXMLTree_*, ResStringPool_header).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pocketvlad.errors import PackageError

STRINGS, START = 0x0001, 0x0102  # chunks
_UTF8 = 1 << 8
STRING = 0x03  # types of a value
_BOOLEAN = 0x12
_NONE = 0xFFFFFFFF
Value = str | int | bool


_COMPONENTS = frozenset({"activity", "service", "receiver", "provider"})


@dataclass(frozen=True)
class Component:
    """An activity, service, receiver or provider: its class, and whether it says who may start it."""

    kind: str
    name: str
    exported: bool | None


@dataclass(frozen=True)
class Manifest:
    """What installation depends on.

    Attributes:
        package: application id.
        version_code, version_name: of the app; 0 and "" when it does not say.
        label: under its icon; None when it is a resource.
        min_sdk, target_sdk: API levels.
        components: classes the system makes instances of, with full names.
        launcher: the class of the activity with the LAUNCHER category, or None.
        extract_native_libs: of the application, or None when it does not say.
        flags: attributes of the application that are true.
    """

    package: str
    version_code: int
    version_name: str
    label: str | None
    min_sdk: int
    target_sdk: int
    components: tuple[Component, ...]
    launcher: str | None
    extract_native_libs: bool | None
    flags: frozenset[str]


def read_manifest(data: bytes) -> Manifest:
    """Parse ``AndroidManifest.xml``; PackageError when it is damaged."""
    try:
        return _manifest(list(_elements(data)))
    except (struct.error, IndexError, ValueError) as error:
        raise PackageError("the APK's manifest is damaged", found=str(error)) from error


def _manifest(elements: list[tuple[str, dict[str, Value]]]) -> Manifest:
    first = {name: values for name, values in reversed(elements)}
    package = str(first.get("manifest", {}).get("package", ""))
    components: list[Component] = []
    launcher = None
    for name, values in elements:
        if name in _COMPONENTS:
            components.append(_component(package, name, values))
        if name == "category" and values.get("name") == "android.intent.category.LAUNCHER" and components:
            launcher = components[-1].name
    sdk, root, application = (first.get(name, {}) for name in ("uses-sdk", "manifest", "application"))
    label, extract = application.get("label"), application.get("extractNativeLibs")
    return Manifest(
        package,
        int(root.get("versionCode", 0)),
        str(root.get("versionName", "")),
        label if isinstance(label, str) else None,
        int(sdk.get("minSdkVersion", 1)),
        int(sdk.get("targetSdkVersion", sdk.get("minSdkVersion", 1))),
        tuple(components),
        launcher,
        None if extract is None else bool(extract),
        frozenset(name for name, value in application.items() if value is True),
    )


def _component(package: str, kind: str, values: dict[str, Value]) -> Component:
    name, exported = str(values.get("name", "")), values.get("exported")
    full = f"{package}{name}" if name.startswith(".") else name
    return Component(kind, full, None if exported is None else bool(exported))


def _elements(data: bytes) -> Iterator[tuple[str, dict[str, Value]]]:
    """(name, attributes) of every start tag."""
    strings: list[str] = []
    at = struct.unpack_from("<HHI", data, 0)[1]
    while at + 8 <= len(data):
        kind, header, size = struct.unpack_from("<HHI", data, at)
        if size < 8:
            raise IndexError("an empty chunk")
        if kind == STRINGS:
            strings = read_strings(data, at, header)
        elif kind == START:
            yield _start_tag(data, at + header, strings)
        at += size


def read_strings(data: bytes, at: int, header: int) -> list[str]:
    """The strings of the chunk at ``at``; struct.error, IndexError or ValueError when it is damaged."""
    count, _, flags, start = struct.unpack_from("<4I", data, at + 8)
    offsets = struct.unpack_from(f"<{count}I", data, at + header)
    return [_pool_string(data, at + start + offset, bool(flags & _UTF8)) for offset in offsets]


def _pool_string(data: bytes, at: int, utf8: bool) -> str:
    if not utf8:
        length = struct.unpack_from("<H", data, at)[0]
        return data[at + 2 : at + 2 + 2 * length].decode("utf-16-le")
    at += 2 if data[at] & 0x80 else 1  # length in characters, not needed
    length = data[at]
    at += 1
    if length & 0x80:
        length, at = (length & 0x7F) << 8 | data[at], at + 1
    return data[at : at + length].decode()


def _start_tag(data: bytes, at: int, strings: list[str]) -> tuple[str, dict[str, Value]]:
    _, name, start, size, count = struct.unpack_from("<IIHHH", data, at)
    values: dict[str, Value] = {}
    for i in range(count):
        _, key, raw, _, _, kind, value = struct.unpack_from("<IIIHBBI", data, at + start + i * size)
        if kind == STRING:
            values[strings[key]] = strings[value]
        elif kind == _BOOLEAN:
            values[strings[key]] = value != 0
        else:
            values[strings[key]] = value if raw == _NONE else strings[raw]
    return strings[name], values
