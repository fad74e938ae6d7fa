"""What each kind of component promises, as protocols: a plugin's class needs no base class of ours.

Shared conventions. ``N`` images of ``H`` x ``W`` pixels; ``C`` latent planes of ``h = H / stride`` by
``w = W / stride``. An image tensor is float RGB minus 128, so -128..127. A latent is float, symbols are the
integers that get coded.
``quality`` is a float tensor [N]; integer rules use ``quality_step = round(16 * quality)`` instead.
``config()`` returns the JSON keyword arguments from which the registered factory rebuilds the component; that
of a codec says what it is made of, since its name and its weights rebuild it.

What a component may have besides, and the codec or the conformance kit then makes use of:

* ``qualities``, lowest and highest quality of a transform or entropy model; by default 1 to 8.
* ``halo`` of a transform or quantizer that works in tiles, see `LocalTransform` and `LocalQuantizer`.
* ``reference()`` of an entropy model, its twin in plain numpy with the same ``encode`` and ``decode``.
* what `DeclaredQuantizer`, `DeclaredEntropyModel`, `FreezableEntropyModel`, `ChoosingEntropyModel`,
  `InspectableEntropyModel`, `RefinableTransform`, `InspectableTransform`, `DeclaredCodec` and
  `DeclaredMetric` list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
    from torch import Tensor

Config = dict[str, Any]
Factory = Callable[..., Any] | str
"""A callable, or ``"module:attribute"``, which is imported when the first component is made."""


class Transform(Protocol):
    """Image to latent and back: the only part that may be float, and never part of a probability."""

    stride: int
    """Pixels per latent position, both ways; callers pad images to a multiple of it."""
    channels: int
    """Latent planes C."""

    def analysis(self, x: Tensor, quality: Tensor) -> Tensor:  # [N, 3, H, W], [N] -> [N, C, h, w]
        """Latent of ``x``, whose height and width are multiples of ``stride``."""
        ...

    def synthesis(self, y: Tensor, quality: Tensor) -> Tensor:  # [N, C, h, w], [N] -> [N, 3, H, W]
        """Image of a quantised latent; not clipped, so the caller clamps to -128..127 and rounds."""
        ...

    def config(self) -> Config:
        """JSON keyword arguments of the factory."""
        ...


class Quantizer(Protocol):
    """Latent to symbols and back, plus the differentiable stand-in used in training."""

    def quantize(self, y: Tensor) -> np.ndarray:  # [1, C, h, w] -> [C, h, w], integers
        """Hard symbols of one image, in the range the entropy model codes."""
        ...

    def dequantize(self, symbols: np.ndarray) -> Tensor:  # [C, h, w], integers -> [1, C, h, w]
        """Latent that ``symbols`` stand for."""
        ...

    def surrogate(self, y: Tensor) -> tuple[Tensor, Tensor]:  # [N, C, h, w] -> twice [N, C, h, w]
        """Training stand-in: the latent the synthesis and the context see, with a useful gradient
        (soft-to-hard, straight-through), and the values whose cost counts (symbols, or latents with noise).
        """
        ...

    def config(self) -> Config:
        """JSON keyword arguments of the factory."""
        ...


class EntropyModel(Protocol):
    """Probabilities of symbols: differentiable in training, integers only in a file.

    ``encode`` and ``decode`` give the same bytes and symbols on every device: nothing in them may be float.
    """

    def bits(self, values: Tensor, context: Tensor, quality: Tensor) -> Tensor:  # ..., [N] -> [N, C, h, w]
        """Differentiable cost in bits of each of ``values``, given the quantised latent ``context``; both
        [N, C, h, w], as `Quantizer.surrogate` gives them.
        """
        ...

    def encode(self, symbols: np.ndarray, quality_step: int) -> bytes:  # [C, h, w], integers
        """Stream of ``symbols``.

        Raises:
            InvalidInput: symbols of another type, shape or range.
        """
        ...

    def decode(self, data: bytes, shape: Sequence[int], quality_step: int) -> np.ndarray:  # -> [C, h, w]
        """Symbols of a stream; ``shape`` is (C, h, w).

        Raises:
            CorruptStream: data that ``encode`` did not write for this shape and quality step.
        """
        ...

    def code_length_bits(self, symbols: np.ndarray, quality_step: int) -> float:  # [C, h, w], integers
        """Ideal code length under the integer tables, in bits: what ``encode`` approaches."""
        ...

    def config(self) -> Config:
        """JSON keyword arguments of the factory."""
        ...


class DeclaredEntropyModel(Protocol):
    """What an entropy model may say of what it codes; each of these on its own."""

    channels: int
    """Planes C; without it, any number."""
    symbol_range: tuple[int, int]
    """Smallest and largest symbol: all between are coded, all beyond refused. Without it, any that
    `EntropyModel.encode` does not refuse."""
    side_information: bool
    """Its stream also says something about the whole latent (a hyperprior): then `EntropyModel.bits` holds
    the cost of that too, and may depend on every value of the context."""


class DeclaredQuantizer(Protocol):
    """What a quantizer may say of the latents it takes."""

    channels: int
    """Planes C; without it, any number."""


class DeviceQuantizer(Protocol):
    """What a quantizer may offer besides: symbols as tensors, which stay where the latent is."""

    def quantize_tensor(self, y: Tensor) -> Tensor:  # [1, C, h, w] -> [C, h, w] int32, contiguous
        """As `Quantizer.quantize`."""
        ...

    def dequantize_tensor(self, symbols: Tensor) -> Tensor:  # [C, h, w] int32 -> [1, C, h, w]
        """As `Quantizer.dequantize`."""
        ...


class DeviceEntropyModel(Protocol):
    """What an entropy model may offer besides: coding where the symbols are, to the same bytes."""

    def encode_tensor(self, symbols: Tensor, quality_step: int) -> bytes:  # [C, h, w] int32, contiguous
        """As `EntropyModel.encode`."""
        ...

    def decode_tensor(
        self, data: bytes, shape: Sequence[int], quality_step: int, device: str
    ) -> Tensor:  # -> [C, h, w] int32, contiguous
        """As `EntropyModel.decode`, onto a device."""
        ...


class FreezableEntropyModel(Protocol):
    """What an entropy model with trained floats offers besides: the integers that files are coded with.

    Whoever writes a weights file calls ``freeze`` once, after training; whoever reads it, ``load_frozen``.
    Nobody else has to know. Before either, ``encode`` and ``decode`` raise MissingWeights.
    """

    def freeze(
        self,
        calibration: Sequence[tuple[np.ndarray, float]],  # ([C, h, w] integers, quality) of training images
        dequantize: Callable[[np.ndarray], Tensor],
    ) -> dict[str, np.ndarray]:
        """Make the integers from the trained floats, code with them from now on, and return them.

        Args:
            calibration: symbols of some images, to measure ranges or histograms on.
            dequantize: that of the quantizer in use: the values that symbols stand for in training's context.
        """
        ...

    def load_frozen(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Code with the integers that ``freeze`` returned.

        Raises:
            InvalidInput: arrays that it did not return.
        """
        ...


