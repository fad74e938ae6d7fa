"""The hyperprior codec: a transform of stride 16, and latents that are Gaussian given a hyper-latent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import pycodec
from pycodec import Codec, weights
from pycodec.errors import InvalidInput
from pycodec_plugins.cpm import QuantizedResidualDCT, error_weight, load_quantized

from . import decoders
from .entropy import ScaleHyperprior
from .hyper import FrozenTransform, HyperSynthesis, HyperTransform
from .integer import float_tensors
from .latent import fold
from .quantizer import ZeroCentered

if TYPE_CHECKING:
    from .latent_model import HyperpriorModel

NAME = "hyperprior"
WEIGHTS = Path(__file__).parent / "weights" / "hyperprior.safetensors"
LAMBDAS = 0.0003, 0.05  # weights of the squared error (0..255 scale) at the lowest and the highest quality
MSE = "mse"  # the decoder that is trained together with the rest
QUALITIES = 8


class Parts(NamedTuple):
    """What the codec is made of, as it is trained."""

    transform: HyperTransform | FrozenTransform
    quantizer: ZeroCentered
    entropy_model: ScaleHyperprior

    def modules(self) -> dict[str, nn.Module]:
        """By the prefix of their tensors in a weights file."""
        return self._asdict()


LIGHT = {
    "luma": 160,
    "chroma": 32,
    "qualities": QUALITIES,
    "steps": [125.0, 14.0],
    "fine": 96,
    "coarse": 192,
    "encoder_depth": 3,
    "decoder_depth": 5,
    "block": 16,
    "fine_depth": 3,
}
DEFAULT_TRANSFORM = {"name": "residual_dct", "config": LIGHT}
Config = Mapping[str, Any]
"""Of the codec's parts, each of which may be left out: "transform", the name and the config of a registered
one; and keyword arguments: "hyper" of `HyperTransform`, "quantizer" of `ZeroCentered`, "entropy_model" of
`ScaleHyperprior`, or of the registered one that a "name" among them tells. "qualities" is how many the
entropy model knows, 1 for a transform of one rate."""


def build_parts(config: Config) -> Parts:
    """Untrained parts."""
    return _parts(config)


def is_quantized(config: Config) -> bool:
    """Whether files are written and read with an integer form of the transform."""
    return bool(_transform(config)["name"] == DEFAULT_TRANSFORM["name"])


def quantized_transform(config: Config, arrays: Mapping[str, np.ndarray]) -> QuantizedResidualDCT:
    """That integer form."""
    return QuantizedResidualDCT(arrays, _transform(config)["config"])


def _transform(config: Config) -> dict[str, Any]:
    given = dict(config.get("transform", DEFAULT_TRANSFORM))
    defaults = LIGHT if given["name"] == DEFAULT_TRANSFORM["name"] else {}
    return {"name": given["name"], "config": {**defaults, **given.get("config", {})}}


def _parts(config: Config, built: Any = None) -> Parts:
    hyper = {"hyper_channels": 48, "width": 96, **config.get("hyper", {})}
    transform = HyperTransform(_transform(config), **hyper, built=built)
    shape = {"channels": transform.transform.channels, "hyper_channels": hyper["hyper_channels"]}
    quantizer = {"name": "zero_centered", **config.get("quantizer", {})}
    entropy_model = {"name": "scale_hyperprior", **config.get("entropy_model", {})}
    return Parts(
        transform,
        pycodec.create("quantizer", quantizer.pop("name"), **shape, **quantizer),
        pycodec.create(
            "entropy_model", entropy_model.pop("name"), **shape, qualities=qualities(config), **entropy_model
        ),
    )


def qualities(config: Config) -> int:
    """Highest quality; the lowest is 1."""
    return int(config.get("qualities", QUALITIES))


def stored(parts: Parts, config: Config) -> dict[str, Tensor]:
    """What of the parts a weights file holds in floats, by name. What comes back from its integers is left
    out: a transform that has them, and the networks of means and scales.
    """
    left_out = tuple(prefix for prefix, _, _ in _syntheses(parts))
    if is_quantized(config):
        left_out += ("transform.transform.",)
    return {
        f"{name}.{key}": value
        for name, module in parts.modules().items()
        for key, value in module.state_dict().items()
        if not f"{name}.{key}".startswith(left_out)
    }


def _syntheses(parts: Parts) -> list[tuple[str, HyperSynthesis, str]]:
    """Of the networks of means and scales, prefixes of their floats and of their integers in a file. (Parts
    of other plugins may be made of others.)
    """
    networks = [
        ("quantizer.mean.", getattr(parts.quantizer, "mean", None), "means."),
        ("entropy_model.scale.", getattr(parts.entropy_model, "scale", None), "coder.scale."),
    ]
    return [each for each in networks if isinstance(each[1], HyperSynthesis)]


def _with_syntheses(parts: Parts, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A file's tensors, and the floats of networks that it has in integers alone (older ones had both)."""
    completed = dict(tensors)
    for prefix, network, integers in _syntheses(parts):
        if not weights.under(tensors, prefix):
            found = float_tensors(network, weights.under(tensors, integers))
            completed |= {prefix + name: array for name, array in found.items()}
    return completed


