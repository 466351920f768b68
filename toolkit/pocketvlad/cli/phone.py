"""`pocketvlad phone`: install on and check a phone, real or emulated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketvlad.cli.console import Output
from pocketvlad.cli.options import Json

phone_app = typer.Typer(no_args_is_help=True, help="Install on and check a phone, real or emulated.")
Apk = Annotated[Path, typer.Option("--apk", help="The APK to install or run.")]
Serial = Annotated[str | None, typer.Option(help="adb serial, where several devices are connected.")]


@phone_app.command("install")
def phone_install(apk: Apk, serial: Serial = None, as_json: Json = False) -> None:
    """Install the APK on the connected phone."""
    from pocketvlad.commands.phones import phone_install_file

    Output(as_json).result(phone_install_file(apk, serial))


@phone_app.command("test")
def phone_test(
    apk: Apk,
    emulate: Annotated[bool, typer.Option("--emulate", help="Run the APK's own libraries here.")] = False,
    cpu: Annotated[str | None, typer.Option(help="qemu CPU: max, cortex-a53, cortex-a76.")] = None,
    serial: Serial = None,
    as_json: Json = False,
) -> None:
    """Run the app's self-test and compare it with the host's descriptors and matches."""
    from pocketvlad.commands.phones import phone_test_file

    output = Output(as_json)
    with output.status("running the self-test"):
        result = phone_test_file(apk, emulate=emulate, cpu=cpu, serial=serial)
    output.table("pictures", result["pictures"])
    output.result(result)


@phone_app.command("bench")
def phone_bench(apk: Apk, serial: Serial = None, as_json: Json = False) -> None:
    """Times and memory on the connected phone, beside the host's."""
    from pocketvlad.commands.phones import phone_bench_file

    Output(as_json).result(phone_bench_file(apk, serial))
