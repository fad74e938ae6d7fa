"""``pycodec compress``: an image in, a .pci file out, or one of a classical codec's own format."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pycodec import files, loading, profiling
from pycodec.cli.large import max_pixels_option, shown
from pycodec.errors import InvalidInput

if TYPE_CHECKING:
    from pycodec.images import Picture


@click.command()
@click.argument("source", metavar="IN")
@click.option(
    "-o", "--output", metavar="OUT", help="By default IN with the suffix .pci, or that of the codec."
)
@click.option("--codec", "name", help="One of pycodec codecs [default: default, or that of --weights].")
@click.option("--weights", metavar="FILE", help="Weights of your own, from pycodec train or export.")
@click.option("--quality", type=float, help="From 1 to 8 in steps of 1/16, or as a classical codec counts.")
@click.option("--bpp", type=float, help="Best quality whose file has at most so many bits per pixel.")
@click.option(
    "--effort",
    type=click.IntRange(min=0),
    help="How often symbols are chosen anew, for smaller files; 0 is fastest [default: 1].",
)
@click.option(
    "--optimize",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="Optimise the file for this image; hundreds to thousands of steps, minutes.",
)
@click.option(
    "--lambda",
    "lam",
    type=float,
    metavar="L",
    help="Of --optimize: weight of the squared error against bits per pixel [default: the codec's].",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: as torch decides].")
@max_pixels_option
@click.option("--profile", is_flag=True, help="Also print where the time goes.")
def command(
    source: str,
    output: str | None,
    name: str | None,
    weights: str | None,
    quality: float | None,
    bpp: float | None,
    effort: int | None,
    optimize: int | None,
    lam: float | None,
    device: str,
    threads: int | None,
    profile: bool,
) -> None:
    """Compress the image IN, of any format Pillow reads, to a .pci file; - stands for standard input, and for
    standard output.

    Grey stays grey, transparency is kept without loss, and so is the colour profile. EXIF orientation is
    applied; other metadata are dropped. A classical codec writes a file of its own format, and refuses what
    that does not keep.

    With --optimize, what the file holds is optimised for this image; it decodes as any other, and is kept
    only if bits per pixel plus lambda times the squared error came out lower. ctx3d and cpm can, and codecs
    of the hyperprior family.
    """
    from pycodec import images

    if source == "-":
        if output is None:
            raise InvalidInput("what is read from standard input has no name; name the output with -o")
        picture = images.picture_of(files.read_bytes(source), "standard input")
    else:
        picture = images.as_picture(source)
    for note in picture.notes:
        click.echo(f"warning: {source}: {note}", err=True)
    if lam is not None and optimize is None:
        raise InvalidInput("--lambda goes with --optimize; add the number of steps, --optimize 2000")
    if bpp is not None and optimize is not None:
        raise InvalidInput("--optimize starts from a quality; leave out --bpp")
    if effort is not None and optimize is not None:
        raise InvalidInput("--optimize chooses symbols itself; leave out --effort")
    codec = loading.load(name, weights_file=weights)
    suffix = getattr(codec, "suffix", ".pci")
    target = str(Path(source).with_suffix(suffix)) if output is None else output
    refuse_same_file(source, target)
    images.refuse_other_suffix(target, suffix)
    if output is None and not target.endswith(".pci"):
        refuse_existing(target)
    use_threads(threads)
    start = time.perf_counter()
    with profiling.profile(waiting(device) if profile else None) as stages:
        if optimize is None:
            with shown(picture.rgb[:, :, 0].size):
                data = _coded(codec, picture, quality, bpp, device, effort)
        else:
            data = _optimized(codec, picture, quality, optimize, lam, device)
    seconds = time.perf_counter() - start
    files.write_bytes(target, data)
    width, height = picture.size
    raw_bytes = width * height * (1 if picture.grey else 3)
    click.echo(
        f"{target}: {len(data)} bytes, {8 * len(data) / (width * height):.3f} bpp, "
        f"1:{raw_bytes / len(data):.1f} of the raw pixels, {seconds:.2f} s",
        err=target == "-",
    )
    if profile:
        click.echo(profile_line(stages, seconds), err=target == "-")


def _coded(
    codec: Any, picture: Picture, quality: float | None, bpp: float | None, device: str, effort: int | None
) -> bytes:
    """The file; for a codec with a format of its own, what ours do themselves is done here."""
    if not hasattr(codec, "suffix"):
        options = {} if effort is None else {"effort": effort}
        data: bytes = codec.compress(picture, quality, bpp, device, **options)
        return data
    refuse_device(codec, device)
    if effort is not None:
        raise InvalidInput("--effort is for codecs that write .pci files; leave it out")
    if bpp is None:
        quality = getattr(codec, "default_quality", None) if quality is None else quality
        if quality is None:
            raise InvalidInput("this codec has no quality of its own; name one with --quality, or --bpp")
        with profiling.stage("coding"):
            data = codec.compress(picture, quality)
            return data
    if quality is not None:
        raise InvalidInput("both quality and bpp are given, expected one of the two")
    if not (bpp > 0 and math.isfinite(bpp)):
        raise InvalidInput(f"bpp {bpp:g}, expected a positive number of bits per pixel")
    from pycodec.evaluation.rd import encode_to_size

    width, height = picture.size
    with profiling.stage("coding"):
        return encode_to_size(codec, picture, math.floor(bpp * width * height / 8))[0]


def _optimized(
    codec: Any, picture: Picture, quality: float | None, steps: int, lam: float | None, device: str
) -> bytes:
    """The file with optimised symbols, if it is better; progress and what came of it on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from pycodec.optimization.files import compress_optimized

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("optimising", total=steps)
        found = compress_optimized(
            codec,
            picture,
            steps,
            quality,
            lam,
            device,
            watcher=lambda done, loss: bar.update(task, completed=done),
        )
    (before, error), (after, new_error) = found.plain, found.optimized
    click.echo(
        f"{steps} steps at lambda {found.lam:.4g}: {before:.4f} to {after:.4f} bpp, "
        f"squared error {error:.3f} to {new_error:.3f}"
        + ("" if found.better else "; no better, so this is the file without them"),
        err=True,
    )
    return found.data


