"""Accuracy: what recipes, rivals and techniques cost, on places that fitted, calibrated and trained nothing."""
