"""A file with several sets of weights: which one is read, and that it is said."""

import numpy as np
import pytest
import torch

from helpers import checkpoints
from helpers.checkpoints import in_sequence, resnet, under
from pocketvlad.importer.checkpoint import import_checkpoint
from pocketvlad.importer.reading import read_content

TAUGHT, STUDENT = {"a.weight": torch.ones(2)}, {"a.weight": torch.zeros(2)}


@pytest.mark.parametrize("student", ["state_dict", "model_state_dict", "model", "net", "student"])
@pytest.mark.parametrize("teacher", ["teacher", "ema", "model_ema", "state_dict_ema", "ema_state_dict"])
@pytest.mark.parametrize("first", [True, False])
def test_a_teacher_goes_before_its_student_and_a_note_says_so(tmp_path, student, teacher, first):
    pair = {teacher: TAUGHT, student: STUDENT} if first else {student: STUDENT, teacher: TAUGHT}
    torch.save(pair, tmp_path / "c.pth")
    read = read_content(tmp_path / "c.pth")
    assert torch.equal(read.values["a.weight"], TAUGHT["a.weight"])
    assert read.notes == (
        f"the checkpoint holds several sets of weights: {teacher!r} was taken, {student!r} not",
    )


@pytest.mark.parametrize(
    "beside",
    [
        {},
        {"ema": {"decay": 0.99, "step": torch.tensor(3)}},
        {"ema": {"shadow": [torch.ones(2)]}},
        {"teacher": None, "model": {"arch": "resnet18"}, "weights": "imagenet"},
    ],
)
def test_what_holds_no_weights_is_no_choice(tmp_path, beside):
    torch.save({"state_dict": TAUGHT, **beside}, tmp_path / "c.pth")
    read = read_content(tmp_path / "c.pth")
    assert torch.equal(read.values["a.weight"], TAUGHT["a.weight"]) and not read.notes


def test_a_choice_inside_a_container_and_one_between_arrays_are_noted_too(tmp_path):
    torch.save({"model": {"ema": TAUGHT, "net": STUDENT}}, tmp_path / "inner.pth")
    arrays = {"ema": {"a.weight": np.ones(2)}, "weights": {"a.weight": np.zeros(2)}}
    torch.save(arrays, tmp_path / "arrays.pth")
    shadow = {"ema": {"decay": 0.99, "shadow": TAUGHT}, "state_dict": STUDENT}
    torch.save(shadow, tmp_path / "shadow.pth")
    for name, left in (("inner", "net"), ("arrays", "weights"), ("shadow", "state_dict")):
        read = read_content(tmp_path / f"{name}.pth")
        assert read.values["a.weight"].tolist() == [1, 1]
        assert len(read.notes) == 1 and f"'ema' was taken, '{left}' not" in read.notes[0]


def test_a_container_that_holds_itself_comes_to_an_end(tmp_path):
    loop = {"a": torch.ones(2)}
    loop["model"] = loop
    torch.save(loop, tmp_path / "c.pth")
    assert set(read_content(tmp_path / "c.pth").values) == {"a"}


def cosplace(power):
    tensors = under("backbone.", in_sequence(resnet())) | checkpoints.gem_head(8, 256)
    return {**tensors, "aggregation.1.p": torch.tensor([power])}


def test_an_import_says_which_weights_it_took(tmp_path):
    torch.save({"state_dict": cosplace(2.0), "ema": cosplace(3.0)}, tmp_path / "c.pth")
    imported = import_checkpoint(tmp_path / "c.pth")
    assert imported.model.config.options.power == 3
    assert "'ema' was taken, 'state_dict' not" in imported.notes[0]


def parameters(tensors):
    """What a running mean of the parameters alone holds: nothing of a batch norm's statistics."""
    return {key: value for key, value in tensors.items() if "running_" not in key}


@pytest.mark.parametrize(
    "ema, raw, nested",
    [("", "", False), ("module.", "", True), ("", "model.", True), ("model.", "_orig_mod.", False)],
)
def test_a_mean_of_parameters_gets_the_statistics_beside_it(tmp_path, ema, raw, nested):
    mean, network = cosplace(3.0), under(raw, cosplace(2.0))
    mean["backbone.1.weight"] = mean["backbone.1.weight"] + 1
    network[f"{raw}backbone.1.running_mean"] = torch.full((64,), 5.0)
    saved = under(ema, parameters(mean))
    torch.save({"ema": {"net": saved} if nested else saved, "state_dict": network}, tmp_path / "c.pth")
    imported, read = import_checkpoint(tmp_path / "c.pth"), read_content(tmp_path / "c.pth").values
    assert imported.model.config.options.power == 3
    assert torch.equal(read["backbone.1.weight"], mean["backbone.1.weight"])
    assert (read["backbone.1.running_mean"] == 5).all()
    assert imported.notes[:2] == (
        "the checkpoint holds several sets of weights: 'ema' was taken, 'state_dict' not",
        "'ema' has no batch-norm statistics: those of 'state_dict' were taken",
    )


def test_statistics_of_another_network_are_none_of_its(tmp_path):
    torch.save(
        {
            "ema": {"a.weight": torch.ones(2), "b.weight": torch.ones(2, 2)},
            "model": {
                "a.weight": torch.ones(3),
                "a.running_mean": torch.ones(3),
                "c.running_var": torch.ones(2),
            },
        },
        tmp_path / "c.pth",
    )
    read = read_content(tmp_path / "c.pth")
    assert set(read.values) == {"a.weight", "b.weight"} and len(read.notes) == 1


def test_a_mean_of_models_is_read_without_its_count(tmp_path):
    """As torch's AveragedModel saves itself."""
    averaged = torch.optim.swa_utils.AveragedModel(torch.nn.Linear(2, 2))
    torch.save(averaged.state_dict(), tmp_path / "c.pth")
    assert set(read_content(tmp_path / "c.pth").values) == {"weight", "bias"}
    torch.save({"n_averaged": torch.tensor(5), **under("module.", cosplace(3.0))}, tmp_path / "d.pth")
    assert import_checkpoint(tmp_path / "d.pth").model.outputs == 8


def test_a_size_that_was_given_is_not_called_assumed(tmp_path):
    torch.save(cosplace(3.0), tmp_path / "c.pth")
    assert any("480x640 is assumed" in note for note in import_checkpoint(tmp_path / "c.pth").notes)
    sized = import_checkpoint(tmp_path / "c.pth", size=(128, 160))
    assert sized.model.config.size == (128, 160) and not sized.notes
