"""Heads: from a backbone's features to a descriptor or to scores, one file each."""

from __future__ import annotations

from pocketvlad.errors import CheckpointError, unknown
from pocketvlad.model.heads.base import Head
from pocketvlad.model.heads.boq import Boq
from pocketvlad.model.heads.convap import ConvAp
from pocketvlad.model.heads.gem import Gem
from pocketvlad.model.heads.mixvpr import MixVpr
from pocketvlad.model.heads.netvlad import NetVlad
from pocketvlad.model.heads.salad import Salad
from pocketvlad.model.heads.scores import Scores

# a new head is one file and one line here
HEADS: dict[str, type[Head]] = {
    "netvlad": NetVlad,
    "gem": Gem,
    "convap": ConvAp,
    "mixvpr": MixVpr,
    "salad": Salad,
    "boq": Boq,
    "scores": Scores,
}


def head_class(name: str) -> type[Head]:
    """The head of that name.

    Raises:
        CheckpointError: there is none.
    """
    if name not in HEADS:
        raise unknown(CheckpointError, "unknown head", name, HEADS)
    return HEADS[name]
