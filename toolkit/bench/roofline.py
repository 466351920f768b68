"""How near whole models are to what the processor's int8 instruction allows.

The peak is measured just behind a model's timing: a loop of independent ``vpdpbusd`` (AVX-512 VNNI) in registers, in as
many processes at once as there are threads. A model's floor is its convolutions' and linear layers' products at that
rate, as if nothing else were to do and every tile were full; ``ratio`` is the floor over the time, a share.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from bench import peers
from bench.asked import Asked
from bench.models import chosen
from bench.networks import random_network
from bench.programs import INT8, Timed, programs
from bench.rows import Comparison, take_turns
from pocketvlad.core import native
from pocketvlad.errors import PocketvladError

BACKBONES = ("vgg16", "resnet18", "resnet50")
LABELS = ("1/32, int8 throughout", "5-bit, int8 throughout", INT8)
PEAK = "the peak of vpdpbusd"
_ISA = "avx512vnni"
_FLAGS = ("-O2", "-mavx512f", "-mavx512vnni")
_PROBE = r"""
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
enum { RUNS = 400 };
#define ALL(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define START(i) __m512i a##i = _mm512_setzero_si512();
#define STEP(i) __asm__ volatile("vpdpbusd %1, %2, %0" : "+v"(a##i) : "v"(w), "v"(x));
static int rising(const void* a, const void* b) {
  const double difference = *(const double*)a - *(const double*)b;
  return (difference > 0) - (difference < 0);
}
int main(void) {
  const __m512i x = _mm512_set1_epi8(1), w = _mm512_set1_epi8(2);
  struct timespec from, to;
  double rates[RUNS];
  ALL(START)
  for (int run = 0; run < RUNS; run++) {
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int k = 0; k < 100000; k++) { ALL(STEP) }
    clock_gettime(CLOCK_MONOTONIC, &to);
    const double seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
    rates[run] = 100000.0 * 12 * 64 / seconds;
  }
  qsort(rates, RUNS, sizeof *rates, rising);
  printf("%.6e\n", rates[RUNS / 2]);
}
"""


def run(asked: Asked) -> list[Comparison]:
    """As :func:`bench.models.run`; nothing where the processor lacks the instruction."""
    if native.isa() != _ISA:
        asked.say(f"roofline skipped: it is of {_ISA}")
        return []
    peers.use_threads(asked.threads)
    found: list[Comparison] = []
    for model in chosen(asked.only or BACKBONES):
        paths = programs(model, asked.folder, asked.say, asked.labels or LABELS)
        x = torch.randn(1, 3, model.height, model.width)
        timings = take_turns(
            {label: partial(peers.loaded(path), x) for label, path in paths.items()}, asked.rounds
        )
        count, rate = products(model), peak(asked.threads)
        asked.say(f"{model.name}: {count / 1e9:.2f} billion products, {rate / 1e9:.0f} a second at most")
        for label, timing in timings.items():
            floor = 1000 * count / rate
            name = f"{model.name}, {label}"
            found.append(
                Comparison(name, timing.median, PEAK, floor, floor / timing.median, None, asked.threads)
            )
    return found


def products(model: Timed) -> int:
    """Of a model's convolutions and linear layers, for one image."""
    network, total = random_network(*model[:4], head=model.head), 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight: Tensor = module.weight  # type: ignore[assignment]  # of a layer
        total += output.numel() * weight[0].numel()

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, model.height, model.width))
    return total


def peak(threads: int = 1) -> float:
    """Products a second of ``vpdpbusd`` in registers, in so many processes at once: the sum of their medians.

    Raises:
        PocketvladError: no C compiler.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "peak.c", Path(folder) / "peak"
        source.write_text(_PROBE)
        command = [os.environ.get("CC", "cc"), *_FLAGS, str(source), "-o", str(program)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise PocketvladError("the peak cannot be measured without a C compiler") from error
        running = [
            subprocess.Popen([str(program)], stdout=subprocess.PIPE, text=True) for _ in range(threads)
        ]
        return sum(float(process.communicate()[0]) for process in running)
