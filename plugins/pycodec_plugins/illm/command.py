"""``pycodec labeler``: what a labeler makes of a folder of images."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("weights")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder of images.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads of torch.")
def command(weights: str, data: Path, as_json: bool, threads: int | None) -> None:
    """Measure the labeler of a WEIGHTS file, or the one called illm_labeler, on images.

    Prints the share of its codes that some image uses, the perplexity of their histogram, and the PSNR of
    what its decoder makes of the labels.
    """
    import torch

    from pycodec import weights as store
    from pycodec.training.data import find_images, load_images

    from .labeler import load_vqvae, weights_of
    from .labeler_task import measure

    if threads:
        torch.set_num_threads(threads)
    model = load_vqvae(weights)
    files = find_images(data)
    found = measure(model, (load_images([file])[0] for file in files))
    codes, stride = model.labeler.codes, model.labeler.stride
    if as_json:
        fingerprint = store.read_metadata(weights_of(weights))["fingerprint"]
        facts = {"fingerprint": fingerprint, "codes": codes, "stride": stride, "images": len(files)}
        click.echo(json.dumps({**facts, **found._asdict()}, indent=2))
        return
    click.echo(
        f"{len(files)} images, {codes} codes of stride {stride}: {found.used:.1%} of them used, "
        f"perplexity {found.perplexity:.0f}, {found.psnr:.2f} dB"
    )
