"""A place's photos without the one that asks, as any set of numbers."""

from __future__ import annotations

import pytest

from pocketvlad.dataset.all_but import AllBut, Renumbered, all_but
from pocketvlad.errors import DatasetError

PLACE = frozenset({3, 5, 8})


def test_it_is_the_set_of_the_others():
    found = AllBut(PLACE, 5)
    assert found == frozenset({3, 8}) == found and hash(found) == hash(AllBut(frozenset({3, 8, 9}), 9))
    assert len(found) == 2 and sorted(found) == [3, 8] and 5 not in found and 8 in found and min(found) == 3
    assert found & {8, 5} == {8, 5} & found == {8}
    assert found | {5} == PLACE and {1} | found == {1, 3, 8}
    assert PLACE - found == {5} and found - {3} == {8} and {3, 5} - found - {5} == set()
    assert frozenset().union(found) == {3, 8} and not AllBut(frozenset({1}), 1)
    assert isinstance(found & PLACE, frozenset)
    with pytest.raises(DatasetError, match="lacks; found 4"):
        AllBut(PLACE, 4)
    assert all_but(PLACE, 4) is PLACE


def test_renumbered_sets_are_shared_as_before():
    renumbered = Renumbered({3: 0, 5: 1, 8: 2})
    one, other = (renumbered(AllBut(PLACE, number)) for number in (3, 8))
    assert (one, other) == ({1, 2}, {0, 1}) and one.members is other.members
    fewer = Renumbered({3: 0, 8: 1})
    assert (
        fewer(AllBut(PLACE, 5)) == {0, 1}
        and fewer(AllBut(PLACE, 8)) == {0}
        and fewer(frozenset({5})) == set()
    )
