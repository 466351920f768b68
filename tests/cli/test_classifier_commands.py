"""A classifier from its checkpoint to a measured program, by the commands a user types.

There are no ImageNet photos here: the classes are textures, and the network is fitted to them.
"""

import json

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from helpers.refusals import refused
from pocketvlad import artifact
from pocketvlad.dataset import open_dataset
from pocketvlad.evaluate.classification import central_square
from pocketvlad.importer.torchvision import CLASSIFIER_INPUT
from pocketvlad.model.preprocess import load_photo, photo_tensor
from pocketvlad.model.scratch import init_backbone_from_photos
from pocketvlad.steps.importing import CLASSIFIER, import_file

CLASSES, EACH = 6, 3


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder per class: stripes of the class's direction and colour, under noise."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    for number in range(CLASSES):
        colour = random.uniform(0.2, 1, 3)
        for each in range(EACH):
            angle = np.pi * number / CLASSES
            wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) / 5 + random.uniform(0, 6))
            pixels = 128 + 80 * wave[..., None] * colour + random.normal(0, 30, (256, 256, 3))
            path = folder / f"texture-{number}/{each}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def checkpoint(images, tmp_path_factory):
    """torchvision's SqueezeNet, features and last convolution fitted to the images."""
    torch.manual_seed(0)
    network = torchvision.models.squeezenet1_1(weights=None, num_classes=CLASSES).eval()
    photos = [central_square(load_photo(photo.path)) for photo in open_dataset(str(images)).photos]
    x = torch.stack([torch.from_numpy(photo_tensor(photo, CLASSIFIER_INPUT)) for photo in photos])
    labels = torch.arange(CLASSES).repeat_interleave(EACH)
    init_backbone_from_photos(network.features, x, seed=0)
    with torch.no_grad():
        features = network.features(x)
    head = network.classifier[1]
    torch.nn.init.constant_(head.bias, 5)  # scores above 0: SqueezeNet's head ends with a ReLU
    optimizer = torch.optim.Adam(head.parameters(), 0.003, weight_decay=1e-3)
    for _ in range(40):
        optimizer.zero_grad()
        scores = network.classifier[1:](features).mean(dim=(2, 3))
        torch.nn.functional.cross_entropy(scores, labels).backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("checkpoint") / "squeezenet1_1-classifier.pth"
    torch.save(network.state_dict(), path)
    return path


def values(result: tuple[int, str, str]) -> dict:
    assert result[0] == 0, result
    return json.loads(result[1])


def test_from_the_checkpoint_to_a_measured_program(run, checkpoint, images, tmp_path):
    whole, small, program = (tmp_path / name for name in ("c.safetensors", "s.safetensors", "s.pte"))
    imported = values(run("import", checkpoint, "--as", "classifier", "--out", whole, "--json"))
    assert imported["kind"] == "classifier" and imported["head"]["classes"] == CLASSES
    compressed = values(run("compress", whole, "--recipe", "paper-8bit", "--out", small, "--json"))
    assert compressed["ratio"] > 3 and artifact.load_info(small)["kind"] == "compressed"
    values(run("export", small, "--semantics", "exact", "--out", program, "--json"))
    measured = {
        path: values(run("evaluate", path, "--dataset", images, "--baseline", whole, "--json"))
        for path in (whole, small, program)
    }
    before = measured[whole]
    assert before["top-1"] == before["baseline"]["top-1"] > 0.9 and before["photos"] == CLASSES * EACH
    assert before["difference"] == {"mean": 0, "low": 0, "high": 0}
    assert measured[small]["top-1"] == measured[program]["top-1"] > 0.8  # the .pte is the compressed model
    assert measured[program]["top-5"] >= measured[program]["top-1"]


@pytest.fixture(scope="module")
def classifier(checkpoint):
    """The checkpoint, imported."""
    out = checkpoint.with_name("classifier.safetensors")
    import_file(checkpoint, out, wanted=CLASSIFIER)
    return out


def test_a_checkpoint_is_imported_first(run, checkpoint, classifier, images, tmp_path):
    small = tmp_path / "s.safetensors"
    refused(run("compress", checkpoint, "--recipe", "paper-5bit", "--out", small), checkpoint.name, "import")
    refused(run("evaluate", checkpoint, "--dataset", images), checkpoint.name, "import")
    assert (
        values(run("compress", classifier, "--recipe", "paper-5bit", "--out", small, "--json"))["ratio"] > 4
    )
    again = tmp_path / "t.safetensors"
    refused(run("compress", small, "--recipe", "paper-5bit", "--out", again), "compressed already")


def test_labels_come_from_a_file(run, classifier, images, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("".join(f"texture-{i},{(i + 1) % CLASSES}\n" for i in range(CLASSES)))
    evaluate = ("evaluate", classifier, "--dataset", images, "--classes", labels)
    assert values(run(*evaluate, "--json"))["top-1"] < 0.2  # every label is another class's
    labels.write_text("\n".join(f"texture-{i}" for i in range(CLASSES)))
    assert values(run(*evaluate, "--json"))["top-1"] > 0.9
    labels.write_text("texture-0,0\n")
    code, _, err = run(*evaluate)
    assert code == 1 and "'texture-1'" in err and "no class" in err
    code, _, err = run("evaluate", classifier, "--dataset", images, "--classes", tmp_path / "none.csv")
    assert code == 1 and "none.csv" in err


def test_what_a_classifier_cannot_do_is_one_line(run, checkpoint, classifier, images, tmp_path):
    features = tmp_path / "features.pth"
    state = {k: v for k, v in torch.load(checkpoint).items() if not k.startswith("classifier.")}
    torch.save(state, features)
    out, program, index = tmp_path / "x.safetensors", tmp_path / "p.pte", tmp_path / "i.pvix"
    assert run("export", classifier, "--out", program)[0] == 0
    commands = {
        ("import", features, "--as", "classifier", "--out", out): "hold no classifier",
        ("import", checkpoint, "--as", "nonsense", "--out", out): "model, classifier",
        ("compress", classifier, "--max-mb", 1, "--photos", images, "--out", out): "models of places",
        ("index", "build", program, "--photos", images, "--out", index): "is a classifier",
        ("describe", program, "--photos", images, "--out", tmp_path / "d.h5"): "is a classifier",
        (
            "fit",
            "--backbone",
            "squeezenet1_1",
            "--head",
            "scores",
            "--photos",
            images,
            "--out",
            out,
        ): "netvlad, gem",
    }
    for command, words in commands.items():
        refused(run(*command), words)
    assert not out.exists() and not index.exists()
