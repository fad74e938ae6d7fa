"""``pycodec surrogates``: surrogate loss against true loss, of quantizers on a codec or on a known source."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from pycodec.errors import InvalidInput
from pycodec.evaluation.printing import print_table

if TYPE_CHECKING:
    from pycodec.optimization.target import Target
    from pycodec.types import LatentModel

QUANTIZERS = "additive_noise,straight_through,integer_rounding,soft_to_hard"
VALUES = 1 << 15  # of the known source
HEADS = ("loss", "true", "mismatch", "gradient", "of its loss", "bias", "of the true loss")


@click.command()
@click.argument("quantizers", default=QUANTIZERS, metavar="[SPEC,...]")
@click.option("--codec", metavar="SPEC", help="On the latents of this codec.")
@click.option("--quality", type=float, help="Of the codec [default: its own].")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of images for the codec.")
@click.option(
    "--scales",
    default="0.1,0.3,1,3",
    show_default=True,
    metavar="S,...",
    help="Without a codec, on Gaussian values of these standard deviations, rounded to integers.",
)
@click.option(
    "--scale-min", type=float, default=0.11, show_default=True, help="Lower bound of what the prior assumes."
)
@click.option(
    "--lam", type=float, help="Weight of the squared error against bits [default: that of training]."
)
@click.option("--draws", type=click.IntRange(min=1), default=4, show_default=True, help="Of noise.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    quantizers: str,
    codec: str | None,
    quality: float | None,
    data: Path | None,
    scales: str,
    scale_min: float,
    lam: float | None,
    draws: int,
    seed: int,
    as_json: bool,
) -> None:
    """Tabulate what the training stand-ins of quantizers promise against what rounding gives.

    Losses are bits plus lambda times the squared error; the mismatch is by how much the surrogate's differs
    from that of files. Gradients are those by a gain of all latents: as it is back-propagated, of the
    surrogate's own loss, from which it differs by its bias, and of the true loss.
    """
    import pycodec
    from pycodec.evaluation.spec import parse

    from .mismatch import mismatch

    if (codec is None) != (data is None):
        raise InvalidInput("--codec and --data go together, expected both or none")
    if codec is None and quality is not None:
        raise InvalidInput("--quality is that of a codec, expected --codec and --data with it")
    given = click.get_current_context().get_parameter_source
    for name in ("scales", "scale_min"):
        if codec is not None and given(name) != ParameterSource.DEFAULT:
            raise InvalidInput(f"--{name.replace('_', '-')} is of Gaussian values, --codec has its own")
    if lam is not None and not (lam > 0 and math.isfinite(lam)):
        raise InvalidInput(f"--lam is {lam:g}, expected a positive number")
    named = [part.strip() for part in quantizers.split(",") if part.strip()]
    if not named:
        raise InvalidInput(f"no quantizer in {quantizers!r}, expected names such as {QUANTIZERS}")
    made = {spec: pycodec.create("quantizer", parse(spec)[0], **parse(spec)[1]) for spec in named}
    rows: list[dict[str, Any]] = []
    sources = _codec(codec, quality, data) if codec and data else _gaussians(scales, scale_min, seed)
    for source, model, targets in sources:
        weight = model.lam if lam is None else lam
        if weight is None:
            raise InvalidInput("the codec does not say with which lambda it was trained; give --lam")
        for spec, quantizer in made.items():
            found = mismatch(quantizer, model, targets, weight, draws, seed)
            rows.append({"source": source, "quantizer": spec, "lambda": weight, **found._asdict()})
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _print(rows)


def _gaussians(scales: str, scale_min: float, seed: int) -> Iterator[tuple[str, LatentModel, list[Target]]]:
    import torch

    from pycodec.optimization.target import Target

    from .gaussian_source import PlainLatents

    try:
        values = [float(text) for text in scales.split(",")]
    except ValueError as error:
        raise InvalidInput(f"--scales {scales!r}, expected numbers like 0.3,1,3") from error
    if not all(0 < value < math.inf for value in values) or not 0.11 <= scale_min < math.inf:
        raise InvalidInput(
            f"--scales {scales} and --scale-min {scale_min:g}, expected positive numbers, and 0.11 at least"
        )
    generator = torch.Generator().manual_seed(seed)
    for scale in values:
        drawn = torch.randn(VALUES, 1, generator=generator) * scale
        yield f"N(0, {scale:g}^2)", PlainLatents(scale, scale_min=scale_min), [Target(drawn)]


def _codec(spec: str, quality: float | None, folder: Path) -> Iterator[tuple[str, LatentModel, list[Target]]]:
    from PIL import Image

    from pycodec.evaluation.rd import image_files
    from pycodec.evaluation.spec import load_codec
    from pycodec.optimization.target import ImageTarget

    codec = load_codec(spec)
    if not hasattr(codec, "latent_model"):
        raise InvalidInput(f"codec {spec!r} has no latent_model (pycodec.types.DifferentiableCodec)")
    model = codec.latent_model(quality)
    targets: list[Any] = [ImageTarget(Image.open(path), model.stride) for path in image_files(folder)]
    yield spec, model, targets


def _print(rows: list[dict[str, Any]]) -> None:
    lines = [
        [
            row["source"],
            row["quantizer"],
            f"{row['loss']:.4f}",
            f"{row['true_loss']:.4f}",
            f"{row['loss'] - row['true_loss']:+.4f}",
            f"{row['gradient']:+.4f}",
            f"{row['own_gradient']:+.4f}",
            f"{row['gradient'] - row['own_gradient']:+.4f}",
            f"{row['true_gradient']:+.4f}",
        ]
        for row in rows
    ]
    print_table(("source", "quantizer", *HEADS), lines)
