"""Registers the hyperprior family: transform, quantizer, entropy models, codec."""

from __future__ import annotations

PYCODEC_API = 1
HERE = "pycodec_plugins.hyperprior"


def pycodec_register_codecs(register):
    register(
        "hyperprior",
        f"{HERE}.codec:create",
        summary="mean-scale hyperprior on a 16x16 residual DCT, any rate from one network",
    )
