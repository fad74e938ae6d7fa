"""Codecs that are about to be measured, and what their results depend on."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from pycodec.errors import InvalidInput
from pycodec.evaluation import spec
from pycodec.evaluation.results import key
from pycodec.evaluation.spec import ImageCodec

_SAME = ("version", "fingerprint", "device", "threads")  # of a codec, for its rows to hold


@dataclass(frozen=True)
class Subject:
    """A codec about to be measured.

    Attributes:
        spec: its name in results.
        codec: the codec, working on its device.
        settings: qualities to measure it at.
        entry: what a results document says of it.
    """

    spec: str
    codec: ImageCodec
    settings: list[float]
    entry: dict[str, Any]

    @property
    def key(self) -> str:
        """Differs where its rows may."""
        return codec_key(self.entry)


def load_subject(
    name: str, settings: Sequence[float] | None = None, device: str = "cpu", threads: int | None = None
) -> Subject:
    """The codec of a spec, ready to be measured.

    Args:
        name: the spec.
        settings: instead of those the codec declares.
        device: where it works, if it can work elsewhere than on the CPU.
        threads: what `torch.set_num_threads` was told, for the record.

    Raises:
        InvalidInput: a setting beyond the qualities that the codec declares.
        InvalidInput, UnknownComponent, MissingWeights, PluginError: as `pycodec.evaluation.spec.load_codec`.
    """
    codec = spec.load_codec(name)
    chosen = list(settings) if settings is not None else spec.settings_of(codec)
    low, high = getattr(codec, "qualities", None) or (-math.inf, math.inf)
    for setting in chosen:
        if not low <= setting <= high:
            raise InvalidInput(f"{name} has no setting {setting:g}; expected {low:g} to {high:g}")
    if device != "cpu" and "device" in inspect.signature(codec.compress).parameters:
        working: ImageCodec = _OnDevice(codec, device)
    else:
        working, device = codec, "cpu"
    entry = {**spec.describe(name, codec, chosen), "device": device, "threads": threads}
    return Subject(name, working, chosen, entry)


def codec_key(entry: Mapping[str, Any]) -> str:
    """Key of a codec, from what a results document says of it."""
    environment = entry.get("environment") or {}
    return key({name: entry.get(name, environment.get(name)) for name in _SAME})


class _OnDevice:
    def __init__(self, codec: Any, device: str):
        self.codec, self.device = codec, device

    def compress(self, image: Any, quality: float) -> bytes:
        data: bytes = self.codec.compress(image, quality=quality, device=self.device)
        return data

    def decompress(self, data: bytes) -> Image.Image:
        return self.codec.decompress(data, device=self.device)
