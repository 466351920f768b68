"""Frozen dataclasses as TOML and JSON tables and back: one way to read and write every typed file."""

from __future__ import annotations

import dataclasses
import json
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pocketvlad.errors import PocketvladError, RecipeError, did_you_mean, unknown
from pocketvlad.given import require_ordinary

T = TypeVar("T")
Raises = type[PocketvladError]
_TOML_BYTES = 10_000_000
_DEEPEST = 32  # tables and arrays in one another
_NUMBER_BITS = 1000  # any float64 holds so many


def from_table(kind: type[T], table: object, where: str, error: Raises = RecipeError) -> T:
    """A dataclass from a table, with what its fields hold: dataclasses, tuples, dicts, optionals, paths.

    Args:
        kind: the dataclass; a field without a default is a key the table must have.
        table: of TOML or JSON.
        where: the file, for errors.
        error: what is raised.

    Raises:
        RecipeError: (or ``error``) an unknown key, with the nearest known one; a missing key; a wrong type.
    """
    if not isinstance(table, Mapping):
        raise error(f"{where} is not a table", found=type(table).__name__)
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            advice = did_you_mean(str(key), fields)
            raise error(f"{where}: unknown key {key!r}", allowed=", ".join(fields), do=advice)
    for name, f in fields.items():
        if name not in table and _default(f) is dataclasses.MISSING:
            raise error(f"{where}: key {name!r} is missing")
    hints = typing.get_type_hints(kind)
    return kind(**{key: _read(hints[key], value, f"{where}: {key}", error) for key, value in table.items()})


def to_table(value: Any, *, defaults: bool = True) -> Any:
    """What :func:`from_table` reads: dataclasses as dicts, tuples as lists, paths as text.

    Args:
        value: a dataclass, or anything a field may hold.
        defaults: False leaves out the fields that have their default.
    """
    if dataclasses.is_dataclass(value):
        fields = {f.name: (getattr(value, f.name), _default(f)) for f in dataclasses.fields(value)}
        kept = {name: held for name, (held, default) in fields.items() if defaults or held != default}
        return {name: to_table(held, defaults=defaults) for name, held in kept.items()}
    if isinstance(value, Mapping):
        return {str(key): to_table(held, defaults=defaults) for key, held in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_table(held, defaults=defaults) for held in value]
    return str(value) if isinstance(value, Path) else value


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a table; RecipeError when it is missing, not TOML, or larger than any that people write."""
    require_ordinary(path, RecipeError)
    try:
        with path.open("rb") as file:
            data = file.read(_TOML_BYTES + 1)
        if len(data) > _TOML_BYTES:
            raise RecipeError(f"{path} is too large", allowed=f"{_TOML_BYTES:,} bytes")
        table = tomllib.loads(data.decode())
    except FileNotFoundError as error:
        raise RecipeError(f"{path} does not exist") from error
    except (ValueError, OSError) as error:  # also of whole numbers with thousands of digits
        raise RecipeError(f"{path} is not TOML", found=str(error)) from error
    except RecursionError as error:
        raise RecipeError(f"{path} is not TOML", found="tables nested too deeply") from error
    _require_modest(path, table)
    return table


def _require_modest(path: Path, table: dict[str, Any]) -> None:
    """RecipeError for tables in tables and whole numbers that would be too much for what reads them."""
    held: list[tuple[Any, int]] = [(table, 0)]
    while held:
        value, depth = held.pop()
        if isinstance(value, (dict, list)):
            inside = value.values() if isinstance(value, dict) else value
            held += [(each, depth + 1) for each in inside]
        if depth > _DEEPEST:
            raise RecipeError(f"{path} is not allowed", found="tables nested too deeply", allowed=_DEEPEST)
        if isinstance(value, int) and value.bit_length() > _NUMBER_BITS:
            raise RecipeError(f"{path} is not allowed", found="a whole number of hundreds of digits")


def parse_json(text: str | bytes) -> Any:
    """Any JSON value; ValueError where it is none, or nested deeper or a larger number than anything we write."""
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error


def _whole(text: str) -> int:
    value = int(text)
    if value.bit_length() > _NUMBER_BITS:
        raise ValueError("a whole number of hundreds of digits")
    return value


def require(holds: bool, where: str, key: str, found: object, allowed: object) -> None:
    """RecipeError unless ``holds``."""
    if not holds:
        raise RecipeError(f"{where}: {key} is not allowed", found=found, allowed=allowed)


def one_of(where: str, key: str, value: object, allowed: tuple[object, ...]) -> None:
    """RecipeError unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        raise unknown(RecipeError, f"{where}: {key} is not allowed", value, map(str, allowed))


def _default(field: dataclasses.Field[Any]) -> Any:
    made = field.default_factory is not dataclasses.MISSING
    return field.default_factory() if made else field.default  # type: ignore[operator]


def _read(hint: Any, value: Any, where: str, error: Raises) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        kinds = [each for each in arguments if each is not type(None)]
        own = [each for each in kinds if isinstance(each, type) and isinstance(value, each)]
        return _read((own or kinds)[0], value, where, error)
    if dataclasses.is_dataclass(hint):
        return from_table(typing.cast(type, hint), value, where, error)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_read(arguments[0], each, f"{where}[{i}]", error) for i, each in enumerate(value))
    if origin is dict and isinstance(value, Mapping):
        return {str(key): _read(arguments[1], each, f"{where}.{key}", error) for key, each in value.items()}
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    allowed = getattr(hint, "__name__", str(hint))
    raise error(f"{where} has a wrong type", found=repr(value)[:60], allowed=allowed)
