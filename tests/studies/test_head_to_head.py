"""Which row of ours a rival is held against."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from studies.contenders import Contender, MeasuredContender, Side
from studies.head_to_head import COLUMNS, duels, rows_of
from studies.scores import Scores

GROUP = "about 8x"


def row(
    key: str, cosine: float, precision: float, *, megabytes: float = 8.0, side: Side = "ours"
) -> MeasuredContender:
    """A row whose queries all have the same average precision."""
    size = megabytes * 1e6
    queries, photos = np.full(5, precision), np.full(7, cosine)
    scores = Scores(np.full(5, 0.3), queries, photos, size, size, 8 * size)

    def never(fold: object) -> None:
        raise AssertionError("measured already")

    return MeasuredContender(Contender(GROUP, key, key, never, side), scores, scores.outcome(key))


def rival(cosine: float) -> MeasuredContender:
    return row("rival", cosine, 0.31, side="rival")


@pytest.mark.parametrize(
    ("cosine", "wanted"), [(0.995, "plain"), (0.985, "soft"), (0.97, "softest"), (0.1, "softest")]
)
def test_the_softest_that_is_still_nearer_is_held_against_a_rival(cosine, wanted):
    own = [row("softest", 0.975, 0.33), row("plain", 0.999, 0.30), row("soft", 0.99, 0.32)]
    (found,) = duels([rival(cosine), *own])
    assert found.ours is not None and found.ours.contender.key == wanted
    assert found.to_json()["mean"] == pytest.approx(100 * (found.ours.scores.after[0] - 0.31))


def test_nothing_is_held_against_a_rival_that_is_nearer_or_smaller():
    for own in (row("farther", 0.9, 0.4), row("larger", 0.999, 0.4, megabytes=8.1)):
        (found,) = duels([rival(0.95), own])
        assert found.ours is None and found.to_json() == {"rival": "rival", "ours": None}


def test_what_is_on_neither_side_fights_nobody():
    neither = row("neither", 0.98, 0.5, side="neither")
    (found,) = duels([rival(0.9), neither, row("plain", 0.999, 0.3)])
    assert found.ours is not None and found.ours.contender.key == "plain"


def test_groups_do_not_meet():
    alone = rival(0.9)
    other = row("other", 0.99, 0.4)
    other = replace(other, contender=replace(other.contender, group="about 4x"))
    assert duels([alone, other]) == []


def test_a_duel_is_a_row_under_the_name_of_its_group():
    group, duel = rows_of(duels([rival(0.9), row("plain", 0.999, 0.3)]))
    assert group == (GROUP,) and len(duel) == len(COLUMNS)
    assert duel[:2] == ("rival", "plain") and duel[-1] == "−1.0 (−1.0 to −1.0)"
    _, alone = rows_of(duels([rival(0.95), row("farther", 0.9, 0.4)]))
    assert len(alone) == len(COLUMNS) and alone[1] == "none as near"
