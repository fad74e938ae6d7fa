"""``pycodec compressai-weights``: a model of CompressAI in, a weights file of pycodec out."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--quality", type=click.IntRange(1, 8), default=4, show_default=True, help="Of CompressAI.")
@click.option("--metric", type=click.Choice(["mse", "ms-ssim"]), default="mse", show_default=True)
@click.option(
    "--state",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="State dict of a model you trained [default: CompressAI downloads its own].",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Weights file.")
def command(quality: int, metric: str, state: Path | None, output: Path) -> None:
    """Write the weights of CompressAI's bmshj2018_factorized as a file for compress --weights."""
    import torch
    from compressai.models import FactorizedPrior
    from compressai.zoo import bmshj2018_factorized

    from .codec import save

    if state is None:
        model = bmshj2018_factorized(quality, metric, pretrained=True)
    else:
        model = FactorizedPrior.from_state_dict(torch.load(state, map_location="cpu", weights_only=True))
    model.update()  # a model with tables keeps those, as its author's files need them
    fingerprint = save(output, model, quality)
    click.echo(f"{output}: quality {quality}, fingerprint {fingerprint.hex()[:16]}")
