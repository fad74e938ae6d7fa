"""A toy of every kind that keeps every rule. What each gives has ``offset()`` added, for mutants to break."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pycodec import rdoq, weights
from pycodec.errors import InvalidInput
from pycodec.evaluation.metrics import psnr
from pycodec.testing import sample
from pycodec.testing.sample_model import DifferentiableSampleCodec


class Steady:
    """Adds nothing."""

    def offset(self) -> float:
        return 0.0


class Transform(Steady, sample.SampleTransform):
    def analysis(self, x, quality):
        return super().analysis(x, quality) + self.offset()

    def importance(self, x, quality):
        return (self.analysis(x, quality) != 0).float().mean(1)


class Quantizer(Steady, sample.SampleQuantizer):
    def quantize(self, y):
        return super().quantize(y) + int(self.offset())

    def quantize_tensor(self, y):
        return torch.from_numpy(self.quantize(y)).to(y.device)

    def dequantize_tensor(self, symbols):
        return symbols[None].float()


class EntropyModel(Steady, sample.SampleEntropyModel):
    channels = 4

    def _rows(self, symbols, quality_step):
        if symbols.shape[0] != self.channels:
            raise InvalidInput(f"symbols of {symbols.shape[0]} planes, expected {self.channels}")
        return super()._rows(symbols, quality_step)

    def bits(self, values, context, quality):
        return super().bits(values, context, quality) + self.offset()

    def code_length_bits(self, symbols, quality_step):
        return super().code_length_bits(symbols, quality_step) + self.offset()

    def encode_chosen(self, symbols, quality_step, slopes, curvatures):
        def cost(values, places):
            every = symbols.ravel().copy()
            every[places] = values
            return self.code_lengths(every.reshape(symbols.shape), quality_step).ravel()[places]

        within = np.broadcast_to(curvatures[:, None, None], symbols.shape).ravel()
        found = rdoq.chosen(symbols.ravel(), slopes.ravel(), within, cost, self.symbol_range)
        found = found.reshape(symbols.shape).astype(np.int32)
        return found, self.encode(found, quality_step)

    def encode_tensor(self, symbols, quality_step):
        return self.encode(symbols.cpu().numpy(), quality_step)

    def decode_tensor(self, data, shape, quality_step, device):
        return torch.from_numpy(self.decode(data, shape, quality_step)).to(device)

    def reference(self):
        return sample.SampleEntropyModel(self.limit)


class Discriminator(Steady, nn.Module):
    """Two convolutions and a hinge loss."""

    def __init__(self, width: int = 4):
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(nn.Conv2d(3, width, 4, 4), nn.LeakyReLU(), nn.Conv2d(width, 1, 4, 4))

    def logits(self, x):
        return self.layers(x / 128)

    def critic_loss(self, x, x_hat, y):
        _check_pair(x, x_hat)
        real, fake = self.logits(x), self.logits(x_hat.detach())
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean() + self.offset()

    def generator_loss(self, x, x_hat, y):
        _check_pair(x, x_hat)
        return -self.logits(x_hat).mean() + self.offset()

    def config(self):
        return {"width": self.width}


class Estimator(Steady):
    """Mean rate and quality of what the codec writes."""

    def estimate(self, codec, images):
        if not images:
            raise InvalidInput("no images to average over, expected at least one")
        files = [codec.compress(image) for image in images]
        rates = [8 * len(f) / (i.width * i.height) for f, i in zip(files, images, strict=True)]
        decoded = [np.asarray(codec.decompress(f)) for f in files]
        quality = [psnr(np.asarray(i), d) for i, d in zip(images, decoded, strict=True)]
        return {"rate_bpp": float(np.mean(rates)) + self.offset(), "psnr_db": float(np.mean(quality))}

    def config(self):
        return {}


class Metric(Steady):
    """PSNR of the mean squared error over all images."""

    higher_is_better, data_range = True, 255.0

    def __init__(self):
        self.reset()

    def update(self, x_hat, x):
        _check_pair(x, x_hat)
        self.add(float((x_hat - x).square().mean((1, 2, 3)).sum()), len(x))

    def add(self, total, count):
        self.total += total
        self.count += count

    def compute(self):
        error = self.total / self.count
        return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error)) + self.offset()

    def reset(self):
        self.total, self.count = 0.0, 0

    def config(self):
        return {}


class Codec(Steady, DifferentiableSampleCodec):
    """The sample codec; its offset is one of the latent."""

    transform_factory = sample.SampleTransform
    entropy_model_factory = sample.SampleEntropyModel

    def __init__(self, limit: int = 64):
        super().__init__(
            "toy",
            self.transform_factory(),
            sample.SampleQuantizer(limit),
            self.entropy_model_factory(limit),
            fingerprint=weights.fingerprint({"limit": limit}, {}),
        )

    def _analyze(self, picture, step, device):
        return super()._analyze(picture, step, device) + int(self.offset())


def _check_pair(x, x_hat):
    if x.shape != x_hat.shape or x.shape[1] != 3:
        raise InvalidInput(
            f"images of shapes {tuple(x.shape)} and {tuple(x_hat.shape)}, expected twice (N, 3, H, W)"
        )


TOYS = {
    "transform": Transform,
    "quantizer": Quantizer,
    "entropy_model": EntropyModel,
    "discriminator": Discriminator,
    "estimator": Estimator,
    "codec": Codec,
    "metric": Metric,
}
