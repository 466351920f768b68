"""Post-training compression that looks at the layers' real inputs on calibration examples.

Every layer is fitted to the uncompressed network's outputs, on the inputs it gets from the compressed layers before
it, int8 activations included where the program will have them (in a backbone that XNNPACK computes on the grids they
will have, which are fitted on the way). How is chosen by what a layer reads: many rows of an example, as convolutions
and layers over tokens do, by their second moments; one row of an example, as a layer behind the pooling does, by the
vectors of many views, which are too few for more than the mean of what the layers before have lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from pocketvlad.compress.calibrate.activations import GridFitter
from pocketvlad.compress.calibrate.arithmetic import int8_layers
from pocketvlad.compress.calibrate.fit import Fitted, fit_layer, stand_in
from pocketvlad.compress.calibrate.int8_backbone import int8_backbone
from pocketvlad.compress.calibrate.kept import KeptLayers
from pocketvlad.compress.calibrate.moments import layer_moments
from pocketvlad.compress.calibrate.views import enough_examples, example_views, view_count
from pocketvlad.compress.calibrate.walk import Inputs, Walk, example_limit
from pocketvlad.compress.calibrate.wide import fit_wide
from pocketvlad.compress.compressed import Compressed, skeleton_of
from pocketvlad.compress.graph import traced
from pocketvlad.compress.layers import Layer, compressible_layers, layers_left, vector_layers
from pocketvlad.compress.recipe import Recipe
from pocketvlad.errors import RecipeError
from pocketvlad.lut.rows import QuantizedRows
from pocketvlad.model.network import Network
from pocketvlad.model.roles import ASSIGNMENT
from pocketvlad.progress import Progress, Steps
from pocketvlad.threads import in_order, one_thread

Pair = tuple[tuple[Any, ...], tuple[Any, ...]]  # arguments in the uncompressed and the compressed network


@one_thread()
def compress_calibrated(
    network: nn.Module,
    recipe: Recipe,
    examples: Inputs,
    *,
    kept: Path | None = None,
    progress: Progress | None = None,
) -> Compressed:
    """Compress every layer by the recipe, in the order they run; arguments as ``compress_network``."""
    if len(examples) == 0:
        raise RecipeError(f"recipe {recipe.name} calibrates on photos", found="none")
    with torch.no_grad():
        layers = KeptLayers(kept, network, recipe, examples)
        return _Calibration(network, recipe, examples, layers, progress).run()


class _Calibration:
    """One calibration: a network's parts, one after the other, in both networks."""

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        examples: Inputs,
        kept: KeptLayers,
        progress: Progress | None,
    ):
        self.network, self.recipe, self.examples, self.kept = network, recipe, examples, kept
        self.roles = network.roles() if isinstance(network, Network) else {}
        self.layers = compressible_layers(network)
        self.vectors = vector_layers(network, examples[0])
        self.int8 = self._int8_layers()
        self.constants = quantized_constants(network)
        self.fitter: GridFitter | None = None
        self.fitted: dict[str, Fitted] = {}
        views = view_count(examples) * len(self.vectors & set(self.layers))
        self.steps = Steps(progress, len(self.layers) + views)

    def run(self) -> Compressed:
        limit = example_limit(self._first_part(), self.examples[0])
        chosen = enough_examples(self.examples, limit)
        done = _Parts()
        for prefix, part in parts_of(self.network):
            quantized = self.recipe.int8_backbone and not done.reference
            done.add(part, self._compress_part(prefix, part, done, chosen, quantized=quantized))
        layers, biases = split_fitted(self.fitted)
        return Compressed(
            skeleton_of(self.network, layers, self.constants),
            layers,
            biases,
            self.constants,
            self.recipe,
            int8=self.int8 | self.vectors,
            activations={} if self.fitter is None else self.fitter.grids,
            left=layers_left(self.network),
        )

    def _first_part(self) -> nn.Module:
        return parts_of(self.network)[0][1]

    def _compress_part(
        self, prefix: str, part: nn.Module, done: _Parts, chosen: Inputs, *, quantized: bool
    ) -> nn.Module:
        """One part on what the finished ones give it; ``quantized``: with int8 activations throughout."""
        generator = torch.Generator().manual_seed(0)
        inside = frozenset(name for name in compressible_layers(part) if f"{prefix}{name}" in self.layers)
        graph = traced(part, self.examples[0] if not done.reference else None)
        walk = Walk(graph, inside)
        several = sum(f"{prefix}{name}" in self.vectors for name in inside) > 1
        self.fitter = GridFitter(graph) if quantized else self.fitter

        def replace(name: str, layer: Layer, node: fx.Node, z: list[Tensor], x: list[Tensor]) -> nn.Module:
            full = f"{prefix}{name}"
            options = self.recipe.for_layer(full, self.roles.get(full, ""))
            wide = full in self.vectors and isinstance(layer, nn.Linear)
            fast, found = wide or full in self.int8, self.kept.take(full, generator)
            if found is None:
                if wide and isinstance(layer, nn.Linear):
                    reference, inputs = self._vectors(walk, node, done, kept=several)
                    found = Fitted(*fit_wide(layer, options, reference, inputs, self._block(full), full))
                else:
                    shuffled = self.roles.get(full) == ASSIGNMENT
                    moments = layer_moments(layer, z, x, generator, shuffled=shuffled)
                    found = fit_layer(layer, options, moments, fast=fast)
                self.kept.keep(full, found, generator)
            elif wide:
                self.steps.done(view_count(self.examples))
            self.fitted[full] = found
            self.steps.done()
            return stand_in(layer, found, fast=fast, quantize_inputs=fast and not quantized)

        walked = walk.run(*done.reached(chosen), replace, self.fitter if quantized else None)
        for name, _ in part.named_parameters():
            if f"{prefix}{name}" in self.constants:
                rows = self.constants[f"{prefix}{name}"].dequantize()
                setattr(walked, name, nn.Parameter(torch.from_numpy(rows)))
        return self._in_int8(prefix, part) if quantized else walked

    def _vectors(self, walk: Walk, node: fx.Node, done: _Parts, *, kept: bool) -> tuple[Tensor, Tensor]:
        """What a layer reads of every view, float32 [M, V], in the uncompressed and the compressed network."""

        def read(pair: Pair) -> tuple[Tensor, Tensor]:
            wanted = walk.input_of(node, pair[0], compressed=False)
            return wanted.reshape(-1), walk.input_of(node, pair[1], compressed=True).reshape(-1)

        wanted, found = [], []
        for before, after in in_order(read, done.views(self.examples, kept=kept)):
            wanted.append(before)
            found.append(after)
            self.steps.done()
        return torch.stack(wanted), torch.stack(found)

    def _block(self, name: str) -> int:
        """Values that belong together in what a layer behind the head reads."""
        head = self.network.head if isinstance(self.network, Network) else None
        inside = head is not None and any(self.layers[name] is module for module in head.modules())
        return 0 if head is None or inside else head.block

    def _int8_layers(self) -> frozenset[str]:
        """Layers of many rows that compute in int8; for XNNPACK all of the backbone must."""
        every = frozenset(self.layers) - self.vectors
        if self.recipe.semantics == "fast":
            return every
        prefix = parts_of(self.network)[0][0]
        forced = {n for n in every if n.startswith(prefix)} if self.recipe.int8_backbone else frozenset[str]()
        among = every - forced
        return int8_layers(self.network, self.examples, self.recipe.int8_loss, among) | forced

    def _in_int8(self, prefix: str, part: nn.Module) -> nn.Module:
        inside = {n.removeprefix(prefix): each for n, each in self.fitted.items() if n.startswith(prefix)}
        layers, biases = split_fitted(inside)
        return int8_backbone(part, layers, biases, self.fitter.grids if self.fitter else {})


