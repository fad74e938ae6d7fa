"""The codecs that Pillow writes, by itself or with a plugin of its own.

Colour conversion is left to the libraries (libjpeg-turbo, libwebp, libavif, OpenJPEG, libjxl, libheif), which
round.
"""

from __future__ import annotations

import importlib
import io
from importlib.metadata import version as version_of
from typing import Any

from PIL import Image, UnidentifiedImageError, features

from pycodec.errors import CorruptStream, InvalidInput, MissingDependency
from pycodec.images import Picture, opened, to_pil
from pycodec_plugins.classical.base import ClassicalCodec, first_line, one_of

SUBSAMPLINGS = ("4:2:0", "4:2:2", "4:4:4")


class PillowCodec(ClassicalCodec):
    """A codec behind ``Image.save`` and ``Image.open``.

    Attributes:
        format: Pillow's name of the file format.
        feature: name under which ``PIL.features`` knows the library.
        keeps_profile: files have a colour profile where the image has one.
    """

    format: str
    feature: str
    keeps_profile = True

    def __init__(self, description: str, **options: Any):
        super().__init__(description, **options)
        self.require()

    def parameters(self, quality: float, depth: int = 24) -> dict[str, Any]:
        """Arguments of ``Image.save``; ``depth`` is the bits of a raw pixel."""
        return {"quality": quality, **self.options}

    def require(self) -> None:
        """Raise MissingDependency where the library is not there."""
        if not features.check(self.feature):
            raise MissingDependency(
                f"codec {self.name!r} needs a Pillow with {self.feature}, and this one was built without; "
                "install Pillow's own wheel (pip install --force-reinstall --only-binary :all: pillow)"
            )

    def version(self) -> str:
        return str(features.version(self.feature))

    def encode(self, picture: Picture, quality: float) -> bytes:
        if not self.keeps_profile:
            self.no_profile(picture)
        parameters = self.parameters(quality, 8 if picture.grey else 24)
        if picture.icc is not None:
            parameters["icc_profile"] = picture.icc
        out = io.BytesIO()
        try:
            to_pil(picture.rgb, picture.grey).save(out, self.format, **parameters)
        except Exception as error:  # libraries have their own limits and their own errors
            width, height = picture.size
            raise InvalidInput(
                f"{self.label} cannot code this image of {width} x {height} pixels: {first_line(error)}"
            ) from error
        return out.getvalue()

    def decode(self, data: bytes) -> Image.Image:
        try:
            with opened(io.BytesIO(data), [self.format]) as image:
                decoded = image.convert("L" if image.mode == "L" else "RGB")
        except UnidentifiedImageError as error:  # its message names an object in memory
            raise CorruptStream(f"not a {self.label} file: Pillow does not know it") from error
        profile = image.info.get("icc_profile") if self.keeps_profile else None  # libjxl makes one up
        decoded.info = {"icc_profile": profile} if profile else {}
        return decoded


class Jpeg(PillowCodec):
    """JPEG by libjpeg-turbo; its quality is that of the library.

    Args:
        subsampling: of chroma: "4:2:0", "4:2:2" or "4:4:4".
        progressive: scans from coarse to fine; mostly smaller.
        optimize: Huffman tables made for the image; always smaller.
    """

    name, label, suffix, media_type = "jpeg", "JPEG", ".jpg", "image/jpeg"
    format, feature = "JPEG", "libjpeg_turbo"
    qualities, default_quality = (1, 100), 75
    settings = (2, 5, 8, 12, 18, 26, 38, 52, 66, 78, 87, 92)

    def __init__(self, subsampling: str = "4:2:0", progressive: bool = True, optimize: bool = True):
        one_of("subsampling", subsampling, SUBSAMPLINGS)
        one_of("progressive", progressive, (True, False))
        one_of("optimize", optimize, (True, False))
        words = [subsampling, "progressive" * progressive, "optimised" * optimize]
        super().__init__(
            ", ".join(filter(None, words)),
            subsampling=subsampling,
            progressive=progressive,
            optimize=optimize,
        )


class WebP(PillowCodec):
    """Lossy WebP by libwebp; its quality is that of the library. Chroma is always 4:2:0.

    Args:
        method: effort, 0 to 6.
    """

    name, label, suffix, media_type = "webp", "WebP", ".webp", "image/webp"
    format, feature = "WEBP", "webp"
    qualities, default_quality, whole = (0, 100), 75, False
    settings = (0, 1, 3, 8, 15, 25, 38, 52, 66, 76, 84, 90, 93, 96)

    def __init__(self, method: int = 6):
        one_of("method", method, range(7))
        super().__init__(f"lossy, method {method}", method=method)


