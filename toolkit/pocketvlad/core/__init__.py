"""The C library both sides share: built once, found, loaded."""
