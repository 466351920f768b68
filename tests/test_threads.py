"""The same bits on any number of threads: the helper itself, and the files that every step makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from helpers.runs import TOOLKIT, scene_photos
from pocketvlad.machine import common_instructions
from pocketvlad.threads import in_order, one_thread

CHILD = Path(__file__).parent / "helpers/thread_child.py"


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def files_made(photos: Path, out: Path, threads: int) -> dict[str, str]:
    out.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(TOOLKIT)}
    command = [sys.executable, str(CHILD), f"folder:{photos}", str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_file_is_the_same_on_one_thread_and_on_two(tmp_path):
    """Photos are described several at once by a model, and one after the other by a program on several threads."""
    photos = tmp_path / "photos"
    scene_photos(photos, places=5)
    first, second = (files_made(photos, tmp_path / f"{threads}", threads) for threads in (1, 2))
    assert len(first) == 8 and first == second
    assert first["program-1.h5"] == first["program-2.h5"]


def test_things_come_in_their_order_from_several_threads_that_have_one_each(three_threads):
    def work(number: int) -> tuple[int, int, int]:
        time.sleep(0.02 * (number % 3))
        return number, threading.get_ident(), torch.get_num_threads()

    with one_thread():
        assert torch.get_num_threads() == 1
        found = list(in_order(work, range(9)))
    assert [each[0] for each in found] == list(range(9))
    assert 1 < len({each[1] for each in found}) <= 3 and {each[2] for each in found} == {1}
    assert threading.get_ident() not in {each[1] for each in found}
    assert torch.get_num_threads() == 3


def test_few_things_wait_at_a_time(three_threads):
    taken = []

    def things():
        for number in range(100):
            taken.append(number)
            yield number

    with one_thread():
        first = next(in_order(lambda number: number, things()))
    assert first == 0 and len(taken) <= 7


@pytest.mark.parametrize("wanted", [True, False])
def test_gradients_are_as_the_caller_has_them(three_threads, wanted):
    with one_thread(), torch.set_grad_enabled(wanted):
        assert set(in_order(lambda _: torch.is_grad_enabled(), range(4))) == {wanted}
    with one_thread(), torch.inference_mode(wanted):
        assert set(in_order(lambda _: torch.is_inference_mode_enabled(), range(4))) == {wanted}


def test_an_error_of_one_thing_is_the_callers(three_threads):
    def work(number: int) -> int:
        return 6 // (number - 2)

    with pytest.raises(ZeroDivisionError), one_thread():
        list(in_order(work, range(9)))
    assert torch.get_num_threads() == 3


def test_outside_of_one_thread_nothing_is_shared_out():
    with pytest.raises(RuntimeError, match="outside of one_thread"):
        next(in_order(str, [1]))


def test_inside_of_another_as_many_threads_are_allowed(three_threads):
    with one_thread(), one_thread():
        names = set(in_order(lambda _: time.sleep(0.05) or threading.get_ident(), range(6)))
    assert len(names) == 3


@pytest.mark.skipif(not common_instructions(), reason="no x86-64 with AVX2")
def test_a_command_computes_as_with_avx2_alone(tmp_path):
    """Whatever the machine has beside it, and unless its user says otherwise."""
    script = tmp_path / "entry.py"
    script.write_text(
        "from pocketvlad import cli\n"
        "def run():\n    import torch\n    print(torch.backends.cpu.get_cpu_capability())\n"
        "cli.app = run\ncli.main()\n"
    )

    def capability(**said: str) -> str:
        known = {name: value for name, value in os.environ.items() if name not in common_instructions()}
        environment = {**known, "PYTHONPATH": str(TOOLKIT), **said}
        return subprocess.run(
            [sys.executable, script], env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert capability() == "AVX2"
    assert capability(ATEN_CPU_CAPABILITY="default") != "AVX2"
