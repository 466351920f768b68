"""pocketvlad: compress place-recognition models and run them on phones."""

__version__ = "0.1.0"
