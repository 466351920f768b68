"""From a program and an index to an APK: the libraries, the self-test, the settings, the key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pocketvlad.android import apk, native, runtime, selftest, signing
from pocketvlad.android import identity as identities
from pocketvlad.android.check import ApkReport
from pocketvlad.android.entries import require_room
from pocketvlad.android.identity import Identity, require_shown
from pocketvlad.core.cache import content_key
from pocketvlad.errors import PackageError
from pocketvlad.outputs import require_outputs
from pocketvlad.unfinished import scratch_folder

PHONES = ("arm64-v8a",)


def package(
    out: Path,
    *,
    program: Path,
    index: Path,
    photos: Sequence[Path],
    title: str,
    keys: signing.Keys | None = None,
    abis: Sequence[str] = PHONES,
    identity: Identity | None = None,
    force: bool = False,
) -> ApkReport:
    """Write a signed APK that recognises the index's places with the program.

    Args:
        out: the APK.
        program: a ``.pte``.
        index: the ``.pvix`` it made; one of several parts is joined.
        photos: for the self-test; without any, the index's first thumbnails.
        title: shown by the app.
        keys: that sign it; None: the user's debug key.
        abis: of the libraries. ``arm64-v8a`` is every current phone's; ``x86_64`` is an emulator's, and its
            runtime adds 17 or 28 MB, more than half of such an APK.
        identity: of the app to the phone; None: the demo's.
        force: overwrite ``out``.

    Raises:
        IndexFormatError: the index belongs to another model.
        MissingToolError: no zig or npm.
        PackageError, ArtifactError, PhotoError: as their makers say.
    """
    from pocketvlad.index import is_one_part, open_index, write_index

    _require_phones(abis)
    require_shown("title", title)
    require_outputs([out], [program, index, *photos], force=force)
    require_room([program, index])
    places, executorch = open_index(index), runtime.smallest(program)
    config = {
        "title": title,
        "threshold": places.threshold,
        "fingerprint": places.fingerprint.hex(),
        "runtime": executorch.name,
    }
    with scratch_folder() as scratch:
        if not is_one_part(index):
            index = scratch / index.name
            write_index(index, places)
        files = selftest.build(program, index, photos)
        return apk.build_apk(
            out,
            program=program,
            index=index,
            libraries=native.build_libraries(abis=abis, executorch=executorch),
            config=config,
            selftest=files,
            keys=keys or signing.default_keys(),
            identity=identity or Identity(),
            force=force,
        )


def _require_phones(abis: Sequence[str]) -> None:
    native.require_known(abis)
    if not set(PHONES) <= set(abis):
        raise PackageError(
            "an app without the libraries of phones",
            found=", ".join(abis),
            allowed="arm64-v8a, alone or with x86_64",
        )


def fingerprint() -> str:
    """Hex digits over all that goes into an APK beside program, index, photos, title and key.

    Another template (the app's sources), other kernels, another compiler or runtime, or another way of
    packaging give others.

    Raises:
        MissingToolError: no zig.
    """
    makers = [Path(str(module.__file__)) for module in (apk, identities, selftest, signing)]
    keys = [native.sources_key(one) for one in runtime.RUNTIMES]
    return content_key([apk.TEMPLATE, *makers, Path(__file__)], *keys)
