"""Rate and distortion of codecs on images: every figure is of the bytes of a real file.

Never imports torch by itself: learned codecs are handed in as objects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pycodec.errors import CorruptStream, InvalidInput
from pycodec.evaluation.quality import DEFAULT, Quality, load_qualities
from pycodec.evaluation.spec import ImageCodec, settings_of
from pycodec.images import as_picture

_SUFFIXES = {".png", ".ppm", ".bmp", ".tif", ".tiff"}
_STEP = 1 / 16  # between qualities of a .pci file


@dataclass(frozen=True)
class Row:
    """One image, coded once.

    Attributes:
        image: file name without folder.
        codec: spec of the codec.
        setting: the quality it was coded with.
        bytes: length of the whole file, headers included; None in curves that others published.
        bpp: bits of the file per pixel of the original.
        metrics: value of each metric; None where it does not take the image, or has no finite value (PSNR of
            a lossless image).
        encode_seconds, decode_seconds: wall time of one call in memory; None in published curves.
    """

    image: str
    codec: str
    setting: float
    bytes: int | None
    bpp: float
    metrics: dict[str, float | None]
    encode_seconds: float | None
    decode_seconds: float | None


def image_files(folder: Path) -> list[Path]:
    """The losslessly stored images of ``folder``, by name.

    Raises:
        InvalidInput: when there are none, or it is no folder.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is no folder; expected one with images")
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in _SUFFIXES)
    if not files:
        kinds, others = " ".join(sorted(_SUFFIXES)), sum(p.is_file() for p in folder.glob("*"))
        raise InvalidInput(
            f"there is no image in {folder} that is stored without loss, of {others} files; expected some of "
            f"{kinds}: what a lossy format left out of a picture, no codec can be measured on"
        )
    return files


def load_image(path: Path) -> np.ndarray:
    """The colours of ``path`` as codecs are given them: RGB, uint8 [H, W, 3].

    Grey has three equal channels, transparency is left out, 16 bits become 8; orientation is applied.

    Raises:
        InvalidInput: no image that can be read.
    """
    return as_picture(path).rgb


def measure(
    codec: ImageCodec,
    name: str,
    setting: float,
    image: str,
    pixels: np.ndarray,
    qualities: Sequence[Quality] | None = None,
    refused: Callable[[Quality, InvalidInput], None] = lambda quality, error: None,
    seen: Callable[[np.ndarray], None] = lambda decoded: None,
) -> Row:
    """Code ``pixels``, uint8 [H, W, 3], to bytes and back, and measure the outcome.

    Args:
        codec: as it was loaded; called once each way.
        name: of the codec, for the row.
        setting: quality to code with.
        image: name of the image, for the row.
        pixels: the original.
        qualities: metrics, by default PSNR and MS-SSIM.
        refused: told of every metric that does not take this image; the row has None there.
        seen: given the decoded image, uint8 [H, W, 3].

    Raises:
        CorruptStream: the decoded image has another size than the original.
    """
    start = time.perf_counter()
    data = codec.compress(pixels, quality=setting)
    encoded = time.perf_counter()
    picture = codec.decompress(data)
    picture.load()  # Pillow reads pixels when they are asked for: that belongs to decoding
    end = time.perf_counter()
    height, width = pixels.shape[:2]
    if picture.size != (width, height):
        raise CorruptStream(
            f"decoded to {picture.width} x {picture.height} pixels, expected "
            f"the original's {width} x {height}"
        )
    decoded = np.array(picture.convert("RGB"))
    metrics: dict[str, float | None] = {}
    for quality in load_qualities(DEFAULT) if qualities is None else qualities:
        try:
            value = quality.value(pixels, decoded)
            metrics[quality.name] = value if np.isfinite(value) else None
        except InvalidInput as error:
            metrics[quality.name] = None
            refused(quality, error)
    seen(decoded)
    return Row(
        image=image,
        codec=name,
        setting=setting,
        bytes=len(data),
        bpp=8 * len(data) / (height * width),
        metrics=metrics,
        encode_seconds=encoded - start,
        decode_seconds=end - encoded,
    )


def sweep(
    codec: ImageCodec,
    name: str,
    settings: Sequence[float],
    files: Iterable[Path],
    qualities: Sequence[Quality] | None = None,
) -> Iterator[Row]:
    """Measure ``codec`` at every setting on every file, image by image."""
    for path in files:
        pixels = load_image(path)
        for setting in settings:
            yield measure(codec, name, setting, path.name, pixels, qualities)


def mean_points(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Plain means over images at each setting of one codec, by rising rate.

    Returns:
        For each setting: setting, images (how many), bpp, every metric by name, encode_seconds and
        decode_seconds. The mean of a metric is over the images that have a value, None if none has.
    """
    groups: dict[float, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.setting, []).append(row)
    points = [
        {
            "setting": setting,
            "images": len(group),
            "bpp": float(np.mean([row.bpp for row in group])),
            **{name: _mean(row.metrics[name] for row in group) for name in group[0].metrics},
            "encode_seconds": _mean(row.encode_seconds for row in group),
            "decode_seconds": _mean(row.decode_seconds for row in group),
        }
        for setting, group in groups.items()
    ]
    return sorted(points, key=lambda point: point["bpp"])


def encode_to_size(
    codec: ImageCodec, image: Any, max_bytes: int, settings: Sequence[float] | None = None
) -> tuple[bytes, float]:
    """The best file of at most so many bytes, as far as sizes rise with the setting.

    Args:
        codec: any codec.
        image: what the codec takes, uint8 [H, W, 3] for one.
        max_bytes: size that the file may have.
        settings: the values of ``quality`` to choose from, rising in rate. By default everything between the
            codec's own settings: whole numbers where these are whole, and steps of 1/16 if they change the
            file.

    Returns:
        The file, and the quality it was coded with.

    Raises:
        InvalidInput: even the file of the lowest setting is larger.
    """
    given = settings_of(codec) if settings is None else list(settings)
    smallest = codec.compress(image, quality=given[0])
    if len(smallest) > max_bytes:
        raise InvalidInput(
            f"{max_bytes} bytes are out of reach: at the lowest setting, {given[0]:g}, this image "
            f"already takes {len(smallest)}"
        )
    best = smallest, given[0]

    def bisect(low: int, high: int, setting: Callable[[int], float]) -> int:
        """The last step below ``high`` whose file fits; that of ``low`` is known to."""
        nonlocal best
        while high - low > 1:
            middle = (low + high) // 2
            data = codec.compress(image, quality=setting(middle))
            if len(data) <= max_bytes:
                low, best = middle, (data, setting(middle))
            else:
                high = middle
        return low

    index = bisect(0, len(given), given.__getitem__)
    if settings is not None or index == len(given) - 1:
        return best
    low, high = given[index], given[index + 1]
    if isinstance(low, int) and isinstance(high, int):
        direction = 1 if high > low else -1  # a quantisation parameter falls where the rate rises
        low += direction * bisect(0, abs(high - low), lambda count: low + direction * count)
        high = low + direction
        if not _takes_fractions(codec, image, low, direction, best[0]):
            return best
    count = max(16, round(abs(high - low) / _STEP))
    bisect(0, count, lambda step: low + step * (high - low) / count)
    return best


def _takes_fractions(codec: ImageCodec, image: Any, setting: int, direction: int, data: bytes) -> bool:
    """Whether a setting a little beside a whole one makes another file than that, ``data``."""
    try:
        return codec.compress(image, quality=setting + direction / 4) != data
    except InvalidInput:
        return False


def _mean(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None
