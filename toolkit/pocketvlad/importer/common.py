"""What the PyTorch layouts share: a backbone, a head, NetVLAD and a PCA under various keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor, nn

from pocketvlad.importer.backbones import FoundBackbone, numbered
from pocketvlad.importer.types import ImportedModel, Shape, Tensors
from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.heads.base import HeadOptions
from pocketvlad.model.heads.netvlad import NetVlad, NetVladOptions
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.preprocess import Preprocess

IMAGENET = Preprocess(480, 640)  # RGB / 255, ImageNet's mean and deviation
NO_SIZE = "the checkpoint names no input size: 480x640 is assumed"


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
        resnets: whether the backbone may be a ResNet.
    """

    layout: str
    backbone: str
    assignment: str
    centroids: str
    whitening: str | None
    whitening_axes: int = 4
    preprocess: Preprocess = IMAGENET
    resnets: bool = False


def load_netvlad(tensors: Tensors, keys: NetVladKeys, notes: tuple[str, ...] = ()) -> ImportedModel:
    """A model from a file of this layout, flatten order k * D + d.

    Raises:
        CheckpointError: naming every key that is missing, of another shape or left over.
    """
    found = numbered(tensors, keys.backbone, keys.layout, resnets=keys.resnets)
    clusters = length_of(tensors, keys.centroids)
    bias = tensors.get(f"{keys.assignment}.bias")
    dim = length_of(tensors, f"{keys.whitening}.weight") if keys.whitening else None
    shapes: dict[str, Shape] = {keys.centroids: (clusters, found.channels)}
    shapes[f"{keys.assignment}.weight"] = (clusters, found.channels, 1, 1)
    if bias is not None:
        shapes[f"{keys.assignment}.bias"] = (clusters,)
    if keys.whitening:
        columns = clusters * found.channels if clusters else None
        shapes[f"{keys.whitening}.weight"] = (dim, columns, 1, 1)[: keys.whitening_axes]
        shapes[f"{keys.whitening}.bias"] = (dim,)
    found.require(tensors, keys.layout, shapes)
    options = NetVladOptions(clusters or 0, bias is not None)
    values = {"assignment.weight": f"{keys.assignment}.weight", "centroids": keys.centroids}
    if bias is not None:
        values["assignment.bias"] = f"{keys.assignment}.bias"
    head = {own: tensors[key] for own, key in values.items()}
    model = network_of(found, tensors, keys.preprocess, "netvlad", options, head)
    if keys.whitening:
        weight, offset = (tensors[f"{keys.whitening}.{part}"] for part in ("weight", "bias"))
        model = with_whitening(model, weight.flatten(1), offset)
    return ImportedModel(model, keys.layout, notes)


def network_of(
    found: FoundBackbone,
    tensors: Tensors,
    preprocess: Preprocess,
    head: str,
    options: HeadOptions,
    values: Mapping[str, Tensor],
) -> Network:
    """A network, in eval mode.

    Args:
        found: its backbone.
        tensors: of the file, complete.
        preprocess: from a photo to the input.
        head: its name.
        options: the head's.
        values: the head's state dict.

    Raises:
        RecipeError: an input size that the backbone or the head cannot take.
    """
    config = NetworkConfig(found.name, preprocess, head, options, last_activation=found.last_activation)
    config.check_size()
    network = Network.empty(config, found.build(tensors, config.size))
    network.head.load_state_dict({key: _plain(value) for key, value in values.items()}, assign=True)
    return network.requires_grad_(True).eval()


def with_whitening(network: Network, weight: Tensor, bias: Tensor) -> Network:
    """The network with a whitening layer [P, V] and its bias [P] behind its head."""
    layer = nn.utils.skip_init(nn.Linear, weight.shape[1], len(weight))
    layer.weight, layer.bias = nn.Parameter(_plain(weight)), nn.Parameter(_plain(bias))
    return Network(replace(network.config, dim=len(weight)), network.backbone, network.head, layer).eval()


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
    head = NetVlad(config.channels, options)
    head.assignment.weight = nn.Parameter(_plain(pool.assignment))
    head.centroids = nn.Parameter(_plain(pool.centroids))
    if pool.bias is not None:
        head.assignment.bias = nn.Parameter(_plain(pool.bias))
    network = Network(config, build_backbone(name, weights), head).eval()
    return network if whitening is None else with_whitening(network, *whitening)


def linear_shapes(prefix: str, outputs: int | None, inputs: int | None, *after: int) -> dict[str, Shape]:
    """Of a linear layer or, with ``after`` of (1, 1), a 1x1 convolution."""
    return {f"{prefix}.weight": (outputs, inputs, *after), f"{prefix}.bias": (outputs,)}


def layers_at(tensors: Tensors, places: Mapping[str, str]) -> dict[str, Tensor]:
    """Weights and biases of layers by our names, ``places`` saying where the file has each."""
    return {
        f"{own}.{part}": tensors[f"{key}.{part}"]
        for own, key in places.items()
        for part in ("weight", "bias")
    }


def length_of(tensors: Tensors, key: str) -> int | None:
    """Length of a tensor's first axis, None when there is no such tensor."""
    return len(tensors[key]) if key in tensors and tensors[key].ndim else None


def _plain(values: Tensor) -> Tensor:
    return values.detach().float().contiguous()
