"""Quality metrics: PSNR, MS-SSIM, LPIPS, DISTS, and of whole sets FID, KID and sliced Wasserstein distance.

`LPIPS` and `DISTS` are torch modules as well, for use as losses, and `Distortion` is a loss made of them.
Names are imported when first used: the plugin's module, which is imported for every listing, stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .distortion import Distortion
    from .dists import DISTS
    from .lpips import LPIPS

__all__ = ["DISTS", "LPIPS", "Distortion"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.{name.lower()}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
