"""What every head says of itself, so that nothing else needs to know which head a network has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from torch import nn

from pocketvlad.errors import ArtifactError, CheckpointError
from pocketvlad.lut.rows import QuantizedRows
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.features import Features
from pocketvlad.schema import from_table


@dataclass(frozen=True)
class HeadOptions:
    """A head's options; each head has its own."""


@dataclass(frozen=True, eq=False)
class HeadCodes:
    """A compressed head's arrays, by their names in the head.

    Attributes:
        layers: weights.
        biases: float32 [O], for layers that have one.
        constants: what :meth:`Head.constants` names.
        fast: whether a layer computes with the int8 kernels.
    """

    layers: Mapping[str, LutTensor]
    biases: Mapping[str, np.ndarray]
    constants: Mapping[str, QuantizedRows]
    fast: Mapping[str, bool]


class Head(nn.Module):
    """float32 [B, D, H', W'], a backbone's features -> unit vectors [B, V], or scores.

    A new head is one file with a class of this kind and one line in :data:`pocketvlad.model.heads.HEADS`.

    Attributes:
        Options: the class of its options.
        describes: whether it gives unit vectors that describe a place; else scores.
        outputs: V.
        block: values of the output that belong together and have statistics of their own (D of NetVLAD's clusters);
            0: none do.
    """

    Options: ClassVar[type[HeadOptions]] = HeadOptions
    describes: ClassVar[bool] = True
    outputs: int
    block: int = 0

    def __init__(self, channels: int, options: HeadOptions):
        """``channels``: D of the features; layers have no values yet or random ones."""
        super().__init__()

    @classmethod
    def check_size(cls, options: Any, height: int, width: int, stride: int) -> None:
        """Refuse an input size this head cannot take.

        Args:
            options: the head's.
            height, width: of the input, in pixels.
            stride: pixels a side of one location of the backbone's map; 0: not said.

        Raises:
            RecipeError: saying which sizes it takes.
        """

    def roles(self) -> dict[str, str]:
        """What each convolution and linear layer is for, by its name in the head: one of ``model.roles.ROLES``."""
        raise NotImplementedError

    def last_linear(self) -> str | None:
        """The name of the linear layer whose outputs at unit length are the descriptor, its rows the option ``dim``.

        None: it ends in another way. A whitening is folded into such a layer.
        """
        return None

    def constants(self) -> tuple[str, ...]:
        """Names of the parameters, float32 [rows, values], that are stored as int8 with a scale for each row."""
        return ()

    def fit(self, features: Features, seed: int) -> None:
        """Set the head's values from photos, where it can.

        Args:
            features: of each photo, computed when called, float32 [1, D, H', W']; by its ``of_each`` once for each
                photo, stopped or not.
            seed: of random choices.

        Raises:
            CheckpointError: this head learns its values in training.
        """
        if any(True for _ in self.parameters()):
            raise CheckpointError(
                f"a head {type(self).__name__} has values that only training gives",
                do="import a trained checkpoint",
            )

    def pack(self, codes: HeadCodes) -> nn.Module | None:
        """The head as one module over packed codes, float32 [1, D, H', W'] -> [1, V].

        None, the default: each convolution and linear layer becomes its packed form and the rest stays.
        """
        return None


def options_to_json(name: str, options: HeadOptions) -> dict[str, Any]:
    """``{"name": …, options}``."""
    return {"name": name, **asdict(options)}


def options_from_json(kind: type[Head], value: Mapping[str, Any]) -> HeadOptions:
    """The inverse; ArtifactError for options the head does not have."""
    table = {key: each for key, each in value.items() if key != "name"}
    return from_table(kind.Options, table, f"head {value.get('name')}", ArtifactError)
