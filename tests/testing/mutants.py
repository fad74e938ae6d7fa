"""For each check, toys that each break its rule in one way: `MUTANTS`, by kind and check."""

from __future__ import annotations

import multiprocessing
import os
import threading
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from toys import TOYS, Codec, Discriminator, EntropyModel, Estimator, Metric, Quantizer, Transform

from pycodec import bitstream
from pycodec.errors import CorruptStream, InvalidInput, MissingWeights, PycodecError
from pycodec.testing import sample
from pycodec.types import KINDS

MUTANTS: dict[tuple[str, str], list] = {}


def breaks(kind: str, *checks: str):
    """Declare a mutant of these checks."""

    def declare(factory):
        for check in checks:
            MUTANTS.setdefault((kind, check), []).append(factory)
        return factory

    return declare


# Rules of all kinds: what a toy gives depends on something else than its input, by its offset.


class Bare:
    """Has no member of any kind."""


class Aging:
    """Its configuration makes another component."""

    def __init__(self, age: int = 0, **config):
        super().__init__(**config)
        self.age = age

    def config(self):
        return {**super().config(), "age": self.age + 1}


class Verbose:
    """Its configuration is not JSON."""

    def config(self):
        return {"gain": np.float32(1)}


class Secretive:
    """Its output depends on something that its state_dict does not hold."""

    def __init__(self, **config):
        super().__init__(**config)
        self.secret = 9 * torch.rand(()).item()

    def offset(self):
        return self.secret


class Homesick:
    """Gives something else in another process."""

    def offset(self):
        return 7.0 * (multiprocessing.parent_process() is not None)


class Shy:
    """Gives something else in another thread."""

    def offset(self):
        return 7.0 * (threading.current_thread() is not threading.main_thread())


class Moved:
    """Gives something else once it was moved to a device."""

    moved = False

    def to(self, *arguments, **options):
        self.moved = True
        return self

    def offset(self):
        return 7.0 * self.moved


def _mixed(kind: str, fault: type) -> type:
    """A toy with a fault, under a name by which other processes find it too."""
    name = f"{fault.__name__}{TOYS[kind].__name__}"
    mixed = type(name, (fault, TOYS[kind]), {"__module__": __name__})
    globals()[name] = mixed
    return mixed


for _kind in KINDS:
    MUTANTS[_kind, "constructible"] = [Bare]
    MUTANTS[_kind, "same_in_other_process"] = [_mixed(_kind, Homesick)]
    if _kind != "codec":
        MUTANTS[_kind, "config_round_trip"] = [_mixed(_kind, Aging), _mixed(_kind, Verbose)]
    if _kind in ("transform", "quantizer", "entropy_model", "discriminator"):
        MUTANTS[_kind, "state_dict_round_trip"] = [_mixed(_kind, Secretive)]
    if _kind in ("transform", "quantizer", "entropy_model", "codec"):
        MUTANTS[_kind, "same_in_threads"] = [_mixed(_kind, Shy)]
    if _kind in ("transform", "quantizer", "entropy_model"):
        MUTANTS[_kind, "same_on_device"] = [_mixed(_kind, Moved)]


@breaks("codec", "constructible")
def without_weights():
    raise MissingWeights("there are none")


@breaks("transform", "same_in_other_process")
class Dying(Transform):
    def analysis(self, x, quality):
        if multiprocessing.parent_process() is not None:
            os._exit(1)
        return super().analysis(x, quality)


unsendable = breaks("quantizer", "same_in_other_process")(lambda: Quantizer())


# Transforms.


@breaks("transform", "shapes")
class Cropping(Transform):
    def analysis(self, x, quality):
        return super().analysis(x, quality)[..., :15]


@breaks("transform", "shapes")
class CroppingBack(Transform):
    def synthesis(self, y, quality):
        return super().synthesis(y, quality)[:, :, :60]


@breaks("transform", "shapes")
class Double(Transform):
    def analysis(self, x, quality):
        return super().analysis(x, quality).double()


