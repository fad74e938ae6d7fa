"""Training of Res-hyper and Res-context."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pycodec import weights
from pycodec.errors import InvalidInput
from pycodec_plugins.hyperprior import HyperpriorTask

from .sizes import config_of

LAMBDAS = (0.0018, 0.0054, 0.0162, 0.0483)  # of the paper


class ResTask(HyperpriorTask):
    """Trains all parts on bpp + lambda MSE, for one lambda.

    Args:
        config: see `sizes.config_of`.
        options: "lambda", weight of the MSE (0..255 scale); by default the paper's third.
    """

    def __init__(self, config: Mapping[str, Any], options: Mapping[str, Any]):
        lam = options.get("lambda", LAMBDAS[2])
        if options.keys() - {"lambda"} or not isinstance(lam, (int, float)) or not 0 < lam < 100:
            raise InvalidInput(
                f"[task] is {dict(options)}, expected lambda alone, a positive number; the paper's are "
                + ", ".join(f"{value:g}" for value in LAMBDAS)
            )
        super().__init__(config_of(config, lam), lambdas=(lam, lam))

    def initialize(self, path: Path) -> dict[str, Any]:
        """Start from the weights of a file; a Res-context also from those of a Res-hyper of its size, which
        it equals until its context networks, whose heads start as 0, have learnt something.
        """
        tensors, metadata = weights.load(path)
        for part in ("quantizer", "entropy_model"):
            for name, tensor in self.get_submodule(part).state_dict().items():
                if name.startswith("context."):
                    tensors.setdefault(f"{part}.{name}", tensor.cpu().numpy())
        self.load(tensors)
        return metadata
