"""Pruning, codebooks, trained compression and size accounts."""
