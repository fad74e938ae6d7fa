"""``pycodec decompress``: a .pci file in, or one of a classical codec, and an image out."""

from __future__ import annotations

import time
from pathlib import Path

import click

from pycodec import bitstream, files, images, loading, profiling
from pycodec.cli.compress import (
    profile_line,
    refuse_device,
    refuse_existing,
    refuse_same_file,
    use_threads,
    waiting,
)
from pycodec.cli.large import max_pixels_option, shown
from pycodec.errors import InvalidInput


def header_of(source: str, data: bytes) -> bitstream.Header:
    """Of a .pci file.

    Raises:
        InvalidInput: an image file of another format.
        CorruptStream, UnsupportedVersion: as `bitstream.parse_header`.
    """
    if not data.startswith(bitstream.MAGIC) and Path(source).suffix.lower() in images.readable_suffixes():
        raise InvalidInput(f"{source} is no .pci file; name the codec that wrote it with --codec")
    return bitstream.parse_header(data)[0]


class Crop(click.ParamType):
    """Left, top, width and height in pixels, with commas between them."""

    name = "crop"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int, int]:
        try:
            left, top, width, height = (int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r}, expected four whole numbers: left,top,width,height in pixels", param, ctx)
        return left, top, width, height


@click.command()
@click.argument("source", metavar="IN.pci")
@click.option("-o", "--output", metavar="OUT", help="Any suffix Pillow writes; by default IN with .png.")
@click.option("--codec", "name", help="Of a file that is no .pci file: the codec that wrote it.")
@click.option(
    "--weights", metavar="FILE", help="Weights it was written with [default: found by fingerprint]."
)
@click.option("--decoder", help="One of those the codec has for its files [default: the usual one].")
@click.option("--crop", type=Crop(), metavar="X,Y,W,H", help="Only W x H pixels, from column X and row Y on.")
@max_pixels_option
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: as torch decides].")
@click.option("--profile", is_flag=True, help="Also print where the time goes.")
def command(
    source: str,
    output: str | None,
    name: str | None,
    weights: str | None,
    decoder: str | None,
    crop: tuple[int, int, int, int] | None,
    device: str,
    threads: int | None,
    profile: bool,
) -> None:
    """Turn IN.pci back into an image, in the format that the suffix of OUT names.

    Weights are those that come with the codec, or else those that pycodec weights list shows. With --crop,
    the part of the image that it names has the pixels that it has in the whole.
    """
    if output is None and source == "-":
        raise InvalidInput("what is read from standard input has no name; name the output with -o")
    target = str(Path(source).with_suffix(".png")) if output is None else output
    refuse_same_file(source, target)
    if output is None:
        refuse_existing(target)
    image_format = images.format_of(target)
    data = files.read_bytes(source)

    from pycodec.codec import decompress  # imports torch: only once there is something to decode

    use_threads(threads)
    start = time.perf_counter()
    with profiling.profile(waiting(device) if profile else None) as stages:
        if name is None:
            header = header_of(source, data)
            with shown(header.width * header.height):
                image = decompress(data, device, weights, decoder, crop)
        else:
            codec = loading.load(name, weights_file=weights, decoder=decoder)
            if hasattr(codec, "suffix"):  # classical codecs know no device, and no crops
                refuse_device(codec, device)
                image = codec.decompress(data)
                box = images.crop_box(crop, *image.size)
                image = image.crop((box.left, box.top, box.right, box.bottom))
            else:
                image = codec.decompress(data, device, crop)
    seconds = time.perf_counter() - start
    files.write_bytes(target, images.encoded(image, image_format, target))
    click.echo(f"{target}: {image.width} x {image.height} {image.mode}, {seconds:.2f} s")
    if profile:
        click.echo(profile_line(stages, seconds))
