"""The photos of a place without the one that asks: one set for all that ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from pocketvlad.errors import DatasetError


class AllBut(Set[int]):
    """``members`` without one of them; what it is combined to is a frozenset.

    Attributes:
        members: shared with others.
        without: the one.
    """

    __slots__ = ("members", "without")

    def __init__(self, members: frozenset[int], without: int):
        if without not in members:
            raise DatasetError("a set without a number that it lacks", found=without)
        self.members, self.without = members, without

    def __contains__(self, number: object) -> bool:
        return number != self.without and number in self.members

    def __iter__(self) -> Iterator[int]:
        return (number for number in self.members if number != self.without)

    def __len__(self) -> int:
        return len(self.members) - 1

    def __hash__(self) -> int:
        return self._hash()

    @classmethod
    def _from_iterable(cls, numbers: Iterable[int]) -> frozenset[int]:  # type: ignore[override]
        return frozenset(numbers)


def all_but(members: frozenset[int], without: int) -> Set[int]:
    """``members`` without a number that may be among them."""
    return AllBut(members, without) if without in members else members


class Renumbered:
    """Sets of photos through a map of their numbers, those that are not in it left out; what is shared stays so."""

    def __init__(self, new: Mapping[int, int]):
        self._new = new
        self._made: dict[int, tuple[frozenset[int], frozenset[int]]] = {}

    def __call__(self, numbers: Set[int]) -> Set[int]:
        if isinstance(numbers, AllBut):
            return all_but(self._moved(numbers.members), self._new.get(numbers.without, -1))
        return self._moved(numbers) if isinstance(numbers, frozenset) else frozenset(self._kept(numbers))

    def _moved(self, numbers: frozenset[int]) -> frozenset[int]:
        if id(numbers) not in self._made:
            self._made[id(numbers)] = (
                numbers,
                frozenset(self._kept(numbers)),
            )  # held, so that its id stays its own
        return self._made[id(numbers)][1]

    def _kept(self, numbers: Iterable[int]) -> Iterator[int]:
        return (self._new[number] for number in numbers if number in self._new)
