"""Dataclasses to tables and back, and errors that name the place and the nearest key."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pocketvlad.errors import ArtifactError, RecipeError
from pocketvlad.schema import from_table, parse_json, read_toml, to_table


@dataclass(frozen=True)
class Inner:
    size: int
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=lambda: Inner(1))
    rows: tuple[Inner, ...] = ()
    maybe: Inner | None = None
    word: str | None = None
    path: Path = Path(".")
    by_name: dict[str, tuple[float, ...]] = field(default_factory=dict)
    anything: Any = None


FULL = Outer(
    "x", Inner(2), (Inner(3, 0.25), Inner(4)), Inner(5), "w", Path("a/b"), {"k": (1.0, 2.0)}, {"free": [1]}
)


@pytest.mark.parametrize("value", [Outer("x"), FULL])
@pytest.mark.parametrize("defaults", [True, False])
def test_there_and_back_through_json(value, defaults):
    table = json.loads(json.dumps(to_table(value, defaults=defaults)))
    assert from_table(Outer, table, "t.json") == value


def test_defaults_can_be_left_out():
    assert to_table(Outer("x", rows=(Inner(1),)), defaults=False) == {"name": "x", "rows": [{"size": 1}]}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"name": "x", "roes": []}, "t: unknown key 'roes'.*did you mean 'rows'"),
        ({}, "t: key 'name' is missing"),
        ({"name": 3}, "t: name has a wrong type; found 3; allowed: str"),
        ({"name": "x", "inner": {"size": 1, "shares": 2}}, "t: inner: unknown key 'shares'.*'share'"),
        ({"name": "x", "inner": 3}, "t: inner is not a table; found int"),
        ({"name": "x", "inner": {"size": True}}, "t: inner: size has a wrong type"),
        ({"name": "x", "rows": [{"size": 1}, {"size": 1.5}]}, r"t: rows\[1\]: size has a wrong type"),
        ({"name": "x", "by_name": {"k": ["1"]}}, r"t: by_name.k\[0\] has a wrong type"),
        ({"name": None}, "t: name has a wrong type"),
    ],
)
def test_errors_are_one_line_that_names_the_place(table, message):
    with pytest.raises(RecipeError, match=message) as caught:
        from_table(Outer, table, "t")
    assert "\n" not in str(caught.value)


def test_the_error_is_the_readers():
    with pytest.raises(ArtifactError, match="is not a table"):
        from_table(Outer, [], "s.json", ArtifactError)


def test_toml_that_is_none(tmp_path):
    with pytest.raises(RecipeError, match="does not exist"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "r.toml").write_text("[x")
    with pytest.raises(RecipeError, match=r"r\.toml is not TOML"):
        read_toml(tmp_path / "r.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1" + "0" * 400, "a whole number of hundreds of digits"),
        ("x = 1" + "0" * 5000, "is not TOML"),
        ("x = [{y = 0x" + "f" * 6000 + "}]", "a whole number of hundreds of digits"),
        ("x." + "a." * 3000 + "a = 1", "tables nested too deeply"),
        ("x = " + "[" * 100 + "]" * 100, "tables nested too deeply"),
    ],
)
def test_toml_without_measure_is_one_short_line(tmp_path, text, said):
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=said) as caught:
        read_toml(path)
    assert len(str(caught.value)) < 400


def test_json_holds_no_number_beyond_floats():
    assert parse_json("[1, -7, 1e5, 18446744073709551616, true]") == [1, -7, 1e5, 2**64, True]
    for number in (10**400, -(10**400)):
        with pytest.raises(ValueError, match="a whole number of hundreds of digits"):
            parse_json(f'{{"mean": [{number}, 0, 0]}}')
