"""Names that are told without torch are those that there are."""

from __future__ import annotations

from pocketvlad.importer import checkpoint, files
from pocketvlad.model import backbones, heads, names


def test_every_backbone_head_and_layout_has_its_name():
    assert tuple(backbones.BACKBONES) == names.BACKBONES
    assert tuple(heads.HEADS) == names.HEADS
    assert tuple(checkpoint.LAYOUTS) == files.LAYOUTS
