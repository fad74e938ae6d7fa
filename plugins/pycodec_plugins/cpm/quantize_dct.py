"""From a trained ResidualDCT to the integers of a QuantizedResidualDCT."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from pycodec import weights
from pycodec.errors import WeightsMismatch
from pycodec.ops.quantized import CODE_LIMIT, NARROW_LIMIT, code_scale, integer_weight

from .quantized_dct import (
    COEFFICIENT_LIMIT,
    DECODER_HIDDEN_LIMIT,
    ENCODER_HIDDEN_LIMIT,
    PIXEL_LIMIT,
    QUALITY_STEPS,
    Arrays,
)
from .residual_dct import COEFFICIENT_UNIT, PIXEL_UNIT, RESIDUAL_UNIT, PartialBlock, ResidualDCT

# Codes reach beyond the largest input that calibration saw: clamping one costs more than coarser codes do.
MARGIN, HIDDEN_MARGIN = 1.5, 1.3
LARGEST_HIDDEN = 4.0  # activation of networks made of integers, in a magnitude that trains well
# What one of their hidden units could reach at most, by its weights and the largest inputs; those that
# calibration saw active stay far below, and the others are orders above.
LARGEST_REACH = 1000.0
# Coefficients enter the inverse DCT in eighths of a grey level, up to 2047: finer than 8-bit pixels can show.
COEFFICIENT_SCALE = 8.0


@torch.no_grad()
def input_ranges(transform: ResidualDCT, images: Iterable[tuple[Tensor, float]]) -> Arrays:
    """Largest magnitude of each input channel of every convolution of the two networks, by module name.

    Args:
        images: ([1, 3, H, W] in -128..127, quality).
    """
    ranges: Arrays = {}
    with _watched(transform, ranges):
        for x, q in images:
            quality = torch.tensor([q])
            transform.synthesis(transform.analysis(x, quality).round(), quality)
    return ranges


@contextmanager
def _watched(transform: ResidualDCT, ranges: Arrays) -> Iterator[None]:
    def watch(name: str, _: nn.Module, inputs: tuple[Tensor]) -> None:
        largest = inputs[0].abs().amax((0, 2, 3)).numpy()
        ranges[name] = np.maximum(ranges.get(name, 0.0), largest)

    hooks = [
        module.register_forward_pre_hook(partial(watch, name))
        for name, module in transform.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def quantize(transform: ResidualDCT, ranges: Arrays, quality_steps: range) -> Arrays:
    """Arrays of a `QuantizedResidualDCT`.

    Args:
        transform: trained.
        ranges: see `input_ranges`.
        quality_steps: that have a row of gains and one of steps, in sixteenths of a quality.
    """
    quality = torch.tensor([step / QUALITY_STEPS for step in quality_steps])
    arrays: Arrays = {
        "gain": transform.log_gain(quality).double().exp().float().numpy(),
        "step": transform.log_step(quality).double().exp().float().numpy(),
    }

    def add(name: str, layer: Arrays) -> None:
        arrays.update({f"{name}.{key}": array for key, array in layer.items()})

    def add_blocks(name: str, first: int, count: int) -> None:
        for i in range(first, first + count):
            path = f"{name.split('.')[0]}.{i}"
            block = _block(transform.get_submodule(path), path, ranges, hidden_limit(name))
            add(f"{name}.{i - first}", block)

    def scale_of(path: str) -> np.ndarray:
        return code_scale(MARGIN * ranges[path])

    block, half, fine_depth = transform.stride, transform.stride // 2, transform.fine_depth
    pixels = np.ones(3, np.float32)
    kernel = _rows(transform.analysis_dct)
    add("dct", _conv(_patches(kernel), None, np.tile(pixels, block**2), limit=PIXEL_LIMIT))

    encoder, last = transform.encoder, len(transform.encoder) - 1
    first, down = encoder[1], encoder[2 + fine_depth]
    weight = _rows(_channels_innermost(first.weight, 1, half)) / PIXEL_UNIT
    add("encoder.first", _conv(weight, first.bias, np.tile(pixels, half**2), limit=PIXEL_LIMIT))
    add_blocks("encoder.fine", 2, fine_depth)
    scale = np.tile(scale_of(f"encoder.{2 + fine_depth}"), 4)
    add("encoder.down", _conv(_patches(_rows(down.weight)), down.bias, scale))
    add_blocks("encoder.coarse", 3 + fine_depth, last - 3 - fine_depth)
    weight, bias = _rows(encoder[last].weight), encoder[last].bias
    add("encoder.last", _conv(weight, bias, scale_of(f"encoder.{last}"), gain=RESIDUAL_UNIT))

    decoder, last = transform.decoder, len(transform.decoder) - 2
    coarse = last - 3 - fine_depth
    up = decoder[coarse + 1]
    weight = _rows(decoder[0].weight) / COEFFICIENT_UNIT
    add("decoder.first", _conv(weight, decoder[0].bias, scale_of("decoder.0") / COEFFICIENT_UNIT))
    add_blocks("decoder.coarse", 1, coarse)
    weight, bias = (_channels_innermost(t, 0, 2) for t in (up.weight, up.bias))
    add("decoder.up", _conv(_rows(weight), bias, scale_of(f"decoder.{coarse + 1}")))
    add_blocks("decoder.fine", coarse + 3, fine_depth)
    weight, bias = (_channels_innermost(t, 0, half) for t in (decoder[last].weight, decoder[last].bias))
    add("decoder.last", _conv(_rows(weight), bias, scale_of(f"decoder.{last}"), gain=RESIDUAL_UNIT))

    kernel = transform.synthesis_dct.permute(2, 3, 1, 0).reshape(3 * block**2, 1, 1, -1).double().numpy()
    scale = np.full(kernel.shape[3], COEFFICIENT_SCALE, np.float32)
    add("inverse_dct", _conv(kernel, None, scale, limit=COEFFICIENT_LIMIT))
    return arrays


@torch.no_grad()
def load_quantized(transform: ResidualDCT, arrays: Arrays) -> None:
    """The inverse of `quantize`: float weights of what the integers compute, to train on.

    Hidden layers come back with other, equivalent units: those of a code are not kept.

    Raises:
        WeightsMismatch: they are of a transform of another size.
    """
    _check_size(transform, arrays)
    quality = range(transform.log_gain.table.shape[0])
    rows = [QUALITY_STEPS * q for q in quality]
    transform.log_gain.table.copy_(torch.from_numpy(arrays["gain"][rows]).log())
    transform.log_step.table.copy_(torch.from_numpy(arrays["step"][rows]).log())
    half, fine_depth = transform.stride // 2, transform.fine_depth

    def conv(name: str, gain: float = 1.0) -> tuple[Tensor, Tensor]:
        """Weights [outputs, inputs, k, k] and biases."""
        layer = {key: arrays[f"{name}.{key}"].astype(np.float64) for key in ("scale", "multiplier", "bias")}
        weight = arrays[f"{name}.weight"] * layer["multiplier"][:, None, None, None] * layer["scale"] / gain
        return torch.from_numpy(weight.transpose(0, 3, 1, 2)), torch.from_numpy(layer["bias"] / gain)

    def set_layer(layer: nn.Module, weight: Tensor, bias: Tensor) -> None:
        layer.weight.copy_(weight.reshape(layer.weight.shape))
        layer.bias.copy_(bias)

    def set_blocks(name: str, first: int, count: int) -> None:
        network = transform.get_submodule(name.split(".")[0])
        for i in range(count):
            layer = weights.under(arrays, f"{name}.{i}.")
            _load_block(network[first + i], layer, hidden_limit(name))

    # Patches of `space_to_depth` are rows, columns, channels; those of torch are channels, rows, columns.
    def from_patches(weight: Tensor, side: int) -> Tensor:
        return weight.reshape(len(weight), side, side, -1).permute(0, 3, 1, 2)

    transform.analysis_dct.copy_(from_patches(conv("dct")[0], transform.stride))
    encoder, last = transform.encoder, len(transform.encoder) - 1
    weight, bias = conv("encoder.first")
    weight = _channels_outermost(weight, 1, half)
    set_layer(encoder[1], weight * PIXEL_UNIT, bias)
    set_blocks("encoder.fine", 2, fine_depth)
    weight, bias = conv("encoder.down")
    set_layer(encoder[2 + fine_depth], from_patches(weight, 2), bias)
    set_blocks("encoder.coarse", 3 + fine_depth, last - 3 - fine_depth)
    set_layer(encoder[last], *conv("encoder.last", RESIDUAL_UNIT))

    decoder, last = transform.decoder, len(transform.decoder) - 2
    coarse = last - 3 - fine_depth
    weight, bias = conv("decoder.first")
    set_layer(decoder[0], weight * COEFFICIENT_UNIT, bias)
    set_blocks("decoder.coarse", 1, coarse)
    set_layer(decoder[coarse + 1], *(_channels_outermost(t, 0, 2) for t in conv("decoder.up")))
    set_blocks("decoder.fine", coarse + 3, fine_depth)
    set_layer(decoder[last], *(_channels_outermost(t, 0, half) for t in conv("decoder.last", RESIDUAL_UNIT)))
    weight, _ = conv("inverse_dct")
    transform.synthesis_dct.copy_(
        weight.reshape(transform.stride, transform.stride, 3, -1).permute(3, 2, 0, 1)
    )


def hidden_limit(name: str) -> int:
    """Largest hidden code of the blocks of that name."""
    return ENCODER_HIDDEN_LIMIT if name.startswith("encoder.") else DECODER_HIDDEN_LIMIT


def _conv(
    weight: np.ndarray,  # [outputs, k, k, inputs]
    bias: Tensor | None,
    scale: np.ndarray,
    limit: int = CODE_LIMIT,
    gain: float = 1.0,
) -> Arrays:
    integers, unit = integer_weight(weight, scale, limit)
    offset = np.zeros(len(weight)) if bias is None else bias.double().numpy()
    return {
        "weight": integers,
        "scale": scale.astype(np.float32),
        "multiplier": (unit * gain).astype(np.float32),
        "bias": (offset * gain).astype(np.float32),
    }


def _block(block: PartialBlock, path: str, ranges: Arrays, hidden_limit: int) -> Arrays:
    part_scale, scale = (code_scale(MARGIN * ranges[f"{path}.{name}"]) for name in ("spatial", "expand"))
    hidden_scale = code_scale(HIDDEN_MARGIN * ranges[f"{path}.project"], hidden_limit)
    spatial, spatial_unit = integer_weight(_rows(block.spatial.weight), part_scale, CODE_LIMIT)
    expand, expand_unit = integer_weight(_rows(block.expand.weight)[:, 0, 0], scale, CODE_LIMIT)
    weights = np.dtype(np.int8 if hidden_limit <= NARROW_LIMIT else np.int16)
    project, project_unit = integer_weight(
        _rows(block.project.weight)[:, 0, 0], hidden_scale, hidden_limit, np.iinfo(weights).max
    )
    floats = {
        "part_scale": part_scale,
        "spatial_multiplier": spatial_unit * scale[: block.part],
        "scale": scale,
        "expand_multiplier": expand_unit * hidden_scale,
        "bias": block.bias.table.numpy() * hidden_scale,
        "project_multiplier": project_unit,
        "project_bias": block.project.bias.numpy(),
    }
    integers = {"spatial": spatial, "expand": expand, "project": project.astype(weights)}
    return integers | {name: array.astype(np.float32) for name, array in floats.items()}


def _check_size(transform: ResidualDCT, arrays: Arrays) -> None:
    def depth(name: str) -> int:
        return len({key.split(".")[2] for key in arrays if key.startswith(f"{name}.")})

    own = transform.config()
    own["channels"] = transform.channels
    found = {
        "qualities": (len(arrays["gain"]) - 1) // QUALITY_STEPS + 1,
        "channels": arrays["gain"].shape[1],
        "block": math.isqrt(len(arrays["inverse_dct.weight"]) // 3),
        "fine": len(arrays["encoder.first.weight"]),
        "coarse": len(arrays["decoder.first.weight"]),
        "fine_depth": depth("encoder.fine"),
        "encoder_depth": depth("encoder.coarse"),
        "decoder_depth": depth("decoder.coarse"),
    }
    if other := {name: size for name, size in found.items() if size != own[name]}:
        raise WeightsMismatch(
            f"the weights are of a transform with {_sizes(other)}, this one has "
            f"{_sizes({name: own[name] for name in other})}; take weights of the same size"
        )


def _sizes(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name} = {size}" for name, size in sizes.items())


def _load_block(block: PartialBlock, arrays: Arrays, hidden_limit: int) -> None:
    unit = LARGEST_HIDDEN / hidden_limit  # of a hidden code
    part, scale = block.part, arrays["scale"].astype(np.float64)

    def weight(name: str, outputs: np.ndarray, inputs: np.ndarray | float) -> Tensor:
        integers = arrays[name].reshape(len(outputs), -1, arrays[name].shape[-1])
        rows = integers * np.asarray(outputs, np.float64)[:, None, None] * inputs
        return torch.from_numpy(rows.transpose(0, 2, 1))

    spatial = weight("spatial", arrays["spatial_multiplier"] / scale[:part], arrays["part_scale"])
    block.spatial.weight.copy_(spatial.reshape(block.spatial.weight.shape))
    expand = weight("expand", arrays["expand_multiplier"] * unit, scale)
    # Units that calibration hardly saw active have codes for next to nothing, so weights of any size: what
    # they would add when they are active is not known, and is left at what the codes say.
    largest_input = torch.from_numpy(CODE_LIMIT / MARGIN / scale)
    reach = (expand.abs() * largest_input[:, None]).sum((1, 2))
    usual = reach[reach < LARGEST_REACH].median() if (reach < LARGEST_REACH).any() else LARGEST_HIDDEN
    excess = torch.where(reach < LARGEST_REACH, 1.0, reach / usual)
    block.expand.weight.copy_((expand / excess[:, None, None]).reshape(block.expand.weight.shape))
    project = weight("project", arrays["project_multiplier"], 1 / unit)
    block.project.weight.copy_(project.reshape(block.project.weight.shape))
    block.project.bias.copy_(torch.from_numpy(arrays["project_bias"]))
    block.bias.table.copy_(torch.from_numpy(arrays["bias"] * unit) / excess)


def _channels_outermost(tensor: Tensor, axis: int, side: int) -> Tensor:
    """The inverse of `_channels_innermost`."""
    shape = tensor.shape
    split = tensor.reshape(*shape[:axis], side * side, -1, *shape[axis + 1 :])
    return split.transpose(axis, axis + 1).reshape(shape)


def _rows(weight: Tensor) -> np.ndarray:
    """[outputs, inputs, k, k] to [outputs, k, k, inputs], float64."""
    return weight.permute(0, 2, 3, 1).double().numpy()


def _patches(weight: np.ndarray) -> np.ndarray:
    """A convolution whose stride is its size as a pointwise one on patches, see `space_to_depth`."""
    return weight.reshape(len(weight), 1, 1, -1)


def _channels_innermost(tensor: Tensor, axis: int, side: int) -> Tensor:
    """From torch's order of pixel shuffling, (channel, row, column), to that of `space_to_depth`."""
    shape = tensor.shape
    split = tensor.reshape(*shape[:axis], -1, side * side, *shape[axis + 1 :])
    return split.transpose(axis, axis + 1).reshape(shape)
