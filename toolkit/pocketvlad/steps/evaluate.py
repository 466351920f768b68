"""Accuracy of a model, a compressed model or a program: retrieval of places, or classes."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pocketvlad import artifact, ranks
from pocketvlad.dataset import Dataset
from pocketvlad.errors import RecipeError, printable
from pocketvlad.evaluate.classification import (
    ClassificationResult,
    compare_classifiers,
    evaluate_classifier,
    read_labels,
)
from pocketvlad.evaluate.describe import Reading, collected
from pocketvlad.evaluate.metrics import Difference
from pocketvlad.evaluate.mistakes import Mistake, mistakes
from pocketvlad.evaluate.retrieval import (
    RetrievalResult,
    compare,
    evaluate_descriptors,
    require_answerable,
)
from pocketvlad.outputs import require_outputs
from pocketvlad.progress import Progress
from pocketvlad.runtime.describer import Describer, open_describer
from pocketvlad.steps.common import Result, apart, dataset_of, photos_by, reading_of

_MEASURES = "mAP", "recall@1", "top-1"  # one of them is a result's score
AnyResult = RetrievalResult | ClassificationResult


@dataclass(frozen=True)
class Evaluation(Result):
    """Accuracy of one file, beside that of a baseline where one is given.

    Attributes:
        file, dataset: what was measured.
        scores: the measures by name; see ``RetrievalResult.as_values`` and ``ClassificationResult.as_values``.
        baseline: the same of the baseline.
        difference: of the score to the baseline's, in points, with its 95% interval.
        mistakes: every wrong answer; none of a classifier.
        skipped: one line for each photo that could not be read.
    """

    file: str
    dataset: str
    scores: dict[str, Any]
    baseline: dict[str, Any] | None = None
    difference: Difference | None = None
    skipped: tuple[str, ...] = field(default=())
    mistakes: tuple[Mistake, ...] = ()

    @property
    def measure(self) -> str:
        """The name of the score, which ``difference`` is about: ``mAP``, ``recall@1`` or ``top-1``."""
        return next(name for name in _MEASURES if name in self.scores)

    def __str__(self) -> str:
        rows = [f"{name:>24}  {value}" for name, value in self.scores.items()]
        if self.baseline is not None and self.difference is not None:
            rows.append(f"{f'{self.measure} of the baseline':>24}  {self.baseline[self.measure]}")
            low, high = self.difference.low, self.difference.high
            rows.append(
                f"{'against the baseline':>24}  {self.difference.mean:+.2f} ({low:+.2f} to {high:+.2f})"
            )
        return "\n".join([f"{self.file} on {self.dataset}", *rows])


def evaluate(
    file: Path,
    photos: str | Path | Dataset,
    baseline: Path | None = None,
    *,
    queries: str | Path | None = None,
    classes: Path | None = None,
    out: Path | None = None,
    threads: int = 2,
    force: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Retrieval accuracy of a place model, or top-1 and top-5 of a classifier.

    With a file to write, a run that was stopped goes on at the next photo, and under torchrun every process calls this
    and describes its part.

    Args:
        file: a model, compressed model or program.
        photos: with ground truth.
        baseline: another one to compare with.
        queries: a folder of the photos that ask; ``photos`` are then the map.
        classes: of a classifier, the file of its labels.
        out: the result as JSON.
        threads: of a program.
        force: overwrite ``out``.
        progress: called with photos done and in all.

    Raises:
        RecipeError: the baseline is of another kind, labels are given for a model of places, or several processes
            have no ``out``.
        ArtifactError: ``out`` exists or cannot be written.
    """
    if out is not None:
        require_outputs([out], [file, baseline, classes], force=force)
    elif ranks.rank_and_world()[1] > 1:
        raise RecipeError("several processes share the photos beside a file", do="name one for the result")
    dataset = dataset_of(photos, queries)
    if out is not None:
        apart(dataset, out, force=force)
    describer = open_describer(file, threads=threads)
    before = None if baseline is None else open_describer(baseline, threads=threads)
    with ExitStack() as kept:
        found = _evaluation(describer, str(file), dataset, before, classes, progress, out, kept)
        if out is not None and ranks.is_first():
            artifact.write_json(out, found.to_json(), force=force)
        return found


def evaluation_of(
    describer: Describer,
    name: str,
    dataset: Dataset,
    baseline: Describer | None = None,
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """The same for what is open already."""
    with ExitStack() as kept:
        return _evaluation(describer, name, dataset, baseline, None, progress, None, kept)


def _evaluation(
    describer: Describer,
    name: str,
    dataset: Dataset,
    baseline: Describer | None,
    classes: Path | None,
    progress: Progress | None,
    out: Path | None,
    kept: ExitStack,
) -> Evaluation:
    """What is done of either stays in ``kept`` until both are."""
    if baseline is not None and baseline.classes != describer.classes:
        raise RecipeError(f"the baseline of {name} is of another kind", allowed="the same places or classes")

    def measured(which: Describer, ending: str) -> tuple[AnyResult, tuple[Mistake, ...]]:
        beside = None if out is None else out.with_name(out.name + ending)
        reading = photos_by(which) if beside is None else reading_of(which, beside, "evaluate")
        return _measure(which, dataset, classes, progress, reading, kept)

    result, wrong = measured(describer, "")
    shown, skipped = printable(dataset.name), result.skipped
    if baseline is None:
        return Evaluation(name, shown, result.as_values(), skipped=skipped, mistakes=wrong)
    reference, _ = measured(baseline, ".baseline")
    change = difference(reference, result)
    return Evaluation(name, shown, result.as_values(), reference.as_values(), change, skipped, wrong)


def _measure(
    describer: Describer,
    dataset: Dataset,
    classes: Path | None,
    progress: Progress | None,
    reading: Reading,
    kept: ExitStack,
) -> tuple[AnyResult, tuple[Mistake, ...]]:
    """Accuracy on a dataset, and the wrong answers of a model of places."""
    if describer.classes is not None:
        numbers = None if classes is None else read_labels(classes)
        return evaluate_classifier(
            describer.describe,
            dataset,
            describer.classes,
            labels=numbers,
            collect=lambda scores_of: kept.enter_context(
                collected(scores_of, dataset, replace(reading, preprocess=None), progress=progress)
            ),
        ), ()
    if classes is not None:
        raise RecipeError("labels of classes are for classifiers", found="a model of places")
    require_answerable(dataset)
    found = kept.enter_context(collected(describer.describe, dataset, reading, progress=progress))
    result = evaluate_descriptors(found.readable, found.descriptors())
    return result, mistakes(found.readable, result)


def difference(before: AnyResult, after: AnyResult) -> Difference:
    """What ``after`` gains, in points."""
    if isinstance(before, ClassificationResult) and isinstance(after, ClassificationResult):
        return compare_classifiers(before, after)
    return compare(before, after)  # type: ignore[arg-type]
