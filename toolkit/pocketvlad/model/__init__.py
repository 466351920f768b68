"""NetVLAD place-recognition models."""
