"""A network from a backbone and photos: the head initialised from them, whitening by PCA. No training."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad.errors import CheckpointError
from pocketvlad.model.backbones import empty_backbone
from pocketvlad.model.choice import Choice, choose_whitening
from pocketvlad.model.features import Features, Kept, afresh
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.questions import Places
from pocketvlad.model.scratch import init_backbone_from_photos
from pocketvlad.model.views import Crop, drawn_crops, views_of
from pocketvlad.model.wanted import Wanted
from pocketvlad.model.whitening import fit_softened, fit_whitening
from pocketvlad.progress import Progress, Steps
from pocketvlad.threads import one_thread

_SCRATCH_PHOTOS = 90
_COLUMNS = 2048  # of a wide layer that are float64 at a time


@dataclass(frozen=True, eq=False)
class Whitened:
    """A network and how its whitening was chosen."""

    network: Network
    choice: Choice


@one_thread()
def fit_network(
    config: NetworkConfig,
    backbone: nn.Module,
    photos: Sequence[Tensor],
    *,
    views: int | None = None,
    seed: int = 0,
    kept: Kept = afresh,
    progress: Progress | None = None,
) -> Network:
    """Initialise the head from photos and fit a full whitening of ``config.dim`` dimensions.

    Args:
        config: the network wanted.
        backbone: in eval mode, float32 [B, 3, H, W] -> [B, D, H', W'].
        photos: preprocessed, float32 [3, H, W] each.
        views: per photo: the photo, its mirror image, then random crops of either. None: as many as the whitening
            needs (one and a half times its dimensions, at least 1 a photo).
        seed: of the samples and crops.
        kept: does the work on each photo.
        progress: called with views done and views in all.

    Returns:
        The network in eval mode.

    Raises:
        PhotoError: too few photos.
        CheckpointError: the head learns its values in training.
    """
    if views is None:
        views = max(1, -(-3 * (config.dim or 0) // (2 * len(photos))))
    found = Network.empty(replace(config, dim=None), backbone)
    steps = Steps(progress, len(photos) * (_fits(found) + (views if config.dim else 0)))
    _fit_head(found, photos, seed, kept, steps)
    if config.dim:
        vectors = _vectors(found, photos, views, seed, kept, steps)
        found = Network(config, backbone, found.head, fit_whitening(vectors, config.dim))
    return found.requires_grad_(True).eval()


@one_thread()
def fit_chosen(
    config: NetworkConfig,
    backbone: nn.Module,
    photos: Sequence[Tensor],
    places: Places,
    wanted: Wanted,
    *,
    seed: int = 0,
    kept: Kept = afresh,
    progress: Progress | None = None,
) -> Whitened:
    """Initialise the head from photos and choose the whitening on places held out of its fit.

    Args:
        config: the network wanted; its ``dim`` is that of the choice.
        places: of the photos.
        wanted: what is said of the whitening; the rest is chosen.

    Others, errors and what is returned as :func:`fit_network`.
    """
    found = Network.empty(replace(config, dim=None), backbone)
    steps = Steps(progress, len(photos) * (_fits(found) + wanted.views_of(len(photos))[-1]))
    _fit_head(found, photos, seed, kept, steps)
    return _chosen(found, photos, places, wanted, seed, kept, steps)


@one_thread()
def whiten_network(
    network: Network,
    photos: Sequence[Tensor],
    places: Places,
    wanted: Wanted,
    *,
    seed: int = 0,
    kept: Kept = afresh,
    progress: Progress | None = None,
) -> Whitened:
    """The network with a chosen whitening in place of its own; the other weights are shared.

    Behind a head that ends in a linear layer the whitening is fitted to what that layer gives, before it is brought to
    unit length, and becomes part of it: no second layer, and a smaller one where dimensions are left out.

    Args:
        network: of places, in eval mode, with or without a whitening.

    Others and errors as :func:`fit_chosen`.
    """
    plain = Network(replace(network.config, dim=None), network.backbone, network.head).eval()
    steps = Steps(progress, len(photos) * wanted.views_of(len(photos))[-1])
    found = _chosen(plain, photos, places, wanted, seed, kept, steps)
    if found.network.whitening is None or plain.head.last_linear() is None:
        return found
    folded = _with_whitening_folded(plain, found.network.whitening).requires_grad_(True).eval()
    return replace(found, network=folded)


@torch.no_grad()
def _with_whitening_folded(plain: Network, whitening: nn.Linear) -> Network:
    """The head's last layer and a whitening of its outputs as one layer."""
    name, config = str(plain.head.last_linear()), plain.config
    last: Any = plain.head.get_submodule(name)
    rows, bias = whitening.weight.double(), whitening.bias.double()
    bias = bias if last.bias is None else rows @ last.bias.double() + bias
    weight = torch.cat([rows @ part.double() for part in last.weight.split(_COLUMNS, dim=1)], dim=1)
    state = {key: value for key, value in plain.head.state_dict().items() if not key.startswith(f"{name}.")}
    state |= {f"{name}.weight": weight.float(), f"{name}.bias": bias.float()}
    options: Any = replace(config.options, dim=whitening.out_features)  # type: ignore[call-arg]
    found = Network.empty(replace(config, options=options), plain.backbone)
    found.head.load_state_dict(state, assign=True)
    return found