@breaks("transform", "shapes")
class UnknownStride(Transform):
    stride = 4.0


@breaks("transform", "finite_at_extremes")
class Logarithm(Transform):
    def analysis(self, x, quality):
        return super().analysis(torch.log(x + 128), quality)


@breaks("transform", "finite_at_extremes")
class Exponential(Transform):
    def synthesis(self, y, quality):
        return super().synthesis(torch.exp(y), quality)


@breaks("transform", "finite_at_extremes")
class InPlace(Transform):
    def analysis(self, x, quality):
        return super().analysis(x.mul_(0.5), quality)


@breaks("transform", "batch_invariance")
class MeanOfBatch(Transform):
    def analysis(self, x, quality):
        return super().analysis(x - x.mean((0, 2, 3), keepdim=True), quality)


@breaks("transform", "batch_invariance")
class FirstQuality(Transform):
    def synthesis(self, y, quality):
        return super().synthesis(y, quality[:1].expand(len(y)))


@breaks("transform", "finite_gradients")
class Detached(Transform):
    def synthesis(self, y, quality):
        return super().synthesis(y.detach(), quality)


@breaks("transform", "finite_gradients")
class WithoutGradient(Transform):
    @torch.no_grad()
    def analysis(self, x, quality):
        return super().analysis(x, quality)


@breaks("transform", "finite_gradients")
class Root(Transform):
    def analysis(self, x, quality):
        return super().analysis(x.abs().sqrt(), quality)


@breaks("transform", "importance")
class Understating(Transform):
    def importance(self, x, quality):
        return 0.9 * super().importance(x, quality)


@breaks("transform", "importance")
class InChannels(Transform):
    def importance(self, x, quality):
        return self.channels * super().importance(x, quality)


@breaks("transform", "importance")
class WithChannelAxis(Transform):
    def importance(self, x, quality):
        return super().importance(x, quality)[:, None]


@breaks("transform", "wrong_input")
class Broadcasting(Transform):
    def analysis(self, x, quality):
        return super().analysis(x[:, :3].expand(-1, 3, -1, -1), quality)


@breaks("transform", "wrong_input")
class Asserting(Transform):
    def synthesis(self, y, quality):
        assert y.shape[1] == self.channels
        return super().synthesis(y, quality)


