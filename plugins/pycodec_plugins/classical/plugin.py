"""Registers the classical codecs: through Pillow, through its plugins, and through programs."""

from __future__ import annotations

from functools import partial

from pycodec_plugins.classical.missing import module, program

PYCODEC_API = 1
PILLOW = "pycodec_plugins.classical.pillow_codecs"

needs_pillow_with = partial(module, distribution="pillow, its own wheel")
needs_extra = partial(module, distribution="pycodec[classical]")


def pycodec_register_codecs(register):
    register("jpeg", f"{PILLOW}:Jpeg", summary="JPEG by libjpeg-turbo")
    register(
        "webp",
        f"{PILLOW}:WebP",
        summary="WebP by libwebp",
        missing=partial(needs_pillow_with, "PIL._webp"),
    )
    register(
        "avif",
        f"{PILLOW}:Avif",
        summary="AVIF, still images of AV1, by libavif",
        missing=partial(needs_pillow_with, "PIL._avif"),
    )
    register("jpeg2000", f"{PILLOW}:Jpeg2000", summary="JPEG 2000 by OpenJPEG")
    register(
        "jxl",
        f"{PILLOW}:JpegXL",
        summary="JPEG XL by libjxl",
        missing=partial(needs_extra, "pillow_jxl"),
    )
    register(
        "heic",
        f"{PILLOW}:Heic",
        summary="HEIC, still images of HEVC, by libheif",
        missing=partial(needs_extra, "pillow_heif"),
    )
    register(
        "vtm",
        "pycodec_plugins.classical.vtm:Vtm",
        summary="H.266/VVC intra by the reference software VTM",
        missing=partial(program, "vtm"),
    )
    register(
        "bpg",
        "pycodec_plugins.classical.bpg:Bpg",
        summary="BPG, still images of HEVC, by bpgenc",
        missing=partial(program, "bpg"),
    )
    register(
        "x265",
        "pycodec_plugins.classical.ffmpeg:X265",
        summary="H.265/HEVC intra by x265 in ffmpeg",
        missing=partial(program, "x265"),
    )
