"""`pocketvlad phone`: install on and check a phone, real or emulated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketvlad.cli.console import Output
from pocketvlad.cli.options import Json, example
from pocketvlad.errors import PhoneError

if TYPE_CHECKING:
    from pocketvlad.android.bench import BenchResult
    from pocketvlad.android.results import SelfTestResult

phone_app = typer.Typer(no_args_is_help=True, help="Install on and check a phone, real or emulated.")
Apk = Annotated[Path, typer.Option("--apk", help="The APK to install or run.")]
Serial = Annotated[str | None, typer.Option(help="adb serial, where several devices are connected.")]


Seconds = Annotated[
    int,
    typer.Option(min=0, max=600, help="Recognise without a pause behind the test: is a warm phone slower?"),
]


@phone_app.command("install", epilog=example("phone install --apk demo.apk"))
def phone_install(apk: Apk, serial: Serial = None, as_json: Json = False) -> None:
    """Install the APK on the connected phone."""
    from pocketvlad.android import phone

    Output(as_json).result(phone.install(apk, serial=serial).to_json())


@phone_app.command("test", epilog=example("phone test --emulate --apk demo.apk"))
def phone_test(
    apk: Apk,
    emulate: Annotated[bool, typer.Option("--emulate", help="Run the APK's own libraries here.")] = False,
    cpu: Annotated[str | None, typer.Option(help="qemu CPU: max, cortex-a53, cortex-a76.")] = None,
    abi: Annotated[
        str, typer.Option(help="Of the APK's libraries run here: arm64-v8a or x86_64.")
    ] = "arm64-v8a",
    seconds: Seconds = 0,
    serial: Serial = None,
    as_json: Json = False,
) -> None:
    """Run the app's self-test and compare it with the host's descriptors and matches.

    Exit status 1 when the phone's answers differ.
    """
    from pocketvlad.android import phone
    from pocketvlad.steps.package import emulated_test

    output = Output(as_json)
    with output.status("running the self-test"):
        result = (
            emulated_test(apk, cpu=cpu, abi=abi)
            if emulate
            else phone.test(apk, serial=serial, seconds=seconds)
        )
    output.table("pictures", [_picture_row(picture) for picture in result.to_json()["pictures"]])
    output.result(result.to_json() if as_json else _facts(result))
    _require_passed(result)


@phone_app.command("bench", epilog=example("phone bench --apk demo.apk"))
def phone_bench(apk: Apk, seconds: Seconds = 0, serial: Serial = None, as_json: Json = False) -> None:
    """Times of each stage on the connected phone, beside this machine's for the same pictures.

    Exit status 1 when the phone's answers differ.
    """
    from pocketvlad.android import phone

    output = Output(as_json)
    with output.status("running the self-test"):
        result = phone.bench(apk, serial=serial, seconds=seconds)
    title = f"milliseconds on {result.phone.machine} and on this machine ({result.host.machine})"
    output.table(title, [stage.to_json() for stage in result.stages])
    output.table("milliseconds of the program by threads", [row.to_json() for row in result.threads])
    output.result(result.to_json() if as_json else _bench_facts(result))
    _require_passed(result.phone)


def _picture_row(picture: dict[str, Any]) -> dict[str, Any]:
    """A picture for people: the middle time of its runs."""
    stages = [key for key in picture if key.endswith("_ms")]
    middle = {key: sorted(picture[key])[len(picture[key]) // 2] for key in stages}
    shown = {key: value for key, value in picture.items() if key not in stages}
    return {**shown, "cosine": f"{picture['cosine']:.6f}", **middle}


def _facts(result: SelfTestResult) -> dict[str, Any]:
    """Who answered and how it went, for people."""
    device, native, memory = result.device, result.native, result.memory
    peak = {} if memory.peak_kb is None else {"peak_mb": memory.peak_kb / 1e3}
    minute = result.sustained
    warm = (
        {}
        if minute is None
        else {"first_ms": minute.first_ms, "last_ms": minute.last_ms, "in_a_row": minute.runs}
    )
    return {
        "passed": result.passed,
        "device": device.model if device.sdk is None else f"{device.model}, API {device.sdk}",
        "abi": device.abi,
        "kernels": native.isa,
        "threads": native.threads,
        "load_ms": native.load_ms,
        **peak,
        **warm,
    }


def _bench_facts(result: BenchResult) -> dict[str, Any]:
    phone, host = _facts(result.phone), result.host.native
    return {**phone, "host_kernels": host.isa, "host_threads": host.threads, "host_load_ms": host.load_ms}


def _require_passed(result: SelfTestResult) -> None:
    """PhoneError with every reason when the answers differ; the result is shown already."""
    if not result.passed:
        reasons = "; ".join(result.reasons) or "no reason given"
        raise PhoneError(f"{result.machine} disagrees with the workstation", found=reasons)
