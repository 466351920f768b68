"""Packaging as a whole: the key, and what decides the bytes of an APK beside its program and index."""

from __future__ import annotations

import shutil

from pocketvlad.android import apk, native, signing
from pocketvlad.android import package as packages
from pocketvlad.android.verify import verify_apk
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
