"""gmberton/deep-visual-geo-localization-benchmark (MIT): NetVLAD or GeM on VGG16, AlexNet or a ResNet.

Keys, bare or under ``model_state_dict``: ``backbone.N.*`` (places in a sequence; ResNets end after layer3, "conv4", or
layer4, "conv5", and keep their last ReLU, the others do not), and

- NetVLAD: ``aggregation.conv.weight`` [K, D, 1, 1], ``aggregation.centroids`` [K, D];
- GeM: ``aggregation.1.p`` [1] behind an L2 norm, the default ``--l2 before_pool``; ``aggregation.0.p`` without it.

With ``--fc_output_dim P`` they are under ``aggregation.0.`` and ``aggregation.1.{weight,bias}`` is a layer [P, V]. Its
PCA is never saved. Input 480x640, ImageNet's mean and deviation.
"""

from __future__ import annotations

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.backbones import numbered
from pocketvlad.importer.common import (
    IMAGENET,
    NetVladKeys,
    layers_at,
    length_of,
    linear_shapes,
    load_netvlad,
    network_of,
)
from pocketvlad.importer.types import ImportedModel, Tensors
from pocketvlad.model.heads.gem import GemOptions

LAYOUT = "deep-visual-geo-localization-benchmark"
KEYS = NetVladKeys(LAYOUT, "backbone.", "aggregation.conv", "aggregation.centroids", None, resnets=True)
KEYS_WITH_LAYER = NetVladKeys(
    LAYOUT,
    "backbone.",
    "aggregation.0.conv",
    "aggregation.0.centroids",
    "aggregation.1",
    whitening_axes=2,
    resnets=True,
)
NO_PCA = "this layout does not save its PCA: descriptors keep all K * D values"
NO_L2 = "the file does not say where features are normalised: after GeM alone is assumed (--l2 after_pool)"
UNIT_LENGTH = (
    "descriptors have unit length here; the source's (--l2 before_pool, no layer) have not, so there photos may come "
    "in another order"
)
_LAYER = "aggregation.1"  # of --fc_output_dim


def matches(tensors: Tensors) -> bool:
    ours = any(key.startswith("aggregation.") for key in tensors)
    other = any(key.startswith("aggregator.") for key in tensors)
    return ours or (not other and any(key.startswith("backbone.") for key in tensors))


def load(tensors: Tensors) -> ImportedModel:
    """CheckpointError when a key is missing, left over or has another shape."""
    _refuse_no_head(tensors)
    layer = f"{_LAYER}.weight" in tensors or f"{_LAYER}.bias" in tensors
    inner = "aggregation.0." if layer else "aggregation."
    _refuse_other_heads(tensors, inner)
    if any(key in tensors for key in (f"{inner}0.p", f"{inner}1.p")):
        return _load_gem(tensors, inner, layer=layer)
    return load_netvlad(tensors, KEYS_WITH_LAYER) if layer else load_netvlad(tensors, KEYS, (NO_PCA,))


def _load_gem(tensors: Tensors, inner: str, *, layer: bool) -> ImportedModel:
    normalized = f"{inner}1.p" in tensors
    if layer and not normalized:
        raise CheckpointError(
            f"a {LAYOUT} checkpoint does not say what is between its GeM and its layer",
            found=f"'{inner}0.p', of --l2 after_pool or none",
            allowed=f"'{inner}1.p', of --l2 before_pool",
        )
    found = numbered(tensors, "backbone.", LAYOUT, resnets=True)
    power = f"{inner}1.p" if normalized else f"{inner}0.p"
    dim = length_of(tensors, f"{_LAYER}.weight") if layer else 0
    shapes = linear_shapes(_LAYER, dim, found.channels) if layer else {}
    found.require(tensors, LAYOUT, {power: (1,), **shapes})
    options = GemOptions(dim or 0, float(tensors[power]), normalized)
    values = layers_at(tensors, {"linear": _LAYER} if layer else {})
    model = network_of(found, tensors, IMAGENET, "gem", options, values)
    return ImportedModel(model, LAYOUT, () if layer else (UNIT_LENGTH if normalized else NO_L2,))


def _refuse_no_head(tensors: Tensors) -> None:
    """MAC, SPoC and R-MAC have no weights, and what a backbone ends in does not say which it was."""
    if all(key.startswith("backbone.") for key in tensors):
        numbered(tensors, "backbone.", LAYOUT, resnets=True).require(tensors, LAYOUT, {})
        raise CheckpointError(
            f"this {LAYOUT} checkpoint holds no head",
            found="a backbone alone, as of those that have no weights (mac, spoc, rmac)",
            allowed="NetVLAD, GeM",
        )


def _refuse_other_heads(tensors: Tensors, inner: str) -> None:
    for part, name in (("crn.", "CRN, which weighs locations by their context"), ("ln1.", "RRM")):
        if any(key.startswith((f"{inner}{part}", f"aggregation.{part}")) for key in tensors):
            raise CheckpointError(
                f"this {LAYOUT} checkpoint has a head that is not supported",
                found=name,
                allowed="NetVLAD, GeM",
            )
