"""Files of known projects that are not supported: named for what they are, with the reason and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.pickles import key_of_code

if TYPE_CHECKING:
    from torch import Tensor

_INSTEAD = "import MegaLoc, BoQ or EigenPlaces instead"
_STRIP = (
    "strip it where you trust the file: c = torch.load(file, weights_only=False); "
    "torch.save(c['state_dict'], 'weights.pth')"
)


@dataclass(frozen=True)
class _Project:
    """A project that is recognised.

    Attributes:
        name: for people.
        parts: of a key; a file of the project has keys with one of each.
        reason: why it is not supported.
        do: the way out.
    """

    name: str
    parts: tuple[tuple[str, ...], ...]
    reason: str
    do: str = _INSTEAD

    def matches(self, keys: Iterable[str]) -> bool:
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
    _Project("AP-GeM (deep-image-retrieval)", (("adpool.p",),), "its PCA is an object of scikit-learn"),
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
    key = key_of_code(path)
    return CheckpointError(
        f"checkpoint {path} would run code when loaded, so it was not loaded",
        found=code if key is None else f"{code} under {key!r}",
        allowed="tensors, numbers and containers",
        do=None if key is None else _STRIP,
    )


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
