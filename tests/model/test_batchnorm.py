"""Batch norm folded into the layer before it, as the graph has it."""

import copy

import pytest
import torch
import torchvision
from torch import nn

from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.batchnorm import NORMS, fold_batch_norm


class Reversed(nn.Module):
    """Norms registered before their convolutions, and in the other order; a layer in between has none."""

    def __init__(self):
        super().__init__()
        self.norm2, self.norm1 = nn.BatchNorm2d(6), nn.BatchNorm2d(4)
        self.conv2, self.between, self.conv1 = (
            nn.Conv2d(4, 6, 3, bias=False),
            nn.Conv2d(4, 4, 1),
            nn.Conv2d(3, 4, 3),
        )

    def forward(self, x):
        x = self.between(self.norm1(self.conv1(x)).relu())
        return self.norm2(self.conv2(x))


class TwoReaders(nn.Module):
    """Something else reads the convolution before its norm."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + y


class SharedConvolution(nn.Module):
    """One convolution in two places, normalised in each by its own."""

    def __init__(self):
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.two(self.conv(self.one(self.conv(x))))


class SharedNorm(nn.Module):
    """One norm behind two convolutions."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.norm = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.one(x)) + self.norm(self.two(x))


class NormFirst(nn.Module):
    """A norm of the input, and one behind an activation: neither follows a layer."""

    def __init__(self):
        super().__init__()
        self.first, self.conv, self.last = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.last(self.conv(self.first(x)).relu())


class OneDimensional(nn.Module):
    """A 1-D convolution, and a linear layer of which nobody says here what it reads."""

    def __init__(self):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm1d(5), nn.Conv1d(3, 5, 3)
        self.linear, self.linear_norm = nn.Linear(5, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.linear_norm(self.linear(self.norm(self.conv(x)).mean(dim=2)))


class Tokens(nn.Module):
    """A norm over the second axis of tokens: its channels are not the linear layer's outputs."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(6, 7), nn.BatchNorm1d(5)

    def forward(self, x):
        return self.norm(self.linear(x))


class SquareTokens(Tokens):
    """The same with as many tokens as outputs, where the shapes alone would not tell."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 5)


class NoStatistics(nn.Module):
    """A norm that always takes the batch's own statistics."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x):
        return self.norm(self.conv(x))


@pytest.mark.parametrize(
    ("kind", "shape", "left"),
    [
        (Reversed, (2, 3, 12, 11), set()),
        (TwoReaders, (2, 3, 12, 11), {"norm"}),
        (SharedConvolution, (2, 3, 12, 11), {"one", "two"}),
        (SharedNorm, (2, 3, 12, 11), {"norm"}),
        (NormFirst, (2, 3, 12, 11), {"first", "last"}),
        (OneDimensional, (2, 3, 12), {"linear_norm"}),
        (Tokens, (2, 5, 6), {"norm"}),
        (SquareTokens, (2, 5, 6), {"norm"}),
        (NoStatistics, (2, 3, 12, 11), {"norm"}),
    ],
)
def test_norms_are_folded_where_a_layer_alone_feeds_them(kind, shape, left):
    torch.manual_seed(0)
    network = kind()
    for _ in range(20):
        network.train()(3 * torch.randn(8, *shape[1:]) + 1)
    for norm in [module for module in network.modules() if isinstance(module, NORMS)]:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    folded = copy.deepcopy(network.eval())
    with torch.no_grad():
        fold_batch_norm(folded)
        x = 3 * torch.randn(shape) + 1
        torch.testing.assert_close(folded(x), network(x), rtol=1e-3, atol=1e-4)
    assert {name for name, module in folded.named_modules() if isinstance(module, NORMS)} == left


def test_a_folded_resnet_computes_what_torchvision_does():
    classifier = torchvision.models.resnet18(weights=None).eval()
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    backbone = build_backbone("resnet18", classifier.state_dict())
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = nn.Sequential(*list(classifier.children())[:-2])(x)
        torch.testing.assert_close(backbone(x).relu(), expected, rtol=1e-3, atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