def frozen_parts(config: Config, tensors: Mapping[str, np.ndarray]) -> Parts:
    """Parts that code files, from the tensors of a weights file; of what they do not need for that, the
    entropy model has its float networks, which integers are measured against.
    """
    if is_quantized(config):
        parts = _parts(config, quantized_transform(config, weights.under(tensors, "quantized.")))
    else:
        parts = build_parts(config)
        weights.load_module(parts.transform.transform, tensors, "transform.transform.")
    weights.load_module(parts.transform.hyper_analysis, tensors, "transform.hyper_analysis.")
    weights.load_module(parts.entropy_model, _with_syntheses(parts, tensors), "entropy_model.")
    parts.quantizer.load_frozen(weights.under(tensors, "means."))
    parts.entropy_model.load_frozen(weights.under(tensors, "coder."))
    return parts._replace(transform=FrozenTransform(parts.transform)) if is_quantized(config) else parts


def load_floats(parts: Parts, config: Config, tensors: Mapping[str, np.ndarray]) -> None:
    """Set parts to the weights of a file, to train on."""
    modules = parts.modules()
    if is_quantized(config):
        load_quantized(parts.transform.transform, weights.under(tensors, "quantized."))
        del modules["transform"]
        for name, module in parts.transform.named_children():
            if name != "transform":
                modules[f"transform.{name}"] = module
    tensors = _with_syntheses(parts, tensors)
    for name, module in modules.items():
        weights.load_module(module, tensors, f"{name}.")


def create(weights_file: str | Path | None = None, decoder: str = MSE) -> Codec:
    """The codec with the weights that come with it, or those of ``weights_file``.

    Args:
        weights_file: by default those that come with it.
        decoder: which synthesis turns files into pictures: the one in the weights, "mse", one that comes with
            the codec, or a file of one that was trained for these weights. Each decodes the files of all;
            symbols are chosen by the errors that they make (`pycodec.rdoq`) with the first alone.

    Raises:
        InvalidInput: there is no such decoder.
        WeightsMismatch: it was trained for other weights.
    """
    return HyperpriorCodec(NAME, weights_file, decoder)


def _error_weight(metadata: Mapping[str, Any]) -> Callable[[int], float] | None:
    """Of weights with this metadata; None if they were trained for a rate."""
    count = qualities(metadata["config"])
    lambdas = metadata.get("lambdas", LAMBDAS if count > 1 else None)  # the first weights do not say
    return error_weight(lambdas, count) if lambdas else None


class HyperpriorCodec(Codec):
    """A codec of these parts, a `pycodec.types.DifferentiableCodec`.

    Args:
        name: that its files say.
        weights_file, decoder: as those of `create`.
        rounds: whether symbols are rounded latents, not chosen ones: for whoever measures what rounding does.
    """

    def __init__(
        self,
        name: str,
        weights_file: str | Path | None = None,
        decoder: str = MSE,
        rounds: bool = False,
    ):
        self._source = weights_file or WEIGHTS, decoder
        tensors, metadata = self._load()
        config = metadata["config"]
        super().__init__(
            name,
            *frozen_parts(config, tensors),
            qualities=(1.0, float(qualities(config))),
            default_quality=min(5.0, float(qualities(config))),
            fingerprint=bytes.fromhex(metadata["fingerprint"]),
            version=weights.fingerprint(config, tensors).hex() if decoder != MSE else None,
            error_weight=_error_weight(metadata) if decoder == MSE and not rounds else None,
        )

    def latent_model(self, quality: float | None = None) -> HyperpriorModel:
        """The float networks at a quality; their latents are z, and y in as many parts as it is coded in.

        Raises:
            InvalidInput: a quality that it does not have, or the parts disagree about the order of y.
        """
        q = self.quality_step(quality) / 16
        tensors, metadata = self._load()
        config = metadata["config"]
        parts = build_parts(config)
        load_floats(parts, config, tensors)
        if parts.quantizer.passes != parts.entropy_model.passes:
            raise InvalidInput(
                f"means follow in {parts.quantizer.passes} passes, scales in {parts.entropy_model.passes}; "
                "expected one order of the latent, for a latent model"
            )
        weight = _error_weight(metadata)
        lam = weight(self.quality_step(quality)) if weight else None
        return parts.entropy_model.model_class()(parts, q, lam).requires_grad_(False).eval()

    def latent_symbols(self, latents: Sequence[Tensor]) -> np.ndarray:
        """Packed symbols of z and y, by the means that files have."""
        z, *groups = latents
        entropy_model: Any = self.entropy_model  # a ScaleHyperprior
        y = entropy_model.model_class().gathered(groups, z)
        return self.quantizer.quantize(torch.cat([fold(y), z], 1))

    def _load(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        weights_file, decoder = self._source
        tensors, metadata = weights.load(weights_file)
        if decoder != MSE:
            tensors |= decoders.tensors_of(NAME, decoder, metadata["fingerprint"])
        return tensors, metadata


def training_task(config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """What ``pycodec train`` trains; see `task.HyperpriorTask`."""
    from .task import HyperpriorTask

    return HyperpriorTask(config, **options)


create.training_task = training_task  # type: ignore[attr-defined]
