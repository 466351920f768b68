"""What is known of photos that choose a whitening: their places, and which answer which."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A photo that is searched for, by number; those of the answers that are right, and those that do not count."""

    photo: int
    right: Set[int]
    junk: Set[int] = frozenset()


@dataclass(frozen=True, eq=False)
class Places:
    """What is known of photos: of each the place or None, the questions, and whether it is among the answers."""

    labels: Sequence[str | None]
    questions: Sequence[Question]
    answers: Sequence[bool]

    def groups(self) -> dict[int, list[int]]:
        """Photos that show one place, or are right or junk for one another, in the order of the first of each group.

        A photo of no place that no question names is in none.
        """
        first: dict[str, int] = {}
        root = list(range(len(self.labels)))

        def find(photo: int) -> int:
            while root[photo] != photo:
                root[photo] = root[root[photo]]
                photo = root[photo]
            return photo

        def join(one: int, other: int) -> None:
            low, high = sorted((find(one), find(other)))
            root[high] = low

        for number, label in enumerate(self.labels):
            if label is not None:
                join(first.setdefault(label, number), number)
        for question in self.questions:
            for other in question.right | question.junk:
                join(question.photo, other)
        named = {photo for q in self.questions for photo in (q.photo, *q.right, *q.junk)}
        found: dict[int, list[int]] = {}
        for number, label in enumerate(self.labels):
            if label is not None or number in named:
                found.setdefault(find(number), []).append(number)
        return found

    def subset(self, kept: Sequence[int]) -> Places:
        """Of these photos alone."""
        new = {old: number for number, old in enumerate(kept)}

        def moved(photos: Set[int]) -> frozenset[int]:
            return frozenset(new[photo] for photo in photos if photo in new)

        questions = [
            Question(new[q.photo], moved(q.right), moved(q.junk)) for q in self.questions if q.photo in new
        ]
        return Places([self.labels[i] for i in kept], questions, [self.answers[i] for i in kept])
