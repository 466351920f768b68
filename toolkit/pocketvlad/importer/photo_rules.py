"""How a source wants its photos, as far as it decides what an imported model computes.

All of them scale to RGB / 255 and ImageNet's mean and deviation, and resize with antialiasing; that normalising comes
before resizing in the evaluation suite changes nothing, both being linear. What differs is whether EXIF turns a photo,
and the size: a program has one, so it is that of photos of one shape, to which photos of other shapes are stretched.
hloc's own filter (OpenCV's area) is not taken over: there is one way from bytes to tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketvlad.model.network import Network

Size = tuple[int, int]  # height and width, pixels

OURS = "ours"
_PATCHES = "patch_embed.proj.weight"  # how a transformer's first layer is called


@dataclass(frozen=True)
class PhotoRule:
    """Attributes:
    upright: photos are turned as their EXIF says.
    longest: of a side, pixels; larger photos keep their aspect; None: no limit.
    whole_patches: a transformer's sides are rounded to the nearest number of whole patches.
    """

    upright: bool = True
    longest: int | None = None
    whole_patches: bool = False

    def size(self, asked: Size, tensors: Mapping[str, Any]) -> Size:
        """The input's size for photos of the size asked, by a checkpoint's tensors."""
        height, width = asked
        if self.longest is not None and max(asked) > self.longest:
            scale = self.longest / max(asked)
            height, width = round(height * scale), round(width * scale)
        if self.whole_patches and _has_patches(tensors):
            from pocketvlad.model.backbones.dinov2 import PATCH  # torch, which a plan's check does without

            height, width = (max(1, round(side / PATCH)) * PATCH for side in (height, width))
        return height, width

    def applied(self, network: Network) -> Network:
        """The same network with photos turned or not."""
        config = network.config
        if config.preprocess.upright == self.upright:
            return network
        from pocketvlad.model.network import Network

        config = replace(config, preprocess=replace(config.preprocess, upright=self.upright))
        return Network(config, network.backbone, network.head, network.whitening).eval()


# by the option's word: ours; gmberton/VPR-methods-evaluation @adbb6e2; cvg/Hierarchical-Localization @c13273b
RULES = {
    OURS: PhotoRule(),
    "hloc": PhotoRule(upright=False, longest=1024, whole_patches=True),
    "vpr-evaluation": PhotoRule(upright=False, whole_patches=True),
}


def _has_patches(tensors: Mapping[str, Any]) -> bool:
    from torch import Tensor

    return any(key.endswith(_PATCHES) and isinstance(value, Tensor) for key, value in tensors.items())
