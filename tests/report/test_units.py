import pytest

from pocketvlad.report import units


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1536, "1.5 kB"),
        (1_420_000, "1.42 MB"),
        (14_200_000, "14.2 MB"),
        (5.3e8, "530 MB"),
    ],
)
def test_sizes_use_powers_of_ten(count, text):
    assert units.size(count) == text


def test_changes_show_their_sign_and_never_minus_zero():
    assert [units.signed(value) for value in (0.4, -0.4, -0.04, 0.0)] == ["+0.4", "−0.4", "±0.0", "±0.0"]


def test_a_cosine_below_one_is_not_shown_as_one():
    assert units.cosine(0.99997) == "0.9999+"
    assert units.cosine(1.0) == "1.0000"
    assert units.cosine(0.9812) == "0.981"


def test_times_keep_two_or_three_digits():
    assert [units.milliseconds(value) for value in (0.023, 4.2, 12.34, 382.1)] == [
        "0.02 ms",
        "4.20 ms",
        "12.3 ms",
        "382 ms",
    ]


def test_shares_and_ratios():
    assert [units.percent(share) for share in (0, 0.023, 0.66)] == ["0%", "2.3%", "66%"]
    assert [units.ratio(value) for value in (1.17, 39.2)] == ["1.2×", "39×"]


def test_photos_with_and_without_places():
    assert units.photos(90, 15) == "90 photos of 15 places"
    assert units.photos(90, 15, "other ") == "90 photos of 15 other places"
    assert units.photos(90, 0, "other ") == "90 other photos"
