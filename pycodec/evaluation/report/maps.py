"""Heat maps and latent channels of an inspected file as pictures (after Mentzer et al. 2018, Fig. 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pycodec.evaluation.report.scene import Channel, HeatMap, Inside, Version, lossless

if TYPE_CHECKING:
    from pycodec.evaluation.inspection import Inspection

CHANNELS = 16  # as many are shown
_HEAT, _SHARE, _SIGNED = "magma", "viridis", "RdBu_r"


def inside(label: str, found: Inspection) -> Inside:
    """The maps and the strongest channels of a file."""
    maps = []
    if (bits := found.bits_per_position) is not None:
        maps.append(_heat_map("Bits per position", bits, 0.0, float(bits.max(initial=0)), "bits", _HEAT))
    if found.importance is not None:
        most = found.symbols.shape[0]
        maps.append(_heat_map("Importance", found.importance * most, 0.0, float(most), "channels", _SHARE))
    return Inside(
        label,
        tuple(maps),
        tuple(_channels(found)),
        _summary(found),
        lossless(_coloured(np.linspace(0, 1, 64)[None], _SIGNED)),
        (found.symbols.shape[2], found.symbols.shape[1]),
        found.stride,
    )


def as_versions(inside: Inside, width: int, height: int) -> tuple[Version, ...]:
    """The heat maps beside the picture of that size, for the viewer."""
    return tuple(
        Version(
            f"{one.title}, {inside.label}",
            one.enlarged(inside.stride, width, height),
            (("from", one.low), ("to", one.high)),
            map=True,
        )
        for one in inside.maps
    )


def _heat_map(title: str, values: np.ndarray, low: float, high: float, unit: str, colours: str) -> HeatMap:
    scaled = (values - low) / (high - low) if high > low else np.zeros_like(values)
    legend = lossless(_coloured(np.linspace(0, 1, 64)[None], colours))
    return HeatMap(title, _coloured(scaled, colours), legend, f"{low:.0f} {unit}", f"{high:.0f} {unit}")


def _channels(found: Inspection) -> list[Channel]:
    """The channels that take most bits, or vary most where bits are not known."""
    symbols = found.symbols.astype(np.float64)  # [C, h, w]
    if found.bits is None:
        weight = symbols.var((1, 2))
        captions = [f"variance {value:.3g}" for value in weight]
    else:
        weight = found.bits.sum((1, 2))
        captions = [f"{value / 8:.0f} bytes" for value in weight]
    shown = []
    for c in np.argsort(-weight, kind="stable")[:CHANNELS]:
        plane = symbols[c] - np.median(symbols[c])
        reach = max(float(np.quantile(np.abs(plane), 0.995)), 1.0)
        picture = _coloured((plane / reach + 1) / 2, _SIGNED)
        shown.append(Channel(f"channel {c}", lossless(picture), captions[c]))
    return shown


def _summary(found: Inspection) -> str:
    channels, height, width = found.symbols.shape
    stride = found.stride
    text = f"{channels} channels of {width} × {height} symbols, one position for {stride} × {stride} pixels"
    if found.bits is None:
        return f"{text}."
    per_channel = found.bits.sum((1, 2))
    half = int(np.searchsorted(np.cumsum(np.sort(per_channel)[::-1]), per_channel.sum() / 2)) + 1
    empty = int((np.ptp(found.symbols.reshape(channels, -1), axis=1) == 0).sum())
    text += f"; {found.bits.sum() / 8:.0f} bytes by their probabilities, half of these in {half} channels"
    return f"{text}; {empty} hold one value throughout." if empty else f"{text}."


def _coloured(values: np.ndarray, colours: str) -> np.ndarray:  # [h, w] in 0..1 to [h, w, 3] uint8
    from matplotlib import colormaps

    rgb: np.ndarray = colormaps[colours](values.clip(0, 1), bytes=True)[..., :3]
    return np.ascontiguousarray(rgb)
