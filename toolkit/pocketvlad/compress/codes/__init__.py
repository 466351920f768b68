"""Weights to codes: codebooks, pruning, assignment, compensation of errors."""
