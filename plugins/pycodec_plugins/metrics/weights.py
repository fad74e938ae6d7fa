"""Weights of the networks behind metrics: safetensors on this machine, never fetched, never unpickled.

`PUBLISHED` says what each file is made of; ``pycodec metric-weights`` makes it. ``"random"`` instead of a
path gives a narrow network of seeded random weights, which shows that a metric works and measures nothing.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from pycodec import weights
from pycodec.errors import MissingWeights, WeightsMismatch

VARIABLE = "PYCODEC_METRIC_WEIGHTS"
RANDOM = "random"
NARROW = 8
"""Networks of random weights have an eighth of the channels."""
UNUSED = "num_batches_tracked"
"""A tensor of normalisations that only training looks at: published files may have it, ours do not."""


@dataclass(frozen=True)
class Published:
    """A file that others publish, from which one of ours is made.

    Attributes:
        url: where it is.
        licence: of the weights.
        prefix: of the tensors that are kept.
        renamed: what the prefix becomes.
        dropped: tensors that are left out all the same, by the beginning of their new names.
    """

    url: str
    licence: str
    prefix: str = ""
    renamed: str = ""
    dropped: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


_ALEXNET = Published(
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "torchvision, BSD-3-Clause; trained on ImageNet",
    prefix="features.",
    renamed="features.",
)
_VGG16 = Published(
    "https://download.pytorch.org/models/vgg16-397923af.pth",
    "torchvision, BSD-3-Clause; trained on ImageNet",
    prefix="features.",
    renamed="features.",
)
PUBLISHED = {
    "lpips_alex": _ALEXNET,
    "lpips_vgg": _VGG16,
    "dists": _VGG16,
    "inception": Published(
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
        "weights-inception-2015-12-05-6726825d.pth",
        "TensorFlow models, Apache-2.0, by way of torch-fidelity; trained on ImageNet",
        dropped=("fc.",),
    ),
    "swav": Published(
        "https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar",
        "SwAV, CC BY-NC 4.0: not for commercial use; trained on ImageNet without labels",
        prefix="module.",
        dropped=("projection_head.", "prototypes."),
    ),
}
"""Name of a weights file of ours, without its suffix, to what it is made of."""


class Weights:
    """Where a network gets its weights, found before the network is made.

    Args:
        name: key of `PUBLISHED`.
        given: path of the file; ``"random"``; or None for ``NAME.safetensors`` in the folder that
            PYCODEC_METRIC_WEIGHTS names.

    Raises:
        MissingWeights: there is no such file; says how to make it.
    """

    def __init__(self, name: str, given: str | os.PathLike[str] | None):
        self._name = name
        self._path = None if given == RANDOM else _path(name, given)

    def width(self, full: int) -> int:
        """Channels of the network's first layer, of which it has ``full`` unless its weights are random."""
        return full if self._path else full // NARROW

    def fill(self, module: nn.Module) -> str:
        """Give the network its weights for good, and return what identifies them: a sha256, or ``"random"``.

        Raises:
            WeightsMismatch: the file holds other weights.
        """
        identity = self._load(module, self._path) if self._path else _randomise(module)
        module.requires_grad_(False).eval()
        return identity

    def _load(self, module: nn.Module, path: Path) -> str:
        tensors, metadata = weights.load(path)
        found = metadata["config"].get("metric_weights")
        if found != self._name:
            raise WeightsMismatch(
                f"{path} holds {found or 'other weights'}, expected weights of {self._name}"
            )
        counts = {key: t.numpy() for key, t in module.state_dict().items() if key.endswith(UNUSED)}
        weights.load_module(module, {**counts, **tensors})
        return f"sha256 {metadata['fingerprint']}"


def _path(name: str, given: str | os.PathLike[str] | None) -> Path:
    folder = os.environ.get(VARIABLE)
    if given is None and not folder:
        where = f"neither weights= nor {VARIABLE} says where {name}.safetensors is"
    else:
        path = Path(given) if given is not None else Path(str(folder), f"{name}.safetensors")
        if path.is_file():
            return path
        where = f"there is no {path}"
    source = PUBLISHED[name]
    raise MissingWeights(
        f"no weights of {name}: {where}; fetch {source.url} and run "
        f"pycodec metric-weights {name} {source.file}"
    )


def _randomise(module: nn.Module) -> str:
    """Seeded weights that keep the size of activations (He et al. 2015); vectors of weights positive, for
    they weigh distances; normalisation left as it is made.
    """
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            continue
        for name, p in part.named_parameters(recurse=False):
            drawn = torch.randn(p.shape, generator=generator)
            if p.ndim > 1:
                drawn *= math.sqrt(2 / p[0].numel())
            elif name == "bias":
                drawn *= 0.1
            else:
                drawn = drawn.abs() / len(p)
            p.data.copy_(drawn)
    return RANDOM