class ChoosingEntropyModel(Protocol):
    """What an entropy model may offer besides to an encoder that weighs bits against errors, see
    `pycodec.rdoq`.
    """

    def encode_chosen(
        self,
        symbols: np.ndarray,  # [C, h, w], integers
        quality_step: int,
        slopes: np.ndarray,  # [C, h, w] int32
        curvatures: np.ndarray,  # [C] int32, not negative
    ) -> tuple[np.ndarray, bytes]:  # [C, h, w] int32
        """What is chosen instead of ``symbols``, and its stream, as `EntropyModel.encode` gives it. Each of
        ``symbols`` may become a neighbour, at a price of ``slope d + curvature d^2`` for adding d, if that
        and the bits are less than for itself; both are in units of 2^-13 bit.
        """
        ...


class InspectableEntropyModel(Protocol):
    """What an entropy model may offer besides to whoever looks into a file: where its bits are."""

    def code_lengths(
        self, symbols: np.ndarray, quality_step: int
    ) -> np.ndarray:  # [C, h, w], integers -> [C, h, w] float64
        """Ideal code length of each symbol under the integer tables, in bits; they sum to
        `EntropyModel.code_length_bits`.
        """
        ...


class RefinableTransform(Transform, Protocol):
    """What a transform may offer besides to an encoder that weighs bits against errors, see `pycodec.rdoq`:
    its synthesis, to first order.
    """

    def error_slopes(self, error: np.ndarray, quality_step: int) -> np.ndarray:
        """How the squared error of an image, summed, grows with each latent: twice its error times what
        adding 1 to the latent adds to the image.

        Args:
            error: decoded less original pixels.  # [stride h, stride w, 3] int16
            quality_step: 16 times the quality.

        Returns:
            [C, h, w] float32; they depend on no sum that is rounded, so as to be the same everywhere.
        """
        ...

    def error_curvatures(self, quality_step: int) -> np.ndarray:
        """Squared error, summed, of what adding 1 to a latent adds to the image.  # [C] float32"""
        ...


