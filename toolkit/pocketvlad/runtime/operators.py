"""The operators an ExecuTorch program calls, read from its flatbuffer without a runtime, and those of the phone's.

Source: ExecuTorch's schema/program.fbs.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from pocketvlad.errors import ArtifactError

_INT8_OPS = ("int8_from_float", "int8_to_float", "int8_conv2d", "int8_add", "int8_max_pool")
_TOKEN_OPS = ("attention", "layer_norm")
_CUSTOM_OPS = tuple(
    f"pocketvlad::{name}.out" for name in ("lut_linear", "lut_conv2d", "vlad_pool", *_TOKEN_OPS, *_INT8_OPS)
)
_IDENTIFIER = b"ET"  # at byte 4, with a version behind it
_PLANS, _OPERATORS = 1, 6  # fields of Program and of ExecutionPlan
_NAME, _OVERLOAD = 0, 1  # of Operator
_MOST = 100_000  # elements of a list that is no damage


@cache
def phone_operators(listing: str = "phone_ops.json") -> frozenset[str]:
    """Ops registered by an Android runtime (without a name, by the one that has most) and by our own library."""
    found = json.loads(files("pocketvlad.android").joinpath(listing).read_text())
    return frozenset(found["ops"]) | frozenset(_CUSTOM_OPS)


def read_operators(program: bytes | memoryview) -> tuple[str, ...]:
    """Names with their overloads (``aten::cat.out``), of all methods, sorted.

    Raises:
        ArtifactError: no ExecuTorch program, or a damaged one.
    """
    try:
        if bytes(program[4:6]) != _IDENTIFIER:
            raise ValueError("another kind of file")
        return tuple(sorted(set(_operators(program))))
    except (struct.error, IndexError, ValueError) as error:
        raise ArtifactError("the program is damaged", found=str(error)) from error


def _operators(data: bytes | memoryview) -> Iterator[str]:
    for plan in _tables(data, _u32(data, 0), _PLANS):
        for operator in _tables(data, plan, _OPERATORS):
            name, overload = _text(data, operator, _NAME), _text(data, operator, _OVERLOAD)
            yield f"{name}.{overload}" if overload else name


def _u32(data: bytes | memoryview, at: int) -> int:
    return struct.unpack_from("<I", data, at)[0]


def _field(data: bytes | memoryview, table: int, number: int) -> int | None:
    """Where a field of a table points; None when the table lacks it."""
    listing = table - struct.unpack_from("<i", data, table)[0]
    if listing < 0:
        raise ValueError("a table outside the file")
    (size,) = struct.unpack_from("<H", data, listing)
    if 4 + 2 * number >= size:
        return None
    (offset,) = struct.unpack_from("<H", data, listing + 4 + 2 * number)
    return table + offset + _u32(data, table + offset) if offset else None


def _tables(data: bytes | memoryview, table: int, number: int) -> Iterator[int]:
    at = _field(data, table, number)
    count = 0 if at is None else _u32(data, at)
    if count > _MOST:
        raise ValueError(f"{count} elements")
    for i in range(count):
        element = (at or 0) + 4 + 4 * i
        yield element + _u32(data, element)


def _text(data: bytes | memoryview, table: int, number: int) -> str:
    at = _field(data, table, number)
    return "" if at is None else bytes(data[at + 4 : at + 4 + _u32(data, at)]).decode()
