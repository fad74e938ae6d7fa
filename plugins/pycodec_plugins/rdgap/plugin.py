"""Registers Res-hyper, Res-context and the quadtree context of the latter (Zhang and Liu 2025)."""

from __future__ import annotations

PYCODEC_API = 1
HERE = "pycodec_plugins.rdgap"

# What the conformance kit checks them with: small, but of every part. Codecs come with no weights yet.
_SMALL = {"channels": 5, "hyper_channels": 2, "width": 4, "context": {"width": 6, "depth": 2}}
PYCODEC_TEST_CONFIGS = {
    "quantizer:quadtree_centered": [_SMALL],
    "entropy_model:quadtree_hyperprior": [_SMALL],
    "codec:res_hyper": [],
    "codec:res_context": [],
}


def pycodec_register_quantizers(register):
    register(
        "quadtree_centered",
        f"{HERE}.quantizer:QuadtreeCentered",
        summary="zero_centered, with means that also follow from what is known, in four passes",
    )


def pycodec_register_entropy_models(register):
    register(
        "quadtree_hyperprior",
        f"{HERE}.entropy:QuadtreeHyperprior",
        summary="scale_hyperprior, with scales that also follow from what is decoded, in four passes",
    )


def pycodec_register_codecs(register):
    register(
        "res_hyper",
        f"{HERE}.codec:create_hyper",
        summary="mean-scale hyperprior in eight sizes (Zhang and Liu 2025)",
    )
    register(
        "res_context",
        f"{HERE}.codec:create_context",
        summary="res_hyper with a quadtree context model (Zhang and Liu 2025)",
    )
