"""An APK's self-test through this machine's own runtime: what its times on a phone are compared with."""

from __future__ import annotations

import os
import platform
import time
import zipfile
from pathlib import Path

import numpy as np

from pocketvlad import machine
from pocketvlad.android import selftest
from pocketvlad.android.entries import INDEX, PROGRAM
from pocketvlad.android.results import HOST, DeviceFacts, Memory, NativeFacts, SelfTestResult, ThreadTimes
from pocketvlad.unfinished import scratch_folder

_MOST_THREADS = 8  # as in the app


def run_selftest(apk: Path, *, runs: int = 5, threads: int = 1, scaling: bool = False) -> SelfTestResult:
    """Describe and search the self-test's pictures here.

    Args:
        apk: a packaged APK.
        runs: descriptions of each picture, after one that is not timed.
        threads: of the runtime.
        scaling: whether to measure one picture with one thread, two and so on as well.

    Raises:
        PackageError: no APK, or one without a self-test.
        ArtifactError: a program this machine's runtime cannot load.
    """
    manifest = selftest.read_manifest(apk)
    pictures = selftest.read_pictures(apk, manifest)
    with scratch_folder() as temporary, zipfile.ZipFile(apk) as archive:
        program, index = (Path(archive.extract(name, temporary)) for name in (PROGRAM, INDEX))
        session = _Session(program, index, threads)
        top = [len(expected.rows) for expected in manifest.pictures]
        answers = [session.answer(pixels, k, runs) for pixels, k in zip(pictures, top, strict=True)]
        counts = range(1, min(_MOST_THREADS, os.cpu_count() or 1) + 1) if scaling else ()
        rows = tuple(
            _timed(count, _Session(program, index, count).answer(pictures[0], top[0], runs))
            for count in counts
        )
    results, reasons = selftest.judge(manifest, answers)
    return SelfTestResult(
        where=HOST,
        passed=not reasons,
        reasons=reasons,
        device=DeviceFacts(machine.cpu_name(), None, platform.machine()),
        native=session.facts,
        runs=runs,
        pictures=results,
        memory=Memory(),
        scaling=rows,
    )


def _timed(threads: int, answer: selftest.Answer) -> ThreadTimes:
    stages = (answer.preprocess_ms, answer.inference_ms, answer.search_ms)
    return ThreadTimes(threads, *map(tuple, stages))


class _Session:
    """A loaded program and index."""

    def __init__(self, program: Path, index: Path, threads: int):
        from pocketvlad.core.native import isa
        from pocketvlad.index import open_index
        from pocketvlad.runtime.runner import ProgramRunner  # torch: seconds that a missing phone saves

        ProgramRunner(program, threads=threads)  # untimed: the first one also starts the runtime
        start = time.perf_counter()
        self.runner, self.places = ProgramRunner(program, threads=threads), open_index(index)
        load_ms = (time.perf_counter() - start) * 1e3
        info = self.runner.info
        self.facts = NativeFacts(
            isa=isa(),
            threads=threads,
            load_ms=load_ms,
            image_size=(self.runner.preprocess.height, self.runner.preprocess.width),
            dim=info.dim,
            fingerprint=info.fingerprint.hex(),
            photos=len(self.places),
            threshold=self.places.threshold,
            program_bytes=program.stat().st_size,
            index_bytes=index.stat().st_size,
        )

    def answer(self, pixels: np.ndarray, top: int, runs: int) -> selftest.Answer:
        """For one picture, uint8 [H, W, 4] (RGBX)."""
        from pocketvlad.index import search_index
        from pocketvlad.model.preprocess import preprocess_pixels

        times = []
        for _ in range(runs + 1):
            stamps = [time.perf_counter()]
            tensor = preprocess_pixels(pixels, 1, self.runner.preprocess)
            stamps.append(time.perf_counter())
            descriptor = self.runner.describe_tensor(tensor)
            stamps.append(time.perf_counter())
            rows, cosines = search_index(self.places, descriptor[None], top)
            stamps.append(time.perf_counter())
            times.append(1e3 * np.diff(stamps))
        stages = [list(map(float, stage)) for stage in zip(*times[1:], strict=True)]
        return selftest.Answer(descriptor, rows[0].tolist(), cosines[0].tolist(), *stages)
