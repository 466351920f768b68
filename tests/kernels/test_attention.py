"""Attention and the norm of tokens: NumPy's bits on every instruction set, torch's values, and programs of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from attention_cases import all_cases
from helpers.machines import forced
from pocketvlad.compress.codes.assignment import quantize_layer
from pocketvlad.compress.graph import traced
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.core import native as library
from pocketvlad.errors import KernelError
from pocketvlad.export.lower import lower, operators
from pocketvlad.export.pack import pack_graph
from pocketvlad.lut import attention, attention_native
from pocketvlad.lut.attention_layers import FusedAttention, RowNorm
from pocketvlad.model import attention as models
from pocketvlad.model.backbones.dinov2 import Block
from pocketvlad.model.heads.base import HeadCodes

CASES = list(all_cases())
OURS = {"pocketvlad::attention.out", "pocketvlad::layer_norm.out", "pocketvlad::lut_linear.out"}


@pytest.fixture(params=library.isa_names())
def isa(request):
    yield from forced(request.param)


def test_the_same_bits_as_numpy(isa):
    assert [case.name for case in CASES if not np.array_equal(case.run(), case.expected)] == []


@pytest.mark.parametrize("value", [np.nan, np.uint32(0x7F812345).view(np.float32), np.inf])
def test_what_is_no_number_stays_none(isa, value):
    """NaN of any payload in one key, or an overflow: scores of it were e^-87, and the answer looked sound."""
    x = np.random.default_rng(0).normal(size=(1, 5, 3 * 8)).astype(np.float32)
    x[0, 2, 8] = value
    found = attention_native.attention(x, 1, 1.0)
    with np.errstate(all="ignore"):
        assert np.isnan(found).all() and np.isnan(attention.attention(x, 1, 1.0)).all()


def test_attention_is_torchs():
    x = torch.randn(2, 50, 3 * 48, generator=torch.Generator().manual_seed(0))
    wanted = models.attention(x, 3, 0.25)
    found = torch.from_numpy(attention.attention(x.numpy(), 3, 0.25))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-6)


def test_the_norm_is_torchs():
    x = 3 * torch.randn(7, 100, generator=torch.Generator().manual_seed(0)) + 2
    weight, bias = torch.randn(2, 100)
    wanted = functional.layer_norm(x, (100,), weight, bias, 1e-6)
    found = attention.layer_norm(x.numpy(), weight.numpy(), bias.numpy(), 1e-6)
    torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=1e-5, atol=2e-6)


def test_a_fused_product_is_rounded_once():
    """0.1 * 10 - 1 is not 0: what the product loses by rounding. The second sum lies between two float32."""
    tenth, one = np.float32(0.1), np.ones(1, np.float32)
    wanted = np.float32(float(tenth) * 10 - 1)
    assert attention.fused(np.full(1, tenth), np.float32(10), -one)[0] == wanted != 0
    small = np.float32(1 + 2**-12)
    assert attention.fused(np.full(1, small), small, np.full(1, 2.0**-60, np.float32))[0] == np.nextafter(
        np.float32(1 + 2**-11), np.float32(2)
    )


def test_exponentials_are_numpys_within_two_units():
    x = -np.linspace(0, 87, 100_001, dtype=np.float32)
    wanted = np.exp(x.astype(np.float64))
    assert np.abs(attention.exp_negative(x) / wanted - 1).max() < 2 * 2.0**-23


@pytest.mark.parametrize("heads,width", [(2, 3 * 2 * 12), (0, 24), (1, 3 * 4104)])
def test_refuses_other_widths_of_heads(heads, width):
    x = np.zeros((1, 2, width), np.float32)
    with pytest.raises((KernelError, ZeroDivisionError)):
        attention_native.attention(x, heads, 1.0)


def packed_block(channels: int, heads: int) -> tuple[nn.Module, nn.Module]:
    """A transformer's block in float32, and packed at 8 bits."""
    torch.manual_seed(0)
    block = Block(channels, heads).eval()
    layer = LayerRecipe(bits=8, codebook="uniform", row_scale="max")
    linear = {name: module for name, module in block.named_modules() if isinstance(module, nn.Linear)}
    codes = {name: quantize_layer(module.weight.detach().numpy(), layer) for name, module in linear.items()}
    biases = {name: module.bias.detach().numpy() for name, module in linear.items()}
    return block, pack_graph(traced(block), HeadCodes(codes, biases, {}, dict.fromkeys(codes, False)))


def test_a_packed_block_calls_them():
    block, packed = packed_block(48, 2)
    kinds = [type(module) for module in packed.modules()]
    assert kinds.count(FusedAttention) == 1 and kinds.count(RowNorm) == 2
    x = torch.randn(1, 20, 48)
    with torch.no_grad():
        wanted, found = block(x), packed(x)
    assert functional.cosine_similarity(wanted, found, dim=2).min() > 0.9999
    assert set(operators(lower(packed, (x,), {}))) >= OURS


def test_heads_of_other_widths_stay_as_they_are():
    _, packed = packed_block(24, 2)
    assert not any(isinstance(module, FusedAttention) for module in packed.modules())
    assert packed(torch.randn(1, 9, 24)).shape == (1, 9, 24)
