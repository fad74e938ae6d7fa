"""Registers the discriminators of MS-ILLM and HiFiC, and the command that measures a labeler."""

from __future__ import annotations

PYCODEC_API = 1
HERE = "pycodec_plugins.illm"

# What the conformance kit checks them with: small, but of every part.
_NARROW = {"channels": 3, "context": 2, "widths": [4, 4, 6, 6], "features": 4}
_LABELER = {"widths": [4, 6], "blocks": 1, "stem": 4, "codes": 5, "dimensions": 3}
PYCODEC_TEST_CONFIGS = {
    "discriminator:unet": [
        {**_NARROW, "labeler": _LABELER, "disjoint": True},
        {**_NARROW, "labeler": _LABELER, "norm": "spectral"},
        {**_NARROW, "labeler": None, "norm": "instance", "widths": [4, 6], "stride": 2, "saturating": True},
    ],
    "discriminator:patchgan": [{"channels": 3, "context": 2, "widths": [4, 6], "detail": 4.0}],
}


def pycodec_register_discriminators(register):
    register(
        "unet",
        f"{HERE}.unet:UNet",
        summary="U-Net that tells the labels of a VQ-VAE (Muckley et al. 2023)",
    )
    register(
        "patchgan",
        f"{HERE}.patchgan:PatchGAN",
        summary="says of every patch whether it looks real (HiFiC, Mentzer et al. 2020)",
    )


def pycodec_register_codecs(register):
    register(
        "hyperprior-illm",
        f"{HERE}.codec:create",
        summary="the files of hyperprior, decoded to look real (MS-ILLM, Muckley et al. 2023)",
    )


def pycodec_register_commands(cli):
    cli.lazy_command("labeler", f"{HERE}.command:command", "Code use and reconstruction of a labeler.")
