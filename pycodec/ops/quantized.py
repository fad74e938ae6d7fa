"""Layers of integer codes and weights: transforms that give the same floats on every machine.

A float convolution is a sum whose order depends on the machine, and with it the last bits. Here inputs are
rounded to integer codes with one scale a channel, so that sums of codes times integer weights are exact in
any order; the rest is a chain of single IEEE 754 float32 operations on each element. The native layers on a
CPU and the reference below, which runs on any device (float64 holds every sum exactly), agree bit for bit.

Inference only. Maps are [height, width, channels] float32 tensors of one image.
"""

from __future__ import annotations

import threading

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pycodec.errors import InvalidInput
from pycodec.native import native

CODE_LIMIT = 4095
"""Default largest code: 13 bits leave the weights of a sum of a thousand products about 12."""
NARROW_LIMIT = 255
"""Largest hidden code that fits a byte, which is multiplied twice as fast; its weights are then int8."""
_SUM_LIMIT = 2**31 - 1


def code_scale(largest: np.ndarray, limit: int = CODE_LIMIT) -> np.ndarray:
    """Codes per unit, float32 [channels], for inputs of magnitudes up to ``largest`` [channels]."""
    return (limit / np.maximum(largest, 1e-6)).astype(np.float32)


def integer_weight(
    weight: np.ndarray, scale: np.ndarray, limit: int, largest: int = 32767
) -> tuple[np.ndarray, np.ndarray]:
    """The finest integer weights whose sums cannot overflow.

    Args:
        weight: [outputs, ..., inputs] float, for inputs that are not scaled.
        scale: [inputs] codes per unit of input.
        limit: largest code.
        largest: integer weight.

    Returns:
        int16 weights of the same shape, and float64 [outputs]: what one unit of a sum stands for.
    """
    w = weight.astype(np.float64) / scale
    magnitude = np.abs(w).reshape(len(w), -1)
    # Each rounding may add half a unit to the sum of magnitudes.
    room = _SUM_LIMIT // limit - magnitude.shape[1]
    unit = np.maximum(magnitude.max(1) / largest, magnitude.sum(1) / room)
    unit = np.where(unit > 0, unit, 1.0)
    return np.rint(w / unit.reshape(-1, *[1] * (w.ndim - 1))).astype(np.int16), unit


