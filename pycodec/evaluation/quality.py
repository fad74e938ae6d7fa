"""The metrics of an evaluation: by name, with what a report has to know of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pycodec.errors import InvalidInput
from pycodec.evaluation import spec
from pycodec.evaluation.metrics import decibels, ms_ssim, psnr

DEFAULT = ("psnr", "ms_ssim")
"""Metrics that are measured when none are named."""


@dataclass(frozen=True)
class Quality:
    """One metric of an evaluation.

    Attributes:
        name: its spec, by which results name it.
        label: its name in tables and figures.
        unit: of its values, "dB"; empty for a bare number.
        higher_is_better: its direction.
        config: what it was made from.
        of_set: its value belongs to the images of a setting together, not to each.
        function: original and decoded image, uint8 [H, W, 3], to a value; where there is no ``component``.
        component: a registered `pycodec.types.Metric`.
        device: where the component works.
    """

    name: str
    label: str
    unit: str = ""
    higher_is_better: bool = True
    config: dict[str, Any] = field(default_factory=dict)
    of_set: bool = False
    function: Callable[[np.ndarray, np.ndarray], float] | None = None
    component: Any = None
    device: str = "cpu"

    def value(self, original: np.ndarray, decoded: np.ndarray) -> float:
        """Quality of one image, both uint8 [H, W, 3]; infinity where a lossless image has no finite one.

        Raises:
            InvalidInput: the metric does not take such an image; MS-SSIM needs 176 pixels a side.
        """
        if self.function:
            return self.function(original, decoded)
        self.component.reset()
        self.update(original, decoded)
        return self.compute()

    def update(self, original: np.ndarray, decoded: np.ndarray) -> None:
        """Take an image, uint8 [H, W, 3], into the value of the set."""
        self.component.update(_tensor(decoded, self.device), _tensor(original, self.device))

    def compute(self) -> float:
        """Value of the set since the component's last ``reset``."""
        return float(self.component.compute())

    def entry(self) -> dict[str, Any]:
        """What a results document says of it."""
        entry = {
            "label": self.label,
            "unit": self.unit,
            "higher_is_better": self.higher_is_better,
            "config": self.config,
        }
        return entry if self.of_set else entry | self.info()

    def info(self) -> dict[str, Any]:
        """``{"info": ...}``, what the component says of how its last value was made; or nothing."""
        return {"info": self.component.info()} if hasattr(self.component, "info") else {}


BUILT_IN = {
    "psnr": Quality("psnr", "PSNR", "dB", function=psnr),
    "ms_ssim": Quality("ms_ssim", "MS-SSIM", function=ms_ssim),
}
"""Measured in float64 numpy, without torch and without asking any plugin."""


def load_qualities(names: Sequence[str], device: str = "cpu") -> list[Quality]:
    """The metrics of these specs.

    Raises:
        InvalidInput: no name, or one twice.
        UnknownComponent, PluginError, MissingWeights: as `pycodec.create`.
    """
    if not names or len(set(names)) < len(names):
        raise InvalidInput(
            f"metrics {', '.join(names) or 'none'}, expected at least one and none of them twice"
        )
    return [BUILT_IN.get(name) or _registered(name, device) for name in names]


def on_axis(metric: str, value: float, higher_is_better: bool = True) -> float:
    """A value as curves have it: rising with quality, and MS-SSIM as -10 log10(1 - x), in dB.

    Curves of MS-SSIM itself flatten towards 1, where an interpolation means little.
    """
    if spec.parse(metric)[0] == "ms_ssim":
        return decibels(value)
    return value if higher_is_better else -value


def off_axis(metric: str, values: np.ndarray, higher_is_better: bool = True) -> np.ndarray:
    """Inverse of `on_axis`."""
    if spec.parse(metric)[0] == "ms_ssim":
        return np.asarray(1 - 10 ** (-values / 10))
    return values if higher_is_better else -values


def _registered(name: str, device: str) -> Quality:
    component = spec.load_metric(name)
    if device != "cpu" and hasattr(component, "to"):
        component.to(device)
    return Quality(
        name,
        label=str(getattr(component, "label", name)),
        unit=str(getattr(component, "unit", "")),
        higher_is_better=bool(component.higher_is_better),
        config=component.config(),
        of_set=bool(getattr(component, "of_set", False)),
        component=component,
        device=device,
    )


def _tensor(pixels: np.ndarray, device: str) -> Any:  # uint8 [H, W, 3] -> float32 [1, 3, H, W], minus 128
    import torch  # what components take; the metrics of this module do without

    return torch.tensor(pixels).permute(2, 0, 1)[None].to(device, torch.float32) - 128
