"""Looking into a learned codec's file: its symbols, where its bits are, what its importance map allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pycodec.codec import Codec
    from pycodec.images import ImageLike


@dataclass(frozen=True)
class Inspection:
    """What a file holds, position by position.

    Attributes:
        symbols: int32 [C, h, w], the integers that are coded.
        bits: float64 [C, h, w], ideal code length of each under the integer tables; None where the entropy
            model does not say (`pycodec.types.InspectableEntropyModel`).
        importance: float32 [h, w], share of the channels that a position may use; None where the transform
            has no such map, or the original is not at hand.
        stride: pixels per position, both ways.
    """

    symbols: np.ndarray
    bits: np.ndarray | None
    importance: np.ndarray | None
    stride: int

    @property
    def bits_per_position(self) -> np.ndarray | None:
        """Bits of all channels together: float64 [h, w]."""
        return None if self.bits is None else self.bits.sum(0)


def is_inspectable(codec: object) -> bool:
    """Whether ``codec`` is made of the three parts of a `pycodec.Codec`, so that there is a latent to see."""
    return all(hasattr(codec, name) for name in ("symbols", "file_symbols", "importance", "entropy_model"))


def inspect_image(codec: Codec, image: ImageLike, quality: float | None = None) -> Inspection:
    """What the file of ``image`` would hold.

    Raises:
        InvalidInput: an image or quality that the codec cannot take.
    """
    importance = codec.importance(image, quality)
    return _inspection(codec, codec.symbols(image, quality), codec.quality_step(quality), importance)


def inspect_file(codec: Codec, data: bytes, original: ImageLike | None = None) -> Inspection:
    """What a .pci file holds; the importance map, which no file carries, comes from the ``original``.

    Raises:
        CorruptStream, UnsupportedVersion, WeightsMismatch: as `pycodec.Codec.decompress`.
    """
    from pycodec import bitstream

    step = bitstream.parse_header(data)[0].quality_step
    importance = None if original is None else codec.importance(original, step / 16)
    return _inspection(codec, codec.file_symbols(data), step, importance)


def _inspection(codec: Codec, symbols: np.ndarray, step: int, importance: np.ndarray | None) -> Inspection:
    model: Any = codec.entropy_model
    bits = model.code_lengths(symbols, step) if hasattr(model, "code_lengths") else None
    return Inspection(symbols, bits, importance, codec.transform.stride)
