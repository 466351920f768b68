"""What is asked of a fit, and whether it can be had: torch is loaded for a network's configuration alone."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from pocketvlad import artifact
from pocketvlad.errors import RecipeError
from pocketvlad.importer.packages import weights_file
from pocketvlad.model.wanted import AUTO, wanted_whitening

if TYPE_CHECKING:
    from pocketvlad.model.network import NetworkConfig

_MOST_CLUSTERS = 65_536
_MOST_SEED = 2**63 - 1  # of torch


@dataclass(frozen=True)
class FitOptions:
    """What is fitted.

    Attributes:
        backbone: a key of :data:`pocketvlad.model.backbones.BACKBONES`.
        weights: of the backbone, a file or ``package:NAME``; None builds it from the photos.
        head: a key of :data:`pocketvlad.model.heads.HEADS`.
        clusters: K, of a head that has clusters.
        dim: dimensions after whitening; 0: none; ``auto``: chosen.
        height, width: of the input, pixels.
        views: per photo for the whitening; 0: as many as it needs.
        seed: of every random choice.
        whitening: its strength: ``auto``: chosen; ``full``, ``pca`` or a number from 0 (PCA alone) to 1 (full).
    """

    backbone: str
    weights: str | Path | None = None
    head: str = "netvlad"
    clusters: int = 64
    dim: int | str = 512
    height: int = 480
    width: int = 640
    views: int = 0
    seed: int = 0
    whitening: float | str = AUTO

    def require_possible(self) -> None:
        """Raises RecipeError for a number that is not allowed, whatever the backbone and the head are."""
        for name, least, most in (("clusters", 2, _MOST_CLUSTERS), ("seed", 0, _MOST_SEED)):
            found = getattr(self, name)
            if not least <= found <= most:
                raise RecipeError(
                    f"{name} of a fit is not allowed", found=found, allowed=f"{least} to {most}"
                )
        wanted_whitening(AUTO if self.dim == 0 else self.dim, self.whitening, self.views)

    def config(self) -> NetworkConfig:
        """Of the network that is fitted.

        Raises:
            RecipeError: a value that is not allowed, or a head that describes no places.
            CheckpointError: an unknown backbone or head.
        """
        from pocketvlad.model.backbones import backbone_spec
        from pocketvlad.model.heads import HEADS, head_class
        from pocketvlad.model.network import NetworkConfig
        from pocketvlad.model.preprocess import Preprocess

        self.require_possible()
        head = head_class(self.head)
        if not head.describes:
            allowed = ", ".join(name for name, each in HEADS.items() if each.describes)
            raise RecipeError("the head of a fit describes no places", found=self.head, allowed=allowed)
        kind = head.Options
        given = {"clusters": self.clusters} if "clusters" in {f.name for f in fields(kind)} else {}
        spec = backbone_spec(self.backbone)
        preprocess = Preprocess(self.height, self.width, spec.mean, spec.std)
        dim = self.dim if isinstance(self.dim, int) and self.dim else None
        config = NetworkConfig(self.backbone, preprocess, self.head, kind(**given), dim)
        config.check_size()
        config.check_dim(dim)
        return config

    def weights_sha256(self) -> str:
        """Of the weights' file; ``the photos`` where there is none."""
        return "the photos" if self.weights is None else artifact.file_sha256(weights_file(self.weights))