class Avif(PillowCodec):
    """AVIF by libavif, on one thread; its quality is that of the library.

    Args:
        speed: 0, slowest and best, to 10.
        subsampling: of chroma: "4:2:0", "4:2:2" or "4:4:4".
    """

    name, label, suffix, media_type = "avif", "AVIF", ".avif", "image/avif"
    format, feature = "AVIF", "avif"
    qualities, default_quality = (0, 100), 60
    settings = (8, 15, 22, 30, 38, 46, 54, 62, 70, 77, 83, 88)

    def __init__(self, speed: int = 4, subsampling: str = "4:4:4"):
        one_of("speed", speed, range(11))
        one_of("subsampling", subsampling, SUBSAMPLINGS)
        super().__init__(f"{subsampling}, speed {speed}", speed=speed, subsampling=subsampling)

    def parameters(self, quality: float, depth: int = 24) -> dict[str, Any]:
        return {**super().parameters(quality, depth), "max_threads": 1}


class Jpeg2000(PillowCodec):
    """JPEG 2000 by OpenJPEG as a bare codestream; its quality is the size to reach, in bits per pixel.

    Args:
        irreversible: the 9/7 wavelet, better at such sizes than the reversible 5/3.
    """

    name, label, suffix = "jpeg2000", "JPEG 2000", ".j2k"
    format, feature = "JPEG2000", "jpg_2000"
    qualities, default_quality, whole = (0.01, 24), 1.0, False
    settings = (0.07, 0.1, 0.14, 0.2, 0.28, 0.4, 0.56, 0.8, 1.1, 1.5, 2.0, 2.6)
    keeps_profile = False

    def __init__(self, irreversible: bool = True):
        one_of("irreversible", irreversible, (True, False))
        wavelet = "9/7" if irreversible else "5/3"
        super().__init__(
            f"{wavelet} wavelet with colour transform, bare codestream", irreversible=irreversible
        )

    def parameters(self, quality: float, depth: int = 24) -> dict[str, Any]:
        # Pillow takes the ratio to the bits of a raw pixel. Its default leaves out the colour transform
        # (mct), which costs 2 to 4 dB on photographs; a bare codestream saves the 85 bytes of boxes
        # around it.
        return {
            **self.options,
            "mct": 1,
            "quality_mode": "rates",
            "quality_layers": [depth / quality],
            "no_jp2": True,
        }


class JpegXL(PillowCodec):
    """JPEG XL by libjxl (pillow-jxl-plugin); its quality is that of the library.

    Args:
        effort: 1 to 9, slowest and best.
    """

    name, label, suffix = "jxl", "JPEG XL", ".jxl"
    format = "JXL"
    qualities, default_quality, whole = (0, 99), 75, False
    settings = (0, 5, 10, 18, 28, 40, 55, 68, 79, 87, 92, 95)
    keeps_profile = False

    def __init__(self, effort: int = 7):
        one_of("effort", effort, range(1, 10))
        super().__init__(f"effort {effort}", effort=effort)

    def require(self) -> None:
        _plugin("pillow_jxl", self.name)

    def version(self) -> str:
        return f"pillow-jxl-plugin {version_of('pillow-jxl-plugin')}"


class Heic(PillowCodec):
    """HEIC by libheif and x265 (pillow-heif); its quality is that of the library.

    Args:
        subsampling: of chroma: "4:2:0", "4:2:2" or "4:4:4".
    """

    name, label, suffix = "heic", "HEIC", ".heic"
    format = "HEIF"
    qualities, default_quality = (0, 100), 50
    settings = (8, 13, 18, 23, 28, 34, 40, 46, 52, 60, 68)

    def __init__(self, subsampling: str = "4:4:4"):
        one_of("subsampling", subsampling, SUBSAMPLINGS)
        super().__init__(subsampling, subsampling=subsampling)

    def require(self) -> None:
        _plugin("pillow_heif", self.name).register_heif_opener()

    def version(self) -> str:
        return f"pillow-heif {version_of('pillow-heif')}"


def _plugin(module: str, codec: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependency(
            f"codec {codec!r} needs {module}, which cannot be imported ({first_line(error)}): "
            "pip install 'pycodec[classical]'"
        ) from error