class _Parts:
    """The finished parts of both networks."""

    def __init__(self) -> None:
        self.reference: list[nn.Module] = []
        self.compressed: list[nn.Module] = []
        self._views: list[Pair] = []

    def add(self, reference: nn.Module, compressed: nn.Module) -> None:
        self._views = []
        self.reference.append(reference)
        self.compressed.append(compressed)

    def reached(self, examples: Inputs) -> tuple[Inputs, Inputs]:
        """The examples behind the finished parts, in both networks."""
        pairs = list(in_order(self.reached_by, examples))
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def views(self, examples: Inputs, *, kept: bool) -> Iterable[Pair]:
        """Every view behind the finished parts, in both networks; ``kept`` for the next layer that asks."""
        found = in_order(self.reached_by, example_views(examples))
        if not kept:
            return found
        self._views = self._views or list(found)
        return self._views

    def reached_by(self, example: tuple[Any, ...]) -> Pair:
        plain, compressed = example, example
        for reference, stand in zip(self.reference, self.compressed, strict=True):
            plain, compressed = (reference(*plain),), (stand(*compressed),)
        return plain, compressed


def parts_of(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """A network's modules one after the other, with their prefixes; of any other module itself."""
    return network.parts() if isinstance(network, Network) else [("", network)]


def split_fitted(fitted: dict[str, Fitted]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Layers and biases."""
    biases = {name: each.bias for name, each in fitted.items() if each.bias is not None}
    return {name: each.lut for name, each in fitted.items()}, biases


def quantized_constants(network: nn.Module) -> dict[str, QuantizedRows]:
    """A network's constants at 8 bits."""
    names = network.constants() if isinstance(network, Network) else ()
    return {name: QuantizedRows.of(network.get_parameter(name).detach().cpu().numpy()) for name in names}
