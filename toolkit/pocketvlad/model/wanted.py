"""What is asked of a whitening, and whether it can be had: without torch."""

from __future__ import annotations

from dataclasses import dataclass

from pocketvlad.errors import RecipeError

FULL, PCA = 1.0, 0.0  # strengths: every component as loud as any other; principal components as they are
AUTO = "auto"
WORDS = {"full": FULL, "pca": PCA}  # for strengths
DIMS = (32, 64, 96, 128, 192, 256, 320, 384, 448, 512)  # tried where the dimensions are free
VIEWS = (1, 2, 3, 5, 8)  # of each photo, tried where they are free
MOST_VIEWS = 1000
FEWEST_VECTORS_A_DIMENSION = 1.5
_VECTORS_A_DIMENSION = 3.0


@dataclass(frozen=True)
class Wanted:
    """What is said of a whitening; None is free.

    Attributes:
        dim: N, its rows.
        strength: from PCA to FULL.
        views: of each photo: itself, its mirror image, then random crops of either.
    """

    dim: int | None = None
    strength: float | None = None
    views: int | None = None

    def views_of(self, photos: int) -> tuple[int, ...]:
        """The numbers of views tried; the last one has vectors enough for every dimension."""
        if self.views is not None:
            return (self.views,)
        dim = self.dim or DIMS[-1]
        enough = next((v for v in VIEWS[1:] if v * photos >= _VECTORS_A_DIMENSION * dim), VIEWS[-1])
        if self.dim is not None:
            enough = max(enough, -(-round(FEWEST_VECTORS_A_DIMENSION * dim) // photos))
        return (*(v for v in VIEWS if v < enough), enough)


def wanted_whitening(dim: int | str, whitening: float | str, views: int) -> Wanted:
    """What is said of a whitening that there is; arguments as :func:`pocketvlad.steps.whitening.whiten_file`.

    Raises:
        RecipeError: a value that is not allowed.
    """
    words = ", ".join((AUTO, *WORDS))
    if dim != AUTO and not (isinstance(dim, int) and dim >= 1):
        raise RecipeError("dim of a whitening is not allowed", found=repr(dim), allowed=f"{AUTO}, 1 or more")
    strength = None if whitening == AUTO else WORDS.get(str(whitening), whitening)
    if isinstance(strength, str) or (strength is not None and not PCA <= strength <= FULL):
        raise RecipeError(
            "strength of a whitening is not allowed", found=repr(whitening), allowed=f"{words}, 0 to 1"
        )
    if not 0 <= views <= MOST_VIEWS:
        raise RecipeError("views of a whitening is not allowed", found=views, allowed=f"0 to {MOST_VIEWS}")
    return Wanted(dim if isinstance(dim, int) else None, strength, views or None)
