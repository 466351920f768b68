"""The search for a budget of bytes or accuracy: even places calibrate, odd places validate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pocketvlad.compress.compressed import Compressed
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.search.budget import (
    Candidate,
    Judged,
    Measured,
    ladder,
    most_accurate_within,
    program_overhead,
    smallest_losing_at_most,
    thinned,
)
from pocketvlad.compress.search.kept import KeptSearch
from pocketvlad.compress.search.sensitivity import allocate, measure_sensitivity
from pocketvlad.compress.whitened import keep_dimensions, require_pca
from pocketvlad.core.build import core_key
from pocketvlad.dataset import Dataset
from pocketvlad.dataset.tensors import PhotoTensors, open_tensors
from pocketvlad.dataset.types import queries_hash
from pocketvlad.errors import RecipeError
from pocketvlad.model.network import Network
from pocketvlad.progress import Progress, with_text
from pocketvlad.steps.validation import Validation

_SHARES = (1.0, 0.5, 0.25, 0.125)  # of the PCA dimensions, with allow_dim
_FEWEST_DIMENSIONS = 16
_FEWEST_PLACES = 2  # that queries are of
_SENSITIVITY_PHOTOS = 24


@dataclass(frozen=True)
class Limits:
    """What the user asked for: exactly one of points of score lost and MB of the program.

    Raises:
        RecipeError: none or both, or a value out of range.
    """

    max_drop: float | None = None
    max_mb: float | None = None
    allow_dim: bool = False

    def __post_init__(self) -> None:
        if self.max_drop is not None and self.max_mb is not None:
            raise RecipeError("max_drop and max_mb cannot go together", allowed="one of them")
        if self.max_drop is None and self.max_mb is None:
            raise RecipeError("a search needs a limit", allowed="max_drop or max_mb")
        if self.max_drop is not None and not 0 <= self.max_drop <= 100:
            raise RecipeError("max_drop is not allowed", found=self.max_drop, allowed="0 to 100 points")
        if self.max_mb is not None and not 0 < self.max_mb < float("inf"):
            raise RecipeError("max_mb is not allowed", found=self.max_mb, allowed="above 0")


@dataclass(frozen=True, eq=False)
class Found:
    """What a search chose, every candidate it measured as rows of a table, and the photos it could not read."""

    compressed: Compressed
    tried: tuple[dict[str, Any], ...]
    skipped: tuple[str, ...]


class Search:
    """One search over one model; compresses and measures candidates and remembers them.

    Args:
        model: uncompressed.
        dataset: of known places.
        limits: that its answer keeps.
        progress: of everything.
        kept: folder of what is done, which a search that was stopped goes on from; None: nothing is kept.
    """

    def __init__(
        self,
        model: Network,
        dataset: Dataset,
        limits: Limits,
        progress: Progress | None,
        kept: Path | None = None,
    ):
        _require_measurable(dataset)
        self.model, self.limits, self.progress = model, limits, progress
        reading = with_text(progress, "reading photos")
        preprocess = model.config.preprocess
        calibrating = open_tensors(dataset.split("even"), preprocess, progress=reading)
        self.calibration = calibrating.calibration()
        self.photos = open_tensors(dataset.split("odd"), preprocess, progress=reading)
        self.skipped = tuple(dict.fromkeys((*calibrating.skipped, *self.photos.skipped)))
        self.validation = Validation(model, self.photos)
        self.tried: list[dict[str, Any]] = []
        self._kept = KeptSearch(kept, *self._made_from())

    def run(self) -> Found:
        """The best of all shares of the dimensions that may be tried.

        Raises:
            RecipeError: no candidate keeps the limit.
        """
        best: Judged | None = None
        refusal: RecipeError | None = None
        for share in self._shares():
            try:
                judged = self._best_of(share)
            except RecipeError as error:
                refusal = refusal or error
                continue
            if best is None or self._rank(judged.measured) < self._rank(best.measured):
                best = judged
        if best is None:
            raise refusal or RecipeError("nothing to try")
        about = f"odd places ({self.validation.describe()}); even places calibrated"
        figures = {"validation": about, **best.measured.as_values()}
        return Found(replace(best.compressed, figures=figures), tuple(self.tried), self.skipped)

    def _shares(self) -> Sequence[float]:
        if not self.limits.allow_dim:
            return _SHARES[:1]
        require_pca(self.model)
        dim = self.model.outputs
        shares = [share for share in _SHARES if share == 1 or share * dim >= _FEWEST_DIMENSIONS]
        if self.limits.max_drop is None:
            return shares
        allowed = self.limits.max_drop  # what the dimensions alone cost is known without compressing
        cut = [self.validation.drop(self.validation.cut(round(share * dim))).mean for share in shares]
        return [share for share, drop in zip(shares, cut, strict=True) if share == 1 or drop <= allowed]

    def _best_of(self, share: float) -> Judged:
        dim = round(share * self.model.outputs)
        model = keep_dimensions(self.model, dim) if share < 1 else self.model
        measuring = with_text(self.progress, "sensitivity of every layer")
        photos = _spread(self.photos, _SENSITIVITY_PHOTOS)
        sensitivity = measure_sensitivity(
            model, self.calibration, photos, kept=self._kept, progress=measuring
        )
        options = allocate(model, sensitivity, share)
        if self.limits.max_drop is not None:
            return smallest_losing_at_most(thinned(options), self.limits.max_drop, self._judge)
        return self._most_accurate(model, (options, ladder(model, share)))

    def _most_accurate(self, model: Network, rivals: Sequence[list[Candidate]]) -> Judged:
        """The best of what each list of candidates offers at this size, by mean cosine."""
        limit, overhead = int((self.limits.max_mb or 0) * 1e6), program_overhead(model)
        found, refusals = [], []
        for options in rivals:
            try:
                found.append(most_accurate_within(options, limit, self._judge, overhead))
            except RecipeError as error:
                refusals.append(error)
        if not found:
            raise refusals[0]
        return max(found, key=lambda judged: judged.measured.cosine)

    def _judge(self, candidate: Candidate) -> Judged:
        """Compress a candidate and measure its exported program."""
        text = f"candidate {len(self.tried) + 1}, about {candidate.bytes / 1e6:.2f} MB"

        def judge() -> Judged:
            compressed = compress_network(
                self.model,
                candidate.recipe,
                calibration=self.calibration,
                kept=self._kept.layers,
                progress=with_text(self.progress, text),
            )
            return Judged(compressed, self.validation.measure(compressed))

        judged = self._kept.judged(candidate, judge)
        dim = judged.compressed.skeleton.outputs
        self.tried.append({"dim": dim, **judged.measured.as_values()})
        return judged

    def _made_from(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """What decides all that a search measures: the model, the photos, how they judge, the kernels."""
        arrays = {name: each.detach().numpy() for name, each in self.model.state_dict().items()}
        judges = self.photos.dataset
        seen = {"calibration": self.calibration.numpy(), "validation": self.validation.descriptors}
        truth = {
            "queries": queries_hash(judges.queries),
            "database": list(judges.database),
            "metric": judges.metric,
            "config": self.model.config.to_json(),
            "kernels": core_key(),
        }
        return {**arrays, **seen}, truth

    def _rank(self, measured: Measured) -> tuple[float, float]:
        """Smaller is better: bytes under max_drop; drop, then cosine, under max_mb."""
        if self.limits.max_drop is not None:
            return measured.bytes, measured.drop.mean
        return measured.drop.mean, -measured.cosine


def _require_measurable(dataset: Dataset) -> None:
    """Raises RecipeError when nothing could be answered wrongly: with one place, every candidate loses nothing."""
    odd = dataset.split("odd")
    searched = set(odd.database)
    able = {
        odd.photos[query.photo].place
        for query in odd.queries
        if query.positives and searched - query.positives - query.junk
    }
    if len(able) < _FEWEST_PLACES:
        raise RecipeError(
            "a search measures on every second place, which must be able to be taken for another",
            found=f"{len(dataset.places())} places",
            allowed=f"{2 * _FEWEST_PLACES} places or more, of two photos or more",
        )


def _spread(photos: PhotoTensors, most: int) -> Tensor:
    count = len(photos.dataset.photos)
    return photos.stack(range(count)[:: -(-count // most)])
