"""The parts of a 64-bit little-endian ELF shared library that a loader looks at."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from pocketvlad.errors import PackageError

MACHINES = {62: "x86_64", 183: "arm64-v8a"}
_PT_LOAD, _PT_DYNAMIC, _PT_TLS = 1, 2, 7
_SHT_DYNSYM, _SHT_VERSYM, _SHT_VERNEED = 11, 0x6FFFFFFF, 0x6FFFFFFE
_DT_NEEDED, _DT_STRTAB, _DT_SONAME, _DT_TEXTREL, _DT_FLAGS = 1, 5, 14, 22, 30
_DF_TEXTREL = 4


@dataclass(frozen=True)
class Segment:
    """A LOAD segment: file offset, address, flags (1 execute, 2 write, 4 read) and alignment in bytes."""

    offset: int
    address: int
    flags: int
    align: int


@dataclass(frozen=True)
class SharedLibrary:
    """What a loader needs to know.

    Attributes:
        abi: Android's name of the machine.
        soname: of the library, or None.
        needed: SONAMEs it depends on.
        loads: its LOAD segments.
        has_tls, has_text_relocations: two things old Android loaders refuse.
        undefined: imported symbol -> version or None; weak ones left out.
        defined: exported symbols.
    """

    abi: str
    soname: str | None
    needed: tuple[str, ...]
    loads: tuple[Segment, ...]
    has_tls: bool
    has_text_relocations: bool
    undefined: dict[str, str | None]
    defined: frozenset[str]


def read_library(source: Path | bytes) -> SharedLibrary:
    """Parse a library; PackageError when it is not a 64-bit ELF for a machine Android runs on."""
    data = source.read_bytes() if isinstance(source, Path) else source
    name = str(source) if isinstance(source, Path) else "a library"
    try:
        return _parse(data)
    except (struct.error, IndexError, KeyError, ValueError, OverflowError, StopIteration) as error:
        raise PackageError(f"{name} is not an Android library", found=str(error)) from error


def _parse(data: bytes) -> SharedLibrary:
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("no 64-bit little-endian ELF")
    machine = struct.unpack_from("<H", data, 18)[0]
    program_at, section_at = struct.unpack_from("<QQ", data, 32)
    program_size, programs, section_size, sections = struct.unpack_from("<4H", data, 54)
    segments = [struct.unpack_from("<IIQQQQQQ", data, program_at + i * program_size) for i in range(programs)]
    headers = [
        struct.unpack_from("<IIQQQQIIQQ", data, section_at + i * section_size) for i in range(sections)
    ]
    loads = tuple(Segment(s[2], s[3], s[1], s[7]) for s in segments if s[0] == _PT_LOAD)
    dynamic = _dynamic(data, segments)
    strings = _file_offset(loads, next(value for tag, value in dynamic if tag == _DT_STRTAB))
    flags = next((value for tag, value in dynamic if tag == _DT_FLAGS), 0)
    undefined, defined = _symbols(data, headers)
    soname = next((_text(data, strings + value) for tag, value in dynamic if tag == _DT_SONAME), None)
    return SharedLibrary(
        MACHINES[machine],
        soname,
        tuple(_text(data, strings + value) for tag, value in dynamic if tag == _DT_NEEDED),
        loads,
        any(s[0] == _PT_TLS for s in segments),
        any(tag == _DT_TEXTREL for tag, _ in dynamic) or bool(flags & _DF_TEXTREL),
        undefined,
        frozenset(defined),
    )


def _table(form: str, data: bytes, at: int, size: int, count: int) -> list[tuple]:
    return [struct.unpack_from(form, data, at + i * size) for i in range(count)]


def _dynamic(data: bytes, segments: list[tuple]) -> list[tuple[int, int]]:
    segment = next(s for s in segments if s[0] == _PT_DYNAMIC)
    entries = [struct.unpack_from("<qQ", data, segment[2] + i) for i in range(0, segment[5], 16)]
    return [(tag, value) for tag, value in entries if tag]


def _file_offset(loads: tuple[Segment, ...], address: int) -> int:
    segment = max((load for load in loads if load.address <= address), key=lambda load: load.address)
    return address - segment.address + segment.offset


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()


def _symbols(data: bytes, headers: list[tuple]) -> tuple[dict[str, str | None], set[str]]:
    table = next(h for h in headers if h[1] == _SHT_DYNSYM)
    strings = headers[table[6]][4]
    versions = _version_names(data, headers)
    versym = next((h for h in headers if h[1] == _SHT_VERSYM), None)
    undefined: dict[str, str | None] = {}
    defined: set[str] = set()
    for i in range(1, table[5] // 24):
        name_at, info, _, section = struct.unpack_from("<IBBH", data, table[4] + i * 24)
        name = _text(data, strings + name_at)
        if section:
            defined.add(name)
        elif info >> 4 == 1:  # global; weak imports may stay unresolved
            index = struct.unpack_from("<H", data, versym[4] + 2 * i)[0] & 0x7FFF if versym else 0
            undefined[name] = versions.get(index)
    return undefined, defined


def _version_names(data: bytes, headers: list[tuple]) -> dict[int, str]:
    """Version index -> name, from the version-needs section."""
    section = next((h for h in headers if h[1] == _SHT_VERNEED), None)
    names: dict[int, str] = {}
    if section is None:
        return names
    strings, at = headers[section[6]][4], section[4]
    for _ in range(section[7]):
        _, count, _, aux, following = struct.unpack_from("<HHIII", data, at)
        entry = at + aux
        for _ in range(count):
            _, _, index, name, step = struct.unpack_from("<IHHII", data, entry)
            names[index] = _text(data, strings + name)
            entry += step
            if not step:
                break
        if not following:
            break
        at += following
    return names
