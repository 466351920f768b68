"""Each rival beside one row of ours that is no larger and no farther from float32: whose ranking is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pocketvlad.evaluate.metrics import Difference, bootstrap_difference
from studies.command import publish
from studies.contenders import MeasuredContender, Study
from studies.folds import CrossFit
from studies.scores import interval

SIZE_TOLERANCE = 1.01  # of the rival's bytes, as sizes cannot be met to the byte
COLUMNS = ("rival", "ours", "MB", "cosine", "mAP", "ours ahead by (95%)")
NOTE = f"""\
Of our rows in a rival's group, of at most {SIZE_TOLERANCE:.0%} of its bytes and nearer to float32 in cosine, the one
that is the least so: as softened as the rival's cosine allows. mAP has no part in the choice. The interval is of the
difference in mAP over the same queries, paired."""


@dataclass(frozen=True)
class Duel:
    """A rival and the row of ours that it is held against, None where none is as small and nearer to float32.

    ``difference`` is of mAP, ours less the rival's, from 0 to 1.
    """

    rival: MeasuredContender
    ours: MeasuredContender | None
    difference: Difference | None

    def to_json(self) -> dict[str, Any]:
        """JSON values; mAP in points of 100."""
        found: dict[str, Any] = {"rival": self.rival.contender.key, "ours": None}
        if self.ours is not None and self.difference is not None:
            found |= {"ours": self.ours.contender.key}
            found |= {name: 100 * value for name, value in vars(self.difference).items()}
        return found


def duels(rows: Sequence[MeasuredContender]) -> list[Duel]:
    """One for each rival; rows of one group lie together."""
    found = []
    for _, members in groupby(rows, key=lambda row: row.contender.group):
        group = list(members)
        own = [row for row in group if row.contender.side == "ours"]
        found += [duel(row, own) for row in group if own and row.contender.side == "rival"]
    return found


def duel(rival: MeasuredContender, own: Sequence[MeasuredContender]) -> Duel:
    """The rival and the farthest from float32 of our rows that are nearer to it than the rival."""
    most = SIZE_TOLERANCE * rival.outcome.program_mb
    nearer = [r for r in own if r.outcome.program_mb <= most and r.outcome.cosine > rival.outcome.cosine]
    if not nearer:
        return Duel(rival, None, None)
    ours = min(nearer, key=lambda row: row.outcome.cosine)
    return Duel(rival, ours, bootstrap_difference(rival.scores.after, ours.scores.after))


def publish_duels(
    study: Study,
    options: CrossFit,
    measured: Sequence[MeasuredContender],
    data: str,
    arguments: Sequence[str],
) -> None:
    """Print the duels of a study's rows and write ``<out>/head_to_head.json``; nothing where there is no rival."""
    found = duels(measured)
    if not found:
        return
    publish(
        options.out / "head_to_head.json",
        COLUMNS,
        rows_of(found),
        title=f"head to head {study.title}, {options.size}",
        data=data,
        module=study.module,
        arguments=arguments,
        width=190,
        figures=[duel.to_json() for duel in found],
        note=NOTE,
    )


def rows_of(found: Sequence[Duel]) -> list[tuple[str, ...]]:
    """Cells by ``COLUMNS``, a line for each rival under the name of its group."""
    rows: list[tuple[str, ...]] = []
    for group, members in groupby(found, key=lambda one: one.rival.contender.group):
        rows += [(group,), *(_cells(one) for one in members)]
    return rows


def _cells(one: Duel) -> tuple[str, ...]:
    rival, ours, ahead = one.rival.outcome, one.ours, one.difference
    if ours is None or ahead is None:
        sizes = (f"{rival.program_mb:.2f}", f"{rival.cosine:.4f}", f"{rival.map_after:.1f}")
        return (rival.name, "none as near", *sizes, "")
    own = ours.outcome
    return (
        rival.name,
        own.name.removeprefix("ours, "),
        f"{rival.program_mb:.2f}, {own.program_mb:.2f}",
        f"{rival.cosine:.4f}, {own.cosine:.4f}",
        f"{rival.map_after:.1f}, {own.map_after:.1f}",
        interval(ahead.points()),
    )
