"""`ContextNetwork` in integers, by the rule of hyperprior's `integer_layer`.

Values enter in units of 1 / FRACTION and become codes of -127..127 by a stored table, the squash of the float
network. Between the blocks they are fixed-point numbers of the same unit, to which each block adds; what
enters a layer there is

    code = clamp((value * scale + 2^15) >> 16, -127, 127)                in 64 bits

with an integer scale for each channel. Weights are 8-bit. Codes and weights are small integers and sums stay
below 2^24: native layers, torch on any device and plain numpy give the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pycodec.errors import InvalidInput
from pycodec_plugins.hyperprior import (
    CODE_LIMIT,
    FRACTION,
    MARGIN,
    Arrays,
    IntegerLayer,
    largest_inputs,
    layer_arrays,
)

from .context import INPUT_LIMIT, ContextNetwork
from .quadtree import PASSES

SIGNED_LIMIT = 127
WEIGHT_LIMIT = 127
SQUASH_SHIFT = 4  # steps of the table are 1 / 16
SQUASH_RADIUS = int(INPUT_LIMIT * FRACTION) >> SQUASH_SHIFT
SQUASH_UNIT = float(np.arcsinh(INPUT_LIMIT)) / SIGNED_LIMIT
SCALE_SHIFT = 16
LEAST = 1e-2  # of the largest activation of a channel: keeps scales within 22 bits
FIXED = 1 / FRACTION


class DepthwiseLayer(IntegerLayer):
    """3 x 3, every channel by itself; weights [channels, 3, 3]."""

    dimensions = 3

    def exact_sums(self) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        return self._sums, self._sums

    def _sums(self, codes: Tensor) -> Tensor:  # [h, w, channels]
        # No convolution of a library: that may go by way of fractions.
        height, width, _ = codes.shape
        weight = torch.from_numpy(self.weight.transpose(1, 2, 0).astype(np.float32)).to(codes.device)
        sums = torch.from_numpy(self.bias.astype(np.float32)).to(codes.device).expand(codes.shape).clone()
        padded = F.pad(codes, (0, 0, 1, 1, 1, 1))
        for r in range(3):
            for c in range(3):
                sums.addcmul_(padded[r : r + height, c : c + width], weight[r, c])
        return sums

    def tap(self, codes: np.ndarray, row: int, column: int) -> np.ndarray:
        return codes * self.weight[:, row, column].astype(np.int64)


class _Block(NamedTuple):
    expand: IntegerLayer
    spatial: DepthwiseLayer
    project: IntegerLayer


class IntegerContext:
    """Runs the arrays that `context_arrays` made.

    Raises:
        InvalidInput: arrays that are missing or do not fit, or whose sums could reach 2^24.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self.arrays = dict(arrays)
        self._adapt = [IntegerLayer(arrays, f"adapt.{i}", SIGNED_LIMIT) for i in range(PASSES - 1)]
        depth = len({name.split(".")[1] for name in arrays if name.startswith("blocks.")})
        self._blocks = [
            _Block(
                IntegerLayer(arrays, f"blocks.{i}.expand", SIGNED_LIMIT),
                DepthwiseLayer(arrays, f"blocks.{i}.spatial"),
                IntegerLayer(arrays, f"blocks.{i}.project"),
            )
            for i in range(depth)
        ]
        try:  # of what enters each block, and the head
            self._scales = [
                arrays[f"{name}.scale"] for name in (*(f"blocks.{i}" for i in range(depth)), "head")
            ]
        except KeyError as error:
            raise InvalidInput(f"integer context: the array {error} is missing") from error
        self._head = IntegerLayer(arrays, "head", SIGNED_LIMIT)
        entered = [*(block.expand for block in self._blocks), self._head]
        for scale, layer in zip(self._scales, entered, strict=True):
            inputs = layer.weight.shape[-1:]
            if scale.dtype != np.int64 or scale.shape != inputs or scale.min() < 0:
                raise InvalidInput(
                    f"integer context: a scale is {scale.dtype} {scale.shape}, expected int64 "
                    f"{inputs}, none below 0"
                )
        self._squash = arrays.get("squash", np.zeros(0, np.int8))
        if self._squash.dtype != np.int8 or self._squash.shape != (2 * SQUASH_RADIUS + 1,):
            raise InvalidInput(
                f"integer context: squash is {self._squash.dtype} {self._squash.shape}, expected int8 "
                f"{(2 * SQUASH_RADIUS + 1,)}"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return IntegerContext, (self.arrays,)

    def __call__(self, number: int, prior: Tensor, known: Tensor, portable: bool = False) -> Tensor:
        """What to add to the prior in pass ``number``; all int64 [channels, H, W], in 1 / FRACTION; portable
        as `IntegerLayer` is.
        """
        inputs = torch.cat([prior, known]).permute(1, 2, 0)
        table = torch.from_numpy(self._squash).to(inputs.device, torch.float32)
        scales = [torch.from_numpy(scale).to(inputs.device) for scale in self._scales]
        call = functools.partial(IntegerLayer.__call__, portable=portable)
        return self._run(number, inputs, table, scales, call).permute(2, 0, 1)

    def reference(self, number: int, prior: np.ndarray, known: np.ndarray) -> np.ndarray:
        """The same in plain numpy."""
        inputs = np.concatenate([prior, known]).transpose(1, 2, 0)
        run = self._run(number, inputs, self._squash, self._scales, IntegerLayer.reference)
        return run.transpose(2, 0, 1)

    def _run(self, number: int, inputs: Any, table: Any, scales: Any, call: Callable[..., Any]) -> Any:
        """Of arrays or tensors [H, W, 2 channels]."""
        steps = inputs + ((SQUASH_RADIUS << SQUASH_SHIFT) + (1 << (SQUASH_SHIFT - 1)))
        steps >>= SQUASH_SHIFT
        x = call(self._adapt[number - 1], table[steps.clip(0, 2 * SQUASH_RADIUS)])
        for block, scale in zip(self._blocks, scales[:-1], strict=True):
            hidden = call(block.expand, _codes(x, scale)).clip(0, CODE_LIMIT)
            hidden = call(block.spatial, hidden).clip(0, CODE_LIMIT)
            x = x + call(block.project, hidden)
        return call(self._head, _codes(x, scales[-1]))


def _codes(values: Any, scale: Any) -> Any:
    scaled = values * scale
    scaled += 1 << (SCALE_SHIFT - 1)
    scaled >>= SCALE_SHIFT
    return scaled.clip(-SIGNED_LIMIT, SIGNED_LIMIT)


@torch.no_grad()
def context_arrays(network: ContextNetwork, run: Callable[[], None]) -> Arrays:
    """Arrays of an `IntegerContext` from a trained network.

    Args:
        network: float.
        run: calls the network as it is called for training images; on these the largest activation of each
            channel is measured.
    """
    with largest_inputs(network) as inputs:
        run()
    steps = np.arange(-SQUASH_RADIUS, SQUASH_RADIUS + 1) / (FRACTION >> SQUASH_SHIFT)
    arrays = {"squash": np.rint(np.arcsinh(steps) / SQUASH_UNIT).astype(np.int8)}

    def add(name: str, layer: nn.Module, entering: Any, leaving: Any, limit: int) -> None:
        weight = layer.weight.double().numpy()
        weight = weight[:, 0] if layer.groups > 1 else weight.transpose(0, 2, 3, 1)
        weight = weight * (entering[:, None, None] if layer.groups > 1 else entering)
        found = layer_arrays(weight, layer.bias.double().numpy(), leaving, limit, WEIGHT_LIMIT)
        arrays.update({f"{name}.{key}": array for key, array in found.items()})

    def unit(name: str, limit: int) -> np.ndarray:
        """Of a code that enters the convolution of that name."""
        return MARGIN * np.maximum(inputs[name], LEAST) / limit

    def scaled(name: str, first: str) -> np.ndarray:
        """Unit of the codes made of fixed-point values before a convolution."""
        wanted = unit(first, SIGNED_LIMIT)
        arrays[f"{name}.scale"] = np.rint(FIXED / wanted * (1 << SCALE_SHIFT)).astype(np.int64)
        return wanted

    for i, layer in enumerate(network.adapt):
        add(f"adapt.{i}", layer, SQUASH_UNIT, FIXED, SIGNED_LIMIT)
    for i, block in enumerate(network.blocks):
        name = f"blocks.{i}"
        hidden, filtered = (unit(f"{name}.{part}", CODE_LIMIT) for part in ("spatial", "project"))
        add(f"{name}.expand", block.expand, scaled(name, f"{name}.expand"), hidden, SIGNED_LIMIT)
        add(f"{name}.spatial", block.spatial, hidden, filtered, CODE_LIMIT)
        add(f"{name}.project", block.project, filtered, FIXED, CODE_LIMIT)
    add("head", network.head, scaled("head", "head"), FIXED, SIGNED_LIMIT)
    return arrays
