"""From a program and an index to an APK: the libraries, the self-test, the settings, the key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pocketvlad.android import apk, native, selftest, signing
from pocketvlad.core.cache import content_key


def package(
    out: Path,
    *,
    program: Path,
    index: Path,
    photos: Sequence[Path],
    title: str,
    keys: signing.Keys | None = None,
    force: bool = False,
) -> apk.ApkReport:
    """Write a signed APK that recognises the index's places with the program.

    Args:
        out: the APK.
        program: a ``.pte``.
        index: the ``.pvix`` it made.
        photos: for the self-test; without any, the index's first thumbnails.
        title: shown by the app.
        keys: that sign it; None: the user's debug key.
        force: overwrite ``out``.

    Raises:
        IndexFormatError: the index belongs to another model.
        MissingToolError: no zig or npm.
        PackageError, ArtifactError, PhotoError: as their makers say.
    """
    from pocketvlad.index import open_index

    files = selftest.build(program, index, photos)
    places = open_index(index)
    return apk.build_apk(
        out,
        program=program,
        index=index,
        libraries=native.build_libraries(),
        config={"title": title, "threshold": places.threshold, "fingerprint": places.fingerprint.hex()},
        selftest=files,
        keys=keys or signing.default_keys(),
        force=force,
    )


def fingerprint() -> str:
    """Hex digits over all that goes into an APK beside program, index, photos, title and key.

    Another template (the app's sources), other kernels, another compiler or runtime, or another way of
    packaging give others.

    Raises:
        MissingToolError: no zig.
    """
    makers = [Path(str(module.__file__)) for module in (apk, selftest, signing)]
    return content_key([apk.TEMPLATE, *makers, Path(__file__)], native.sources_key())
