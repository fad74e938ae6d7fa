"""What the metrics share: the pictures they compare, and means over images. Needs no torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from pycodec.errors import InvalidInput

ROUNDING = "8-bit RGB: values + 128, clipped to 0..255 and rounded"


def pictures(x_hat: Any, x: Any) -> tuple[np.ndarray, np.ndarray]:  # [N, 3, H, W] -> [N, H, W, 3] uint8 twice
    """Reconstructions and originals as the 8-bit pictures that are looked at.

    Args:
        x_hat, x: tensors of any device, or numpy arrays; RGB minus 128.

    Raises:
        InvalidInput: shapes that differ, or are no batch of RGB images.
    """
    shapes = tuple(x_hat.shape), tuple(x.shape)
    if shapes[0] != shapes[1] or len(shapes[1]) != 4 or shapes[1][1] != 3 or 0 in shapes[1]:
        raise InvalidInput(
            f"reconstructions {list(shapes[0])} and originals {list(shapes[1])}, expected [N, 3, H, W] twice"
        )
    return _picture(x_hat), _picture(x)


def _picture(x: Any) -> np.ndarray:
    values = x.detach().float().cpu().numpy() if hasattr(x, "detach") else np.asarray(x)
    if not np.isfinite(values).all():
        raise InvalidInput("an image holds values that are not finite; expected RGB minus 128")
    return (values + 128).clip(0, 255).round().astype(np.uint8).transpose(0, 2, 3, 1)


def require_side(name: str, picture: np.ndarray, side: int, advice: str) -> None:
    """Refuse a picture [H, W, 3] with a side of less than ``side`` pixels."""
    height, width = picture.shape[:2]
    if min(height, width) < side:
        raise InvalidInput(
            f"{name} needs both sides to be at least {side} pixels, this image is {width} x {height}; "
            f"{advice}"
        )


def require_count(name: str, value: Any, least: int = 1) -> None:
    """Refuse an option that is no whole number of ``least`` or more."""
    if type(value) is not int or value < least:
        raise InvalidInput(f"{name} is {value!r}, expected a whole number from {least} on")


class MeanOverImages:
    """A metric whose value over a data set is the mean of its values for each image."""

    data_range = 255.0
    of_set = False
    unit = ""

    def __init__(self) -> None:
        self.reset()

    def value(self, picture_hat: np.ndarray, picture: np.ndarray) -> float:  # [H, W, 3] uint8 twice
        """Of one reconstruction and its original."""
        raise NotImplementedError

    def reset(self) -> None:
        self._total, self._images = 0.0, 0

    def update(self, x_hat: Any, x: Any) -> None:  # [N, 3, H, W] twice
        values = [self.value(*pair) for pair in zip(*pictures(x_hat, x), strict=True)]
        self._total += sum(values)
        self._images += len(values)

    def compute(self) -> float:
        if not self._images:
            raise InvalidInput("there are no images to average over; call update first")
        return self._total / self._images

    def info(self) -> dict[str, Any]:
        """What a reader needs to repeat the value, beside ``config()``: JSON."""
        return {"preprocessing": ROUNDING, "images": self._images}
