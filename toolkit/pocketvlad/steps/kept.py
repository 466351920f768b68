"""What a step has done, beside the file it makes, until the file is there: a job that was stopped goes on from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from pocketvlad import artifact
from pocketvlad.dataset import Photo
from pocketvlad.evaluate.journal import Journal
from pocketvlad.threads import in_order

Item = TypeVar("Item")


class KeptPhotos:
    """Work on each photo, in journals of a folder; see :class:`pocketvlad.model.features.Kept`.

    Args:
        folder: of the step.
        photos: that the work is on; of others nothing is used.
    """

    def __init__(self, folder: Path, photos: Sequence[Photo]):
        self._folder, self._photos = folder, photos

    def __call__(
        self, network: nn.Module, what: str, items: Iterable[Item], work: Callable[[Item], Tensor]
    ) -> Iterator[Tensor]:
        """Each result, flat, in the order of the photos."""
        folder = self._folder / what.split()[0]
        folder.mkdir(exist_ok=True)
        with Journal(folder, self._describes(network, what), self._photos) as journal:
            missing = journal.missing()
            wanted = frozenset(missing)
            left = (item for number, item in enumerate(items) if number in wanted)
            for number, found in zip(missing, in_order(work, left), strict=True):
                journal.add(number, found.detach().numpy())
            for number in range(len(self._photos)):
                yield torch.from_numpy(journal.row(number).copy())

    def _describes(self, network: nn.Module, what: str) -> bytes:
        state = {name: each.detach().numpy() for name, each in network.state_dict().items()}
        photos = [photo.name for photo in self._photos]
        said = {"what": what, "photos": photos, "versions": artifact.versions()}
        return artifact.tensors_fingerprint(state, said).encode()