class LocalTransform(Protocol):
    """What a transform may say besides: how far it looks. Large images then pass through it in windows that
    overlap by ``halo``, so that any size fits the memory, and crops are decoded alone.

    A float network keeps no such promise: its sums depend on the size of the map. One of the layers in
    `pycodec.ops.quantized` does.
    """

    halo: int
    """Latent positions. What ``analysis`` gives at a position depends on the pixels of positions within this
    distance alone, in rows and in columns, and so do the pixels that ``synthesis`` gives on latents; to the
    bit. At the edges of the image, and nowhere else, there may be padding."""


class PartlyLocalTransform(LocalTransform, Protocol):
    """A `LocalTransform` whose analysis ends in a part that has to see the image as a whole:
    ``analysis(x, q) == completed(local_analysis(x, q))``, and ``halo`` speaks of the first.
    """

    def local_analysis(self, x: Tensor, quality: Tensor) -> Tensor:  # [N, 3, H, W], [N] -> [N, C', h', w']
        """h' and w' are multiples of h and w."""
        ...

    def completed(self, y: Tensor) -> Tensor:  # [N, C', h', w'] -> [N, C, h, w]
        """The latent."""
        ...


class LocalQuantizer(Protocol):
    """What a quantizer may say besides, for the same purpose; without it, it sees the latent as a whole."""

    halo: int | None
    """Latent positions: symbols depend, to the bit, on latents within this distance alone, and the other way
    round. 0 for a quantizer of single values; None if it cannot be said."""


class InspectableTransform(Protocol):
    """What a transform may offer besides: how much of the latent it lets each position use."""

    def importance(self, x: Tensor, quality: Tensor) -> Tensor:  # [N, 3, H, W], [N] -> [N, h, w]
        """Share 0..1 of the channels that may be other than zero in the latent of ``x``, position by position
        (the importance map of Mentzer et al. 2018, section 3.4).
        """
        ...


class Discriminator(Protocol):
    """Critic of adversarial training with its losses; may own a labeler."""

    def critic_loss(
        self, x: Tensor, x_hat: Tensor, y: Tensor
    ) -> Tensor:  # [N, 3, H, W] twice, [N, C, h, w] -> []
        """Loss that trains the critic to tell ``x`` from its reconstruction ``x_hat`` (detached here)."""
        ...

    def generator_loss(self, x: Tensor, x_hat: Tensor, y: Tensor) -> Tensor:  # as above -> []
        """Loss that trains the codec to fool the critic."""
        ...

    def config(self) -> Config:
        """JSON keyword arguments of the factory."""
        ...


