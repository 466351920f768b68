"""Packed lookup layers: format, packing, torch ops and modules."""
