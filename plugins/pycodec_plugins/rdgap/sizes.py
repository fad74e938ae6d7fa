"""The family of Res-hyper: eight sizes by depth and width of the transforms.

The paper gives neither its depths and widths nor its parameter counts, only that eight models grow in both
(Zhang and Liu 2025, section IV.A); these are ours, from 0.9 to 61 million parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pycodec.errors import InvalidInput

from .options import check_whole

SIZES = ((1, 96), (2, 128), (3, 192), (4, 256), (6, 320), (8, 384), (10, 512), (12, 640))
"""(depth, width) of size 1 to 8: blocks, and channels, at stride 16; as many blocks, of half the channels, at
stride 8. Both ways."""

LUMA, CHROMA = 160, 32  # of the latent, in all sizes: only the transforms grow
HYPER = {"hyper_channels": 48, "width": 96}
BOUND_SCALE_MIN = 1e-2
"""Of a prior for Gaussians: what is drawn from it, at no cost, reaches the image as noise."""
OPTIONS = ("size", "depth", "width", "context", "posterior")


def config_of(options: Mapping[str, Any], lam: float) -> dict[str, Any]:
    """What the codec is made of, as `pycodec_plugins.hyperprior.codec` takes it.

    Args:
        options: "size", 1 to 8, or "depth" and "width"; for Res-context, "context", keyword arguments of
            `ContextNetwork`; for an upper bound, "posterior", the width of its `Posterior`.
        lam: weight of the MSE, which tells the quantisation step to start from.

    Raises:
        InvalidInput: an option that is none, or a size that is none.
    """
    if unknown := sorted(options.keys() - set(OPTIONS)):
        raise InvalidInput(f"config has no option {unknown[0]!r}, expected {', '.join(OPTIONS)}")
    depth, width = shape_of(options)
    step = start_step(lam)
    transform = {
        "luma": LUMA,
        "chroma": CHROMA,
        "qualities": 1,
        "steps": [step, step],
        "fine": width // 2,
        "coarse": width,
        "encoder_depth": depth,
        "decoder_depth": depth,
        "block": 16,
        "fine_depth": depth,
    }
    config = {"qualities": 1, "transform": {"name": "residual_dct", "config": transform}, "hyper": HYPER}
    if "posterior" in options:
        check_whole("config.posterior", options["posterior"], 1)
        config["hyper"] = {**HYPER, "posterior": options["posterior"]}
        config["entropy_model"] = {"scale_min": BOUND_SCALE_MIN}
    if "context" in options:
        for name, value in options["context"].items():
            check_whole(f"config.context.{name}", value, 1)
        context = {"context": dict(options["context"])}
        config["quantizer"] = {"name": "quadtree_centered", **context}
        config["entropy_model"] = {
            "name": "quadtree_hyperprior",
            **context,
            **config.get("entropy_model", {}),
        }
    return config


def shape_of(options: Mapping[str, Any]) -> tuple[int, int]:
    """Depth and width."""
    given = {"size", "depth", "width"} & options.keys()
    if given == {"depth", "width"}:
        depth, width = options["depth"], options["width"]
        if type(depth) is not int or type(width) is not int or depth < 1 or width < 8 or width % 8:
            raise InvalidInput(
                f"depth is {depth} and width {width}, expected at least 1, and a multiple of 8"
            )
        return depth, width
    size = options.get("size")
    if given != {"size"} or type(size) is not int or not 1 <= size <= len(SIZES):
        found = ", ".join(f"{name} = {options[name]!r}" for name in sorted(given)) or "none of them"
        raise InvalidInput(f"config has {found}, expected a size of 1 to {len(SIZES)}, or depth and width")
    return SIZES[size - 1]


def start_step(lam: float) -> float:
    """Step of a uniform quantiser at which a bit is worth its distortion, at high rates: its distortion is
    D = step^2 / 12, and dR / dD = -1 / (2 D ln 2) is to be -lam.
    """
    return math.sqrt(6 / (lam * math.log(2)))
