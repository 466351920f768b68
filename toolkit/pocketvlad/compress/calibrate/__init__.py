"""Codes fitted to what the layers see on photos."""
