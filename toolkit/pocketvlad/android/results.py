"""What installing and the self-test found; one form for a phone, an emulated one and this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self, TypeVar

import numpy as np

from pocketvlad.errors import PhoneError

FORMAT = 2  # of a self-test's result, as the app writes it
STAGES = ("preprocess", "inference", "search")
PHONE, EMULATED, HOST = "phone", "emulated", "host"


class JsonValues:
    """A dataclass whose values are JSON values, other such classes and tuples of them."""

    def to_json(self) -> dict[str, Any]:
        """JSON values, without NaN or infinity."""
        return json.loads(json.dumps(asdict(self), allow_nan=False))  # type: ignore[call-overload]


@dataclass(frozen=True)
class Installed(JsonValues):
    """An installation: the phone's model, adb's name of it, its API level, the ABI it takes from the APK."""

    phone: str
    serial: str
    sdk: int
    abi: str
    package: str
    mb: float


@dataclass(frozen=True)
class DeviceFacts:
    """Where the app's library ran.

    Attributes:
        model: of the phone, or what stood in for one.
        sdk: Android API level; None without Android.
        abi: of the library that ran.
        features: of the processor, as the kernel lists them; None where nothing told.
        serial: adb's name of the phone; None without adb.
    """

    model: str
    sdk: int | None
    abi: str
    features: str | None = None
    serial: str | None = None


@dataclass(frozen=True)
class NativeFacts:
    """What the library says of itself and of what it opened; sizes in bytes.

    Attributes:
        isa: of the kernels it chose.
        threads: of the runtime.
        load_ms: opening program and index.
        image_size: height and width of the program's input.
        fingerprint: of the model, hex.
        photos, threshold: of the index.
        activation_bytes: planned for the program; None where it is not known.
    """

    isa: str
    threads: int
    load_ms: float
    image_size: tuple[int, ...]
    dim: int
    fingerprint: str
    photos: int
    threshold: float | None
    program_bytes: int
    index_bytes: int
    activation_bytes: int | None = None


@dataclass(frozen=True)
class Memory:
    """Memory in kB; None what a machine does not tell.

    Attributes:
        pss_kb: at the end, shared pages in their share.
        peak_kb: the most ever resident.
        before_kb, before_anonymous_kb: resident with only the libraries loaded.
        anonymous_kb, file_kb: resident at the end; under qemu its own memory is part of it.
    """

    peak_kb: int | None = None
    pss_kb: int | None = None
    before_kb: int | None = None
    before_anonymous_kb: int | None = None
    anonymous_kb: int | None = None
    file_kb: int | None = None


@dataclass(frozen=True)
class PictureResult:
    """One picture of the self-test.

    Attributes:
        name: of the photo.
        cosine, max_difference: of the descriptor to the workstation's; the difference is of one value.
        same_top: the same photos found, but for an order that rounding decides.
        passed: all of it within tolerance.
        preprocess_ms, inference_ms, search_ms: of each run.
    """

    name: str
    cosine: float
    max_difference: float
    same_top: bool
    passed: bool
    preprocess_ms: tuple[float, ...]
    inference_ms: tuple[float, ...]
    search_ms: tuple[float, ...]


@dataclass(frozen=True)
class Sustained:
    """Recognition without a pause: what is left of the speed when a phone gets warm?

    Attributes:
        seconds: asked for.
        runs: photos recognised meanwhile.
        first_ms, last_ms: the middle time of the first and of the last ten, all stages.
        thermal_before, thermal_after: Android's thermal status, 0 (cool) to 6; None before API 29.
        headroom: forecast, 1 where throttling begins; None where the phone does not tell.
    """

    seconds: int
    runs: int
    first_ms: float
    last_ms: float
    thermal_before: int | None = None
    thermal_after: int | None = None
    headroom: float | None = None


@dataclass(frozen=True)
class ThreadTimes:
    """One picture with ``threads`` threads, warm: milliseconds of each run by stage."""

    threads: int
    preprocess_ms: tuple[float, ...]
    inference_ms: tuple[float, ...]
    search_ms: tuple[float, ...]


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds."""

    p50: float
    p90: float
    p99: float


@dataclass(frozen=True)
class SelfTestResult(JsonValues):
    """The app's answers for the pictures of an APK beside the workstation's.

    Attributes:
        where: PHONE, EMULATED or HOST.
        passed: whether the two agree; if not, ``reasons`` has a sentence for each thing that differs.
        runs: descriptions of each picture.
        scaling: times with one thread, two and so on; empty where they were not asked for.
        sustained: None where it was not asked for.
    """

    where: str
    passed: bool
    reasons: tuple[str, ...]
    device: DeviceFacts
    native: NativeFacts
    runs: int
    pictures: tuple[PictureResult, ...]
    memory: Memory
    scaling: tuple[ThreadTimes, ...] = ()
    sustained: Sustained | None = None

    @property
    def machine(self) -> str:
        """What the library ran on, for people."""
        return self.device.model

    def times(self, stage: str) -> Percentiles:
        """Over all pictures and runs, of one of STAGES."""
        return percentiles([ms for picture in self.pictures for ms in getattr(picture, f"{stage}_ms")])

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, "machine": self.machine, **super().to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, serial: str | None = None) -> Self:
        """What the app or :meth:`to_json` wrote; keys of later versions are left out.

        Raises:
            PhoneError: another format, no pictures, or a value missing or of another kind.
        """
        if values.get("format") != FORMAT:
            raise PhoneError(
                "the app's self-test is of another version",
                found=f"format {values.get('format')}",
                allowed=FORMAT,
                do="package the APK again",
            )
        try:
            pictures = tuple(_timed(PictureResult, picture) for picture in values["pictures"])
            result = cls(
                where=str(values["where"]),
                passed=values["passed"] is True,
                reasons=tuple(map(str, values["reasons"])),
                device=DeviceFacts(**{"serial": serial, **_known(DeviceFacts, values["device"])}),
                native=NativeFacts(**_known(NativeFacts, values["native"])),
                runs=int(values["runs"]),
                pictures=pictures,
                memory=Memory(**_known(Memory, values["memory"])),
                scaling=tuple(_timed(ThreadTimes, row) for row in values.get("scaling") or ()),
                sustained=_sustained(values.get("sustained")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PhoneError("the self-test's result is damaged", found=str(error)) from error
        if not pictures:
            raise PhoneError(
                "the APK's self-test has no pictures", do="package it again, with photos for the self-test"
            )
        return result


def percentiles(values: Sequence[float]) -> Percentiles:
    """Of times in milliseconds."""
    return Percentiles(*(float(np.percentile(values, percent)) for percent in (50, 90, 99)))


_Timed = TypeVar("_Timed", PictureResult, ThreadTimes)


def _sustained(values: Mapping[str, Any] | None) -> Sustained | None:
    return None if values is None else Sustained(**_known(Sustained, values))


def _timed(kind: type[_Timed], values: Mapping[str, Any]) -> _Timed:
    known = _known(kind, values)
    for stage in STAGES:
        times = known[f"{stage}_ms"]
        known[f"{stage}_ms"] = tuple(float(ms) for ms in times)
        if not times:
            raise ValueError(f"no {stage}_ms")
    return kind(**known)


def _known(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values a dataclass has fields for, lists as tuples."""
    names: Sequence[str] = [field.name for field in fields(kind)]
    return {
        name: tuple(values[name]) if isinstance(values[name], list) else values[name]
        for name in names
        if name in values
    }
