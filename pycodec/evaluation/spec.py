"""Codecs and metrics as the command line writes them: ``NAME[+KEY=VALUE]...``."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Protocol

from PIL import Image

from pycodec import loading
from pycodec.errors import InvalidInput
from pycodec.runtime import get_runtime

_OPTION = re.compile(r"\+(?=[A-Za-z_]\w*=)")  # a plus sign within a value starts no option
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class ImageCodec(Protocol):
    """What can be measured: any component of the kind ``codec``, see `pycodec.types.Codec`."""

    def compress(self, image: Any, quality: float) -> bytes: ...

    def decompress(self, data: bytes) -> Image.Image: ...


def parse(spec: str) -> tuple[str, dict[str, Any]]:
    """Name and options of a spec: ``"jpeg+subsampling=4:2:0"`` -> ``("jpeg", {"subsampling": "4:2:0"})``.

    Values are true, false, numbers, or else strings.

    Raises:
        InvalidInput: no name, an option twice, or one without a value.
    """
    name, *options = _OPTION.split(spec)
    if not name or "+" in name or "=" in name:
        raise InvalidInput(
            f"{spec!r} names nothing, expected NAME or NAME+KEY=VALUE, as in jpeg+subsampling=4:2:0"
        )
    config: dict[str, Any] = {}
    for option in options:
        key, _, text = option.partition("=")
        if key in config:
            raise InvalidInput(f"{spec!r} gives the option {key!r} twice, expected it once")
        config[key] = _value(text)
    return name, config


def load_codec(spec: str) -> Any:
    """The codec of a spec, made by `pycodec.load` with the options of the spec.

    Raises:
        InvalidInput: not a spec, or an option that the codec does not take.
        UnknownComponent, MissingWeights, PluginError: as `pycodec.load`; so does a codec whose library or
            program is missing.
    """
    name, config = parse(spec)
    return loading.load(name, **config)


def load_metric(spec: str) -> Any:
    """The metric of a spec, a `pycodec.types.Metric`.

    Raises:
        InvalidInput: not a spec, or an option that the metric does not take.
        UnknownComponent, PluginError: as `pycodec.create`.
    """
    name, config = parse(spec)
    return get_runtime().find("metric", name).create(**config)


def settings_of(codec: Any) -> list[float]:
    """Values of ``quality`` that draw the curve of a codec: those it declares, or every whole quality it has.

    Raises:
        InvalidInput: it declares neither ``settings`` nor ``qualities``.
    """
    if declared := getattr(codec, "settings", None):
        return list(declared)
    if qualities := getattr(codec, "qualities", None):
        low, high = qualities
        return list(range(math.ceil(low), math.floor(high) + 1))
    raise InvalidInput(
        f"the codec {type(codec).__name__} declares neither settings nor qualities; name them with --settings"
    )


def describe(spec: str, codec: Any, settings: Sequence[float]) -> dict[str, Any]:
    """What a results document says of a codec: how it is called, and what its results depend on."""
    name, config = parse(spec)
    options = [f"{key}={value}" for key, value in config.items()]
    fingerprint = codec.fingerprint.hex()
    return {
        "name": name,
        "label": ", ".join([str(getattr(codec, "label", name)), *options]),
        "description": str(getattr(codec, "description", "learned")),
        "version": str(codec.version()) if hasattr(codec, "version") else fingerprint,
        "fingerprint": fingerprint,
        "suffix": str(getattr(codec, "suffix", ".pci")),
        "settings": list(settings),
    }


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text):
        number = float(text)
        return int(number) if number.is_integer() and not re.search("[.eE]", text) else number
    return text
