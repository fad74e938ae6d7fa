"""The classical codecs of Pillow behind the two methods every codec here has: compress and decompress.

Colour conversion is left to the libraries themselves (libjpeg-turbo, libwebp, OpenJPEG, libavif), which
round; nothing is converted in numpy, where a truncating cast is a known way to spoil an anchor (CompressAI
issue 189).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, features

from pycodec.errors import InvalidInput


@dataclass(frozen=True)
class ClassicalCodec:
    """A codec that Pillow can write.

    Attributes:
        name: as in results and on the command line.
        description: the options, as a reader of a table needs them.
        settings: values of ``quality``, rising in rate, that span about 0.1 to 2.5 bpp on photographs.
        format: Pillow's name of the file format.
        feature: name under which ``PIL.features`` knows the library.
        options: ``quality`` -> arguments of ``Image.save``.
    """

    name: str
    description: str
    settings: tuple[float, ...]
    format: str
    feature: str
    options: Callable[[float], dict[str, Any]]

    def compress(self, image: Image.Image | np.ndarray, quality: float) -> bytes:
        """The bytes of the file for ``image``, RGB or uint8 (H, W, 3), without any of its metadata."""
        pixels = np.asarray(image.convert("RGB") if isinstance(image, Image.Image) else image)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, self.format, **self.options(quality))
        return buffer.getvalue()

    def decompress(self, data: bytes) -> Image.Image:
        """The RGB image in ``data``."""
        with Image.open(io.BytesIO(data), formats=[self.format]) as image:
            return image.convert("RGB")

    def version(self) -> str:
        """Version of the library that codes, e.g. "2.5.3"."""
        return str(features.version(self.feature))


_CODECS = (
    ClassicalCodec(
        "jpeg",
        "JPEG, 4:2:0, optimised, progressive; setting: quality",
        (2, 5, 8, 12, 18, 26, 38, 52, 66, 78, 87, 92),
        "JPEG",
        "libjpeg_turbo",
        lambda quality: {
            "quality": int(quality),
            "subsampling": "4:2:0",
            "optimize": True,
            "progressive": True,
        },
    ),
    ClassicalCodec(
        "webp",
        "WebP, lossy, method 6; setting: quality",
        (0, 1, 3, 8, 15, 25, 38, 52, 66, 76, 84, 90, 93, 96),
        "WEBP",
        "webp",
        lambda quality: {"quality": quality, "method": 6},
    ),
    ClassicalCodec(
        "jpeg2000",
        "JPEG 2000, 9/7 wavelet with colour transform, bare codestream; setting: target bits per pixel",
        (0.07, 0.1, 0.14, 0.2, 0.28, 0.4, 0.56, 0.8, 1.1, 1.5, 2.0, 2.6),
        "JPEG2000",
        "jpg_2000",
        # Pillow takes the ratio to the 24 bits of an RGB pixel. Its default leaves out the colour transform
        # (mct), which costs 2 to 4 dB on photographs; a bare codestream saves the 85 bytes of boxes around
        # it.
        lambda bpp: {
            "irreversible": True,
            "mct": 1,
            "quality_mode": "rates",
            "quality_layers": [24 / bpp],
            "no_jp2": True,
        },
    ),
    ClassicalCodec(
        "avif",
        "AVIF, 4:4:4, speed 4, one thread; setting: quality",
        (8, 15, 22, 30, 38, 46, 54, 62, 70, 77, 83, 88),
        "AVIF",
        "avif",
        lambda quality: {"quality": int(quality), "subsampling": "4:4:4", "speed": 4, "max_threads": 1},
    ),
)

CODECS = {codec.name: codec for codec in _CODECS}
"""Every classical codec by name, whether or not this Pillow was built with its library."""


def load(name: str) -> ClassicalCodec:
    """The classical codec ``name``.

    Raises:
        InvalidInput: for a name that is none, or a library this Pillow was built without.
    """
    if name not in CODECS:
        raise InvalidInput(f"There is no classical codec {name!r}; known are {', '.join(CODECS)}.")
    codec = CODECS[name]
    if not features.check(codec.feature):
        raise InvalidInput(
            f"This Pillow was built without {codec.feature}; install Pillow's own wheel for {name!r}."
        )
    return codec
