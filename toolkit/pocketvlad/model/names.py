"""The names of backbones and heads, so that a mistyped one is refused without torch.

Tests hold them against :data:`pocketvlad.model.backbones.BACKBONES` and :data:`pocketvlad.model.heads.HEADS`.
"""

from __future__ import annotations

from pocketvlad.errors import CheckpointError, unknown

BACKBONES = (
    "alexnet",
    "alexnet_caffe",
    "vgg16",
    "squeezenet1_1",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *(f"resnet{depth}_layer3" for depth in (18, 34, 50, 101, 152)),
    *(f"dinov2_vit{size}14{more}" for size in "sbl" for more in ("", "_class", "_reg", "_reg_class")),
)
HEADS = ("netvlad", "gem", "convap", "mixvpr", "salad", "boq", "scores")


def require_names(backbone: str, head: str) -> None:
    """CheckpointError for a backbone or a head that there is not."""
    for what, name, names in (("backbone", backbone, BACKBONES), ("head", head, HEADS)):
        if name not in names:
            raise unknown(CheckpointError, f"unknown {what}", name, names)
