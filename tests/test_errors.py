"""What errors show: names as they are and doing nothing, and the nearest of the known ones."""

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketvlad.compress.recipe import load_recipe
from pocketvlad.dataset import open_dataset
from pocketvlad.errors import PocketvladError, RecipeError, did_you_mean, printable, unknown
from pocketvlad.importer.checkpoint import import_checkpoint
from pocketvlad.index.types import encode_vectors
from pocketvlad.model.backbones import backbone_spec
from pocketvlad.model.heads import head_class


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("photos/caf\u00e9 \u6771\u4eac.jpg", "photos/caf\u00e9 \u6771\u4eac.jpg"),
        ("a\x1b[31mred\x1b[0m", "a\\x1b[31mred\\x1b[0m"),
        ("a\nb\tc\x7f\x9b", "a\\nb\\tc\\x7f\\x9b"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("[/red] [red]x", "[/red] [red]x"),
        (os.fsdecode(b"caf\xe9"), "caf\ufffd"),
        ("", ""),
    ],
)
def test_what_acts_on_a_terminal_is_shown_as_its_escape(text, seen):
    assert printable(text) == seen


@given(st.text())
def test_nothing_printable_is_lost_and_nothing_acts(text):
    seen = printable(text)
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in seen)
    if text.isprintable():
        assert seen == text or any(letter in seen for letter in "\\\ufffd")


def test_an_error_is_one_harmless_line():
    line = str(PocketvladError("cannot read \x1b]0;x\x07.jpg", found="\u202ea\nb"))
    assert "\x1b" not in line and "\u202e" not in line and "\n" not in line


def test_the_nearest_name_is_advised():
    assert did_you_mean("compact8x", ["auto", "compact-8x", "compact-16x"]) == "did you mean 'compact-8x'?"
    assert did_you_mean("Sparse", ["dense", "sparse"]) == "did you mean 'sparse'?"
    assert did_you_mean("zebra", ["auto"]) is None
    assert str(unknown(RecipeError, "unknown x", "aut", ["auto"])).endswith(
        "allowed: auto; did you mean 'auto'?"
    )


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: load_recipe("compact8x"), "compact-8x"),
        (lambda: backbone_spec("efficientnet-lite0"), "efficientnet_lite0"),
        (lambda: head_class("netvald"), "netvlad"),
        (lambda: open_dataset("foldr:."), "folder"),
        (lambda: import_checkpoint("x.pth", layout="cosplce"), "cosplace"),
        (lambda: encode_vectors(None, "flaot16"), "float16"),
    ],
)
def test_mistyped_names_are_answered_with_the_right_one(call, meant):
    with pytest.raises(PocketvladError, match=f"did you mean '{meant}'"):
        call()
