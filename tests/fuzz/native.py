"""The app's native library in a JVM: changed files, random calls, long use (``tests/android/NativeFuzz.java``).

``make fuzz`` runs its sources under ASan and UBSan on the runtime of this machine's ExecuTorch; the tests run the very
libraries of an APK.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pocketvlad.android import native, runtime
from pocketvlad.core import build
from pocketvlad.core.cache import cache_root, cached_file, content_key

JAVA = Path(__file__).parents[1] / "android"
PLACES, SIDES, DIM = 3, (16, 24), 8
_SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_FLAGS = ("-O1", "-g1", "-fno-omit-frame-pointer", "-ffp-contract=off", "-fPIC", "-fvisibility=hidden")
_CXX = (
    "-std=c++17",
    "-fno-exceptions",
    "-fno-rtti",
    "-DC10_USING_CUSTOM_GENERATED_MACROS",
    "-DET_USE_THREADPOOL",
)
_JVM = (
    "--add-opens",
    "java.base/java.io=ALL-UNNAMED",
    "-Xms48m",
    "-Xmx48m",
    "-XX:+AlwaysPreTouch",
    "-XX:+UseSerialGC",
)


def write_recogniser(folder: Path) -> tuple[Path, Path]:
    """A program of XNNPACK's operators and ours that describes 16x24 photos in microseconds, unsealed: a seal would
    notice every change; and an index of three places for it.
    """
    import torch

    from pocketvlad.compress.post_training import compress_network
    from pocketvlad.compress.recipe import LayerRecipe, Recipe
    from pocketvlad.export.lower import lower
    from pocketvlad.export.pack import pack
    from pocketvlad.index import Entry, PlaceIndex, write_index
    from pocketvlad.index.types import encode_vectors
    from pocketvlad.lut import contract

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(308, DIM)
    )
    example = (torch.zeros(1, 3, *SIDES),)
    recipe = Recipe(1, "fuzz", layer=LayerRecipe(bits=5, sparsity=0.3, layout="sparse"))
    packed = pack(compress_network(module, recipe, example=example), "fast")
    info = json.dumps({"ops": contract.VERSION})
    constants = {
        "pv_dim": torch.tensor([DIM]),
        "pv_info": torch.frombuffer(bytearray(info.encode()), dtype=torch.uint8),
        "pv_fingerprint": torch.arange(32, dtype=torch.uint8),
        "pv_image_size": torch.tensor(SIDES),
        "pv_mean": torch.tensor([0.5, 0.5, 0.5]),
        "pv_std": torch.tensor([0.25, 0.25, 0.25]),
    }
    program, index = folder / "fuzz.pte", folder / "fuzz.pvix"
    with program.open("wb") as file:
        lower(packed, example, constants).write_to_file(file)
    vectors = np.random.default_rng(0).normal(size=(PLACES, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    entries = tuple(Entry(f"{i}.jpg", f"Straße {i}", 48.1 + i, 11.5, bytes(range(9))) for i in range(PLACES))
    write_index(index, PlaceIndex(*encode_vectors(vectors, "int8"), entries, bytes(range(32))))
    return program, index


def sanitized_library() -> Path:
    """libpocketvlad under ASan and UBSan for this machine, kept in the cache."""
    sources = native._sources()
    key = content_key([*sources, *native._headers(), Path(__file__)], build._version("c++"))
    return cached_file(cache_root() / "fuzz" / f"libpocketvlad-{key}.so", _compile_all)


def _compile_all(out: Path) -> None:
    package = build._package("executorch")
    android = runtime.runtime_folder() / "include"  # the wheel lacks the thread pool's and cpuinfo's headers
    include = package / "include"
    folders = [include, include / "executorch/runtime/core/portable_type/c10", android]
    folders += [android / "pthreadpool", android / "cpuinfo"]
    objects, commands = [], []
    for source in native._sources():
        objects.append(f"{out}.{source.parent.name}-{source.name}.o")
        compiler = ("gcc", "-std=gnu11") if source.suffix == ".c" else ("g++", *_CXX)
        common = [
            *_FLAGS,
            *_SANITIZERS,
            f"-I{build.resource_dir('kernels')}",
            *build._system_includes(*folders),
        ]
        commands.append([*compiler, *common, "-c", str(source), "-o", objects[-1]])
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(build._run, commands))
        libraries = [*build._linked(package / "lib"), *(f"-l{name}" for name in build._RUNTIME), "-lm"]
        build._run(["g++", *_SANITIZERS, "-shared", "-o", str(out), *objects, *libraries])
    finally:
        for each in objects:
            Path(each).unlink(missing_ok=True)


def sanitizer_environment() -> dict[str, str]:
    """What makes a JVM run with ASan: it is loaded first, and leaves the JVM its own signals."""
    name = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    options = "handle_segv=0:detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=16"
    return {**os.environ, "LD_PRELOAD": name.stdout.strip(), "ASAN_OPTIONS": options}


def compile_java(folder: Path) -> None:
    """The Java classes into ``folder``."""
    sources = [str(JAVA / name) for name in ("NativeRecognizer.java", "NativeFuzz.java")]
    subprocess.run(["javac", "-d", str(folder), *sources], check=True)


def run(
    classes: Path,
    libraries: Sequence[Path],
    mode: str,
    files: tuple[Path, Path],
    count: int,
    *,
    seed: int = 1,
    threads: int = 4,
    environment: dict[str, str] | None = None,
) -> list[tuple[str, int]]:
    """What NativeFuzz prints, as (what, how many); its files lie beside its ``classes``.

    Raises:
        RuntimeError: the process ended by a signal, a sanitizer or an exception; with its words.
    """
    arguments = [",".join(map(str, libraries)), mode, *map(str, files), count, seed, threads]
    command = [
        "java",
        *_JVM,
        f"-Djava.io.tmpdir={classes}",
        "-cp",
        str(classes),
        "org.pocketvlad.demo.recognizer.NativeFuzz",
        *map(str, arguments),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        said = [
            line for line in done.stderr.splitlines() if " executorch:" not in line
        ]  # its log of refusals
        report = next((i for i, line in enumerate(said) if "ERROR: " in line), max(0, len(said) - 60))
        words = "\n".join([*done.stdout.splitlines()[-20:], *said[report : report + 60]])
        raise RuntimeError(f"exit status {done.returncode}\n{words}")
    lines = [line.rpartition(" ") for line in done.stdout.splitlines()]
    return [(what, int(number)) for what, _, number in lines]
