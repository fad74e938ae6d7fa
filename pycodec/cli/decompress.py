"""``pycodec decompress``: a .pci file in, or one of a classical codec, and an image out."""

from __future__ import annotations

import time
from pathlib import Path

import click

from pycodec import files, images, loading, profiling
from pycodec.cli.compress import profile_line, refuse_same_file, use_threads, waiting


@click.command()
@click.argument("source", metavar="IN.pci")
@click.option("-o", "--output", metavar="OUT", help="Any suffix Pillow writes; by default IN with .png.")
@click.option("--codec", "name", help="Of a file that is no .pci file: the codec that wrote it.")
@click.option(
    "--weights", metavar="FILE", help="Weights it was written with [default: found by fingerprint]."
)
@click.option("--decoder", help="One of those the codec has for its files [default: the usual one].")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: as torch decides].")
@click.option("--profile", is_flag=True, help="Also print where the time goes.")
def command(
    source: str,
    output: str | None,
    name: str | None,
    weights: str | None,
    decoder: str | None,
    device: str,
    threads: int | None,
    profile: bool,
) -> None:
    """Turn IN.pci back into an image, in the format that the suffix of OUT names.

    Weights are those that come with the codec, or else those that pycodec weights list shows.
    """
    target = str(Path(source).with_suffix(".png")) if output is None else output
    refuse_same_file(source, target)
    image_format = images.format_of(target)
    data = files.read_bytes(source)

    from pycodec.codec import decompress  # imports torch: only once there is something to decode

    use_threads(threads)
    start = time.perf_counter()
    with profiling.profile(waiting(device) if profile else None) as stages:
        if name is None:
            image = decompress(data, device, weights, decoder)
        else:
            codec = loading.load(name, weights_file=weights, decoder=decoder)
            where = () if hasattr(codec, "suffix") else (device,)  # classical codecs know no device
            image = codec.decompress(data, *where)
    seconds = time.perf_counter() - start
    files.write_bytes(target, images.encoded(image, image_format, target))
    click.echo(f"{target}: {image.width} x {image.height} {image.mode}, {seconds:.2f} s")
    if profile:
        click.echo(profile_line(stages, seconds))
