"""Registers estimators, quantizers, Res-hyper and Res-context, and the commands that compare them."""

from __future__ import annotations

PYCODEC_API = 1
HERE = "pycodec_plugins.rdgap"

# What the conformance kit checks them with: small, but of every part; a few steps. Codecs come with no
# weights yet.
_SMALL = {"channels": 5, "hyper_channels": 2, "width": 4, "context": {"width": 6, "depth": 2}}
PYCODEC_TEST_CONFIGS = {
    "estimator:gaussian_upper_bound": [{"steps": 3, "samples": 2}],
    "estimator:sga": [{"steps": 3}],
    "estimator:blahut_arimoto": [{"steps": 20}],
    "quantizer:quadtree_centered": [_SMALL],
    "entropy_model:quadtree_hyperprior": [_SMALL],
    "codec:res_hyper": [],
    "codec:res_context": [],
}


def pycodec_register_estimators(register):
    register(
        "operational_rd",
        f"{HERE}.estimators:OperationalRD",
        summary="rate and distortion of real files",
    )
    register(
        "sga",
        f"{HERE}.estimators:AnnealedRD",
        summary="the same, of files optimised for each image (stochastic Gumbel annealing)",
    )
    register(
        "gaussian_upper_bound",
        f"{HERE}.estimators:GaussianUpperBound",
        summary="upper bound of the rate-distortion function, Gaussian posterior (Zhang & Liu 2025)",
    )
    register(
        "blahut_arimoto",
        f"{HERE}.blahut_arimoto:MemorylessBound",
        summary="rate-distortion function of pixels taken one by one, at a codec's distortion",
    )


def pycodec_register_quantizers(register):
    register(
        "additive_noise",
        f"{HERE}.quantizers:AdditiveNoise",
        summary="rounding, uniform noise in training",
    )
    register(
        "straight_through",
        f"{HERE}.quantizers:StraightThrough",
        summary="rounding, in training too, with the gradient of none",
    )
    register(
        "soft_to_hard",
        f"{HERE}.quantizers:SoftToHard",
        summary="rounding, a soft mean of integers in training",
    )
    register(
        "quadtree_centered",
        f"{HERE}.quadtree_quantizer:QuadtreeCentered",
        summary="zero_centered, with means that also follow from what is known, in four passes",
    )


def pycodec_register_entropy_models(register):
    register(
        "quadtree_hyperprior",
        f"{HERE}.entropy:QuadtreeHyperprior",
        summary="scale_hyperprior, with scales that also follow from what is decoded, in four passes",
    )


def needs_weights() -> str:
    return "needs weights of yours"


def pycodec_register_codecs(register):
    register(
        "res_hyper",
        f"{HERE}.codec:create_hyper",
        summary="mean-scale hyperprior in eight sizes (Zhang and Liu 2025)",
        missing=needs_weights,
    )
    register(
        "res_context",
        f"{HERE}.codec:create_context",
        summary="res_hyper with a quadtree context model (Zhang and Liu 2025)",
        missing=needs_weights,
    )


def pycodec_register_commands(cli):
    cli.lazy_command(
        "surrogates", f"{HERE}.command:command", "Compare stand-ins for rounding with rounding itself."
    )
    cli.lazy_command("gap", f"{HERE}.gap.command:command", "How far codecs are from the limit, and why.")
