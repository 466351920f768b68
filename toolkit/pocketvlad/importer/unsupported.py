"""Files of known projects that are not supported: named for what they are, with the reason and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.containers import CONTAINERS
from pocketvlad.importer.pickles import is_module, keys_of_code, what_is_in

if TYPE_CHECKING:
    from torch import Tensor

_INSTEAD = "import MegaLoc, BoQ or EigenPlaces instead"
_LOADED = "c = torch.load(file, weights_only=False)"
_SAVED = "where you trust the file: {}; torch.save({}, 'weights.pth')"
_MODULE = "where you trust the file and have the code of its model at hand: {}; torch.save({}, 'weights.pth')"

_NAMED = 5  # keys in an advice


@dataclass(frozen=True)
class _Project:
    """A project that is recognised.

    Attributes:
        name: for people.
        parts: of a key; a file of the project has keys with one of each.
        without: a part that no key of the project has.
        reason: why it is not supported.
        do: the way out.
    """

    name: str
    parts: tuple[tuple[str, ...], ...]
    reason: str
    do: str = _INSTEAD
    without: str | None = None

    def matches(self, keys: Iterable[str]) -> bool:
        if self.without is not None and any(self.without in key for key in keys):
            return False
        return all(any(part in key for part in parts for key in keys) for parts in self.parts)


_ADAPTERS = ("adapter", "D_fc1")
_PROJECTS = (
    _Project(
        "SelaVPR",
        (_ADAPTERS, ("upconv", "LocalAdapt")),
        "a transformer with adapters and a second stage that compares local features of two photos",
    ),
    _Project(
        "CricaVPR",
        (_ADAPTERS, ("encoder.layers.",)),
        "a transformer with adapters whose descriptors depend on the other photos of their batch",
    ),
    _Project("SelaVPR or CricaVPR", (_ADAPTERS,), "a transformer with adapters in its blocks"),
    _Project(
        "SuperVLAD",
        (("backbone.blocks.", "backbone.patch_embed."), ("aggregation.conv.",)),
        "a transformer with a VLAD without centres",
        without="centroids",
    ),
    _Project(
        "QAA",
        (("backbone.model.blocks.", "backbone.model.patch_embed."), ("aggregator.queries",)),
        "a transformer with queries that look at its patches, which are not BoQ's",
    ),
    _Project(
        "AP-GeM (deep-image-retrieval)",
        (("adpool.p",),),
        "GeM and a layer without the PCA behind them, which this file does not hold",
    ),
    _Project(
        "deep-visual-geo-localization-benchmark, on CCT or a ViT of 16x16 patches",
        (("backbone.tokenizer.", "backbone.embeddings."), ("aggregation.", "backbone.")),
        "a backbone of tokens that is not DINOv2",
    ),
)


def refuse_unsupported(content: Mapping[str, Any]) -> None:
    """Raises CheckpointError for the content of a checkpoint of a known project that is not supported."""
    for project in _PROJECTS:
        if project.matches(content):
            raise CheckpointError(
                f"this is a checkpoint of {project.name}, which is not supported",
                found=project.reason,
                do=project.do,
            )


def code_refused(path: Path, code: str) -> CheckpointError:
    """What to say of a file that would run code when loaded."""
    if code.startswith("sklearn.") and "PCA" in code:
        return CheckpointError(
            f"checkpoint {path} holds a PCA as an object of scikit-learn, as AP-GeM's (deep-image-retrieval) does",
            found=f"{code}, which would run code when loaded, so it was not loaded",
            do=_INSTEAD,
        )
    content = what_is_in(path)
    keys = keys_of_code(content)
    return CheckpointError(
        f"checkpoint {path} would run code when loaded, so it was not loaded",
        found=f"{code} under {keys[0]!r}" if keys else code,
        allowed="tensors, numbers and containers",
        do=_without_code(content, keys),
    )


def _without_code(content: Any, keys: Sequence[Any]) -> str | None:
    """How to save the weights of a file that holds code under these keys, or is a model as a whole."""
    if is_module(content):
        return _MODULE.format(_LOADED, "c.state_dict()")
    if not 0 < len(keys) <= _NAMED:
        return None
    container = next((key for key in CONTAINERS if key in keys), None)
    if container is None:
        test = f"!= {keys[0]!r}" if len(keys) == 1 else f"not in {tuple(keys)}"
        return _SAVED.format(_LOADED, f"{{k: v for k, v in c.items() if k {test}}}")
    if is_module(content[container]):
        return _MODULE.format(_LOADED, f"c[{container!r}].state_dict()")
    kept = f"{{k: v for k, v in c[{container!r}].items() if torch.is_tensor(v)}}"
    return _SAVED.format(_LOADED, kept)


def table_refused(path: Path, table: Tensor) -> CheckpointError:
    """What to say of a file that holds one tensor."""
    shape = "x".join(map(str, table.shape)) or "one number"
    if table.ndim != 2:
        return CheckpointError(f"checkpoint {path} holds no state dict", found=f"a tensor of {shape}")
    return CheckpointError(
        f"checkpoint {path} holds a table alone, such as AnyLoc's vocabulary for ViT-g/14",
        found=shape,
        allowed="a network's state dict",
        do="fit NetVLAD on a smaller DINOv2: `pocketvlad fit` with backbone dinov2_vits14 and its weights",
    )
