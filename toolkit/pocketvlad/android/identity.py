"""Who an app is to the phone: its id, the name under its icon, its version; written into the template's manifest.

Source of the chunks: ResourceTypes.h of the Android Open Source Project, as in :mod:`.axml`.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from pocketvlad.android.axml import START, STRING, STRINGS, read_strings
from pocketvlad.errors import PackageError

PACKAGE = "org.pocketvlad.demo"  # of the template's classes, and the application id where no other is given
LARGEST_VERSION = 2_100_000_000  # of Android's app shops
OWN_ICON = ("meta-data", "resource")  # where the manifest names the icon whose picture packaging replaces
_ID = r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+"
_LONGEST_ID, _LONGEST_TEXT = 200, 100


@dataclass(frozen=True)
class Identity:
    """None leaves what the template has.

    Attributes:
        application_id: apps of different ids are installed side by side; an update has the same id and key.
        label: under the app's icon.
        version_name: for people.
        version_code: an update's is as high or higher.
        icon: a picture, see :func:`.icon.launcher_icon`.
    """

    application_id: str = PACKAGE
    label: str | None = None
    version_name: str | None = None
    version_code: int | None = None
    icon: Path | None = None

    def __post_init__(self) -> None:
        if len(self.application_id) > _LONGEST_ID or not re.fullmatch(_ID, self.application_id):
            raise PackageError(
                "the application id is none Android takes",
                found=self.application_id,
                allowed="two names or more of letters, digits and _ with dots between, as in com.example.places",
            )
        for what, text in (("label", self.label), ("version name", self.version_name)):
            if text is not None:
                require_shown(what, text)
        if self.version_code is not None and not 1 <= self.version_code <= LARGEST_VERSION:
            raise PackageError(
                "the version code is none Android takes",
                found=self.version_code,
                allowed=f"1 to {LARGEST_VERSION}",
            )


def require_shown(what: str, text: str) -> None:
    """PackageError for a text for people that is empty, too long, or acts on a screen instead of being shown."""
    if not (text.strip() and text.isprintable() and len(text) <= _LONGEST_TEXT):
        raise PackageError(
            f"the {what} is none Android shows",
            found=repr(text)[:_LONGEST_TEXT],
            allowed=f"1 to {_LONGEST_TEXT} letters",
        )


def with_identity(manifest: bytes, identity: Identity) -> bytes:
    """The template's binary manifest with an app's own identity.

    Raises:
        PackageError: the manifest is damaged.
    """
    try:
        return _rewritten(manifest, identity)
    except (struct.error, IndexError, ValueError, StopIteration) as error:
        raise PackageError("the app's manifest is damaged", found=str(error)) from error


def _rewritten(manifest: bytes, identity: Identity) -> bytes:
    at = struct.unpack_from("<HHI", manifest, 0)[1]
    kind, header, size = struct.unpack_from("<HHI", manifest, at)
    if kind != STRINGS:
        raise ValueError("no strings first")
    strings = [_renamed(text, identity.application_id) for text in read_strings(manifest, at, header)]
    body = bytearray(manifest[at + size :])
    attributes = list(_attributes(body, strings))
    own = next(_value(body, place) for element, key, place in attributes if (element, key) == OWN_ICON)
    for element, key, place in attributes:
        if element == "manifest" and key == "versionCode" and identity.version_code is not None:
            struct.pack_into("<I", body, place + 16, identity.version_code)
        elif element == "manifest" and key == "versionName" and identity.version_name is not None:
            _set_text(body, place, strings, identity.version_name)
        elif element == "application" and key == "label" and identity.label is not None:
            _set_text(body, place, strings, identity.label)
        elif element == "application" and key == "icon" and identity.icon is not None:
            struct.pack_into("<I", body, place + 16, own)
    pool = _pool(strings)
    head = struct.pack("<HHI", *struct.unpack_from("<HH", manifest, 0), at + len(pool) + len(body))
    return head + manifest[8:at] + pool + body


def _renamed(text: str, application_id: str) -> str:
    """A string under another id: names that stood for the id follow it, names of classes become whole."""
    if re.fullmatch(r"(\.[a-z]\w*)*\.[A-Z]\w*", text):
        return PACKAGE + text
    stands = text == PACKAGE or re.fullmatch(re.escape(PACKAGE) + r"(\.[a-z]\w*)+", text)
    return application_id + text[len(PACKAGE) :] if stands else text


def _attributes(body: bytes | bytearray, strings: list[str]):
    """(element, attribute, where it lies in ``body``) of every start tag."""
    at = 0
    while at + 8 <= len(body):
        kind, header, size = struct.unpack_from("<HHI", body, at)
        if size < 8:
            raise IndexError("an empty chunk")
        if kind == START:
            _, name, start, step, count = struct.unpack_from("<IIHHH", body, at + header)
            for i in range(count):
                place = at + header + start + i * step
                yield strings[name], strings[struct.unpack_from("<I", body, place + 4)[0]], place
        at += size


def _value(body: bytearray, place: int) -> int:
    return struct.unpack_from("<I", body, place + 16)[0]


def _set_text(body: bytearray, place: int, strings: list[str], text: str) -> None:
    strings.append(text)
    number = len(strings) - 1
    struct.pack_into("<IHBBI", body, place + 8, number, 8, 0, STRING, number)


def _pool(strings: list[str]) -> bytes:
    """A chunk of UTF-16 strings without styles."""
    offsets, data = [], b""
    for text in strings:
        encoded = text.encode("utf-16-le")
        offsets.append(len(data))
        data += struct.pack("<H", len(encoded) // 2) + encoded + b"\0\0"
    data += b"\0" * (-len(data) % 4)
    start = 28 + 4 * len(offsets)
    head = struct.pack("<HHI5I", STRINGS, 28, start + len(data), len(offsets), 0, 0, start, 0)
    return head + struct.pack(f"<{len(offsets)}I", *offsets) + data
