"""A classifier, compressed or not, as an ExecuTorch program: the place models' fold and lowering."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from pocketvlad.compress.classifier import CompressedClassifier
from pocketvlad.export.fold import FAST, MIXED, fold_network, for_kernels, require_semantics
from pocketvlad.export.program import export_module
from pocketvlad.model.classifier import Classifier, empty_network


def fold_classifier(compressed: CompressedClassifier, semantics: str = MIXED) -> nn.Module:
    """Every layer as a packed module: float32 [1, 3, H, W] -> scores float32 [1, classes].

    Args:
        compressed: of any recipe.
        semantics: ``exact``, ``fast``, or ``mixed``: the linear layers fast, the convolutions exact.
    """
    require_semantics(semantics)
    network = empty_network(compressed.config)
    linear = {name for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    fast = {name: semantics == FAST or (semantics == MIXED and name in linear) for name in compressed.layers}
    layers = {name: for_kernels(lut, fast[name]) for name, lut in compressed.layers.items()}
    return fold_network(network, layers, compressed.biases, fast).eval()


def export_classifier(
    classifier: Classifier | CompressedClassifier,
    out: Path | str,
    *,
    semantics: str = MIXED,
    made_from: Mapping[str, Any] | None = None,
    force: bool = False,
) -> int:
    """Write the program of a classifier; see :func:`pocketvlad.export.program.export_model`.

    Returns:
        Bytes written.

    Raises:
        ExportError: torch or ExecuTorch refuse the network, or the phone runtime lacks one of its ops.
    """
    packed = isinstance(classifier, CompressedClassifier)
    module = (
        fold_classifier(classifier, semantics) if isinstance(classifier, CompressedClassifier) else classifier
    )
    config = classifier.config
    return export_module(
        module,
        out,
        config=config.to_json(),
        preprocess=config.preprocess,
        outputs=config.classes,
        semantics=semantics if packed else "float32",
        made_from=made_from or {},
        force=force,
    )
