"""What holds for every test."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator

import pytest

from helpers.adb_server import AdbServer, adb_server
from helpers.phones import MODEL_RULES, SERIAL
from helpers.runs import TinyRun, run_plan, scene_photos, write_plan

# threads that spin while they wait make two test runs on the same cores crawl; read when torch is loaded
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session", autouse=True)
def _own_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test makes a debug key for the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("configuration")))
        yield


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command in this process: (exit code, stdout, stderr)."""

    from pocketvlad.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pocketvlad", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory):
    """One small but real APK, made once."""
    from helpers.packages import make_package, small_model, write_photos
    from pocketvlad.compress.recipe import LayerRecipe

    folder = tmp_path_factory.mktemp("package")
    write_photos(folder / "photos")
    return make_package(folder, small_model(), LayerRecipe(bits=5, sparsity=0.3, layout="sparse"))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """A whole plan on a few small photos, to the APK and the report, by the command line."""
    folder = tmp_path_factory.mktemp("tiny run")
    scene_photos(folder / "photos")
    (folder / "photos/place-3/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    return run_plan(write_plan(folder, emulate=True), folder / "out")


@pytest.fixture
def adb(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdbServer]:
    """The real adb client's server, scripted, with one phone; tests add rules or phones."""
    from pocketvlad.android import phone

    if shutil.which("adb") is None:
        pytest.skip("no adb: apt-get install adb")
    monkeypatch.setattr(phone, "_POLL", 0.01)
    monkeypatch.setattr(phone, "_CRASH_GRACE", 0.05)
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    with adb_server({SERIAL: "device"}, MODEL_RULES) as server:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        yield server
