"""Packaging as a whole: the key, and what decides the bytes of an APK beside its program and index."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from executorch.exir import to_edge

from helpers.apks import change, edited, patched
from pocketvlad.android import apk, check, native, runtime, signing
from pocketvlad.android import package as packages
from pocketvlad.android.check import check_apk
from pocketvlad.android.entries import CONFIG, INDEX
from pocketvlad.android.verify import verify_apk
from pocketvlad.errors import PackageError
from pocketvlad.index import open_index
from pocketvlad.index.format import append_part, is_one_part, part_spans
from pocketvlad.resources import resource_dir
from pocketvlad.runtime.operators import read_operators


def test_the_users_debug_key_signs_every_apk(package, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    made = [tmp_path / "first.apk", tmp_path / "second.apk"]
    for out in made:
        packages.package(
            out, program=package.program, index=package.index, photos=package.photos[:1], title="a"
        )
    key = signing.load_keys(tmp_path / "config/pocketvlad/debug.p12", signing.DEBUG_PASSWORD).certificate
    assert [verify_apk(path) for path in made] == [key, key]
    with zipfile.ZipFile(made[0]) as archive:
        assert json.loads(archive.read(CONFIG))["runtime"] == runtime.SMALL.name
        assert archive.getinfo("lib/arm64-v8a/libexecutorch_jni.so").file_size < 13_000_000


def test_the_smallest_runtime_that_has_every_operator(package, tmp_path):
    """Names of operators of one length, exchanged in the program; nothing is called."""
    program = package.program.read_bytes()
    assert runtime.smallest(package.program) == runtime.SMALL
    lacked = runtime.FULL.operators() - runtime.SMALL.operators()
    assert lacked == {
        "aten::_adaptive_avg_pool2d.out", "aten::_conj_physical.out", "aten::var_mean.correction_out",
    }  # fmt: skip
    assert runtime.SMALL.operators() < runtime.FULL.operators()
    other = tmp_path / "other.pte"
    for name, expected in ((b"vlad_pooX", runtime.FULL), (b"vlad_pool", runtime.SMALL)):
        other.write_bytes(program.replace(b"vlad_pool", name))
        assert runtime.smallest(other) == expected
    other.write_bytes(b"")
    with pytest.raises(PackageError, match="other.pte cannot be read"):
        runtime.smallest(other)


def test_conv_ap_takes_the_full_runtime(tmp_path):
    """Its adaptive pooling is an operator the small one lacks; export takes it."""

    class Pooled(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.adaptive_avg_pool2d(x, 2)

    edge = to_edge(torch.export.export(Pooled(), (torch.zeros(1, 3, 9, 11),)))
    (tmp_path / "m.pte").write_bytes(edge.to_executorch().buffer)
    assert runtime.smallest(tmp_path / "m.pte") == runtime.FULL


def test_an_apk_of_a_runtime_that_lacks_an_operator_is_refused(package, tmp_path, monkeypatch):
    out = tmp_path / "a.apk"
    packages.package(out, program=package.program, index=package.index, photos=package.photos[:1], title="a")
    called = set(read_operators(package.program.read_bytes()))
    keys = signing.debug_keys(tmp_path / "keys.p12")
    renamed = change(CONFIG, patched(runtime.SMALL.version.encode(), b"0.1.0"))
    with pytest.raises(
        PackageError, match=r"a runtime this version does not know; found .* 0\.1\.0; package it again"
    ):
        check_apk(edited(out, tmp_path / "b.apk", keys, renamed))
    less = replace(runtime.SMALL, listing="less.json")
    monkeypatch.setattr(check, "RUNTIMES", (less, runtime.FULL))
    monkeypatch.setattr(
        runtime, "phone_operators", lambda listing: frozenset(called) - {"pocketvlad::vlad_pool.out"}
    )
    with pytest.raises(PackageError, match="calls what the runtime lacks; found pocketvlad::vlad_pool.out"):
        check_apk(out)


@pytest.mark.parametrize("finished", [True, False])
def test_an_index_of_several_parts_is_joined_for_the_phone(package, tmp_path, monkeypatch, finished):
    """An addition that is not finished is left out: phones read one part and nothing behind it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    index = tmp_path / "parts.pvix"
    shutil.copy(package.index, index)
    found = open_index(index)
    entry = replace(found.entries[0], name="added.jpg")
    append_part(index, replace(found.rows(np.array([0])), entries=(entry,)))
    if not finished:
        start = part_spans(index)[1][0]
        index.write_bytes(index.read_bytes()[:start] + bytes(64))
    packages.package(
        tmp_path / "a.apk", program=package.program, index=index, photos=package.photos[:1], title="a"
    )
    with zipfile.ZipFile(tmp_path / "a.apk") as made:
        (tmp_path / "packed.pvix").write_bytes(made.read(INDEX))
    assert is_one_part(tmp_path / "packed.pvix")
    added = ["added.jpg"] if finished else []
    assert open_index(tmp_path / "packed.pvix").names() == [*found.names(), *added]


def test_more_than_a_phone_takes_is_said_before_any_work(package, tmp_path):
    index = tmp_path / "large.pvix"
    with index.open("wb") as file:
        file.truncate(2_100_000_000)  # no block of the disk is used
    found = "too large; found 2100 MB; allowed: 2000 MB; index fewer photos, or store the vectors as int8"
    with pytest.raises(PackageError, match=found):
        packages.package(tmp_path / "a.apk", program=package.program, index=index, photos=[], title="a")


@pytest.mark.parametrize(
    "abis, said", [(["x86_64"], "without the libraries of phones; found x86_64"), (["mips"], "unknown ABI")]
)
def test_an_app_that_no_phone_runs_is_refused_before_any_work(tmp_path, abis, said):
    with pytest.raises(PackageError, match=said):
        packages.package(
            tmp_path / "x.apk",
            program=tmp_path / "missing.pte",
            index=tmp_path / "missing.pvix",
            photos=[],
            title="x",
            abis=abis,
        )


def test_the_fingerprint_follows_the_app_the_kernels_and_the_packaging(tmp_path, monkeypatch):
    before = packages.fingerprint()
    assert packages.fingerprint() == before
    other = tmp_path / "template.apk"
    other.write_bytes(apk.TEMPLATE.read_bytes() + b"another app")
    with monkeypatch.context() as patch:
        patch.setattr(apk, "TEMPLATE", other)
        changed = {packages.fingerprint()}
    for name, file in (("kernels", "lut/lut.h"), ("android_demo", "app/src/main/cpp/recognizer.cpp")):
        copy = tmp_path / name
        shutil.copytree(resource_dir(name), copy)
        target = copy / file
        assert target.is_file(), file
        target.write_text(target.read_text() + "\n/* another */\n")
        folders = {part: resource_dir(part) for part in ("kernels", "android_demo")} | {name: copy}
        with monkeypatch.context() as patch:
            patch.setattr(native, "resource_dir", folders.__getitem__)
            changed.add(packages.fingerprint())
    with monkeypatch.context() as patch:
        others = tuple(replace(one, sha256="another runtime") for one in runtime.RUNTIMES)
        patch.setattr(runtime, "RUNTIMES", others)
        changed.add(packages.fingerprint())
    assert len(changed) == 4 and before not in changed
