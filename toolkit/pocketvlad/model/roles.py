"""What layers do, in the words that recipes address them by."""

from __future__ import annotations

CONVOLUTION, ASSIGNMENT, PROJECTION = "convolution", "assignment", "projection"
ATTENTION, MLP, LINEAR, SCORES = "attention", "mlp", "linear", "scores"
ROLES = (CONVOLUTION, ASSIGNMENT, PROJECTION, ATTENTION, MLP, LINEAR, SCORES)
