"""A backbone built from photos: unit variance everywhere, the same from the same seed, blind to constants."""

import torch

from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.scratch import init_backbone_from_photos


def _photos() -> torch.Tensor:
    return (
        torch.randn(6, 3, 8, 12, generator=torch.Generator().manual_seed(0))
        .repeat_interleave(8, 2)
        .repeat_interleave(8, 3)
    )


def test_every_convolution_has_unit_output_variance():
    backbone, deviations = build_backbone("squeezenet1_1"), []
    init_backbone_from_photos(backbone, _photos(), 0)
    for module in backbone.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda _m, _i, out: deviations.append(out.square().mean().sqrt().item())
            )
    with torch.no_grad():
        backbone(_photos())
    assert len(deviations) == 25 and all(0.5 < deviation < 2 for deviation in deviations)


def test_the_seed_decides():
    backbones = [build_backbone("squeezenet1_1") for _ in range(3)]
    for backbone, seed in zip(backbones, (1, 1, 2), strict=True):
        init_backbone_from_photos(backbone, _photos(), seed)
    first, same, other = (dict(backbone.state_dict()) for backbone in backbones)
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_first_filters_come_in_pairs_of_both_signs():
    backbone = build_backbone("alexnet")
    init_backbone_from_photos(backbone, _photos(), 0)
    weight = backbone[0].weight.flatten(1)
    torch.testing.assert_close(weight[:32], -weight[32:], rtol=1e-3, atol=1e-4)
