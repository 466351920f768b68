"""Names beside points: none touches another, none leaves the picture."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pocketvlad.report.labels import overlap, place_labels

INSIDE = (0.0, 0.0, 400.0, 250.0)
places = st.tuples(st.floats(20, 380), st.floats(20, 230))


@given(st.lists(places, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_names_of_a_few_points_are_free(centres):
    points = [(x - 5, y - 5, x + 5, y + 5) for x, y in centres]
    boxes = place_labels(points, [(70.0, 12.0)] * len(points), [], INSIDE)
    for at, box in enumerate(boxes):
        assert not any(overlap(box, other) for other in [*boxes[:at], *points])
        assert INSIDE[0] <= box[0] and INSIDE[1] <= box[1] and box[2] <= INSIDE[2] and box[3] <= INSIDE[3]


def test_a_lonely_name_stands_above_its_point():
    (box,) = place_labels([(95, 95, 105, 105)], [(40, 10)], [], INSIDE)
    assert box[1] > 105 and (box[0] + box[2]) / 2 == 100


def test_a_whisker_sends_the_name_to_the_side():
    (box,) = place_labels([(95, 95, 105, 105)], [(40, 10)], [(97, 20, 103, 220)], INSIDE)
    assert not overlap(box, (97, 20, 103, 220))
