"""`pocketvlad package`: a signed, installable APK, or the check of one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketvlad.cli.console import Output
from pocketvlad.cli.options import Json

if TYPE_CHECKING:
    from pocketvlad.android.check import ApkReport

_APP = "The app on the phone"
Abis = Annotated[
    list[str] | None,
    typer.Option(
        help="arm64-v8a (the default: every current phone); x86_64 besides (emulators; 17 MB more or 28).",
        rich_help_panel=_APP,
    ),
]
VersionCode = Annotated[
    int | None, typer.Option(help="An update's is as high or higher.", rich_help_panel=_APP)
]
Icon = Annotated[
    Path | None,
    typer.Option(
        help="A picture; launchers cut a circle or a rounded square out of it.", rich_help_panel=_APP
    ),
]
OldKeystores = Annotated[
    list[Path] | None,
    typer.Option(help="Of a key that signed earlier versions; repeatable, the oldest first."),
]
OldPassword = Annotated[
    str | None, typer.Option(envvar="POCKETVLAD_OLD_KEYSTORE_PASSWORD", help="Of the old keystores.")
]
Bundle = Annotated[
    Path | None, typer.Option(help="Android App Bundle (.aab) to write as well, for Google's shop.")
]
Symbols = Annotated[
    Path | None,
    typer.Option(help="Folder for the app's own library with names and lines, to read crash reports."),
]


def package(
    program: Annotated[Path | None, typer.Option(help="The .pte.")] = None,
    index: Annotated[Path | None, typer.Option(help="The .pvix.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The APK to write.")] = None,
    photos: Annotated[
        list[Path] | None, typer.Option(help="For the app's self-test; else thumbnails of the index.")
    ] = None,
    title: Annotated[str, typer.Option(help="Shown by the app.", rich_help_panel=_APP)] = "Pocketvlad",
    abi: Abis = None,
    application_id: Annotated[
        str | None,
        typer.Option(help="Apps of different ids are installed side by side.", rich_help_panel=_APP),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Under the app's icon.", rich_help_panel=_APP)] = None,
    icon: Icon = None,
    version_name: Annotated[str | None, typer.Option(help="For people.", rich_help_panel=_APP)] = None,
    version_code: VersionCode = None,
    keystore: Annotated[Path | None, typer.Option(help="PKCS#12; a debug key if absent.")] = None,
    password: Annotated[
        str | None, typer.Option(envvar="POCKETVLAD_KEYSTORE_PASSWORD", help="Of the keystore.")
    ] = None,
    old_keystore: OldKeystores = None,
    old_password: OldPassword = None,
    bundle: Bundle = None,
    symbols: Symbols = None,
    check: Annotated[Path | None, typer.Option("--check", help="Only check this APK.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite --out and --bundle.")] = False,
    as_json: Json = False,
) -> None:
    """Make a signed, installable APK with the program and the index inside, or check one."""
    output = Output(as_json)
    if check is not None:
        _check(check, output)
        return
    if program is None or index is None or out is None:
        raise typer.BadParameter("--program, --index and --out are needed (or --check A.apk)")
    from pocketvlad.android.identity import PACKAGE, Identity
    from pocketvlad.steps import package as step

    identity = Identity(application_id or PACKAGE, label, version_name, version_code, icon)
    with output.status("packaging"):
        made = step.package(
            program,
            index,
            out,
            photos=photos or [],
            title=title,
            keystore=keystore,
            password=password,
            old_keystores=old_keystore or [],
            old_password=old_password,
            force=force,
            abis=abi or [],
            identity=identity,
            bundle=bundle,
            symbols=symbols,
        )
    _show_parts(output, made.report)
    output.result({"out": made.out, "mb": made.mb, **asdict(made.report), "install": made.install})


def _check(apk: Path, output: Output) -> None:
    from pocketvlad.android.check import check_apk

    report = check_apk(apk)
    _show_parts(output, report)
    output.result({"apk": str(apk), "accepted": True, **asdict(report)})


def _show_parts(output: Output, report: ApkReport) -> None:
    output.table("size by part", [{"part": part, "kB": size / 1e3} for part, size in report.parts.items()])