class Estimator(Protocol):
    """Measures an information quantity of a codec: an RD upper bound, the per-sample optimum, a gap."""

    def estimate(self, codec: Codec, images: Sequence[PIL.Image.Image]) -> Mapping[str, float]:
        """Averages over ``images``; every key ends in its unit (``rate_bpp``, ``psnr_db``, ``gap_bpp``)."""
        ...

    def config(self) -> Config:
        """JSON keyword arguments of the factory."""
        ...


class Codec(Protocol):
    """A named composition of the others; factories return a ``pycodec.Codec``, which keeps this contract.

    What else writes .pci files takes all arguments that it takes. A codec of less, such as this alone, has
    files of a format of its own, whose suffix it declares (`DeclaredCodec`).
    """

    fingerprint: bytes
    """sha256 over configuration and weights: a stream is only decoded by the codec that wrote it."""

    def compress(self, image: Any, quality: float) -> bytes:
        """File of a PIL image, numpy (H, W, 3) uint8 or torch (3, H, W).

        Raises:
            InvalidInput: an image or quality the codec cannot take.
        """
        ...

    def decompress(self, data: bytes) -> PIL.Image.Image:
        """Image of a file.

        Raises:
            CorruptStream: damaged data.
            WeightsMismatch: a file written with another configuration or other weights.
        """
        ...

    def config(self) -> Config:
        """What it is made of, as JSON: the name, and the configuration of each part."""
        ...


class DeclaredCodec(Protocol):
    """What a codec may say of itself to whoever measures it or writes its files; each of these on its own."""

    label: str
    """Its name in tables and figures, "JPEG 2000"; without it, the name it is registered by."""
    description: str
    """Its options as a reader of a table needs them, "4:4:4, optimised"."""
    settings: tuple[float, ...]
    """Values of ``quality`` that draw its curve, rising in rate; without it, every whole quality between
    those of ``qualities``."""
    default_quality: float
    """``quality`` where a user names none; without it, they have to."""
    suffix: str
    """Of its files, ".jpg"; without it they are .pci files, and it has the arguments of ``pycodec.Codec``."""
    media_type: str
    """Of its files, "image/jpeg", if web browsers show them."""

    def version(self) -> str:
        """Of the library or program that codes, "3.1.2", or of what decodes; without it, the fingerprint
        stands for it.
        """
        ...


class DifferentiableCodec(Protocol):
    """What a codec with trained networks may offer besides: whoever optimises what is in a file, or asks how
    good its model is, works with these.
    """

    def latent_model(self, quality: float | None = None) -> LatentModel:
        """The codec's networks in floats at one quality, on the CPU; made anew, and their parameters are
        fixed.

        Raises:
            InvalidInput: a quality that the codec does not have.
        """
        ...

    def latent_symbols(self, latents: Sequence[Tensor]) -> np.ndarray:  # [1, ...] each -> [C, h, w] int32
        """Symbols of latents as `LatentModel.encode` gives those of an image: rounded as they are for
        files without effort.
        """
        ...


class OptimizableCodec(Protocol):
    """What a codec may offer besides whose symbols do not stand for rounded latents: an optimiser of its own
    for the symbols of one image.
    """

    def optimized_symbols(
        self,
        image: Any,
        lam: float,
        steps: int,
        quality: float | None = None,
        device: str = "cpu",
        seed: int = 0,
        watcher: Callable[[int, float], None] = lambda done, loss: None,
    ) -> np.ndarray:  # [C, h, w] int32
        """Symbols, of the shape that `pycodec.Codec.symbols` gives, with which bits per pixel plus ``lam``
        times the squared error (0..255 scale) is less than with its own.

        Args:
            image, quality, device: as those of `pycodec.Codec.compress`.
            lam: weight of the squared error.
            steps: of the optimiser.
            seed: of what is drawn at random.
            watcher: told after each step how many are done, and the loss.
        """
        ...


