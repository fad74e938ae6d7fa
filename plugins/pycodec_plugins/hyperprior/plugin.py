"""Registers the hyperprior family: transforms, quantizer, entropy models, codec."""

from __future__ import annotations

PYCODEC_API = 1
HERE = "pycodec_plugins.hyperprior"

# What the conformance kit checks them with: small, but of every part.
_SHAPE = {"channels": 3, "hyper_channels": 2}
_NARROW = {"channels": 3, "widths": [4, 4, 6, 6, 8], "depth": 1}
PYCODEC_TEST_CONFIGS = {
    "transform:hific_autoencoder": [_NARROW],
    "transform:with_hyper_latent": [
        {
            "transform": {"name": "hific_autoencoder", "config": _NARROW},
            "hyper_channels": 2,
            "width": 4,
            **more,
        }
        for more in ({}, {"posterior": 4})
    ],
    "quantizer:zero_centered": [{**_SHAPE, "width": 4}, {**_SHAPE, "width": 4, "deconvolution": True}],
    "entropy_model:factorized_prior": [{"channels": 4}],
    "entropy_model:scale_hyperprior": [
        {**_SHAPE, "width": 4},
        {**_SHAPE, "width": 4, "deconvolution": True, "logarithmic": False},
    ],
}


def pycodec_register_transforms(register):
    register(
        "hific_autoencoder",
        f"{HERE}.hific:HificAutoencoder",
        summary="convolutional autoencoder with channel normalisation (HiFiC, MS-ILLM)",
    )
    register(
        "with_hyper_latent",
        f"{HERE}.hyper:HyperTransform",
        summary="any transform, with a hyper-latent beside its latent",
    )


def pycodec_register_quantizers(register):
    register(
        "zero_centered",
        f"{HERE}.quantizer:ZeroCentered",
        summary="rounds the difference from a mean that the hyper-latent tells",
    )


def pycodec_register_entropy_models(register):
    register(
        "factorized_prior",
        f"{HERE}.factorized:FactorizedPrior",
        summary="a learned density for each plane (Ballé et al. 2018)",
    )
    register(
        "scale_hyperprior",
        f"{HERE}.entropy:ScaleHyperprior",
        summary="Gaussians whose scales a hyper-latent tells (Ballé et al. 2018)",
    )


def pycodec_register_codecs(register):
    register(
        "hyperprior",
        f"{HERE}.codec:create",
        summary="mean-scale hyperprior on a 16x16 residual DCT, any rate from one network",
    )