def use_threads(threads: int | None) -> None:
    """Transform and entropy coder run on so many threads from now on."""
    if threads:
        import torch

        torch.set_num_threads(threads)


def waiting(device: str) -> Callable[[], object] | None:
    """What makes a profile wait for a device to finish a stage; nothing on the CPU."""
    import torch

    return torch.cuda.synchronize if device == "cuda" and torch.cuda.is_available() else None


def profile_line(stages: dict[str, float], seconds: float) -> str:
    """Milliseconds by stage, and of the whole."""
    parts = [f"{name} {1e3 * taken:.1f} ms" for name, taken in stages.items()]
    return f"{', '.join(parts)}; {1e3 * seconds:.1f} ms in all"


def refuse_device(codec: Any, device: str) -> None:
    """A codec with a format of its own knows no device but the CPU.

    Raises:
        InvalidInput: another is asked for.
    """
    if device != "cpu":
        raise InvalidInput(f"codecs that write {codec.suffix} run on the CPU; leave out --device {device}")


def refuse_existing(target: str) -> None:
    """A name that nobody gave may be that of an original.

    Raises:
        InvalidInput: there is such a file.
    """
    if os.path.exists(target):
        raise InvalidInput(f"{target} is there already, maybe an original; name the output with -o")


def refuse_same_file(source: str, target: str) -> None:
    """An output that is its own input would be lost.

    Raises:
        InvalidInput: both names lead to one file.
    """
    if os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target):
        raise InvalidInput(f"{target} is the input itself; name another output with -o")
