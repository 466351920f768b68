"""Runs the uncompressed and the compressed backbone side by side, one node at a time, over all photos.

Each convolution is compressed when its inputs in both models are known, so that it can make up for what the
layers before it lost; only the activations that are still needed are kept.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, fx, nn

from pocketvlad.compress.calibrate.moments import LOCATIONS, Moments, MomentSum, location_count, patches

ACTIVATION_BYTES = 4_000_000_000  # both models' live activations, bounds the photos looked at
MAX_PHOTOS = 64
Replace = Callable[[str, nn.Conv2d, Moments], nn.Conv2d]
Observe = Callable[[fx.Node, list[Tensor]], list[Tensor]]


def walk_backbone(
    backbone: nn.Sequential,
    photos: Tensor,
    replace: Replace,
    seed: int = 0,
    observe: Observe = lambda node, outputs: outputs,
) -> nn.Module:
    """Compress every convolution in the order they run.

    Args:
        backbone: the uncompressed one.
        photos: float32 [N, 3, H, W].
        replace: (name, convolution, moments of its inputs) -> the convolution with compressed weights.
        seed: of the sampled locations.
        observe: (node, its outputs on every photo in the compressed model) -> what the nodes after it see.

    Returns:
        The compressed backbone.
    """
    graph = fx.symbolic_trace(backbone)
    modules = dict(graph.named_modules())
    replaced: dict[str, nn.Module] = {}
    values: dict[fx.Node, tuple[list[Tensor], list[Tensor]]] = {}
    uses = {node: len(node.users) for node in graph.graph.nodes}
    generator = torch.Generator().manual_seed(seed)
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            values[node] = (list(photos[:, None]), observe(node, list(photos[:, None])))
        elif node.op == "output":
            break
        else:
            module = modules.get(str(node.target))
            if isinstance(module, nn.Conv2d):
                moments = conv_moments(module, *values[node.args[0]], generator)
                replaced[str(node.target)] = replace(str(node.target), module, moments)
            plain, outputs = _outputs(node, modules, replaced, values)
            values[node] = plain, observe(node, outputs)
            for argument in node.all_input_nodes:
                uses[argument] -= 1
                if uses[argument] == 0:
                    del values[argument]
    for target, module in replaced.items():
        parent, _, name = target.rpartition(".")
        setattr(graph.get_submodule(parent), name, module)
    return graph


def _outputs(
    node: fx.Node,
    modules: dict[str, nn.Module],
    replaced: dict[str, nn.Module],
    values: dict[fx.Node, tuple[list[Tensor], list[Tensor]]],
) -> tuple[list[Tensor], list[Tensor]]:
    """The node's outputs on every photo, in the uncompressed and the compressed model."""
    results: list[list[Tensor]] = []
    for side in (0, 1):
        count = len(values[node.all_input_nodes[0]][side])
        outputs = []
        for photo in range(count):
            args = fx.map_arg(node.args, lambda n, p=photo, s=side: values[n][s][p])
            kwargs = fx.map_arg(node.kwargs, lambda n, p=photo, s=side: values[n][s][p])
            outputs.append(_call(node, modules if side == 0 else modules | replaced, args, kwargs))
        results.append(outputs)
    return results[0], results[1]


def _call(node: fx.Node, modules: dict[str, nn.Module], args: tuple, kwargs: dict) -> Tensor:
    if node.op == "call_module":
        return modules[str(node.target)](*args, **kwargs)
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **kwargs)
    return node.target(*args, **kwargs)  # type: ignore[operator]


def conv_moments(
    conv: nn.Conv2d, reference: list[Tensor], compressed: list[Tensor], generator: torch.Generator
) -> Moments:
    """Moments of a convolution's inputs at sampled locations of every photo."""
    count = location_count(conv, reference[0])
    wanted = min(count, -(-LOCATIONS // len(reference)))
    total = MomentSum(conv.groups, conv.weight[0].numel())
    for z, x in zip(reference, compressed, strict=True):
        chosen = None if wanted == count else torch.randperm(count, generator=generator)[:wanted]
        total.add(patches(conv, x, chosen), patches(conv, z, chosen))
    return total.moments()


def photo_limit(backbone: nn.Sequential, photo: Tensor) -> int:
    """How many photos of this size fit :data:`ACTIVATION_BYTES`, at most :data:`MAX_PHOTOS`."""
    largest = [photo.numel()]
    hooks = [
        module.register_forward_hook(lambda m, i, output: largest.append(output.numel()))
        for module in backbone.modules()
        if not list(module.children())
    ]
    try:
        backbone(photo)
    finally:
        for hook in hooks:
            hook.remove()
    # an input and an output of the largest node live at once, in both models
    return max(1, min(MAX_PHOTOS, ACTIVATION_BYTES // (4 * 4 * max(largest))))