class LatentModel(Protocol):
    """The differentiable parts of a codec at one quality: latents, what each of them costs, and the image.

    A latent is what is sent at once: z, then y, of a hyperprior; a group of y where these depend on one
    another.
    """

    stride: int
    """Images have sides that are a multiple of it."""
    lam: float | None
    """Weight of the squared error (0..255 scale) against bits per pixel that it was trained with; None if
    nobody knows."""

    def encode(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:  # [N, 3, H, W] -> pairs of one shape [N, ...]
        """Latents of ``x`` in the order in which they are sent: mean and scale of each, of the Gaussian from
        which a stochastic encoder would draw it. Those of a codec that rounds are the value that is rounded,
        and `ROUNDING_SCALE`.
        """
        ...

    def decode(self, receive: Callable[[Prior], Tensor]) -> Tensor:  # -> [N, 3, H, W]
        """Image of the latents that ``receive`` gives one after the other, each for what is known of it
        before.

        Who calls it decides what a latent goes through on its way: rounding, noise, or one of the relaxations
        of rounding.
        """
        ...


ROUNDING_SCALE = 12**-0.5
"""Standard deviation of what rounding adds to a value spread wider than its steps."""


class Prior(Protocol):
    """What a decoder knows of a latent before it arrives: the distribution that decides its cost."""

    mean: Tensor
    """Values that rounding maps to 0: a latent is rounded to this plus integers. Of a shape that expands to
    the latent's."""

    def bits(self, values: Tensor) -> Tensor:
        """Cost of each of ``values`` after rounding, or of what stands in for that: -log2 of the mass within
        half a unit.
        """
        ...

    def divergence(self, mean: Tensor, scale: Tensor, sample: Tensor) -> Tensor:
        """Divergence KL(N(mean, scale^2) || prior) of each in bits, or an estimate without bias of it by
        ``sample``, which was drawn from the former.
        """
        ...


class Metric(Protocol):
    """Quality of images or of their distribution, accumulated over a data set."""

    higher_is_better: bool
    """Whether a larger value means better images."""
    data_range: float
    """Largest minus smallest value of the images it takes, 255 for 8 bit."""

    def update(
        self, x_hat: Tensor, x: Tensor
    ) -> None:  # [N, 3, H, W] reconstructions, [N, 3, H, W] originals
        """Take in a batch."""
        ...

    def compute(self) -> Any:
        """Value over everything taken in since the last ``reset``; a number or a 0-d tensor."""
        ...

    def reset(self) -> None:
        """Forget what was taken in."""
        ...

    def config(self) -> Config:
        """JSON keyword arguments of the factory."""
        ...


class DeclaredMetric(Protocol):
    """What a metric may say of itself to whoever reports it; each of these on its own."""

    label: str
    """Its name in tables and figures, "MS-SSIM"; without it, the name it is registered by."""
    unit: str
    """Of its values, "dB"; without it, a bare number."""
    of_set: bool
    """Its value belongs to a set of images (FID), not to each of them."""

    def info(self) -> Config:
        """What a reader needs to repeat its value beside `Metric.config`, as JSON: preprocessing, how many
        images it took in, what identifies its weights.
        """
        ...

    def to(self, device: str) -> Any:
        """Work on a device from now on, "cuda"; without it, on the CPU."""
        ...


KINDS: Mapping[str, type] = {
    "transform": Transform,
    "quantizer": Quantizer,
    "entropy_model": EntropyModel,
    "discriminator": Discriminator,
    "estimator": Estimator,
    "codec": Codec,
    "metric": Metric,
}
"""The seven kinds in the order they are listed, each with its contract."""


def missing_members(component: object, kind: str) -> list[str]:
    """Names the contract of ``kind`` asks for and ``component`` does not have."""
    contract = KINDS[kind]
    members = set(contract.__annotations__) | {name for name in vars(contract) if not name.startswith("_")}
    return sorted(name for name in members if not hasattr(component, name))
