"""Which convolutions may compute in int8: measured, since a few with heavy-tailed inputs lose nearly all of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketvlad.compress.codes.int8 import quantize_image
from pocketvlad.model.netvlad import PlaceModel

_PHOTOS = 6


@torch.no_grad()
def int8_layers(model: PlaceModel, photos: Tensor, allowed: float, among: str = "") -> frozenset[str]:
    """Names of the convolutions, soft assignment included, whose 8-bit activations cost little together.

    Args:
        model: uncompressed.
        photos: float32 [N, 3, H, W], preprocessed; a few of them are looked at.
        allowed: of 1 - cosine, the sum over the layers chosen, each alone; losses this small add up well.
        among: the convolutions whose names begin like this.
    """
    chosen = photos[:: -(-len(photos) // _PHOTOS)]
    wanted = _describe(model, chosen)
    losses = {}
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d) and name.startswith(among):
            hook = layer.register_forward_pre_hook(lambda _, inputs: (quantize_image(inputs[0]),))
            try:
                losses[name] = float(1 - (_describe(model, chosen) * wanted).sum(dim=1).mean())
            finally:
                hook.remove()
    found, total = set(), 0.0
    for name in sorted(losses, key=lambda name: losses[name]):
        total += max(losses[name], 0.0)
        if total >= allowed:
            break
        found.add(name)
    return frozenset(found)


def _describe(model: PlaceModel, photos: Tensor) -> Tensor:
    return torch.cat([model(photo[None]) for photo in photos])