class _Layer:
    """The arrays of a layer, and their copies on the devices that have run it."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        self.arrays = arrays
        self._on: dict[torch.device, dict[str, Tensor]] = {}

    def _tensors(self, device: torch.device) -> dict[str, Tensor]:
        if device not in self._on:
            self._on[device] = {name: torch.from_numpy(a).to(device) for name, a in self.arrays.items()}
        return self._on[device]


class Scratch(threading.local):
    """Memory of results between layers, kept from one image to the next by each thread: the first write to
    a fresh page takes longer than computing what it holds.
    """

    LARGEST = 1 << 23  # elements that are kept

    def __init__(self) -> None:
        self._kept: dict[int, Tensor] = {}

    def room(self, owner: object, shape: tuple[int, ...]) -> Tensor:
        """Float32 of that shape, with anything in it."""
        kept = self._kept.get(id(owner))
        if kept is None or kept.shape != shape:
            kept = torch.empty(shape)
            self._kept.pop(id(owner), None)
            if kept.numel() <= self.LARGEST:
                self._kept[id(owner)] = kept
        return kept


class QuantizedConv2d(_Layer):
    """``conv(codes) * multiplier + bias`` with ``codes = clamp(round(x * scale), -limit, limit)``.

    Args:
        weight: int16 [outputs, k, k, inputs], k = 1 or 3; "same" zero padding.
        scale: float32 [inputs].
        multiplier, bias: float32 [outputs].
        limit: largest code, up to 32767.
        downsample: the inputs of a position are a square of downsample x downsample positions of the map;
            see `space_to_depth`.
        upsample: the outputs of a position become such a square; see `depth_to_space`.
        simd: level to run at (see ``pycodec doctor``), the highest by default.

    Raises:
        InvalidInput: shapes that do not fit, or weights whose sum could overflow int32.
    """

    def __init__(
        self,
        weight: np.ndarray,
        scale: np.ndarray,
        multiplier: np.ndarray,
        bias: np.ndarray,
        limit: int = CODE_LIMIT,
        downsample: int = 1,
        upsample: int = 1,
        simd: str = "",
    ):
        super().__init__({"weight": weight, "scale": scale, "multiplier": multiplier, "bias": bias})
        self.limit, self.downsample, self.upsample = limit, downsample, upsample
        self._native = native().QuantizedConv(
            weight, scale, multiplier, bias, limit, downsample, upsample, simd
        )

    def __call__(self, x: Tensor, scratch: Scratch | None = None, add_to: Tensor | None = None) -> Tensor:
        """The layer on one map, [down H, down W, inputs / down^2] to [up H, up W, outputs / up^2].

        Args:
            scratch: lends the memory of the result, for as long as nobody else asks it for this layer's.
            add_to: a map of the result's shape, to which it is added; on a CPU it is overwritten where
                it is contiguous.
        """
        weight = self.arrays["weight"]
        down, up = self.downsample, self.upsample
        _check_map(x, weight.shape[3] // down**2, down)
        height, width, outputs = x.shape[0] // down, x.shape[1] // down, len(weight) // up**2
        shape = up * height, up * width, outputs
        if add_to is not None and (add_to.shape != shape or add_to.dtype != torch.float32):
            raise InvalidInput(
                f"quantized layer: the map to add to is {add_to.dtype} of shape {tuple(add_to.shape)}; "
                f"expected float32 {shape}"
            )
        if x.device.type != "cpu":
            y = self.reference(x)
            return y if add_to is None else add_to + y
        if add_to is not None:
            y = add_to.contiguous()
        else:
            y = scratch.room(self, shape) if scratch else x.new_empty(shape)
        self._native.forward(x.contiguous().numpy(), y.numpy(), add_to is not None, torch.get_num_threads())
        return y

    def reference(self, x: Tensor) -> Tensor:
        """The same in plain torch, on any device."""
        a = self._tensors(x.device)
        sums = _convolve(_codes(space_to_depth(x, self.downsample) * a["scale"], self.limit), a["weight"])
        return depth_to_space(sums.float() * a["multiplier"] + a["bias"], self.upsample)


class QuantizedPartialBlock(_Layer):
    """Residual block: 3 x 3 convolution on the first ``part`` channels, then a two-layer pointwise network.

        codes = [code(conv(part_codes) * spatial_multiplier), code(x[part:] * scale[part:])]
        hidden = clamp(round(expand(codes) * expand_multiplier + hidden_bias), 0, hidden_limit)
        x = x + (project(hidden) * project_multiplier + project_bias)

    ``part_codes = code(x[:part] * part_scale)``, and ``code`` rounds and clamps to -limit..limit. A partial
    convolution (Chen et al. 2023, FasterNet) costs a sixteenth of a full one.

    Args:
        spatial: int16 [part, 3, 3, part].
        part_scale, spatial_multiplier: float32 [part].
        expand: int16 [hidden, channels].
        scale: float32 [channels].
        expand_multiplier: float32 [hidden].
        project: int16 [channels, hidden], within int8 if hidden_limit is at most 255.
        project_multiplier, project_bias: float32 [channels].
        limit: largest code of the two inputs, up to 32767.
        hidden_limit: largest hidden code, up to 32767.
        simd: level to run at, the highest by default.

    Raises:
        InvalidInput: shapes that do not fit, or weights whose sum could overflow int32.
    """

    def __init__(
        self,
        spatial: np.ndarray,
        part_scale: np.ndarray,
        spatial_multiplier: np.ndarray,
        expand: np.ndarray,
        scale: np.ndarray,
        expand_multiplier: np.ndarray,
        project: np.ndarray,
        project_multiplier: np.ndarray,
        project_bias: np.ndarray,
        limit: int = CODE_LIMIT,
        hidden_limit: int = NARROW_LIMIT,
        simd: str = "",
    ):
        super().__init__(
            {
                "spatial": spatial,
                "part_scale": part_scale,
                "spatial_multiplier": spatial_multiplier,
                "expand": expand,
                "scale": scale,
                "expand_multiplier": expand_multiplier,
                "project": np.asarray(project, np.int16),
                "project_multiplier": project_multiplier,
                "project_bias": project_bias,
            }
        )
        self.limit, self.hidden_limit = limit, hidden_limit
        self._native = native().QuantizedPartialBlock(
            **self.arrays, limit=limit, hidden_limit=hidden_limit, simd=simd
        )

    def __call__(self, x: Tensor, hidden_bias: Tensor) -> Tensor:  # [H, W, channels], [hidden]
        """The block on one map, which on a CPU is overwritten where it is contiguous."""
        _check_map(x, self.arrays["expand"].shape[1])
        if x.device.type != "cpu":
            return self.reference(x, hidden_bias)
        x = x.contiguous()
        self._native.forward(x.numpy(), hidden_bias.numpy(), torch.get_num_threads())
        return x

    def reference(self, x: Tensor, hidden_bias: Tensor) -> Tensor:
        """The same in plain torch, on any device; ``x`` stays as it is."""
        a = self._tensors(x.device)
        part = len(a["spatial"])
        sums = _convolve(_codes(x[..., :part] * a["part_scale"], self.limit), a["spatial"])
        codes = torch.cat(
            [
                _codes(sums.float() * a["spatial_multiplier"], self.limit),
                _codes(x[..., part:] * a["scale"][part:], self.limit),
            ],
            -1,
        )
        sums = _convolve(codes, a["expand"][:, None, None])
        hidden = (sums.float() * a["expand_multiplier"] + hidden_bias).round().clamp(0, self.hidden_limit)
        sums = _convolve(hidden, a["project"][:, None, None])
        return x + (sums.float() * a["project_multiplier"] + a["project_bias"])


def space_to_depth(x: Tensor, side: int) -> Tensor:
    """[H, W, C] to [H / side, W / side, side * side * C], channels ordered by row, column, channel."""
    h, w, c = x.shape
    blocks = x.reshape(h // side, side, w // side, side, c).permute(0, 2, 1, 3, 4)
    return blocks.reshape(h // side, w // side, side * side * c)


def depth_to_space(x: Tensor, side: int) -> Tensor:
    """The inverse of `space_to_depth`."""
    h, w, c = x.shape
    blocks = x.reshape(h, w, side, side, c // side**2).permute(0, 2, 1, 3, 4)
    return blocks.reshape(h * side, w * side, c // side**2)


def _codes(x: Tensor, limit: int) -> Tensor:
    return x.round().clamp(-limit, limit)


def _convolve(codes: Tensor, weight: Tensor) -> Tensor:  # [H, W, inputs], [outputs, k, k, inputs]
    """Exact sums [H, W, outputs] in float64: they fit int32. Matrix products, because a library may compute a
    convolution by way of fractions (Winograd, FFT).
    """
    height, width, _ = codes.shape
    side = weight.shape[1]
    x = F.pad(codes.double(), (0, 0, *[side // 2] * 4))
    taps = [
        x[i : i + height, j : j + width] @ weight[:, i, j].double().T
        for i in range(side)
        for j in range(side)
    ]
    return torch.stack(taps).sum(0)


def _check_map(x: Tensor, channels: int, side: int = 1) -> None:
    whole = x.ndim == 3 and x.shape[0] % side == 0 and x.shape[1] % side == 0
    if not whole or x.shape[2] != channels or x.dtype != torch.float32:
        multiples = f", height and width multiples of {side}" if side > 1 else ""
        raise InvalidInput(
            f"quantized layer: the map is {x.dtype} of shape {tuple(x.shape)}; "
            f"expected float32 [height, width, {channels}]{multiples}"
        )
