"""Classifiers: labels to class numbers, torchvision's crop, top-1 and top-5."""

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision.transforms import v2

from pocketvlad.dataset import open_dataset
from pocketvlad.errors import DatasetError
from pocketvlad.evaluate.classification import (
    central_square,
    class_numbers,
    compare_classifiers,
    evaluate_classifier,
)
from pocketvlad.importer.torchvision import CLASSIFIER_INPUT, build_classifier, load
from pocketvlad.model.preprocess import DecodedPhoto, photo_tensor


@pytest.fixture
def labelled(tmp_path):
    """Writes a noise photo per "label/name"; returns the dataset."""

    def write(*names, size=(256, 256)):
        random = np.random.default_rng(0)
        for name in names:
            path = tmp_path / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
            coarse.resize(size, Image.Resampling.BICUBIC).save(path)
        return open_dataset(str(tmp_path))

    return write


def test_a_torchvision_classifier_scores_as_in_torchvision(labelled):
    """On 256x256 photos torchvision's resize does nothing, so the inputs are the same numbers."""
    dataset = labelled(*(f"{label}/{i}" for label in range(3) for i in range(4)))
    torch.manual_seed(1)
    network = torchvision.models.squeezenet1_1(weights=None, num_classes=3).eval()
    classifier = build_classifier(load(network.state_dict()).backbone)

    @torch.no_grad()
    def classify(photo):
        return classifier(torch.from_numpy(photo_tensor(photo, CLASSIFIER_INPUT))[None])[0].numpy()

    mean, std = CLASSIFIER_INPUT.mean, CLASSIFIER_INPUT.std
    transform = v2.Compose(
        [
            v2.Resize(256),
            v2.CenterCrop(224),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )
    with torch.no_grad():
        scores = torch.cat(
            [network(transform(Image.open(photo.path))[None]) for photo in dataset.photos]
        ).numpy()
    square = central_square(DecodedPhoto(np.asarray(Image.open(dataset.photos[0].path)), 1))
    np.testing.assert_allclose(classify(square), scores[0], rtol=1e-4, atol=1e-5)
    result = evaluate_classifier(classify, dataset, 3)
    labels = np.repeat(np.arange(3), 4)
    assert result.top1.tolist() == (scores.argmax(axis=1) == labels).tolist()
    assert result.as_values() == {"top-1": result.top1.mean(), "top-5": 1.0, "photos": 12}


@pytest.mark.parametrize("height, width", [(100, 300), (300, 100), (224, 224), (3, 2)])
def test_the_central_square(height, width):
    pixels = np.arange(height * width * 3, dtype=np.uint32).reshape(height, width, 3).astype(np.uint8)
    cut = central_square(DecodedPhoto(pixels, 6))
    side = round(0.875 * min(height, width))
    assert cut.pixels.shape == (side, side, 3) and cut.orientation == 6
    top, left = (height - side) // 2, (width - side) // 2
    assert np.array_equal(cut.pixels, pixels[top : top + side, left : left + side])


def test_unreadable_photos_are_skipped_and_named(labelled, tmp_path):
    labelled("0/a", "1/b", "1/c")
    (tmp_path / "1/b.png").write_bytes(b"no photo")
    result = evaluate_classifier(lambda photo: np.array([0.0, 1.0]), open_dataset(str(tmp_path)), 2)
    assert result.photos == ("0/a.png", "1/c.png") and result.top1.tolist() == [False, True]
    assert sum("cannot be decoded" in line for line in result.skipped) == 1 and "b.png" in result.skipped[-1]


def test_labels_are_numbers(labelled):
    assert class_numbers(labelled("0/a", "12/a", "3/a"), 13) == {"0": 0, "12": 12, "3": 3}


def test_labels_are_imagenet_names(labelled):
    names = class_numbers(labelled("Golden_Retriever/a", "tench/a", "Granny Smith/a"), 1000)
    assert names == {"Golden_Retriever": 207, "tench": 0, "Granny Smith": 948}


def test_all_folders_in_sorted_order(labelled):
    assert class_numbers(labelled("n02/a", "n01/a"), 2) == {"n01": 0, "n02": 1}


def test_a_list_of_classes_comes_first(labelled, tmp_path):
    dataset = labelled("1/a", "0/a")
    (tmp_path / "classes.txt").write_text("unused\n1\n0\n")
    assert class_numbers(dataset, 3) == {"0": 2, "1": 1}


@pytest.mark.parametrize(
    "names, classes", [(("x/a", "y/a"), 3), (("0/a", "7/a"), 7), (("cardigan/a", "tench/a"), 1000)]
)
def test_labels_that_name_no_class_are_refused(labelled, names, classes):
    """ImageNet has two cardigans, a dog and a garment."""
    with pytest.raises(DatasetError, match=r"name no classes; found 2 such as .*; allowed: class numbers"):
        class_numbers(labelled(*names), classes)


def test_results_are_compared_photo_by_photo(labelled):
    dataset = labelled("0/a", "0/b", "1/c", "1/d")
    always_0 = evaluate_classifier(lambda photo: np.array([1.0, 0.0]), dataset, 2)
    always_1 = evaluate_classifier(lambda photo: np.array([0.0, 1.0]), dataset, 2)
    change = compare_classifiers(always_0, always_1)
    assert change.mean == 0 and change.low < 0 < change.high
    half = evaluate_classifier(lambda photo: np.array([1.0, 0.0]), dataset.subset([0, 1]), 2)
    with pytest.raises(DatasetError, match="different photos"):
        compare_classifiers(always_0, half)
