"""One sentence: what it says of a change follows its interval."""

from dataclasses import replace

import pytest

from pocketvlad.evaluate.metrics import Difference
from pocketvlad.report.headline import headline


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Difference(-0.2, -0.7, 0.3), "recognises places as well"),
        (Difference(-2.6, -4.6, -0.8), "loses 2.6 points of accuracy"),
        (Difference(3.0, 1.2, 4.9), "gains 3.0 points of accuracy"),
        (Difference(-3.0, -9.0, 4.0), "not told apart"),
    ],
)
def test_the_sentence_follows_the_interval(summary, change, said):
    variants = tuple(replace(row, change=change) if row is summary.after else row for row in summary.variants)
    sentence = headline(replace(summary, variants=variants))
    assert said in sentence and sentence.endswith(").") and sentence.count(". ") == 0
