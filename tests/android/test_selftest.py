"""The self-test's pictures and the comparison of two machines' answers, by hand."""

from __future__ import annotations

import json
import platform
from dataclasses import replace

import numpy as np
import pytest

from helpers.packages import Package, write_apk
from pocketvlad.android import check, emulate, host, selftest
from pocketvlad.android.check import check_apk
from pocketvlad.errors import PackageError
from pocketvlad.index import open_index, write_index

NAN, INFINITY = float("nan"), float("inf")
ROWS, COSINES = (4, 2, 7), (0.9, 0.5, 0.3)


def expected(cosines=COSINES) -> selftest.Expected:
    return selftest.Expected("a.png", "a", np.array([0.6, 0.8]), ROWS, cosines)


def compared(descriptor, rows=ROWS, cosines=COSINES, ours=COSINES) -> selftest.Comparison:
    return selftest.compare(expected(ours), selftest.Answer(descriptor, rows, cosines, (), (), ()), 0.9999)


@pytest.mark.parametrize(
    ("descriptor", "rows", "cosine", "same", "passed"),
    [
        ([0.6, 0.8], ROWS, 1, True, True),
        ([1.2, 1.6], ROWS, 1, True, True),  # twice as long: the same direction
        ([0.6, 0.8], (2, 4, 7), 1, False, False),
        ([0.6, 0.8], (4, 2), 1, False, False),
        ([0.8, 0.6], ROWS, 0.96, True, False),
        ([0.0, 0.0], ROWS, 0, True, False),
        ([NAN, 0.8], ROWS, 0, True, False),
        ([INFINITY, 0.8], ROWS, 0, True, False),
    ],
)
def test_comparison_by_hand(descriptor, rows, cosine, same, passed):
    found = compared(descriptor, rows, COSINES[: len(rows)])
    assert found.cosine == pytest.approx(cosine, abs=1e-12)
    assert (found.same_top, not found.reasons) == (same, passed)
    assert np.isfinite(found.max_difference)


@pytest.mark.parametrize(
    ("rows", "cosines", "same"),
    [
        ((2, 4, 7), (0.5, 0.5 - 1e-7, 0.3), True),  # the first two are equal but for rounding
        ((4, 2, 9), (0.5, 0.5, 0.3), True),  # as good as the last, from outside
        ((4, 2, 9), (0.5, 0.5, 0.29), False),  # a worse one from outside
        ((4, 7, 2), (0.5, 0.5, 0.3), False),
        ((9, 2, 7), (0.5, 0.5, 0.3), False),  # better than the last, and not among ours: another row's cosine
        ((4, 4, 7), (0.5, 0.5, 0.3), False),  # one row twice
        ((2, 4, 7), (NAN, NAN, 0.3), False),
    ],
)
def test_rows_closer_than_rounding_may_change_places(rows, cosines, same):
    assert compared([0.6, 0.8], rows, cosines, ours=(0.5, 0.5, 0.3)).same_top is same


def test_a_descriptor_of_another_length():
    with pytest.raises(PackageError, match="of another model; found 1 values; allowed: 2"):
        compared([1.0])


def without_thumbnails(package: Package, folder) -> Package:
    places = open_index(package.index)
    entries = [replace(entry, thumbnail=b"") for entry in places.entries]
    write_index(folder / "bare.pvix", replace(places, entries=entries))
    return replace(package, index=folder / "bare.pvix")


def test_no_photos_and_no_thumbnails_are_refused(package, tmp_path):
    bare = without_thumbnails(package, tmp_path)
    with pytest.raises(PackageError, match="no pictures.*no thumbnails; give one photo or more") as caught:
        selftest.build(bare.program, bare.index, [])
    assert "\n" not in str(caught.value)
    assert len(selftest.build(bare.program, bare.index, package.photos[:1])) == 2


def test_an_empty_selftest_is_refused_everywhere(package, tmp_path, recwarn):
    manifest = {**json.loads(package.selftest[selftest.MANIFEST]), "pictures": []}
    files = {selftest.MANIFEST: json.dumps(manifest).encode()}
    with pytest.raises(PackageError, match="a self-test without pictures; package it again, with photos"):
        write_apk(tmp_path / "refused.apk", replace(package, selftest=files))
    made = tmp_path / "a.apk"
    with pytest.MonkeyPatch.context() as patch:  # as an earlier version packaged it
        patch.setattr(check, "read_selftest", lambda path: None)
        write_apk(made, replace(package, selftest=files))
    for refuse in (check_apk, emulate.run_selftest, host.run_selftest):
        with pytest.raises(PackageError, match=r"a\.apk has a self-test without pictures") as caught:
            refuse(made)
        assert "\n" not in str(caught.value)
    assert not recwarn.list


def test_this_machine_passes_its_own_selftest(package):
    result = host.run_selftest(package.apk, runs=3)
    assert result.passed and not result.reasons and result.where == "host"
    assert all(picture.cosine > 0.999999 for picture in result.pictures)
    assert all(len(picture.inference_ms) == 3 for picture in result.pictures)
    assert result.native.program_bytes == package.program.stat().st_size
    assert result.native.photos == len(open_index(package.index))
    times = result.times("inference")
    assert 0 < times.p50 <= times.p90 <= times.p99


def test_one_form_for_every_machine(package):
    results = [host.run_selftest(package.apk, runs=1)]
    if platform.machine() == "x86_64":
        results.append(emulate.run_selftest(package.apk, abi="x86_64"))
    for result in results:
        values = json.loads(json.dumps(result.to_json(), allow_nan=False))
        assert type(result).from_json(values) == result
        assert values["machine"] == result.device.model and values["format"] == 2
    assert len({tuple(result.to_json()) for result in results}) == 1
