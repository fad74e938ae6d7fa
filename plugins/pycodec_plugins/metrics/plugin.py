"""Registers the metrics, and the command that makes their weights files."""

from __future__ import annotations

PYCODEC_API = 1
HERE = "pycodec_plugins.metrics"

# What the conformance kit checks them with: narrow networks of random weights, patches that its images hold.
_RANDOM = {"weights": "random"}
PYCODEC_TEST_CONFIGS = {
    "metric:lpips": [_RANDOM],
    "metric:dists": [_RANDOM],
    "metric:fid": [{**_RANDOM, "patch": 128}],
    "metric:kid": [{**_RANDOM, "network": "swav", "patch": 128, "subsets": 3, "subset_size": 3}],
    "metric:swd": [{"levels": 3, "patches": 32, "directions": 64}],
}


def pycodec_register_metrics(register):
    register("psnr", f"{HERE}.fidelity:PSNR", summary="peak signal-to-noise ratio over RGB, dB")
    register("ms_ssim", f"{HERE}.fidelity:MSSSIM", summary="multi-scale structural similarity over RGB")
    register(
        "lpips",
        f"{HERE}.lpips:LPIPSMetric",
        summary="distance of AlexNet or VGG features (Zhang et al. 2018)",
    )
    register(
        "dists",
        f"{HERE}.dists:DISTSMetric",
        summary="structure and texture of VGG features (Ding et al. 2020)",
    )
    register(
        "fid",
        f"{HERE}.sets:FID",
        summary="Fréchet distance of Inception or SwAV features of 256-pixel patches",
    )
    register("kid", f"{HERE}.sets:KID", summary="kernel distance of the same features, unbiased")
    register(
        "swd",
        f"{HERE}.swd:SWD",
        summary="sliced Wasserstein distance of Laplacian pyramid patches, without weights",
    )


def pycodec_register_commands(cli):
    cli.lazy_command(
        "metric-weights", f"{HERE}.convert:command", "Make a metric's weights file from a published one."
    )