def _fits(network: Network) -> bool:
    """Whether the head has values to find, in one pass over the photos."""
    return any(True for _ in network.head.parameters())


@torch.no_grad()
def _fit_head(network: Network, photos: Sequence[Tensor], seed: int, kept: Kept, steps: Steps) -> None:
    """Initialise the head from the photos."""
    network.head.to_empty(device="cpu")
    backbone, what = network.backbone, f"head {network.config.to_json()} {seed}"

    def features(number: int) -> Tensor:
        found: Tensor = backbone(photos[number][None])
        return found

    network.head.fit(Features(len(photos), features, kept, backbone, what, steps.done), seed)


@torch.no_grad()
def _vectors(
    plain: Network, photos: Sequence[Tensor], views: int, seed: int, kept: Kept, steps: Steps
) -> Tensor:
    """Of each view of each photo, float32 [photos * views, V]; behind a last linear layer its outputs as they are."""
    name, seen = plain.head.last_linear(), threading.local()

    def vector(view: Tensor) -> Tensor:
        found = plain(view[None])
        return found if name is None else seen.outputs

    def of_photo(item: tuple[int, list[Crop]]) -> Tensor:
        number, crops = item
        return torch.cat([vector(view) for view in views_of(photos[number], crops, views)])

    random, size = np.random.default_rng(seed), photos[0].shape[1:]
    items = ((number, drawn_crops(size, views, random)) for number in range(len(photos)))
    with ExitStack() as stack:
        if name is not None:
            last = plain.head.get_submodule(name)
            hook = last.register_forward_hook(lambda _, __, out: setattr(seen, "outputs", out))
            stack.callback(hook.remove)
        vectors = []
        for found in kept(plain, f"views {plain.config.to_json()} {views} {seed}", items, of_photo):
            vectors.append(found.view(views, -1))
            steps.done(views)
    return torch.cat(vectors)


def _chosen(
    plain: Network,
    photos: Sequence[Tensor],
    places: Places,
    wanted: Wanted,
    seed: int,
    kept: Kept,
    steps: Steps,
) -> Whitened:
    most = wanted.views_of(len(photos))[-1]
    vectors = _vectors(plain, photos, most, seed, kept, steps).unflatten(0, (len(photos), most))
    choice = choose_whitening(vectors, places, wanted)
    chosen, network = choice.chosen, plain
    if chosen.dim is not None:
        layer = fit_softened(vectors[:, : chosen.views].flatten(0, 1), chosen.dim, chosen.strength)
        network = Network(replace(plain.config, dim=chosen.dim), plain.backbone, plain.head, layer)
    return Whitened(network.requires_grad_(True).eval(), choice)


@one_thread()
def backbone_from_photos(config: NetworkConfig, photos: Sequence[Tensor], seed: int) -> nn.Sequential:
    """A backbone whose weights are built from photos, where there are none to read.

    Args:
        config: of the network it is for.
        photos: preprocessed, float32 [3, H, W] each; some of them, evenly spread, are looked at.
        seed: of the sampled patches.

    Raises:
        CheckpointError: the backbone is a transformer, which only training gives values.
    """
    backbone = empty_backbone(config.backbone, last_activation=config.last_activation, size=config.size)
    if not isinstance(backbone, nn.Sequential):
        raise CheckpointError(
            f"backbone {config.backbone} cannot be built from photos", do="give it trained weights"
        )
    step = max(1, len(photos) // _SCRATCH_PHOTOS)
    chosen = torch.stack([photos[number] for number in range(0, len(photos), step)])
    init_backbone_from_photos(backbone.to_empty(device="cpu"), chosen, seed)
    return backbone
