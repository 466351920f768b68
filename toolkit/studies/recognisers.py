"""The published recognisers as made checkpoints: each project's layout at its real size, with random weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from studies import made

Batches = Sequence[Tensor]  # photos, float32 [B, 3, H, W] each


@dataclass(frozen=True)
class Family:
    """A recogniser.

    Attributes:
        name: for people.
        size: height and width of its input here.
        make: its checkpoint; batch norms get the statistics of the photos given.
    """

    name: str
    size: tuple[int, int]
    make: Callable[[Batches], dict[str, Tensor]]


_WIDE = {"vits": (384, 12), "vitb": (768, 12)}  # width, depth
_SIDE = 37  # of DINOv2's position embedding


def _cosplace(name: str, dim: int) -> Callable[[Batches], dict[str, Tensor]]:
    def make(photos: Batches) -> dict[str, Tensor]:
        backbone = made.resnet(name, 4, photos=photos)
        channels = 512 if name in ("resnet18", "resnet34") else 2048
        return made.under("backbone.", made.in_sequence(backbone)) | made.gem_head(dim, channels, 3.0)

    return make


def _mixvpr(photos: Batches) -> dict[str, Tensor]:
    backbone = made.resnet("resnet50", 3, photos=photos).state_dict()
    return made.under("backbone.model.", backbone) | made.mixvpr_head(1024, outputs=1024, rows=4, depth=4)


def _transformer(name: str) -> dict[str, Tensor]:
    width, depth = _WIDE[name]
    return made.transformer(side=_SIDE, width=width, depth=depth)


def _salad(name: str) -> Callable[[Batches], dict[str, Tensor]]:
    def make(photos: Batches) -> dict[str, Tensor]:
        head = made.salad_head(channels=_WIDE[name][0], hidden=512, clusters=64, values=128, token=256)
        return made.under("backbone.model.", _transformer(name)) | head

    return make


def _megaloc(photos: Batches) -> dict[str, Tensor]:
    tensors = _transformer("vitb")
    del tensors["mask_token"]
    head = made.megaloc_head(8448, channels=768, hidden=512, clusters=64, values=256, token=256)
    return made.under("backbone.", tensors) | head


def _boq_resnet(photos: Batches) -> dict[str, Tensor]:
    backbone = made.in_sequence(made.resnet("resnet50", 3, photos=photos))
    return made.under("backbone.net.", backbone) | made.boq_head(1024, width=512, queries=64, rows=32)


def _boq_transformer(photos: Batches) -> dict[str, Tensor]:
    head = made.boq_head(768, width=384, queries=64, rows=32)
    return made.under("backbone.dino.", _transformer("vitb")) | head


FAMILIES = {
    "cosplace-r18-512": Family("CosPlace ResNet18, 512", (320, 320), _cosplace("resnet18", 512)),
    "eigenplaces-r50-2048": Family("EigenPlaces ResNet50, 2048", (320, 320), _cosplace("resnet50", 2048)),
    "mixvpr": Family("MixVPR ResNet50, 4096", (320, 320), _mixvpr),
    "salad-vits": Family("SALAD ViT-S/14, 8448", (224, 224), _salad("vits")),
    "salad-vitb": Family("SALAD ViT-B/14, 8448", (322, 322), _salad("vitb")),
    "boq-r50": Family("BoQ ResNet50, 16384", (384, 384), _boq_resnet),
    "boq-vitb": Family("BoQ ViT-B/14, 12288", (322, 322), _boq_transformer),
    "megaloc-224": Family("MegaLoc, 8448, 224x224", (224, 224), _megaloc),
    "megaloc-322": Family("MegaLoc, 8448, 322x322", (322, 322), _megaloc),
}
