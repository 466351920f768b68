"""amaralibey/Bag-of-Queries (MIT), on a ResNet up to layer3 or on DINOv2.

``backbone.net.N.*`` (a ResNet's places in a sequence) or ``backbone.dino.*`` (its last norm is in the file and not
used); ``aggregator.proj_c.*``, ``aggregator.norm_input.*``, two ``aggregator.boqs.N.*`` (``encoder``: torch's
transformer layer, ``queries`` [1, Q, P], ``self_attn``, ``norm_q``, ``cross_attn``, ``norm_out``),
``aggregator.fc.*``. Input 384x384 or 322x322, ImageNet's mean and deviation.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.backbones import FoundBackbone, numbered, transformer, with_plain_blocks
from pocketvlad.importer.common import IMAGENET, layers_at, length_of, linear_shapes, network_of
from pocketvlad.importer.types import ImportedModel, Shape, Tensors
from pocketvlad.model.backbones.dinov2 import Size
from pocketvlad.model.heads.boq import HEAD_WIDTH, BoqOptions
from pocketvlad.model.preprocess import Preprocess

LAYOUT = "amaralibey/Bag-of-Queries"
_RESNET, _DINO, _SPLIT = (
    "backbone.net.",
    "backbone.dino.",
    ("backbone.frozen_layers.", "backbone.unfrozen_layers."),
)
_HEAD, _BLOCKS = "aggregator.", "aggregator.boqs."
_SIZES = {_RESNET: (384, 384), _DINO: (322, 322)}


def matches(tensors: Tensors) -> bool:
    return any(key.startswith((_BLOCKS, f"{_HEAD}proj_c.", f"{_HEAD}norm_input.")) for key in tensors)


def load(tensors: Tensors, size: Size | None = None) -> ImportedModel:
    """CheckpointError when a key is missing, left over or has another shape; RecipeError for an impossible size."""
    if any(key.startswith(_SPLIT) for key in tensors):
        raise CheckpointError(
            f"this {LAYOUT} checkpoint was written by VPR-methods-evaluation's copy of the code",
            found="backbone.frozen_layers, whose places no file says",
            do="import the file that Bag-of-Queries itself publishes",
        )
    prefix = _DINO if any(key.startswith(_DINO) for key in tensors) else _RESNET
    if prefix == _DINO:
        tensors = with_plain_blocks(tensors, prefix)
        found = transformer(tensors, prefix, LAYOUT, class_token=False, last_norm=False)
    else:
        found = numbered(tensors, prefix, LAYOUT, resnets=True)
    blocks = {key.removeprefix(_BLOCKS).split(".")[0] for key in tensors if key.startswith(_BLOCKS)}
    options = _options(tensors, len(blocks))
    found.require(tensors, LAYOUT, _shapes(found, options))
    if options.width % HEAD_WIDTH:
        raise CheckpointError(
            f"this {LAYOUT} checkpoint has a width that no whole attention heads make",
            found=options.width,
            allowed=f"multiples of {HEAD_WIDTH}",
        )
    preprocess = Preprocess(*(size or _SIZES[prefix]), IMAGENET.mean, IMAGENET.std)
    model = network_of(found, tensors, preprocess, "boq", options, _values(tensors, options))
    return ImportedModel(model, LAYOUT)


def _options(tensors: Tensors, blocks: int) -> BoqOptions:
    """From the lengths of its tensors, 0 where one is missing."""
    queries = tensors.get(f"{_BLOCKS}0.queries")
    return BoqOptions(
        length_of(tensors, f"{_HEAD}proj_c.weight") or 0,
        queries.shape[1] if queries is not None and queries.ndim == 3 else 0,
        blocks,
        length_of(tensors, f"{_HEAD}fc.weight") or 0,
    )


def _shapes(found: FoundBackbone, options: BoqOptions) -> dict[str, Shape]:
    p = options.width or None
    wanted: dict[str, Shape] = linear_shapes(f"{_HEAD}proj_c", p, found.channels, 3, 3)
    wanted |= linear_shapes(f"{_HEAD}fc", options.rows or None, max(options.blocks, 1) * options.queries)
    norms = [f"{_HEAD}norm_input"]
    for number in range(max(options.blocks, 1)):
        at = f"{_BLOCKS}{number}."
        wanted[f"{at}queries"] = (1, options.queries or None, p)
        for attention in ("encoder.self_attn", "self_attn", "cross_attn"):
            triple = 3 * options.width or None
            wanted |= {
                f"{at}{attention}.in_proj_weight": (triple, p),
                f"{at}{attention}.in_proj_bias": (triple,),
            }
            wanted |= linear_shapes(f"{at}{attention}.out_proj", p, p)
        wanted |= linear_shapes(f"{at}encoder.linear1", 4 * options.width or None, p)
        wanted |= linear_shapes(f"{at}encoder.linear2", p, 4 * options.width or None)
        norms += [f"{at}{name}" for name in ("encoder.norm1", "encoder.norm2", "norm_q", "norm_out")]
    return wanted | {f"{norm}.{part}": (p,) for norm in norms for part in ("weight", "bias")}


def _values(tensors: Tensors, options: BoqOptions) -> dict[str, Tensor]:
    """The head's: attention's projections as linear layers, the queries in the weights of their scores."""
    places = {name: f"{_HEAD}{name}" for name in ("proj_c", "norm_input", "fc")}
    found: dict[str, Tensor] = {}
    for number in range(options.blocks):
        encoder, answers, at = f"encoders.{number}.", f"answers.{number}.", f"{_BLOCKS}{number}."
        places |= {f"{encoder}{name}": f"{at}encoder.{name}" for name in ("norm1", "norm2")}
        places |= {f"{encoder}mlp.fc{n}": f"{at}encoder.linear{n}" for n in (1, 2)}
        places |= {f"{encoder}attn.proj": f"{at}encoder.self_attn.out_proj"}
        places |= {f"{answers}proj": f"{at}cross_attn.out_proj", f"{answers}norm": f"{at}norm_out"}
        for part in ("weight", "bias"):
            found[f"{encoder}attn.qkv.{part}"] = tensors[f"{at}encoder.self_attn.in_proj_{part}"]
            found[f"{answers}values.{part}"] = tensors[f"{at}cross_attn.in_proj_{part}"].chunk(3)[2]
        found[f"{answers}scores.weight"] = _scores(tensors, at, options.width // HEAD_WIDTH)
    return layers_at(tensors, places) | found


def _scores(tensors: Tensors, at: str, heads: int) -> Tensor:
    """The keys' weights times the constant queries, [heads * Q, P]."""
    queries = tensors[f"{at}queries"][0]
    queries = functional.layer_norm(
        queries + _attended(tensors, f"{at}self_attn.", queries, heads),
        queries.shape[1:],
        tensors[f"{at}norm_q.weight"],
        tensors[f"{at}norm_q.bias"],
    )
    weights, biases = (tensors[f"{at}cross_attn.in_proj_{part}"].chunk(3) for part in ("weight", "bias"))
    asked = (queries @ weights[0].T + biases[0]).unflatten(
        1, (heads, -1)
    ) * HEAD_WIDTH**-0.5  # [Q, heads, 64]
    keys = weights[1].unflatten(0, (heads, -1))  # [heads, 64, P]
    return (asked.transpose(0, 1) @ keys).flatten(0, 1)


def _attended(tensors: Tensors, at: str, x: Tensor, heads: int) -> Tensor:
    """Multi-head attention of rows [Q, P] to themselves."""
    projected = x @ tensors[f"{at}in_proj_weight"].T + tensors[f"{at}in_proj_bias"]
    q, k, v = (part.unflatten(1, (heads, -1)).transpose(0, 1) for part in projected.chunk(3, dim=1))
    found = functional.scaled_dot_product_attention(q, k, v).transpose(0, 1).flatten(1)
    return found @ tensors[f"{at}out_proj.weight"].T + tensors[f"{at}out_proj.bias"]
