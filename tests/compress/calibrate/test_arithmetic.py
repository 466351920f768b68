"""Which layers may compute in int8 is measured."""

import pytest
import torch
from torch import nn

from pocketvlad.compress.calibrate import arithmetic
from pocketvlad.compress.calibrate.arithmetic import first_tensor, int8_layers, outputs_of
from pocketvlad.compress.codes.int8 import quantized_like


class HeavyTailed(nn.Module):
    """One layer reads ordinary values, the other the same beside a value a thousand times as large."""

    def __init__(self):
        super().__init__()
        self.usual, self.heavy = nn.Linear(16, 8), nn.Linear(17, 8, bias=False)
        self.heavy.weight.data[:, 16] = 0

    def forward(self, x):
        tail = torch.full_like(x[..., :1], 1000)
        return self.usual(x) + self.heavy(torch.cat((x, tail), dim=-1))


@torch.no_grad()
def test_a_layer_with_heavy_tailed_inputs_stays_in_float():
    torch.manual_seed(0)
    network = HeavyTailed().eval()
    examples = [(torch.randn(1, 5, 16),) for _ in range(8)]
    both = frozenset({"usual", "heavy"})
    assert int8_layers(network, examples, 1e-3, both) == {"usual"}
    assert int8_layers(network, examples, 1.0, both) == both
    assert int8_layers(network, examples, 0.0, both) == frozenset()
    assert int8_layers(network, examples, 1.0, frozenset({"heavy"})) == {"heavy"}
    for module in network.modules():
        assert not module._forward_pre_hooks and not module._forward_hooks and "forward" not in vars(module)


class NearlyAlike(nn.Module):
    """All outputs lie near one direction; ``telling`` tells them apart, ``common`` hardly."""

    def __init__(self):
        super().__init__()
        self.telling, self.common = nn.Linear(64, 8), nn.Linear(64, 8)

    def forward(self, x):
        return torch.ones(8) + 0.05 * self.telling(x) + 0.002 * self.common(x)


@torch.no_grad()
def test_where_outputs_are_alike_what_tells_them_apart_stays_in_float():
    torch.manual_seed(0)
    network = NearlyAlike().eval()
    examples = [(torch.randn(1, 64),) for _ in range(6)]
    for (each,) in examples:
        each[0, 0] = 30  # leaves the others few levels
    both = frozenset({"telling", "common"})
    losses = [arithmetic._losses(network, each, both)[0] for each in examples]
    assert sum(each["telling"] for each in losses) < 6e-4  # of the whole: next to nothing
    assert int8_layers(network, examples, 1e-3, both) == {"common"}
    assert int8_layers(network, examples[:1], 1e-3, both) == both  # one output alone tells nothing


def test_how_far_outputs_lie_apart():
    turned = torch.eye(4)
    assert arithmetic._apart(turned) == pytest.approx(1)
    assert arithmetic._apart(turned[:1]) == 1
    assert arithmetic._apart(turned[:1].repeat(3, 1)) == arithmetic._ALIKE
    near = torch.tensor([[0.8, 0.6], [0.8, -0.6]])
    assert arithmetic._apart(near) == pytest.approx(0.72)  # 1 - cosine is 0.72, too


class WritesIntoOutputs(nn.Module):
    """Layers of which one runs twice, and whose outputs are changed where they lie."""

    def __init__(self):
        super().__init__()
        self.last, self.first, self.twice = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))

    def forward(self, x):
        x = nn.functional.hardswish(self.first(x), inplace=True)
        x = nn.functional.hardswish(self.twice(self.twice(x)), inplace=True)
        return self.last(x).mul_(3)


@torch.no_grad()
def test_each_layers_loss_is_that_of_the_whole_network_run_with_it_alone_in_int8():
    torch.manual_seed(0)
    network = WritesIntoOutputs().eval()
    example = (torch.randn(1, 4, 9, 9),)
    example[0][0, :, 0, 0] = 60  # leaves the others few levels
    layers = dict(network.named_children())
    found, _ = arithmetic._losses(network, example, frozenset(layers))
    assert list(found) == ["first", "twice", "last"]
    wanted = outputs_of(network, [example])
    for name, layer in layers.items():
        hook = layer.register_forward_pre_hook(lambda layer, inputs: (quantized_like(layer, inputs[0]),))
        lost = 1 - float((outputs_of(network, [example]) * wanted).sum())
        hook.remove()
        assert lost > 2e-6 and found[name] == pytest.approx(lost, abs=1e-7)


@torch.no_grad()
def test_outputs_are_directions():
    rows = outputs_of(lambda x: (3 * x, x), [(torch.tensor([[3.0, 4.0]]),), (torch.tensor([[0.0, 0.0]]),)])
    assert rows.flatten().tolist() == pytest.approx([0.6, 0.8, 0, 0])
    assert first_tensor({"a": torch.ones(1), "b": torch.zeros(1)}.values()).tolist() == [1]
