"""``pycodec metric-weights``: a metric's weights file from the ones that others publish.

Published files are pickles. They are read here only, because a user asks for it, and by torch's restricted
reader, which makes tensors and runs nothing.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import click
import torch
from torch import Tensor

from pycodec import weights
from pycodec.errors import WeightsMismatch

from .weights import PUBLISHED, UNUSED, VARIABLE

_HEADS = {"lpips_alex": "lpips_models/alex.pth", "lpips_vgg": "lpips_models/vgg.pth"}
_DISTS = "dists_models/weights.pt"


def converted(name: str, source: Path) -> dict[str, Tensor]:
    """Tensors of the weights file ``name`` from a published ``source``.

    The few trained numbers of LPIPS and DISTS beside their networks come with torchmetrics.

    Raises:
        WeightsMismatch: a file that is no table of tensors, or holds none of those expected.
    """
    published = PUBLISHED[name]
    tensors = {
        published.renamed + key.removeprefix(published.prefix): tensor.detach()
        for key, tensor in _read(source).items()
        if key.startswith(published.prefix)
    }
    tensors = {key: t for key, t in tensors.items() if not key.startswith(published.dropped)}
    if not tensors:
        raise WeightsMismatch(f"{source} holds no weights of {name}, expected those of {published.url}")
    if name in _HEADS:
        heads = _read(_torchmetrics(_HEADS[name]))
        tensors |= {f"heads.{i}": heads[f"lin{i}.model.1.weight"].flatten() for i in range(len(heads))}
    if name == "dists":
        tensors |= {key: tensor.flatten() for key, tensor in _read(_torchmetrics(_DISTS)).items()}
    return {key: t.float() for key, t in tensors.items() if not key.endswith(UNUSED)}


def _torchmetrics(path: str) -> Path:
    return Path(str(files("torchmetrics.functional.image").joinpath(path)))


def _read(source: Path) -> Mapping[str, Tensor]:
    try:
        table = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise WeightsMismatch(f"{source} is no file of weights: {str(error).splitlines()[0]}") from error
    if not isinstance(table, Mapping) or not all(isinstance(t, Tensor) for t in table.values()):
        raise WeightsMismatch(f"{source} is no file of weights: expected a table of tensors")
    return table


@click.command()
@click.argument("name", type=click.Choice(sorted(PUBLISHED)))
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="File to write [default: NAME.safetensors in the folder PYCODEC_METRIC_WEIGHTS, or here].",
)
def command(name: str, source: Path, out: Path | None) -> None:
    """Make the weights file NAME of a metric from SOURCE, a file that others publish."""
    out = out or Path(os.environ.get(VARIABLE, "."), f"{name}.safetensors")
    published = PUBLISHED[name]
    metadata = {"config": {"metric_weights": name}, "url": published.url, "licence": published.licence}
    digest = weights.save(out, converted(name, source), metadata)
    click.echo(f"{out}: sha256 {digest.hex()[:16]}; {published.licence}")
