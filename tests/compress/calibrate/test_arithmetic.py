"""Which layers may compute in int8 is measured."""

import pytest
import torch
from torch import nn

from pocketvlad.compress.calibrate.arithmetic import first_tensor, int8_layers, outputs_of


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
    assert not any(module._forward_pre_hooks for module in network.modules())


@torch.no_grad()
def test_outputs_are_directions():
    rows = outputs_of(lambda x: (3 * x, x), [(torch.tensor([[3.0, 4.0]]),), (torch.tensor([[0.0, 0.0]]),)])
    assert rows.flatten().tolist() == pytest.approx([0.6, 0.8, 0, 0])
    assert first_tensor({"a": torch.ones(1), "b": torch.zeros(1)}.values()).tolist() == [1]
