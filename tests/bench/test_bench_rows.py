"""Side-by-side timing and the file of `make bench`, and that its contenders are what they are called."""

from __future__ import annotations

import json

import pytest
import torch

from bench import __main__ as command
from bench import models, networks, phone_model, programs, quantized, roofline
from bench.networks import GEM
from bench.programs import Timed
from bench.rows import Comparison, Timing, compare, take_turns

ASKED = ("name", "ours_ms", "peer", "peer_ms", "ratio", "goal", "threads")


def tiny(asked):
    """A suite of two sums, the peer's a hundred times as long."""
    calls = {"ours": lambda: sum(range(1000)), "peer": lambda: sum(range(100_000))}
    timings = take_turns(calls, asked.rounds)
    cycles = Comparison("loop", 63.0, "other loop", 126.0, 2.0, None, 1, unit=phone_model.UNIT)
    return [compare("sum", timings["ours"], "long sum", timings["peer"], 1.5, asked.threads), cycles]


def test_a_run_writes_every_row_with_where_and_when(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "SUITES", {"tiny": tiny})
    command.main(["tiny", "--rounds", "3", "--threads", "1", "2", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["machine"] and found["isa"] and found["date"] and found["versions"]["torch"]
    assert found["columns"] == list(ASKED)
    assert [row["threads"] for row in found["rows"]] == [1, 2]
    for row in found["rows"]:
        assert set(ASKED) <= set(row) and row["ratio"] == row["peer_ms"] / row["ours_ms"] > 1.5
    (line,) = found["command"]
    assert line.startswith("PYTHONPATH=toolkit .venv/bin/python -m bench tiny --rounds 3")
    assert (tmp_path / "bench.png").stat().st_size > 0
    cores = json.loads((tmp_path / "phone_cores.json").read_text())
    assert "a model, not a measurement" in cores["data"]
    assert [row["ours_cycles_per_1000_weights"] for row in cores["rows"]] == [63.0, 63.0]
    assert "long sum" in capsys.readouterr().out


def test_what_is_timed_is_the_median_and_comes_before_each_call():
    order: list[str] = []
    timings = take_turns({"a": lambda: order.append("a")}, 3, before=lambda: order.append("-"))
    assert order[:2] == ["a", "a"] and order[2:4] == ["-", "a"]
    assert timings["a"].low <= timings["a"].median <= timings["a"].high
    assert Timing.of([0.003, 0.001, 0.002]).median == pytest.approx(2.0)


def test_a_goal_that_is_missed_is_said():
    slow = Comparison("sum", 2.0, "peer", 1.0, 0.5, 1.0, 1)
    assert slow.met is False and slow.cells()[5] == "1 missed"
    assert Comparison("sum", 1.0, "peer", 1.0, 1.0, 1.0, 1).met
    assert Comparison("sum", 1.0, "peer", 1.0, 1.0, None, 1).met is None


@pytest.mark.parametrize("name", programs.OF_CONVOLUTIONS)
def test_packed_contenders_describe(name):
    network = programs.contenders("squeezenet1_1", 16, 64, 64)[name]()
    with torch.no_grad():
        found = network(torch.randn(1, 3, 64, 64))
    assert found.shape == (1, 16) and float(found.norm()) == pytest.approx(1, abs=1e-3)


def test_models_may_be_asked_for_by_backbone_or_name():
    assert [model.name for model in models.chosen(["resnet18"])] == ["resnet18-GeM 240x320"]
    assert [model.height for model in models.chosen(["mobilenet_v2"])] == [240, 480]
    assert [model.height for model in models.chosen(["mobilenet_v2-GeM 480x640"])] == [480]
    assert models.chosen([]) == models.MODELS


def test_a_program_is_named_by_what_it_is_made_of(monkeypatch):
    model, label = models.MODELS[0], "8-bit"
    name, peer = programs.file_name(model, label), programs.file_name(model, programs.INT8)
    assert name == programs.file_name(model, label) and name != programs.file_name(model, "5-bit")
    monkeypatch.setitem(programs.OURS, label, programs.Packing(7))
    assert programs.file_name(model, label) != name
    monkeypatch.setattr(programs, "_sources", lambda rooms: b"".join(room.encode() for room in rooms[1:]))
    assert programs.file_name(model, programs.INT8) != peer


def test_programs_are_those_asked_for_and_made_once(tmp_path):
    said: list[str] = []
    labels = [programs.INT8, "5-bit, int8 throughout"]
    model = models.MODELS[0]
    for label in labels:
        (tmp_path / programs.file_name(model, label)).touch()
    assert list(programs.programs(model, tmp_path, said.append, labels)) == labels and not said


def test_a_model_of_gem_describes():
    network = programs.contenders("resnet18", 16, 64, 64, networks.GEM)["8-bit"]()
    with torch.no_grad():
        assert network(torch.randn(1, 3, 64, 64)).shape == (1, 16)


@pytest.mark.parametrize("name", programs.OF_TOKENS)
def test_a_model_of_tokens_describes(name):
    build = programs.contenders("dinov2_vits14_class", 64, 126, 126, networks.MEGALOC)
    with torch.no_grad():
        assert build[name]()(torch.randn(1, 3, 126, 126)).shape == (1, 64)


def test_the_rival_of_tokens_is_close():
    network = networks.random_network("dinov2_vits14_class", 0, 126, 126, head=networks.SALAD)
    x = torch.randn(1, 3, 126, 126)
    with torch.no_grad():
        plain = network(x)
        found = quantized.dynamic(network, torch.int8)(x)
    assert torch.nn.functional.cosine_similarity(found, plain).item() > 0.98


def test_the_int8_rival_of_a_gem_model_runs_its_own_layout():
    """A whole image that leaves XNNPACK's delegate comes out turned: the rival hands its locations over in a row."""
    network = networks.random_network("resnet18", 16, 64, 96, head=networks.GEM)
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        found = quantized.Int8Backbone(network, [x])(x)
        assert torch.nn.functional.cosine_similarity(found, network(x)).item() > 0.99


def test_the_network_in_xnnpacks_operators_computes_the_same():
    network = networks.random_network("squeezenet1_1", 16, 64, 64, clusters=4)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(quantized.PlainOperators(network)(x), network(x), atol=1e-5, rtol=1e-4)


def test_products_of_a_resnet18_are_those_that_are_known():
    """1.8136 billion of its convolutions for 224x224 (He et al. 2016, table 1 says 1.8), and GeM's linear layer."""
    model = Timed("resnet18", 512, 224, 224, {}, GEM)
    assert roofline.products(model) == pytest.approx(1.8136e9, rel=1e-3)
