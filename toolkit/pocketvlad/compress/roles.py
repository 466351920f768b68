"""What layers do, in the words that recipes address them by."""

from __future__ import annotations

CONVOLUTION, ASSIGNMENT, PROJECTION = "convolution", "assignment", "projection"
ATTENTION, MLP, SCORES = "attention", "mlp", "scores"
ROLES = (CONVOLUTION, ASSIGNMENT, PROJECTION, ATTENTION, MLP, SCORES)


def role_of(name: str) -> str:
    """The role of a NetVLAD's layer by its module name.

    Transitional: stands in until every head tells the roles of its own layers.
    """
    return {"whitening": PROJECTION, "pool.assignment": ASSIGNMENT}.get(name, CONVOLUTION)
