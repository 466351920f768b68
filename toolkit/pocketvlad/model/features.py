"""What is computed of photos, one after the other, and need not be again when a job that was stopped goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from pocketvlad.threads import in_order

Item = TypeVar("Item")


class Kept(Protocol):
    """Does some work for every photo, several at a time, but where a stopped job has done it."""

    def __call__(
        self, network: nn.Module, what: str, items: Iterable[Item], work: Callable[[Item], Tensor]
    ) -> Iterator[Tensor]:
        """Each result, flat, in the order of the photos.

        Args:
            network: that computes them.
            what: the work's name, and all else that its results depend on.
            items: one for each photo, in their order; taken on the calling thread.
            work: an item -> float32 of any shape.
        """


def afresh(
    network: nn.Module, what: str, items: Iterable[Item], work: Callable[[Item], Tensor]
) -> Iterator[Tensor]:
    """A :class:`Kept` that keeps nothing."""
    return (found.flatten() for found in in_order(work, items))


def nothing() -> None:
    """What is done after each photo where nobody asks."""


@dataclass(frozen=True, eq=False)
class Features(Sequence[Callable[[], Tensor]]):
    """Of each photo a function that computes what a backbone gives of it, float32 [1, D, H', W'].

    Attributes:
        photos: how many.
        compute: a photo's number -> its features.
        kept: does work on them; ``network`` and ``what`` are its arguments.
        done: called after each photo.
    """

    photos: int
    compute: Callable[[int], Tensor]
    kept: Kept = afresh
    network: nn.Module = field(default_factory=nn.Identity)
    what: str = ""
    done: Callable[[], None] = nothing

    def __len__(self) -> int:
        return self.photos

    def __getitem__(self, number: Any) -> Any:
        """Of one photo; slices are not taken."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        return partial(self._counted, number)

    @cached_property
    def positions(self) -> int:
        """H' * W', the same for every photo."""
        return self.compute(0)[0, 0].numel()

    def of_each(self, work: Callable[[Tensor, Item], Tensor], items: Iterable[Item]) -> Iterator[Tensor]:
        """``work`` of each photo's features and of its item, flat; several photos at a time.

        A job that was stopped does not do it again for the photos that it had done.
        """

        def of_photo(numbered: tuple[int, Item]) -> Tensor:
            return work(self.compute(numbered[0]), numbered[1])

        numbered = zip(range(self.photos), items, strict=True)
        for found in self.kept(self.network, self.what, numbered, of_photo):
            self.done()
            yield found

    def _counted(self, number: int) -> Tensor:
        found = self.compute(number)
        self.done()
        return found
