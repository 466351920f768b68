"""The recognisers' forward passes written plainly from their papers and equations: no code of the package in here."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

Tensors = dict[str, Tensor]


def gem(x: Tensor, power: float, *, normalize: bool = True) -> Tensor:
    """[B, D, H, W] -> [B, D]."""
    x = functional.normalize(x, dim=1) if normalize else x
    return x.clamp(min=1e-6).pow(power).mean(dim=(2, 3)).pow(1 / power)


def layer(x: Tensor, t: Tensors, name: str) -> Tensor:
    return functional.linear(x, t[f"{name}.weight"].flatten(1), t[f"{name}.bias"])


def cosplace(x: Tensor, t: Tensors) -> Tensor:
    return functional.normalize(layer(gem(x, float(t["aggregation.1.p"])), t, "aggregation.3"), dim=1)


def convap(x: Tensor, t: Tensors) -> Tensor:
    x = functional.conv2d(x, t["aggregator.channel_pool.weight"], t["aggregator.channel_pool.bias"])
    return functional.normalize(functional.adaptive_avg_pool2d(x, 2).flatten(1), dim=1)


def mixvpr(x: Tensor, t: Tensors, depth: int) -> Tensor:
    x = x.flatten(2)
    for number in range(depth):
        at = f"aggregator.mix.{number}.mix"
        y = functional.layer_norm(x, x.shape[2:], t[f"{at}.0.weight"], t[f"{at}.0.bias"])
        x = x + layer(functional.relu(layer(y, t, f"{at}.1")), t, f"{at}.3")
    x = layer(x.permute(0, 2, 1), t, "aggregator.channel_proj")
    x = layer(x.permute(0, 2, 1), t, "aggregator.row_proj")
    return functional.normalize(x.flatten(1), dim=1)


def position(t: Tensors, rows: int, columns: int) -> Tensor:
    """DINOv2's embedding [1, 1 + rows * columns, D] by the rule for models with or without registers."""
    first, grid = t["pos_embed"][:, :1], t["pos_embed"][0, 1:]
    side = int(len(grid) ** 0.5)
    square = grid.T.reshape(1, -1, side, side)
    if (rows, columns) == (side, side):
        moved = square
    elif "register_tokens" in t:
        moved = functional.interpolate(square, size=(rows, columns), mode="bicubic", antialias=True)
    else:
        scale = ((rows + 0.1) / side, (columns + 0.1) / side)
        moved = functional.interpolate(square, scale_factor=scale, mode="bicubic", antialias=False)
    assert moved.shape[2:] == (rows, columns)
    return torch.cat([first, moved.flatten(2).permute(0, 2, 1)], dim=1)


def transformer(photo: Tensor, t: Tensors, heads: int, *, last_norm: bool = True) -> tuple[Tensor, Tensor]:
    """Class token [B, D] and map [B, D, H / 14, W / 14] of DINOv2 under its own keys."""
    batch, rows, columns = len(photo), photo.shape[2] // 14, photo.shape[3] // 14
    x = functional.conv2d(photo, t["patch_embed.proj.weight"], t["patch_embed.proj.bias"], stride=14)
    x = x.flatten(2).permute(0, 2, 1)
    x = torch.cat([t["cls_token"].expand(batch, -1, -1), x], dim=1) + position(t, rows, columns)
    registers = t.get("register_tokens")
    if registers is not None:
        x = torch.cat([x[:, :1], registers.expand(batch, -1, -1), x[:, 1:]], dim=1)
    depth = len({key.split(".")[1] for key in t if key.startswith("blocks.")})
    for block in range(depth):
        x = _block(x, t, f"blocks.{block}.", heads)
    if last_norm:
        x = functional.layer_norm(x, x.shape[2:], t["norm.weight"], t["norm.bias"], 1e-6)
    patches = x[:, -rows * columns :].permute(0, 2, 1).reshape(batch, -1, rows, columns)
    return x[:, 0], patches


