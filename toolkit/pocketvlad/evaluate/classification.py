"""Top-1 and top-5 of a plain classifier on a folder of labelled images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad.dataset.types import Dataset
from pocketvlad.errors import DatasetError, reason
from pocketvlad.evaluate.describe import Collected, collected
from pocketvlad.evaluate.metrics import Difference, bootstrap_difference, top_k_hits
from pocketvlad.model.preprocess import DecodedPhoto, load_photo

CLASSES_FILE = "classes.txt"
Scores = Callable[[Path | DecodedPhoto], np.ndarray]
_CROP = 224 / 256  # torchvision resizes the shorter side to 256 and cuts 224x224 from the centre
_IMAGENET = 1000


@dataclass(frozen=True, eq=False)
class ClassificationResult:
    """Accuracy of one set of scores.

    Attributes:
        top1, top5: bool [photos], whether the right class is the best, or among the five best.
        photos: their names.
        skipped: one line for each photo that could not be read.
    """

    top1: np.ndarray
    top5: np.ndarray
    photos: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """Top-1 accuracy."""
        return float(self.top1.mean())

    def as_values(self) -> dict[str, Any]:
        """For tables and JSON."""
        return {"top-1": self.score, "top-5": float(self.top5.mean()), "photos": len(self.photos)}


def evaluate_classifier(
    classify: Callable[[DecodedPhoto], np.ndarray],
    dataset: Dataset,
    classes: int,
    *,
    labels: Mapping[str, int] | None = None,
    collect: Callable[[Scores], Collected] | None = None,
) -> ClassificationResult:
    """Classify every readable photo, cut as torchvision cuts it.

    Args:
        classify: pixels of the central square -> scores float32 [classes].
        dataset: its places are the class labels, see :func:`class_numbers`.
        classes: of the classifier.
        labels: class numbers by label, of :func:`read_labels`; None: as :func:`class_numbers` finds them.
        collect: of all photos what a function gives for each; None: nothing of it is kept.

    Raises:
        DatasetError: labels that do not name classes.
        PhotoError: no photo could be read.
    """
    numbers = class_numbers(dataset, classes, labels)

    def scores_of(photo: Path | DecodedPhoto) -> np.ndarray:
        return classify(central_square(photo if isinstance(photo, DecodedPhoto) else load_photo(photo)))

    with ExitStack() as stack:
        found = collect(scores_of) if collect else stack.enter_context(collected(scores_of, dataset))
        scores, readable = found.descriptors(), found.readable
    right = np.asarray([numbers[str(photo.place)] for photo in readable.photos])
    names = tuple(photo.name for photo in readable.photos)
    return ClassificationResult(
        top_k_hits(scores, right, 1), top_k_hits(scores, right, 5), names, readable.skipped
    )


def central_square(photo: DecodedPhoto, share: float = _CROP) -> DecodedPhoto:
    """The central square, ``share`` of the shorter side: torchvision's centre crop, before the resize."""
    height, width = photo.pixels.shape[:2]
    side = max(1, round(share * min(height, width)))
    top, left = (height - side) // 2, (width - side) // 2
    return DecodedPhoto(photo.pixels[top : top + side, left : left + side], photo.orientation)


def read_labels(path: Path) -> dict[str, int]:
    """Class numbers by label: lines ``label,number``, or the names of all classes in order, a line each.

    Raises:
        DatasetError: missing, empty or not text.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"labels file {path} cannot be read", found=reason(error)) from error
    if not lines:
        raise DatasetError(f"labels file {path} is empty", allowed="lines such as label,number")
    pairs = [line.rpartition(",") for line in lines]
    if all(label and number.strip().isdecimal() for label, _, number in pairs):
        return {_plain(label): int(number) for label, _, number in pairs}
    return _by_name(lines)


def class_numbers(dataset: Dataset, classes: int, given: Mapping[str, int] | None = None) -> dict[str, int]:
    """Which output of the classifier each label is.

    As ``given``, where a labels file was; else in this order: the lines of ``classes.txt`` beside the
    folders; labels that are numbers; ImageNet's English names, for 1000 classes; as many folders as classes,
    in sorted order (torchvision's ImageFolder).

    Raises:
        DatasetError: photos without labels, or labels that name no class.
    """
    labels = dataset.places()
    if not labels or any(photo.place is None for photo in dataset.photos):
        raise DatasetError(
            f"dataset {dataset.name} has photos without a class", allowed="a sub-folder per class"
        )
    if given is not None:
        return _as_given(dataset, labels, classes, given)
    for names in (_listed(dataset), _numbers(labels, classes), _imagenet(classes)):
        if names and all(_plain(label) in names for label in labels):
            return {label: names[_plain(label)] for label in labels}
    if len(labels) == classes:
        return {label: i for i, label in enumerate(labels)}
    raise DatasetError(
        f"the labels of dataset {dataset.name} name no classes",
        found=f"{len(labels)} such as {labels[0]!r} for {classes} classes",
        allowed=f"class numbers, ImageNet's names, all {classes} folders, or a {CLASSES_FILE} of labels",
    )


def _as_given(
    dataset: Dataset, labels: Sequence[str], classes: int, given: Mapping[str, int]
) -> dict[str, int]:
    for label in labels:
        number = given.get(_plain(label))
        if number is None or number >= classes:
            found = "nothing" if number is None else f"class {number}"
            raise DatasetError(
                f"the labels file gives label {label!r} of dataset {dataset.name} no class",
                found=found,
                allowed=f"0 to {classes - 1}",
            )
    return {label: given[_plain(label)] for label in labels}


def _plain(label: str) -> str:
    return " ".join(label.replace("_", " ").lower().split())


def _listed(dataset: Dataset) -> dict[str, int]:
    file = Path(dataset.name) / CLASSES_FILE
    return read_labels(file) if file.is_file() else {}


def _numbers(labels: Sequence[str], classes: int) -> dict[str, int]:
    if not all(label.isdecimal() and int(label) < classes for label in labels):
        return {}
    return {label: int(label) for label in labels}


def _imagenet(classes: int) -> dict[str, int]:
    if classes != _IMAGENET:
        return {}
    from torchvision.models import AlexNet_Weights

    return _by_name(AlexNet_Weights.IMAGENET1K_V1.meta["categories"])


def _by_name(names: Sequence[str]) -> dict[str, int]:
    """Numbers by name; names that two classes share (ImageNet's two cardigans) name neither."""
    plain = [_plain(name) for name in names]
    counts = Counter(plain)
    return {name: i for i, name in enumerate(plain) if counts[name] == 1}


def compare_classifiers(before: ClassificationResult, after: ClassificationResult) -> Difference:
    """Change of top-1 with its paired bootstrap interval, in points of 100.

    Raises:
        DatasetError: the results are of different photos.
    """
    if before.photos != after.photos:
        raise DatasetError("two results on different photos cannot be compared")
    return bootstrap_difference(before.top1, after.top1).points()
