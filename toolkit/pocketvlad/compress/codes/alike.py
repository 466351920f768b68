"""What to say of photos that hardly differ: equations of a layer's inputs then have no solution."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from pocketvlad.errors import PhotoError


@contextlib.contextmanager
def of_photos_that_differ() -> Iterator[None]:
    """Where equations of a layer's inputs are solved; a decorator too.

    Raises:
        PhotoError: they cannot be solved.
    """
    try:
        yield
    except torch.linalg.LinAlgError as error:
        raise PhotoError(
            "the photos that calibrate hardly differ",
            found="a layer whose inputs are all alike",
            do="give photos of the places, or a recipe that needs none",
        ) from error
