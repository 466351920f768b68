"""From radiance to a phone's JPEG: where it stands, lens, exposure, sensor noise, weather before the lens."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from renderer.light import Light
from renderer.raster import View

WIDTH, HEIGHT = 320, 240
SUPERSAMPLING = 2


@dataclass(frozen=True)
class Camera:
    """Where a photo is taken from; angles in radians, yaw 0 looks east and grows to the north."""

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    roll: float
    field_of_view: float  # horizontal


@dataclass(frozen=True)
class Lens:
    """What one photo's camera adds."""

    exposure: float  # 1 is what the meter wants
    warmth: float  # white balance error, 1 is none
    blur: float  # pixels
    shake: float  # pixels of horizontal movement
    vignette: float
    noise: float
    quality: int  # of the JPEG


def random_lens(light: Light, random: np.random.Generator) -> Lens:
    """Plausible faults; dark scenes are noisier and less sharp."""
    dark = 1.0 if light.name in ("night", "dusk") else 0.35 if light.name in ("rain", "fog", "snow") else 0.0
    shaken = random.random() < 0.15 + 0.2 * dark
    return Lens(
        exposure=float(np.exp(random.normal(0, 0.22))),
        warmth=float(np.exp(random.normal(0, 0.05))),
        blur=float(abs(random.normal(0, 0.35)) + 0.25 * dark * random.random()),
        shake=float(random.uniform(1.5, 3)) if shaken else 0.0,
        vignette=float(random.uniform(0.05, 0.35)),
        noise=float(random.uniform(0.004, 0.012) + 0.018 * dark * random.random()),
        quality=int(random.integers(70, 90)),
    )


def camera_view(camera: Camera) -> View:
    """The rays of a pinhole camera, SUPERSAMPLING times as fine as the photo."""
    width, height = WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING
    flat = np.cos(camera.pitch)
    forward = np.array([flat * np.cos(camera.yaw), flat * np.sin(camera.yaw), np.sin(camera.pitch)])
    right = np.array([np.sin(camera.yaw), -np.cos(camera.yaw), 0.0])
    down = np.cross(forward, right)
    cosine, sine = np.cos(camera.roll), np.sin(camera.roll)
    right, down = cosine * right + sine * down, cosine * down - sine * right
    step = 2 * np.tan(camera.field_of_view / 2) / width
    corner = forward - right * step * (width - 1) / 2 - down * step * (height - 1) / 2
    zero = np.zeros(3)
    return View(width, height, np.array(camera.position), zero, zero, corner, right * step, down * step)


def develop(radiance: np.ndarray, light: Light, lens: Lens, random: np.random.Generator) -> Image.Image:
    """Linear radiance [H * s, W * s, 3] -> an 8-bit sRGB photo [H, W]."""
    s = SUPERSAMPLING
    image = radiance.reshape(HEIGHT, s, WIDTH, s, 3).mean((1, 3))
    image = image * _meter(image, light) * lens.exposure * np.array([lens.warmth, 1.0, 1 / lens.warmth])
    image = image + 0.5 * _blurred(np.clip(image - 1.0, 0, 3), 5)
    image = _falling(image, light, random)
    if lens.shake:
        steps = np.linspace(-lens.shake / 2, lens.shake / 2, 5).round().astype(int)
        image = np.mean([np.roll(image, step, axis=1) for step in steps], axis=0)
    if lens.blur > 0.15:
        image = _blurred(image, lens.blur)
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    image = image * (1 - lens.vignette * (x * x + y * y) / 2)[..., None]
    image = image + random.normal(size=image.shape) * lens.noise * np.sqrt(np.clip(image, 0.02, None))
    return Image.fromarray((_tone(image) * 255 + 0.5).astype(np.uint8))


def _meter(image: np.ndarray, light: Light) -> float:
    """Exposure that brings the log-average to a mid grey, less so in the dark."""
    brightness = float(np.exp(np.mean(np.log(image.mean(-1) + 0.01))))
    target = 0.11 if light.name == "night" else 0.17 if light.name == "dusk" else 0.31
    return float(np.clip(target / brightness, 0.3, 3.2 if light.name == "night" else 2.2))


def _tone(image: np.ndarray) -> np.ndarray:
    """Filmic curve (Narkowicz' fit of ACES), then sRGB gamma; 0..1."""
    x = np.clip(image, 0, None) * 0.8
    film = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    return np.clip(film, 0, 1) ** (1 / 2.2)


def _blurred(image: np.ndarray, radius: float) -> np.ndarray:
    """Gaussian blur of linear values between 0 and 4, per channel."""
    channels = []
    for channel in np.moveaxis(image.astype(np.float32), -1, 0):
        size = max(1, int(3 * radius))
        offsets = np.arange(-size, size + 1)
        kernel = np.exp(-0.5 * (offsets / radius) ** 2)
        kernel /= kernel.sum()
        padded = np.pad(channel, size, mode="edge")
        rows = sum(k * padded[:, i : i + channel.shape[1]] for i, k in enumerate(kernel))
        channels.append(sum(k * rows[i : i + channel.shape[0]] for i, k in enumerate(kernel)))
    return np.stack(channels, axis=-1)


def _falling(image: np.ndarray, light: Light, random: np.random.Generator) -> np.ndarray:
    """Rain streaks or snowflakes between the lens and the scene."""
    veil = np.zeros((HEIGHT, WIDTH), np.float32)
    if light.rain:
        slant = random.uniform(-0.25, 0.25)
        for _ in range(int(260 * light.rain)):
            x, y, length = random.uniform(-20, WIDTH), random.uniform(-20, HEIGHT), random.uniform(5, 16)
            along = np.arange(int(length))
            rows, columns = (y + along).astype(int), (x + along * slant).astype(int)
            inside = (rows >= 0) & (rows < HEIGHT) & (columns >= 0) & (columns < WIDTH)
            veil[rows[inside], columns[inside]] = np.maximum(
                veil[rows[inside], columns[inside]], random.uniform(0.05, 0.22)
            )
    if light.flakes:
        flakes = Image.new("L", (WIDTH, HEIGHT))
        array = np.zeros((HEIGHT, WIDTH), np.uint8)
        count = int(170 * light.flakes)
        array[random.integers(0, HEIGHT, count), random.integers(0, WIDTH, count)] = 255
        flakes = Image.fromarray(array).filter(ImageFilter.GaussianBlur(0.8))
        veil = np.maximum(veil, np.clip(np.asarray(flakes) / 255 * 3.2, 0, 0.75))
    return image + (np.array(light.ambient) * 1.1 - image) * veil[..., None]


def jpeg(photo: Image.Image, quality: int) -> bytes:
    """JPEG bytes, 4:2:0."""
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=quality, subsampling=2, optimize=True)
    return buffer.getvalue()
