"""The packed layouts, a file each. A new one is a subclass of :class:`Layout`, a line in LAYOUTS, and its kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pocketvlad.errors import KernelError
from pocketvlad.lut.layouts.base import AUTO, Layout, Options, PackedLut
from pocketvlad.lut.layouts.bitmap import Bitmap
from pocketvlad.lut.layouts.dense import Dense
from pocketvlad.lut.layouts.one_of import OneOf

__all__ = ["AUTO", "LAYOUTS", "Bitmap", "Dense", "Layout", "OneOf", "Options", "PackedLut"]
__all__ += ["described", "numbered", "wanted"]

LAYOUTS: dict[str, type[Layout]] = {
    Dense.name: Dense,
    Bitmap.name: Bitmap,
    OneOf.name: OneOf,
}


def wanted(options: Options) -> list[Layout]:
    """The layouts a recipe allows; with several, the one that takes the fewest bytes is meant."""
    asked = [kind.asked(options) for kind in LAYOUTS.values()]
    return [layout for layout in asked if layout is not None]


def described(about: Mapping[str, Any]) -> Layout:
    """The layout of :meth:`Layout.describe`.

    Raises:
        KernelError: no such layout.
        KeyError: a parameter is missing.
    """
    kind = LAYOUTS.get(about.get("layout", ""))
    if kind is None:
        raise KernelError("an unknown layout", found=repr(about.get("layout")), allowed=", ".join(LAYOUTS))
    return kind(**{field.name: about[field.name] for field in fields(kind)})


def numbered(number: int, parameter: int) -> Layout:
    """The layout a program names by ``pv_layout`` and its parameter.

    Raises:
        KernelError: no such number.
    """
    for kind in LAYOUTS.values():
        if number in kind.numbers:
            return kind.of_parameter(parameter)
    raise KernelError("an unknown layout", found=number)
