"""Codecs with a masked 3D context model: cpm (Mentzer et al. 2018) and ctx3d, the default.

Other plugins build on their parts; these names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULE_OF = {
    "IntegerRounding": "rounding",
    "QualityTable": "quality",
    "QuantizedResidualDCT": "quantized_dct",
    "ResidualDCT": "residual_dct",
    "input_ranges": "quantize_dct",
    "error_weight": "quality",
    "lambda_of": "quality",
    "load_quantized": "quantize_dct",
    "quantize": "quantize_dct",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
