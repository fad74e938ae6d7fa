"""CompressAI's ``mbt2018_mean``, the mean-scale hyperprior of Minnen et al. 2018, as a peer of ours in speed.

Nothing is downloaded, so that its network is untrained, and its rate and pictures mean nothing. Its time does
not depend on what its weights are, only on the number of symbols and, a little, of bits. So that
it codes as many bits as we do, its latents are brought to one standard deviation, and the scales of its
Gaussians to the same, by its last layers: the deviation at which its streams are as long as our file. Symbols
are then distributed as its tables say, and hardly any takes the slow way of those beyond a table.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

NAME = "CompressAI mbt2018_mean"
QUALITY = 4  # of 8: 128 and 192 channels, made for about half a bit per pixel
STRIDE = 64
HALVINGS = 10  # of the interval in which the deviation is searched


@functools.cache
def missing() -> str:
    """Why it cannot be measured; empty if it can."""
    if importlib.util.find_spec("compressai") is None:
        return "not installed"
    try:
        importlib.import_module("compressai.zoo")
    except (ImportError, RuntimeError) as error:  # the latter from a torchvision made for another torch
        return f"cannot be imported: {error}"
    return ""


class MeanScale:
    """The model on pictures of one size, coding about ``size`` bytes of ``pixels`` [H, W, 3] uint8.

    Attributes:
        coded: what `compress` makes of ``pixels``.
    """

    @torch.inference_mode()
    def __init__(self, pixels: np.ndarray, size: int):
        from compressai.zoo import mbt2018_mean

        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = mbt2018_mean(QUALITY, pretrained=False).eval()
        model.update(force=True)
        self.model: Any = model.to(memory_format=torch.channels_last)  # a third faster
        self.height, self.width = pixels.shape[:2]
        self._analysis, self._scales = self.model.g_a[-1], self.model.h_s[-1]
        y = self.model.g_a(self.batch(pixels))
        mean, deviation = y.mean((0, 2, 3)), y.std((0, 2, 3))
        self._weight = self._analysis.weight / deviation[:, None, None, None]
        self._bias = (self._analysis.bias - mean) / deviation
        low, high = 0.05, 16.0
        for _ in range(HALVINGS):
            middle = (low * high) ** 0.5
            self._spread(middle)
            self.coded = self.compress(pixels)
            low, high = (middle, high) if size_of(self.coded) < size else (low, middle)

    def batch(self, pixels: np.ndarray) -> Tensor:
        """[1, 3, H, W] in 0..1, whole strides."""
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        x = F.pad(x, (0, -self.width % STRIDE, 0, -self.height % STRIDE), mode="replicate")
        return x.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def compress(self, pixels: np.ndarray) -> dict[str, Any]:
        """The streams of y and z, and the shape of z."""
        coded: dict[str, Any] = self.model.compress(self.batch(pixels))
        return coded

    @torch.inference_mode()
    def decompress(self, coded: dict[str, Any]) -> np.ndarray:
        """A picture [H, W, 3] uint8."""
        x_hat = self.model.decompress(**coded)["x_hat"][0, :, : self.height, : self.width]
        return (255 * x_hat).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()

    def networks(self, pixels: np.ndarray) -> dict[str, Callable[[], object]]:
        """Of each way, its networks alone, without coding; the rest of its time is for coding."""
        model, x = self.model, self.batch(pixels)
        y = model.g_a(x)
        z = model.h_a(y)
        return {
            "encode": torch.inference_mode()(lambda: model.h_s(model.h_a(model.g_a(x)))),
            "decode": torch.inference_mode()(lambda: (model.h_s(z), model.g_s(y))),
        }

    def _spread(self, deviation: float) -> None:
        self._analysis.weight.copy_(deviation * self._weight)
        self._analysis.bias.copy_(deviation * self._bias)
        self._scales.weight.zero_()
        scales, means = self._scales.bias.chunk(2)
        scales.fill_(deviation)
        means.zero_()


def size_of(coded: dict[str, Any]) -> int:
    """Bytes of the streams."""
    return sum(len(stream) for streams in coded["strings"] for stream in streams)
