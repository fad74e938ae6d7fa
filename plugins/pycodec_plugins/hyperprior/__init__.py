"""Codecs whose latents are Gaussian given a hyper-latent (Ballé et al. 2018, Minnen et al. 2018).

Other plugins build on its networks and train decoders of its files; these names are imported when they are
first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULE_OF = {
    "Arrays": "integer_layer",
    "CODE_LIMIT": "integer_layer",
    "ChannelNorm": "hific",
    "Decoder": "decoder",
    "FRACTION": "integer_layer",
    "GaussianPrior": "latent_model",
    "HyperpriorCodec": "codec",
    "HyperpriorModel": "latent_model",
    "HyperpriorTask": "task",
    "IntegerLayer": "integer_layer",
    "MARGIN": "integer_layer",
    "RATIO": "latent",
    "ScaleHyperprior": "entropy",
    "Take": "entropy",
    "ZeroCentered": "quantizer",
    "lagrangian": "task",
    "largest_inputs": "integer_layer",
    "layer_arrays": "integer_layer",
    "losses": "task",
    "rounded": "quantizer",
    "split": "latent",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
