"""Implicit local likelihood models: discriminators that label, and the labeler (Muckley et al. 2023).

Names are imported when they are first used: the plugin's module, which is imported for every listing, stays
light.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULE_OF = {
    "Labeler": "labeler",
    "PatchGAN": "patchgan",
    "UNet": "unet",
    "VQVAE": "labeler",
    "load_labeler": "labeler",
    "load_vqvae": "labeler",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
