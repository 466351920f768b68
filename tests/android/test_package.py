"""Packaging as a whole: the key, and what decides the bytes of an APK beside its program and index."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pocketvlad.android import apk, native, signing
from pocketvlad.android import package as packages
from pocketvlad.android.entries import INDEX
from pocketvlad.android.verify import verify_apk
from pocketvlad.errors import PackageError
from pocketvlad.index import open_index
from pocketvlad.index.format import append_part
from pocketvlad.resources import resource_dir


def test_the_users_debug_key_signs_every_apk(package, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    made = [tmp_path / "first.apk", tmp_path / "second.apk"]
    for out in made:
        packages.package(
            out, program=package.program, index=package.index, photos=package.photos[:1], title="a"
        )
    key = signing.load_keys(tmp_path / "config/pocketvlad/debug.p12", signing.DEBUG_PASSWORD).certificate
    assert [verify_apk(path) for path in made] == [key, key]


def test_an_index_of_several_parts_is_joined_for_the_phone(package, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    index = tmp_path / "parts.pvix"
    shutil.copy(package.index, index)
    found = open_index(index)
    entry = replace(found.entries[0], name="added.jpg")
    append_part(index, replace(found.rows(np.array([0])), entries=(entry,)))
    packages.package(
        tmp_path / "a.apk", program=package.program, index=index, photos=package.photos[:1], title="a"
    )
    with zipfile.ZipFile(tmp_path / "a.apk") as made:
        (tmp_path / "packed.pvix").write_bytes(made.read(INDEX))
    packed = open_index(tmp_path / "packed.pvix")
    assert len(packed.parts) == 1 and packed.names() == [*found.names(), "added.jpg"]


def test_more_than_a_phone_takes_is_said_before_any_work(package, tmp_path):
    index = tmp_path / "large.pvix"
    with index.open("wb") as file:
        file.truncate(2_100_000_000)  # no block of the disk is used
    found = "too large; found 2100 MB; allowed: 2000 MB; index fewer photos, or store the vectors as int8"
    with pytest.raises(PackageError, match=found):
        packages.package(tmp_path / "a.apk", program=package.program, index=index, photos=[], title="a")


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
        patch.setattr(native.runtime, "SHA256", "another runtime")
        changed.add(packages.fingerprint())
    assert len(changed) == 4 and before not in changed