def _block(x: Tensor, t: Tensors, at: str, heads: int) -> Tensor:
    def normed(name: str) -> Tensor:
        return functional.layer_norm(x, x.shape[2:], t[f"{at}{name}.weight"], t[f"{at}{name}.bias"], 1e-6)

    width = x.shape[2]
    q, k, v = layer(normed("norm1"), t, f"{at}attn.qkv").split(width, dim=2)
    parts = []
    for head in range(heads):
        own = slice(head * width // heads, (head + 1) * width // heads)
        scores = q[..., own] @ k[..., own].transpose(1, 2) * (width // heads) ** -0.5
        parts.append(scores.softmax(dim=-1) @ v[..., own])
    x = x + t[f"{at}ls1.gamma"] * layer(torch.cat(parts, dim=2), t, f"{at}attn.proj")
    wide = functional.gelu(layer(normed("norm2"), t, f"{at}mlp.fc1"))
    return x + t[f"{at}ls2.gamma"] * layer(wide, t, f"{at}mlp.fc2")


def salad(token: Tensor, patches: Tensor, t: Tensors, prefix: str = "aggregator.") -> Tensor:
    """One photo's [1, D] and [1, D, H, W] -> [1, token + values * clusters]."""

    def perceptron(x: np.ndarray, name: str, second: int) -> np.ndarray:
        """[rows, D] -> [rows, outputs]."""
        for number in (0, second):
            weight, bias = (
                t[f"{prefix}{name}.{number}.{part}"].double().numpy() for part in ("weight", "bias")
            )
            x = x @ weight.reshape(len(weight), -1).T + bias
            x = np.maximum(x, 0) if number == 0 else x
        return x

    local = patches[0].flatten(1).T.double().numpy()
    whole = perceptron(token.double().numpy(), "token_features", 2)[0]
    values, scores = perceptron(local, "cluster_features", 3), perceptron(local, "score", 3).T
    shares = transported(scores, float(t[f"{prefix}dust_bin"]))
    clusters = np.stack([values.T @ row for row in shares], axis=1)  # [l, m]
    clusters /= np.linalg.norm(clusters, axis=0)
    found = np.concatenate([whole / np.linalg.norm(whole), clusters.reshape(-1)])
    return torch.from_numpy(found / np.linalg.norm(found)).float()[None]


def transported(scores: np.ndarray, dust_bin: float) -> np.ndarray:
    """Optimal transport of scores [m, n] with a dustbin, in logarithms, three rounds; [m, n]."""
    m, n = scores.shape
    table = np.vstack([scores, np.full((1, n), dust_bin)])
    norm = -np.log(m + n)
    log_a = np.full(m + 1, norm)
    log_a[-1] += np.log(n - m)
    log_b, u, v = np.full(n, norm), np.zeros(m + 1), np.zeros(n)
    for _ in range(3):
        u = log_a - np.logaddexp.reduce(table + v, axis=1)
        v = log_b - np.logaddexp.reduce(table + u[:, None], axis=0)
    return np.exp(table + u[:, None] + v - norm)[:-1]


def megaloc(token: Tensor, patches: Tensor, t: Tensors) -> Tensor:
    found = layer(salad(token, patches, t, "aggregator.agg."), t, "aggregator.linear")
    return functional.normalize(found, dim=1)


def boq(x: Tensor, t: Tensors, prefix: str = "aggregator.") -> Tensor:
    """With torch's own transformer layer and attention: [1, D, H, W] -> [1, P * rows]."""
    t = {key.removeprefix(prefix): value for key, value in t.items() if key.startswith(prefix)}
    width = len(t["proj_c.weight"])
    x = functional.conv2d(x, t["proj_c.weight"], t["proj_c.bias"], padding=1).flatten(2).permute(0, 2, 1)
    x = functional.layer_norm(x, (width,), t["norm_input.weight"], t["norm_input.bias"])
    found = []
    for number in (0, 1):
        own = {
            key.removeprefix(f"boqs.{number}."): v
            for key, v in t.items()
            if key.startswith(f"boqs.{number}.")
        }
        encoder = nn.TransformerEncoderLayer(
            width, width // 64, 4 * width, dropout=0, batch_first=True
        ).eval()
        x = _with(encoder, own, "encoder.")(x)
        queries = own["queries"]
        attended = _attention(width, own, "self_attn.")(queries, queries, queries)[0]
        queries = functional.layer_norm(
            queries + attended, (width,), own["norm_q.weight"], own["norm_q.bias"]
        )
        answer = _attention(width, own, "cross_attn.")(queries, x, x)[0]
        found.append(functional.layer_norm(answer, (width,), own["norm_out.weight"], own["norm_out.bias"]))
    rows = layer(torch.cat(found, dim=1).permute(0, 2, 1), t, "fc")
    return functional.normalize(rows.flatten(1), dim=1)


def _attention(width: int, t: Tensors, prefix: str) -> nn.Module:
    return _with(nn.MultiheadAttention(width, width // 64, batch_first=True).eval(), t, prefix)


def _with(module: nn.Module, t: Tensors, prefix: str) -> nn.Module:
    own = {key.removeprefix(prefix): value for key, value in t.items() if key.startswith(prefix)}
    module.load_state_dict(own)
    return module
