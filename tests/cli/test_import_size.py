"""``import --size``: a transformer's position embedding is made for the size asked for."""

import json

import torch

from helpers import checkpoints
from helpers.checkpoints import tiny_transformers, under
from helpers.refusals import refused
from pocketvlad.model.network import load_model

__all__ = ["tiny_transformers"]  # a fixture


def test_a_size_is_taken_or_refused_with_one_that_is_possible(run, tiny_transformers, tmp_path):
    tensors = under("backbone.model.", checkpoints.transformer()) | checkpoints.salad_head()
    torch.save(tensors, tmp_path / "salad.ckpt")
    out = tmp_path / "m.safetensors"
    code, printed, _ = run("import", tmp_path / "salad.ckpt", "--out", out, "--size", "126x140", "--json")
    assert code == 0 and json.loads(printed)["layout"] == "serizba/salad"
    model = load_model(out)
    assert model.config.size == (126, 140) and model.config.options.patches == 90
    result = run("import", tmp_path / "salad.ckpt", "--out", tmp_path / "n", "--size", "100x140")
    refused(result, "salad.ckpt", "found 100x140", "multiples of 14, such as 98x140")
    assert not (tmp_path / "n").exists()