@breaks("transform", "wrong_input")
class Wrapping(Transform):
    def analysis(self, x, quality):
        return super().analysis(x if x.is_floating_point() else x // 2, quality)


# Quantizers.


@breaks("quantizer", "symbols")
class FloatSymbols(Quantizer):
    def quantize(self, y):
        return super().quantize(y).astype(np.float32)


@breaks("quantizer", "symbols")
class WrappingAround(Quantizer):
    def quantize(self, y):
        return super().quantize(y * 0) + y[0].round().numpy().astype(np.int64).astype(np.int8)


@breaks("quantizer", "symbols")
class WithBatchAxis(Quantizer):
    def dequantize(self, symbols):
        return super().dequantize(symbols)[0]


@breaks("quantizer", "round_trip")
class OffCentre(Quantizer):
    def dequantize(self, symbols):
        return super().dequantize(symbols) + 0.6


@breaks("quantizer", "surrogate_shapes")
class OneValue(Quantizer):
    def surrogate(self, y):
        return super().surrogate(y)[0]


@breaks("quantizer", "surrogate_shapes")
class OneImage(Quantizer):
    def surrogate(self, y):
        return tuple(found[:1] for found in super().surrogate(y))


@breaks("quantizer", "surrogate_shapes", "finite_gradients")
class NotANumber(Quantizer):
    def surrogate(self, y):
        found = y * torch.exp(y * 1e9)
        return found, found


@breaks("quantizer", "finite_gradients")
class BareRounding(Quantizer):
    def surrogate(self, y):
        return y.round(), y


@breaks("quantizer", "finite_gradients")
class DetachedRounding(Quantizer):
    def surrogate(self, y):
        return y.detach().round(), y


@breaks("quantizer", "wrong_input")
class FirstOfBatch(Quantizer):
    def quantize(self, y):
        return super().quantize(y[:1])


@breaks("quantizer", "wrong_input")
class AnyRank(Quantizer):
    def quantize(self, y):
        return super().quantize(y if y.ndim == 4 else y[None])


# Entropy models.


@breaks("entropy_model", "bits_shape")
class Total(EntropyModel):
    def bits(self, values, context, quality):
        return super().bits(values, context, quality).sum(1)


@breaks("entropy_model", "bits_shape")
class Infinite(EntropyModel):
    def bits(self, values, context, quality):
        return super().bits(values, context, quality) - torch.log((values == values.round()).float())


@breaks("entropy_model", "bits_shape", "probabilities_sum_to_one")
class Generous(EntropyModel):
    def bits(self, values, context, quality):
        return super().bits(values, context, quality) - 3


@breaks("entropy_model", "probabilities_sum_to_one")
class Wasteful(EntropyModel):
    def bits(self, values, context, quality):
        return super().bits(values, context, quality) + 0.1


@breaks("entropy_model", "causality")
class Clairvoyant(EntropyModel):
    def bits(self, values, context, quality):
        return super().bits(values, context, quality) + 0.1 * context.abs()


@breaks("entropy_model", "causality")
class OneAnother(EntropyModel):
    """Each cost depends on the neighbours to either side: none can be decoded first."""

    def bits(self, values, context, quality):
        left, right = F.pad(context, (1, 0))[..., :-1], F.pad(context, (0, 1))[..., 1:]
        return super().bits(values, context, quality) + 0.1 * (left.abs() + right.abs())


@breaks("entropy_model", "finite_gradients")
class DetachedBits(EntropyModel):
    def bits(self, values, context, quality):
        return super().bits(values, context, quality).detach()


@breaks("entropy_model", "finite_gradients")
class RootOfBits(EntropyModel):
    def bits(self, values, context, quality):
        return super().bits(values, context, quality) + 0 * (values - context).abs().sqrt()


@breaks("entropy_model", "batch_invariance")
class FirstQualityOnly(EntropyModel):
    def bits(self, values, context, quality):
        return super().bits(values, context, quality[:1].expand(len(values)))


@breaks("entropy_model", "lossless")
class Lossy(EntropyModel):
    def encode(self, symbols, quality_step):
        return super().encode(np.where(symbols == -self.limit, 0, symbols), quality_step)


@breaks("entropy_model", "lossless")
class ByteArray(EntropyModel):
    def encode(self, symbols, quality_step):
        return bytearray(super().encode(symbols, quality_step))


@breaks("entropy_model", "lossless")
class Scribbling(EntropyModel):
    def encode(self, symbols, quality_step):
        data = super().encode(symbols, quality_step)
        symbols *= 0
        return data


class Tailed(EntropyModel):
    """Streams end in something of no use to the decoder."""

    def tail(self, symbols) -> bytes:
        raise NotImplementedError

    def encode(self, symbols, quality_step):
        tail = self.tail(symbols)
        return super().encode(symbols, quality_step) + tail + bytes([len(tail)])

    def decode(self, data, shape, quality_step):
        if not data:
            raise CorruptStream("no data")
        return super().decode(data[: -1 - data[-1]], shape, quality_step)


@breaks("entropy_model", "lossless")
class Counting(Tailed):
    count = 0

    def tail(self, symbols):
        self.count += 1
        return bytes([self.count % 256])


@breaks("entropy_model", "integer_types")
class Typed(Tailed):
    def tail(self, symbols):
        return symbols.dtype.str.encode()


@breaks("entropy_model", "integer_types")
class Ordered(Tailed):
    def tail(self, symbols):
        return bytes([symbols.flags.c_contiguous])


@breaks("entropy_model", "code_length")
class Padded(Tailed):
    def tail(self, symbols):
        return bytes(60)


@breaks("entropy_model", "code_length")
class Overestimated(EntropyModel):
    def code_length_bits(self, symbols, quality_step):
        return 1.1 * super().code_length_bits(symbols, quality_step)


@breaks("entropy_model", "code_lengths")
class OnAverage(EntropyModel):
    def code_lengths(self, symbols, quality_step):
        return super().code_lengths(symbols, quality_step).mean(0)


@breaks("entropy_model", "code_lengths")
class InNats(EntropyModel):
    def code_lengths(self, symbols, quality_step):
        return super().code_lengths(symbols, quality_step) * np.log(2)

    def code_length_bits(self, symbols, quality_step):
        return float(super().code_lengths(symbols, quality_step).sum())


@breaks("entropy_model", "code_lengths")
class WithARefund(EntropyModel):
    def code_lengths(self, symbols, quality_step):
        lengths = super().code_lengths(symbols, quality_step)
        return lengths - 50 * (np.arange(lengths.size) == 0).reshape(lengths.shape)


@breaks("entropy_model", "chosen")
class ChoosingInSecret(EntropyModel):
    def encode_chosen(self, symbols, quality_step, slopes, curvatures):
        other = np.where(slopes[:, :1] < -curvatures[:, None, None], symbols[:, :1], symbols)
        return symbols.astype(np.int32), self.encode(other[..., ::-1], quality_step)


@breaks("entropy_model", "chosen")
class ChoosingFarAway(EntropyModel):
    def encode_chosen(self, symbols, quality_step, slopes, curvatures):
        found = np.where(slopes > curvatures[:, None, None], 0, symbols).astype(np.int32)
        return found, self.encode(found, quality_step)


@breaks("entropy_model", "chosen")
class ChoosingAtAnyPrice(EntropyModel):
    def encode_chosen(self, symbols, quality_step, slopes, curvatures):
        found = (symbols - np.sign(symbols)).astype(np.int32)
        return found, self.encode(found, quality_step)


@breaks("entropy_model", "wrong_input")
class Truncating(EntropyModel):
    def encode(self, symbols, quality_step):
        return super().encode(symbols.astype(np.int32), quality_step)


@breaks("entropy_model", "wrong_input")
class Flat(EntropyModel):
    def encode(self, symbols, quality_step):
        return super().encode(np.broadcast_to(symbols, (4, *symbols.shape[-2:])), quality_step)


@breaks("entropy_model", "wrong_input")
class Clipping(EntropyModel):
    def encode(self, symbols, quality_step):
        return super().encode(symbols.clip(-self.limit, self.limit), quality_step)


@breaks("entropy_model", "wrong_input")
class AnyShape(EntropyModel):
    def decode(self, data, shape, quality_step):
        return super().decode(data, (self.channels, *shape[-2:]), quality_step)


@breaks("entropy_model", "wrong_input")
class ClippingUndeclared(Clipping):
    symbol_range = property()


@breaks("entropy_model", "corrupt_streams")
class Careless(EntropyModel):
    def decode(self, data, shape, quality_step):
        try:
            return super().decode(data, shape, quality_step)
        except CorruptStream as error:
            raise IndexError("out of range") from error


@breaks("entropy_model", "corrupt_streams")
class Shortened(EntropyModel):
    def decode(self, data, shape, quality_step):
        try:
            return super().decode(data, shape, quality_step)
        except CorruptStream:
            return np.zeros((shape[0], 0, shape[2]), np.int32)


@breaks("entropy_model", "corrupt_streams")
class CarelessInside(EntropyModel):
    def decode(self, data, shape, quality_step):
        try:
            return super().decode(data, shape, quality_step)
        except CorruptStream as error:
            if len(data) < 43:  # the whole stream
                raise
            raise IndexError("out of range") from error


@breaks("entropy_model", "equal_to_reference")
class OtherReference(EntropyModel):
    def reference(self):
        return Counting(self.limit)


@breaks("entropy_model", "equal_to_reference")
class IncompleteReference(EntropyModel):
    def reference(self):
        return ZeroReader(self.limit)


class ZeroReader(EntropyModel):
    def decode(self, data, shape, quality_step):
        return 0 * super().decode(data, shape, quality_step)


@breaks("entropy_model", "golden_streams")
class OtherTables(EntropyModel):
    def __init__(self):
        super().__init__(limit=20)


@breaks("entropy_model", "golden_streams")
class ReadsOldOnes(Tailed):
    """Reads the golden stream, and writes another."""

    def tail(self, symbols):
        return b""

    def decode(self, data, shape, quality_step):
        try:
            return super().decode(data, shape, quality_step)
        except CorruptStream:
            return EntropyModel.decode(self, data, shape, quality_step)


# Discriminators.


@breaks("discriminator", "scalar_losses")
class EachImage(Discriminator):
    def generator_loss(self, x, x_hat, y):
        return super().generator_loss(x, x_hat, y).expand(len(x))


@breaks("discriminator", "scalar_losses")
class Unbounded(Discriminator):
    def critic_loss(self, x, x_hat, y):
        return super().critic_loss(x, x_hat, y) + torch.exp(y.abs().max())


@breaks("discriminator", "gradient_paths")
class DetachedGenerator(Discriminator):
    def generator_loss(self, x, x_hat, y):
        return super().generator_loss(x, x_hat.detach(), y)


@breaks("discriminator", "gradient_paths")
class LeakingCritic(Discriminator):
    def critic_loss(self, x, x_hat, y):
        return super().critic_loss(x, x_hat, y) + self.logits(x_hat).mean()


@breaks("discriminator", "gradient_paths")
class IdleCritic(Discriminator):
    def critic_loss(self, x, x_hat, y):
        return super().critic_loss(x, x_hat, y).detach()


@breaks("discriminator", "gradient_paths")
class WeightlessCritic(Discriminator):
    def critic_loss(self, x, x_hat, y):
        return 0 * super().critic_loss(x, x_hat, y)


@breaks("discriminator", "finite_gradients")
class Distance(Discriminator):
    def generator_loss(self, x, x_hat, y):
        return super().generator_loss(x, x_hat, y) + (x - x_hat).square().mean().sqrt()


@breaks("discriminator", "wrong_input")
class AnySizes(Discriminator):
    def critic_loss(self, x, x_hat, y):
        return super().critic_loss(x, F.interpolate(x_hat, x.shape[2:]), y)


@breaks("discriminator", "wrong_input")
class AnyPlanes(Discriminator):
    def generator_loss(self, x, x_hat, y):
        return super().generator_loss(x, x_hat, y) if x_hat.shape[1] == 3 else x_hat.mean()


# Estimators.


@breaks("estimator", "named_figures")
class Unitless(Estimator):
    def estimate(self, codec, images):
        return {"rate": 1.0}


@breaks("estimator", "named_figures")
class Nothing(Estimator):
    def estimate(self, codec, images):
        return {}


@breaks("estimator", "named_figures")
class Undefined(Estimator):
    def estimate(self, codec, images):
        return {**super().estimate(codec, images), "gap_bpp": float("nan")}


@breaks("estimator", "deterministic")
class Unseeded(Estimator):
    count = 0

    def offset(self):
        self.count += 1
        return float(self.count)


@breaks("estimator", "codec_unchanged")
class Tuning(Estimator):
    def estimate(self, codec, images):
        codec.transform.gain.data.mul_(2)
        return super().estimate(codec, images)


@breaks("estimator", "wrong_input")
class AverageOfNothing(Estimator):
    def estimate(self, codec, images):
        return super().estimate(codec, images) if images else {"rate_bpp": 0.0}


# Metrics.


@breaks("metric", "plain_value")
class PerChannel(Metric):
    def compute(self):
        return torch.full((3,), super().compute())


@breaks("metric", "plain_value")
class Undirected(Metric):
    higher_is_better = None


@breaks("metric", "plain_value")
class WithoutRange(Metric):
    data_range = 0


@breaks("metric", "direction")
class Reversed(Metric):
    higher_is_better = False


@breaks("metric", "direction")
class Constant(Metric):
    def compute(self):
        return 1.0


@breaks("metric", "reset_forgets")
class Remembering(Metric):
    total, count = 0.0, 0

    def reset(self):
        pass


@breaks("metric", "batch_invariance")
class MeanOfMeans(Metric):
    def add(self, total, count):
        super().add(total / count, 1)


@breaks("metric", "float_types")
class OnlySingle(Metric):
    def update(self, x_hat, x):
        super().update(x_hat / 2 if x_hat.dtype == torch.float64 else x_hat, x)


@breaks("metric", "wrong_input")
class CroppingMetric(Metric):
    def update(self, x_hat, x):
        height = min(x.shape[2], x_hat.shape[2])
        super().update(x_hat[:, :, :height], x[:, :, :height])


@breaks("metric", "wrong_input")
class GreyMetric(Metric):
    def update(self, x_hat, x):
        super().update(x_hat.expand(-1, 3, -1, -1), x)


# Codecs.


@breaks("codec", "described_by_json")
class RandomFingerprint(Codec):
    def __init__(self):
        super().__init__()
        self.fingerprint = bytes(torch.randint(256, (32,)).tolist())


@breaks("codec", "described_by_json")
class ShortFingerprint(Codec):
    def __init__(self):
        super().__init__()
        self.fingerprint = self.fingerprint[:4]


@breaks("codec", "described_by_json")
class ArrayConfig(Codec):
    def config(self):
        return {"gain": np.ones(3)}


@breaks("codec", "takes_what_commands_pass")
class WithoutDevice(Codec):
    def compress(self, image, quality=None):
        return super().compress(image, quality)


@breaks("codec", "takes_what_commands_pass")
class WithoutCrop(Codec):
    def decompress(self, data, device="cpu"):
        return super().decompress(data, device)


@breaks("codec", "takes_what_commands_pass")
class WithoutSteps(Codec):
    quality_step = None


@breaks("codec", "round_trip")
class Opaque(Codec):
    def decompress(self, data, device="cpu"):
        return super().decompress(data).convert("RGB")


@breaks("codec", "round_trip")
class LossyAlpha(Codec):
    def decompress(self, data, device="cpu"):
        image = super().decompress(data)
        if image.mode == "RGBA":
            image.putalpha(128)
        return image


@breaks("codec", "round_trip")
class Inverted(Codec):
    def decompress(self, data, device="cpu"):
        return super().decompress(data).point(lambda value: 255 - value)


@breaks("codec", "round_trip")
class ByteArrayFile(Codec):
    def compress(self, image, quality=None, bpp=None, device="cpu"):
        return bytearray(super().compress(image, quality))


class Levelled(sample.SampleTransform):
    """Looks at the whole image, and says that it does not."""

    def analysis(self, x, quality):
        return super().analysis(x - x.mean(), quality)


class Brightened(sample.SampleTransform):
    def synthesis(self, y, quality):
        return super().synthesis(y, quality) + y.mean()


@breaks("codec", "tiles_and_crops")
class FarsightedAnalysis(Codec):
    transform_factory = Levelled


@breaks("codec", "tiles_and_crops")
class FarsightedSynthesis(Codec):
    transform_factory = Brightened


@breaks("codec", "tiles_and_crops")
class Uncropped(Codec):
    def decompress(self, data, device="cpu", crop=None):
        return super().decompress(data, device)


@breaks("codec", "equal_input_equal_bytes")
class Wavering(Codec):
    count = 0

    def compress(self, image, quality=None, bpp=None, device="cpu"):
        self.count += 1
        return super().compress(image, quality - 0.25 * (self.count % 2))


@breaks("codec", "quality_raises_bytes")
class Backwards(Codec):
    def compress(self, image, quality=None, bpp=None, device="cpu"):
        return super().compress(image, 9 - quality)


@breaks("codec", "wrong_input")
class ClippedQuality(Codec):
    def compress(self, image, quality=None, bpp=None, device="cpu"):
        return super().compress(image, min(max(quality, 1), 8))


@breaks("codec", "wrong_input")
class AnyImage(Codec):
    def compress(self, image, quality=None, bpp=None, device="cpu"):
        if isinstance(image, np.ndarray):
            image = image.astype(np.uint8)
        return super().compress(image, quality)


@breaks("codec", "wrong_input")
class WrongError(Codec):
    def compress(self, image, quality=None, bpp=None, device="cpu"):
        try:
            return super().compress(image, quality)
        except InvalidInput as error:
            raise KeyError("no") from error


@breaks("codec", "corrupt_files")
class Forgiving(Codec):
    def decompress(self, data, device="cpu"):
        try:
            return super().decompress(data)
        except PycodecError:
            return Image.new("RGBA", (20, 12))


@breaks("codec", "corrupt_files")
class ForgivingInside(Codec):
    whole = 0

    def decompress(self, data, device="cpu"):
        self.whole = max(self.whole, len(data))
        try:
            return super().decompress(data)
        except PycodecError:
            if len(data) < self.whole:
                raise
            return Image.new("RGBA", (20, 12))


@breaks("codec", "corrupt_files")
class CarelessCodec(Codec):
    def decompress(self, data, device="cpu"):
        try:
            return super().decompress(data)
        except CorruptStream as error:
            raise IndexError("out of range") from error


@breaks("codec", "corrupt_files")
class Talkative(Codec):
    def decompress(self, data, device="cpu"):
        try:
            return super().decompress(data)
        except CorruptStream as error:
            raise CorruptStream(f"sorry\n{error}") from error


@breaks("codec", "foreign_files")
class Hospitable(Codec):
    def decompress(self, data, device="cpu"):
        container = bitstream.parse(data)
        own = replace(container, header=replace(container.header, fingerprint=self.fingerprint[:4]))
        return super().decompress(own.to_bytes())


@breaks("codec", "conforming_parts")
class LeakyTransform(Codec):
    transform_factory = MeanOfBatch


@breaks("codec", "conforming_parts")
class PaddedStreams(Codec):
    entropy_model_factory = type("Padded48", (Padded,), {"channels": sample.SampleTransform.channels})


class _WithModel(Codec):
    """Its latent model has other members than it should."""

    def latent_model(self, quality):
        model = super().latent_model(quality)
        vars(model).update(self.members(model))
        return model


@breaks("codec", "latent_model")
class OtherQuality(Codec):
    def latent_model(self, quality):
        return super().latent_model(1)


@breaks("codec", "latent_model")
class MoreLatents(_WithModel):
    def members(self, model):
        encode = model.encode
        return {"encode": lambda x: 2 * encode(x)}


@breaks("codec", "latent_model")
class WithoutImageGradient(_WithModel):
    def members(self, model):
        decode = model.decode
        return {"decode": lambda receive: decode(lambda prior: receive(prior).detach())}


@breaks("codec", "latent_model")
class OtherSynthesis(_WithModel):
    def members(self, model):
        decode = model.decode
        return {"decode": lambda receive: 0.5 * decode(receive)}


@breaks("codec", "latent_model")
class OtherPrior(_WithModel):
    def members(self, model):
        class Doubled(sample.SampleEntropyModel):
            def bits(self, values, context, quality):
                return 2 * super().bits(values, context, quality)

        return {"_entropy_model": Doubled(64)}


@breaks("codec", "latent_model")
class OtherSymbols(Codec):
    def latent_symbols(self, latents):
        return super().latent_symbols(latents)[::-1]


@breaks("codec", "golden_streams")
class OtherWeights(Codec):
    def __init__(self):
        super().__init__(limit=20)


@breaks("codec", "same_on_device")
class OtherThere(Codec):
    def decompress(self, data, device=None):
        image = super().decompress(data)
        return image if device is None else image.point(lambda value: 255 - value)
