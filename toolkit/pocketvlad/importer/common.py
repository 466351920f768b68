"""What the PyTorch layouts share: convolutions, a soft assignment, centres and a PCA under various keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from torch import Tensor, nn

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.types import ImportedModel, Shape, Tensors, require
from pocketvlad.model.backbones import COUNTER, backbone_spec, build_backbone, plain_backbone
from pocketvlad.model.heads.netvlad import NetVlad, NetVladOptions
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.preprocess import Preprocess

IMAGENET = Preprocess(480, 640)  # RGB / 255, ImageNet's mean and deviation
_BY_FIRST_CONVOLUTION = {(64, 3, 3, 3): "vgg16", (64, 3, 11, 11): "alexnet"}


@dataclass(frozen=True)
class NetVladKeys:
    """Where a layout keeps what.

    Attributes:
        layout: its name for people.
        backbone: prefix of the convolutions' keys.
        assignment: prefix of the soft assignment's ``weight`` [K, D, 1, 1] and optional ``bias`` [K].
        centroids: key of the centres [K, D].
        whitening: prefix of ``weight`` and ``bias`` [P], or None for a layout without one.
        whitening_axes: dimensions of the whitening's weight: 4 for [P, K * D, 1, 1], 2 for [P, K * D].
        preprocess: from a photo to the input.
    """

    layout: str
    backbone: str
    assignment: str
    centroids: str
    whitening: str | None
    whitening_axes: int = 4
    preprocess: Preprocess = IMAGENET


@cache
def backbone_shapes(name: str) -> dict[str, Shape]:
    """Shapes of a backbone's tensors by their keys in it, without allocating them."""
    state = plain_backbone(name).state_dict()
    return {key: tuple(value.shape) for key, value in state.items() if not key.endswith(COUNTER)}


def load_netvlad(tensors: Tensors, keys: NetVladKeys, notes: tuple[str, ...] = ()) -> ImportedModel:
    """A model from a file of this layout, flatten order k * D + d.

    Raises:
        CheckpointError: naming every key that is missing, of another shape or left over.
    """
    name = _backbone_name(tensors, keys)
    channels = backbone_spec(name).channels
    clusters = _length(tensors, keys.centroids)
    bias = tensors.get(f"{keys.assignment}.bias")
    dim = _length(tensors, f"{keys.whitening}.weight") if keys.whitening else None
    shapes: dict[str, Shape] = {
        f"{keys.backbone}{key}": shape for key, shape in backbone_shapes(name).items()
    }
    shapes |= {keys.centroids: (clusters, channels), f"{keys.assignment}.weight": (clusters, channels, 1, 1)}
    if bias is not None:
        shapes[f"{keys.assignment}.bias"] = (clusters,)
    if keys.whitening:
        columns = clusters * channels if clusters else None
        shapes[f"{keys.whitening}.weight"] = (dim, columns, 1, 1)[: keys.whitening_axes]
        shapes[f"{keys.whitening}.bias"] = (dim,)
    require(tensors, keys.layout, shapes)
    weights = {key: tensors[f"{keys.backbone}{key}"] for key in backbone_shapes(name)}
    whitening = None
    if keys.whitening:
        whitening = (tensors[f"{keys.whitening}.weight"].flatten(1), tensors[f"{keys.whitening}.bias"])
    pool = Pool(tensors[f"{keys.assignment}.weight"], bias, tensors[keys.centroids])
    model = netvlad_network(name, keys.preprocess, weights, pool, whitening)
    return ImportedModel(model, keys.layout, notes)


@dataclass(frozen=True, eq=False)
class Pool:
    """NetVLAD's values: soft assignment [K, D, 1, 1], its bias [K] or None, cluster centres [K, D]."""

    assignment: Tensor
    bias: Tensor | None
    centroids: Tensor


def netvlad_network(
    name: str,
    preprocess: Preprocess,
    weights: Mapping[str, Tensor],
    pool: Pool,
    whitening: tuple[Tensor, Tensor] | None,
) -> Network:
    """A network of a backbone's weights, NetVLAD's and those of a whitening [P, K * D] with its bias [P]."""
    options = NetVladOptions(len(pool.centroids), pool.bias is not None)
    config = NetworkConfig(name, preprocess, options=options)
    head, layer = NetVlad(config.channels, options), None
    head.assignment.weight, head.centroids = _parameter(pool.assignment), _parameter(pool.centroids)
    if pool.bias is not None:
        head.assignment.bias = _parameter(pool.bias)
    if whitening is not None:
        weight, bias = whitening
        layer = nn.utils.skip_init(nn.Linear, weight.shape[1], len(weight))
        layer.weight, layer.bias = _parameter(weight), _parameter(bias)
        config = replace(config, dim=len(weight))
    return Network(config, build_backbone(name, weights), head, layer).eval()


def _parameter(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().float().contiguous())


def _length(tensors: Tensors, key: str) -> int | None:
    """Length of a tensor's first axis, None when there is no such tensor."""
    return len(tensors[key]) if key in tensors and tensors[key].ndim else None


def _backbone_name(tensors: Tensors, keys: NetVladKeys) -> str:
    """alexnet or vgg16 by the first convolution's shape [O, 3, k, k]."""
    first = f"{keys.backbone}0.weight"
    require_first: dict[str, Shape] = {first: (None, 3, None, None)}
    require({key: value for key, value in tensors.items() if key == first}, keys.layout, require_first)
    shape = tuple(tensors[first].shape)
    if shape not in _BY_FIRST_CONVOLUTION:
        raise CheckpointError(
            f"the backbone of this {keys.layout} checkpoint is unknown",
            found=f"a first convolution of {shape[0]} filters {shape[2]}x{shape[3]}",
            allowed="vgg16 (64 of 3x3) or alexnet (64 of 11x11)",
        )
    return _BY_FIRST_CONVOLUTION[shape]
