"""Registers the cpm family: parts, the codecs cpm, ctx3d and ctx3d-msssim, the ablation."""

from __future__ import annotations

PYCODEC_API = 1
HERE = "pycodec_plugins.cpm"

# What the conformance kit checks them with: small, but of every part.
_NARROW = {"fine": 8, "coarse": 16, "encoder_depth": 1, "decoder_depth": 1}
PYCODEC_TEST_CONFIGS = {
    "transform:residual_autoencoder": [{"channels": 6, "width": 8, "groups": 1, "maps": 3}],
    "transform:residual_dct": [{"luma": 10, "chroma": 3, **_NARROW}],
    "entropy_model:categorical_context3d": [{"planes": 4, "centers": 6, "width": 8}],
    "entropy_model:parametric_context3d": [{"planes": 4, "width": 8}],
}


def pycodec_register_transforms(register):
    register(
        "residual_autoencoder",
        f"{HERE}.autoencoder:ResidualAutoencoder",
        summary="convolutional autoencoder with importance maps (Mentzer et al. 2018)",
    )
    register(
        "residual_dct",
        f"{HERE}.residual_dct:ResidualDCT",
        summary="learnable 8x8 DCT plus residual networks",
    )


def pycodec_register_quantizers(register):
    register(
        "learned_centers",
        f"{HERE}.centers:LearnedCenters",
        summary="nearest of L learned scalar centres, soft gradient",
    )
    register(
        "integer_rounding",
        f"{HERE}.rounding:IntegerRounding",
        summary="rounding, straight-through gradient, noise for the rate",
        aliases=("mixed",),
    )


def pycodec_register_entropy_models(register):
    register(
        "categorical_context3d",
        f"{HERE}.entropy:CategoricalContext",
        summary="masked 3D context model over learned centres",
    )
    register(
        "parametric_context3d",
        f"{HERE}.entropy:ParametricContext",
        summary="masked 3D context model over integers",
    )


def pycodec_register_codecs(register):
    register(
        "cpm",
        f"{HERE}.cpm:create",
        summary="Mentzer et al. 2018, light width, one network for five rates",
    )
    register(
        "ctx3d",
        f"{HERE}.ctx3d:create",
        summary="the default: residual DCT, integer 3D context model, any rate from one network",
        aliases=("default",),
    )
    register(
        "ctx3d-msssim",
        f"{HERE}.ctx3d:create_msssim",
        summary="ctx3d trained for MS-SSIM: structure before squared error",
    )


def pycodec_register_commands(cli):
    cli.lazy_command(
        "ablation", f"{HERE}.ablation:command", "Rate of cpm under simpler context models (Table 1)."
    )
