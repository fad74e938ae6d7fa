"""H.265/HEVC intra frames by x265 in ffmpeg: 4:4:4, BT.709, full range, as a bare bitstream."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pycodec.images import Picture, to_pil
from pycodec_plugins.classical import programs, y4m, ycbcr
from pycodec_plugins.classical.base import ClassicalCodec, one_of

PRESETS = ("faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
# On one thread, because parallel rows cost bits; info would put the settings of x265 into the file.
PARAMETERS = "keyint=1:info=0:pools=none:frame-threads=1:range=full:colorprim=bt709:colormatrix=bt709"

LEAST_SIDE = 16  # of the pictures that x265 takes; smaller ones are padded, and the file says what to cut off


class X265(ClassicalCodec):
    """x265; its quality is the quantization parameter, so that a higher one means a smaller file.

    Args:
        ffmpeg: path of an ffmpeg with libx265, by default that in PYCODEC_FFMPEG, or in PATH.
        bits: of a sample, 8 or 10.
        preset: from "faster" to "placebo", slowest and best.
        tune: "psnr", "ssim", or empty for what x265 thinks looks best.
    """

    name, label, suffix = "x265", "HEVC (x265)", ".265"
    qualities, default_quality = (0, 51), 28
    settings = (44, 40, 36, 32, 28, 24, 20, 16)

    def __init__(self, ffmpeg: str | None = None, bits: int = 10, preset: str = "slower", tune: str = "psnr"):
        one_of("bits", bits, (8, 10))
        one_of("preset", preset, PRESETS)
        one_of("tune", tune, ("psnr", "ssim", ""))
        self.ffmpeg = programs.find(self.name, "ffmpeg", ffmpeg)
        words = ["intra, 4:4:4 BT.709", f"{bits} bit", preset, f"tuned for {tune.upper()}" if tune else ""]
        super().__init__(", ".join(filter(None, words)), bits=bits, preset=preset, tune=tune)

    def version(self) -> str:
        return f"ffmpeg {programs.version([self.ffmpeg, '-version'])}"

    def encode(self, picture: Picture, quality: float) -> bytes:
        self.no_profile(picture)
        bits, preset, tune = (self.options[name] for name in ("bits", "preset", "tune"))
        width, height = picture.size
        right, bottom = max(0, LEAST_SIDE - width), max(0, LEAST_SIDE - height)
        rgb = np.pad(picture.rgb, ((0, bottom), (0, right), (0, 0)), mode="edge")
        crop = [f"crop_{side}={count}" for side, count in (("right", right), ("bottom", bottom)) if count]
        command = [
            *(self.ffmpeg, "-loglevel", "error", "-f", "yuv4mpegpipe", "-i", "pipe:0"),
            *("-c:v", "libx265", "-preset", preset, *(["-tune", tune] if tune else [])),
            *("-qp", f"{quality:g}", "-x265-params", f"{PARAMETERS}:log-level=error"),
            *(["-bsf:v", f"hevc_metadata={':'.join(crop)}"] if crop else []),
            *("-f", "hevc", "pipe:1"),
        ]
        return programs.run(command, y4m.write(ycbcr.from_rgb(rgb, bits), bits))

    def decode(self, data: bytes) -> Image.Image:
        command = [
            *(self.ffmpeg, "-loglevel", "error", "-f", "hevc", "-i", "pipe:0", "-frames:v", "1"),
            *("-f", "yuv4mpegpipe", "-strict", "-1", "pipe:1"),
        ]
        return to_pil(ycbcr.to_rgb(*y4m.read(programs.run(command, data))))
