"""Retrieval and classification accuracy."""
