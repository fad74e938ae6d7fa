"""Entropy models on the masked 3D context network: float for training, its integer export for files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pycodec import weights
from pycodec.coding import context_reference
from pycodec.coding.context import MAX_SYMBOL, ContextModel
from pycodec.coding.context_export import ActivationRanges, FloatContext, quantize_context
from pycodec.coding.context_tables import SCALE_MAX, SCALE_MIN, count_residuals, fitted_tables
from pycodec.errors import MissingWeights
from pycodec.ops import device_context

from .context import ContextNetwork

LIKELIHOOD_FLOOR = 1e-9  # keeps the logarithm and its gradient finite, as CompressAI's bound does


class ContextEntropyModel(nn.Module):
    """What both heads share: the float network, and the integer model that codes files once exported."""

    head: str

    def __init__(self, network: ContextNetwork):
        super().__init__()
        self.network = network
        self.integer: ContextModel | None = None

    def network_input(self, symbols: Tensor) -> Tensor:
        """Float input of the network for integer symbols, same shape."""
        raise NotImplementedError

    def code_inputs(self) -> np.ndarray:
        """Float input of the network for each entry of the integer model's input map, float64 [codes]."""
        raise NotImplementedError

    def _coder(self) -> ContextModel:
        if self.integer is None:
            raise MissingWeights(
                "this entropy model has no integer tables yet; export it, or load weights that hold them"
            )
        return self.integer

    def encode(self, symbols: np.ndarray, quality_step: int, threads: int | None = None) -> bytes:
        """Stream of ``symbols`` (planes, h, w); by default on as many threads as torch uses."""
        return self._coder().encode(symbols, quality_step, threads=threads or torch.get_num_threads())

    def decode(
        self, data: bytes, shape: tuple[int, int, int], quality_step: int, threads: int | None = None
    ) -> np.ndarray:
        """Symbols (planes, h, w) int32 of a stream that ``encode`` wrote."""
        return self._coder().decode(data, shape, quality_step, threads=threads or torch.get_num_threads())

    def encode_tensor(self, symbols: Tensor, quality_step: int) -> bytes:
        """The same stream of ``symbols`` (planes, h, w) int32, coded where they are."""
        return device_context.encode(self._coder(), symbols, quality_step)

    def decode_tensor(
        self, data: bytes, shape: tuple[int, int, int], quality_step: int, device: torch.device | str
    ) -> Tensor:
        """Symbols (planes, h, w) int32 of a stream, decoded on a device."""
        return device_context.decode(self._coder(), data, shape, quality_step, device=device)

    def code_length_bits(self, symbols: np.ndarray, quality_step: int) -> float:
        """Ideal code length under the integer tables, in bits."""
        return self._coder().code_length_bits(symbols, quality_step)

    def code_lengths(self, symbols: np.ndarray, quality_step: int) -> np.ndarray:
        """Ideal code length of each symbol (planes, h, w) under the integer tables, in bits."""
        return self._coder().code_lengths(symbols, quality_step, threads=torch.get_num_threads())

    def float_code_length_bits(self, symbols: np.ndarray, quality_step: int) -> float:
        """Code length under the float network, in bits: what exporting to integers is measured against."""
        volume = torch.from_numpy(np.ascontiguousarray(symbols, np.int64))[None]
        with torch.inference_mode():
            return self._bits_of_symbols(volume, torch.tensor([quality_step / 16])).double().sum().item()

    def _bits_of_symbols(self, symbols: Tensor, quality: Tensor) -> Tensor:
        raise NotImplementedError

    def reference(self) -> ContextReference:
        """The same coder in plain numpy."""
        return ContextReference(self._coder())

    @torch.no_grad()
    def export(self, calibration: Iterable[tuple[np.ndarray, float]]) -> None:
        """Make the integer model from the float network.

        Args:
            calibration: (symbols (planes, h, w), quality) of images; the largest activations seen on them set
                the scales. Values beyond are clamped, which costs rate on such an image and nothing else.
        """
        ranges = ActivationRanges()
        for symbols, quality in calibration:
            volume = torch.from_numpy(np.ascontiguousarray(symbols, np.int64))[None]
            a, b, c, _ = self.network.activations(self.network_input(volume), torch.tensor([float(quality)]))
            ranges.update(*(layer[0].double().numpy() for layer in (a, b, c)))
        self.integer = ContextModel(
            quantize_context(self._float_context(), ranges, head=self.head), head=self.head
        )

    def load_frozen(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Code with the arrays that ``freeze`` returned."""
        self.load_integer_tensors(arrays, "")

    def _float_context(self) -> FloatContext:
        net = self.network

        def plane_bias(name: str, channels: int) -> np.ndarray:  # [Q, D, channels]
            if not net.qualities:
                return np.zeros((1, 1, channels))
            table = getattr(net, name).table.detach().double()
            return table.reshape(net.qualities, net.planes, channels).numpy()

        earlier = net.earlier_planes and net.earlier_planes.weight.detach().double().numpy()
        weights = [layer.weight.detach().double().numpy() for layer in net.layers]
        biases = [layer.bias.detach().double().numpy() for layer in net.layers]
        return FloatContext(
            weights=weights,
            bias0=plane_bias("first_bias", net.width) + biases[0],
            bias1=biases[1],
            bias2=biases[2],
            bias3=plane_bias("last_bias", net.outputs) + biases[3],
            inputs=self.code_inputs(),
            earlier=earlier,
            limit=net.limit,
        )

    def integer_tensors(self, prefix: str) -> dict[str, np.ndarray]:
        """The integer model's arrays by name, for a weights file."""
        return {prefix + name: array for name, array in self._coder().arrays().items()}

    def load_integer_tensors(self, tensors: Mapping[str, np.ndarray], prefix: str) -> None:
        """Code with the arrays under ``prefix`` from now on; InvalidInput if they are not a valid model."""
        self.integer = ContextModel(weights.under(tensors, prefix), head=self.head)


class ContextReference:
    """Streams of a context model by its numpy twin: slow, and what the native coder has to equal."""

    def __init__(self, model: ContextModel):
        self._model = model

    def encode(self, symbols: np.ndarray, quality_step: int) -> bytes:
        return context_reference.encode(self._model, symbols, quality_step)

    def decode(self, data: bytes, shape: tuple[int, int, int], quality_step: int) -> np.ndarray:
        return context_reference.decode(self._model, data, shape, quality_step)


class ParametricContext(ContextEntropyModel):
    """Integer latents: each symbol a discretised logistic whose mean and scale the network gives.

    Args:
        planes: latent channels.
        width: channels of the network.
        qualities: rows of its plane biases.
        earlier_planes: whether a symbol's table also depends on all earlier planes at its position.
        limit: see `ContextNetwork`.
    """

    head = "parametric"
    symbol_range = (-MAX_SYMBOL, MAX_SYMBOL)

    def __init__(
        self,
        planes: int,
        width: int = 24,
        qualities: int = 8,
        earlier_planes: bool = False,
        limit: float | None = None,
    ):
        super().__init__(ContextNetwork(planes, 2, width, qualities, earlier_planes, limit))
        self.channels = planes

    def config(self) -> dict:
        return {
            "planes": self.network.planes,
            "width": self.network.width,
            "qualities": self.network.qualities,
            "earlier_planes": self.network.earlier_planes is not None,
            "limit": self.network.limit,
        }

    def network_input(self, symbols: Tensor) -> Tensor:
        return torch.asinh(symbols.float().clamp(-127, 127))

    def code_inputs(self) -> np.ndarray:
        return np.arcsinh(np.arange(-128, 128).clip(-127, 127).astype(np.float64))

    def freeze(
        self,
        calibration: Sequence[tuple[np.ndarray, float]],
        dequantize: Callable[[np.ndarray], Tensor],
    ) -> dict[str, np.ndarray]:
        """Make the integer model, with tables fitted to ``calibration``; symbols are their own values."""
        self.export(calibration)
        self.fit_tables(calibration)
        return self.integer_tensors("")

    def fit_tables(self, volumes: Iterable[tuple[np.ndarray, float]]) -> None:
        """Replace the logistic tables of the integer model by the histograms of the residuals in ``volumes``.

        Args:
            volumes: (symbols (planes, h, w), quality) of many training images.
        """
        model = self._coder()
        counts = sum(count_residuals(model, symbols, round(16 * quality)) for symbols, quality in volumes)
        radius, frequencies = fitted_tables(np.asarray(counts))
        arrays = dict(model.arrays(), table_radius=radius, table_frequencies=frequencies)
        self.integer = ContextModel(arrays, head=self.head)

    def encode_chosen(
        self, symbols: np.ndarray, quality_step: int, slopes: np.ndarray, curvatures: np.ndarray
    ) -> tuple[np.ndarray, bytes]:
        """Of `pycodec.types.ChoosingEntropyModel`."""
        threads = torch.get_num_threads()
        return self._coder().encode_chosen(symbols, slopes, curvatures, quality_step, threads)

    def bits(self, values: Tensor, context: Tensor, quality: Tensor) -> Tensor:
        """Cost of every latent value under the float network.

        Args:
            values: [N, planes, H, W], rounded, or with uniform noise of width 1 for a gradient.
            context: [N, planes, H, W] rounded latents the network sees.
            quality: [N].

        Returns:
            [N, planes, H, W] bits.
        """
        outputs = self.network(self.network_input(context), quality)
        return logistic_bits(values, outputs[:, 0], outputs[:, 1])

    def _bits_of_symbols(self, symbols: Tensor, quality: Tensor) -> Tensor:
        return self.bits(symbols.float(), symbols.float(), quality)


class CategoricalContext(ContextEntropyModel):
    """Symbols of a small alphabet: the network gives the logits of L learned centres (eq. 6).

    Args:
        planes: latent channels.
        centers: L.
        width: channels of the network.
    """

    head = "categorical"

    def __init__(self, planes: int, centers: int = 6, width: int = 24):
        super().__init__(ContextNetwork(planes, centers, width, qualities=0))
        # The centres belong to the quantiser; a copy here maps symbols to network inputs.
        self.register_buffer("centers", torch.zeros(centers))

    def config(self) -> dict:
        return {
            "planes": self.network.planes,
            "centers": self.network.outputs,
            "width": self.network.width,
        }

    def freeze(
        self,
        calibration: Sequence[tuple[np.ndarray, float]],
        dequantize: Callable[[np.ndarray], Tensor],
    ) -> dict[str, np.ndarray]:
        """Make the integer model; ``dequantize`` tells the centres, the same ones in every plane."""
        symbols = np.arange(len(self.centers), dtype=np.int32)
        values = dequantize(np.broadcast_to(symbols, (self.network.planes, 1, len(symbols))))
        self.centers.copy_(values[0, 0, 0].detach())
        self.export(calibration)
        return self.integer_tensors("")

    @property
    def symbol_range(self) -> tuple[int, int]:
        """Smallest and largest symbol."""
        return 0, self.network.outputs - 1

    def network_input(self, symbols: Tensor) -> Tensor:
        return self.centers[symbols.long()]

    def code_inputs(self) -> np.ndarray:
        return self.centers.double().numpy()

    def bits(self, symbols: Tensor, context: Tensor, quality: Tensor) -> Tensor:
        """Cross entropy (eq. 7) in bits of ``symbols`` [N, planes, H, W], given their values ``context``."""
        logits = self.network(context, quality)
        return F.cross_entropy(logits, symbols.long(), reduction="none") / math.log(2)

    def _bits_of_symbols(self, symbols: Tensor, quality: Tensor) -> Tensor:
        return self.bits(symbols, self.network_input(symbols), quality)


def logistic_bits(values: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """-log2 of the logistic mass within half a unit of ``values``; all arguments of one shape."""
    scale = log_scale.clamp(math.log(SCALE_MIN), math.log(SCALE_MAX)).exp()
    distance = (values - mean).abs()  # the tail of the negative side is the accurate one in floating point
    mass = torch.sigmoid((0.5 - distance) / scale) - torch.sigmoid((-0.5 - distance) / scale)
    return -torch.log2(mass.clamp(min=LIKELIHOOD_FLOOR))
