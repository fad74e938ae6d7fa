"""``pycodec demo``: a photograph there and back, beside JPEG at the same size."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pycodec import files, loading
from pycodec.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Result:
    """One coded version of the photograph."""

    name: str
    data: bytes
    pixels: np.ndarray  # [H, W, 3] uint8


@click.command()
@click.option(
    "--image", "source", metavar="PATH", help="By default a photograph that matplotlib brings along."
)
@click.option("--out", "folder", metavar="DIR", default=".", show_default=True, help="Where the files go.")
def command(source: str | None, folder: str) -> None:
    """Compress a photograph, decompress it, and draw both beside JPEG at the same number of bytes."""
    import numpy as np

    from pycodec.images import as_picture

    source = source or _bundled_photograph()
    original = as_picture(as_picture(source).rgb)  # its colours only: what JPEG has to carry too
    codec = loading.load()
    start = time.perf_counter()
    data = codec.compress(original)
    middle = time.perf_counter()
    pixels = np.asarray(codec.decompress(data))
    end = time.perf_counter()
    results = [Result(f"pycodec {codec.name}", data, pixels), *_jpeg_of_size(original.rgb, len(data))]

    Path(folder).mkdir(parents=True, exist_ok=True)
    stream, drawing = Path(folder, "pycodec-demo.pci"), Path(folder, "pycodec-demo.png")
    width, height = original.size
    click.echo(f"{source}: {width} x {height} pixels, {original.rgb.size} bytes raw")
    labels = []
    for result in results:
        figures = _figures(original.rgb, result)
        labels.append(", ".join([result.name, *figures]))
        click.echo(f"{result.name + ':':16} {', '.join(figures)}")
    click.echo(f"pycodec took {middle - start:.2f} s to compress and {end - middle:.2f} s to decompress")
    files.write_bytes(stream, data)
    panels = [original.rgb, *(result.pixels for result in results)]
    files.write_bytes(drawing, _drawn(panels, [f"original, {original.rgb.size} bytes raw", *labels]))
    click.echo(f"wrote {stream} and {drawing}")


def _bundled_photograph() -> str:
    try:
        from matplotlib import cbook

        return str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    except (ImportError, OSError) as error:
        raise InvalidInput(f"no photograph from matplotlib here ({error}); name one with --image") from error


def _jpeg_of_size(rgb: np.ndarray, size: int) -> list[Result]:
    """The best JPEG of at most ``size`` bytes, if there is one that small."""
    import numpy as np

    from pycodec.evaluation.rd import encode_to_size

    jpeg = loading.load("jpeg")
    try:
        data, _ = encode_to_size(jpeg, rgb, size)
    except InvalidInput as error:
        click.echo(f"warning: no JPEG to compare with: {error}", err=True)
        return []
    return [Result("JPEG", data, np.asarray(jpeg.decompress(data)))]


def _figures(original: np.ndarray, result: Result) -> list[str]:
    """Size and likeness, labelled with their units."""
    from pycodec.evaluation import metrics

    height, width = original.shape[:2]
    figures = [
        f"{len(result.data)} bytes",
        f"{8 * len(result.data) / (width * height):.3f} bpp",
        f"PSNR {metrics.psnr(original, result.pixels):.2f} dB",
    ]
    if min(width, height) >= metrics.MS_SSIM_MIN_SIDE:
        figures.append(f"MS-SSIM {metrics.ms_ssim(original, result.pixels):.4f}")
    return figures


def _drawn(panels: list[np.ndarray], labels: list[str]) -> bytes:
    """PNG of the panels side by side, pixel for pixel, each under its label."""
    from PIL import Image, ImageDraw, ImageFont

    gap, strip = 8, 24
    height, width = panels[0].shape[:2]
    font = ImageFont.load_default()
    columns = max(width, *(int(font.getlength(label)) for label in labels)) + gap
    canvas = Image.new("RGB", (columns * len(panels) + gap, height + strip + gap), "white")
    draw = ImageDraw.Draw(canvas)
    for i, (panel, label) in enumerate(zip(panels, labels, strict=True)):
        left = gap + i * columns
        draw.text((left, gap), label, fill="black", font=font)
        canvas.paste(Image.fromarray(panel), (left, strip))
    out = io.BytesIO()
    canvas.save(out, "PNG")
    return out.getvalue()
