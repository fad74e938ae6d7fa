"""What the viewer of a page shows: versions of one picture, each a data URI with its figures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pycodec.evaluation import metrics
from pycodec.evaluation.report.curves import Chart

CROP = 96
"""Side in pixels of the crops that are shown enlarged; page.js has it too."""


@dataclass(frozen=True)
class Version:
    """One look of the picture.

    Attributes:
        label: short, for menus and captions.
        source: a data URI.
        facts: (name, value) pairs of its caption.
        note: a sentence more.
        map: it shows something about the picture, not the picture: no crop is made of it.
    """

    label: str
    source: str
    facts: tuple[tuple[str, str], ...] = ()
    note: str = ""
    map: bool = False


@dataclass(frozen=True)
class Channel:
    """A latent channel as a picture."""

    label: str
    source: str
    caption: str


@dataclass(frozen=True)
class HeatMap:
    """One value for each position of the latent, in colours.

    Attributes:
        pixels: [h, w, 3] uint8.
        legend: data URI of the colour scale, from ``low`` to ``high``.
    """

    title: str
    pixels: np.ndarray
    legend: str
    low: str
    high: str

    @property
    def source(self) -> str:
        """Data URI, a pixel a position."""
        return lossless(self.pixels)

    def enlarged(self, stride: int, width: int, height: int) -> str:
        """Data URI of the size of the picture, of which a position covers ``stride`` pixels both ways."""
        rows = np.repeat(self.pixels, stride, axis=0)[:height]
        return lossless(np.ascontiguousarray(np.repeat(rows, stride, axis=1)[:, :width]))


@dataclass(frozen=True)
class Inside:
    """What was found in a codec's file.

    Attributes:
        label: of the codec.
        maps: heat maps, one value a position.
        channels: the strongest latent channels, first the one that takes most bits.
        summary: a sentence.
        legend: data URI of the colour scale of ``channels``.
        size: width and height of the latent.
        stride: pixels per position, both ways.
    """

    label: str
    maps: tuple[HeatMap, ...]
    channels: tuple[Channel, ...]
    summary: str
    legend: str
    size: tuple[int, int]
    stride: int


@dataclass(frozen=True)
class Scene:
    """A picture in all its versions.

    Attributes:
        key: of links, "image-1".
        title: file name.
        width, height: in pixels.
        versions: at least one; the first is the reference.
        left, right: which two the slider starts with.
        crop: left and top of the region that is shown enlarged.
        insides: of the codecs that can be inspected.
        lead: a sentence under the title.
        thumbnail: data URI for the list of pictures.
        figure: a curve of this picture alone.
    """

    key: str
    title: str
    width: int
    height: int
    versions: tuple[Version, ...]
    left: int = 0
    right: int = 1
    crop: tuple[int, int] = (0, 0)
    insides: tuple[Inside, ...] = ()
    lead: str = ""
    thumbnail: str = ""
    figure: Chart | None = None


def data_uri(data: bytes, media_type: str) -> str:
    """``data`` as an address that needs no network."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def lossless(pixels: np.ndarray) -> str:  # [H, W, 3] or [H, W] uint8
    """Data URI of exactly these pixels."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "WEBP", lossless=True, quality=80, method=4)
    return data_uri(out.getvalue(), "image/webp")


def thumbnail(pixels: np.ndarray, side: int = 128) -> str:  # [H, W, 3] uint8
    """Data URI of a small lossy picture."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "WEBP", quality=70)
    return data_uri(out.getvalue(), "image/webp")


def size_facts(bytes_: int, width: int, height: int) -> tuple[tuple[str, str], ...]:
    """Bytes and bits per pixel of a file."""
    return ("bytes", f"{bytes_:,}".replace(",", "\u202f")), ("bpp", f"{8 * bytes_ / (width * height):.3f}")


def quality_facts(reference: np.ndarray, pixels: np.ndarray) -> tuple[tuple[str, str], ...]:
    """PSNR and, where the picture is large enough, MS-SSIM; both [H, W, 3] uint8."""
    psnr = metrics.psnr(reference, pixels)
    facts = [("PSNR", "equal" if psnr == float("inf") else f"{psnr:.2f} dB")]
    if min(reference.shape[:2]) >= metrics.MS_SSIM_MIN_SIDE:
        facts.append(("MS-SSIM", f"{metrics.ms_ssim(reference, pixels):.4f}"))
    return tuple(facts)


def busiest_crop(reference: np.ndarray, others: Sequence[np.ndarray]) -> tuple[int, int]:
    """Left and top of the square of CROP pixels in which ``others`` lose most of ``reference``.

    Each of them counts alike, however much it loses in all.
    """
    height, width = reference.shape[:2]
    if not others or height <= CROP or width <= CROP:
        return 0, 0
    errors = [np.square(reference.astype(np.float64) - other).sum(2) for other in others]
    error = sum(e / max(float(e.mean()), 1e-9) for e in errors)
    sums = np.pad(np.cumsum(np.cumsum(error, 0), 1), ((1, 0), (1, 0)))
    tops, lefts = np.arange(0, height - CROP + 1, 8), np.arange(0, width - CROP + 1, 8)
    corner = np.ix_(tops, lefts)
    boxes = (
        sums[np.ix_(tops + CROP, lefts + CROP)]
        - sums[np.ix_(tops, lefts + CROP)]
        - sums[np.ix_(tops + CROP, lefts)]
        + sums[corner]
    )
    row, column = np.unravel_index(int(boxes.argmax()), boxes.shape)
    return int(lefts[column]), int(tops[row])
