"""The integer transform of ctx3d: close to the float one it comes from.

That its bits are the same everywhere is tested in tests/runtime/test_selftest.py.
"""

import numpy as np
import pytest
import torch
from torch import nn

from pycodec import weights
from pycodec.errors import WeightsMismatch
from pycodec.testing.samples import images
from pycodec_plugins.cpm import ctx3d
from pycodec_plugins.cpm.quantize_dct import input_ranges, load_quantized, quantize
from pycodec_plugins.cpm.quantized_dct import QuantizedResidualDCT
from pycodec_plugins.cpm.residual_dct import PartialBlock, ResidualDCT

QUALITIES = (1.0, 4.5, 8.0)


def scenery() -> np.ndarray:  # [150, 203, 3] uint8
    """Ramps, edges and texture, from integers alone."""
    y, x = np.mgrid[:150, :203].astype(np.int64)
    noise = ((x * 7919 + y * 104729) ** 2 >> 7) % 32
    disc = ((x - 120) ** 2 + (y - 70) ** 2 < 2500) * 90
    planes = [40 + y + noise, 200 - x // 2 + disc // 3, 30 + (x + y) // 3 + disc]
    return np.stack(planes, -1).clip(0, 255).astype(np.uint8)


def as_input(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image[:144, :200].copy()).permute(2, 0, 1)[None].float() - 128


@pytest.fixture(scope="module")
def shipped():
    """The float transform of the weights that ship, and the one in integers."""
    tensors, metadata = weights.load(ctx3d.WEIGHTS)
    config = metadata["config"]
    return ctx3d.restored(config, tensors)[0], ctx3d.quantized_transform(config, tensors)


@torch.no_grad()
@pytest.mark.parametrize("quality", QUALITIES)
def test_integers_are_close_to_the_float_transform(shipped, quality):
    transform, integers = shipped
    x, q = as_input(scenery()), torch.tensor([quality])
    y = transform.analysis(x, q)
    # A fiftieth of a step is half a per cent of the squared error that rounding makes; more would show.
    assert (integers.analysis(x, q) - y).square().mean().sqrt() < 0.02
    difference = integers.synthesis(y.round(), q) - transform.synthesis(y.round(), q)
    assert difference.square().mean().sqrt() < 0.5  # of 255


@torch.no_grad()
def test_a_batch_is_its_images(shipped):
    integers = shipped[1]
    x = as_input(scenery())
    batch, qualities = torch.cat([x, x.flip(3)]), torch.tensor([2.0, 7.0625])
    y = integers.analysis(batch, qualities)
    for i in range(2):
        one = integers.analysis(batch[i : i + 1], qualities[i : i + 1])
        assert torch.equal(y[i : i + 1], one)
        x_hat = integers.synthesis(one.round(), qualities[i : i + 1])
        assert torch.equal(integers.synthesis(y.round(), qualities)[i : i + 1], x_hat)


@torch.no_grad()
def test_other_shapes_of_the_transform(shipped):
    torch.manual_seed(2)
    transform = ResidualDCT(
        luma=11, chroma=2, qualities=3, fine=12, coarse=20, encoder_depth=2, decoder_depth=1
    )
    for last in (transform.encoder[-1], transform.decoder[-2]):
        torch.nn.init.normal_(last.weight, std=0.05)
    for name, table in transform.named_parameters():
        if name.endswith("bias.table"):
            torch.nn.init.normal_(table, std=0.2)
    images = [(as_input(scenery()), q) for q in (1.0, 1.5, 3.0)]
    arrays = quantize(transform, input_ranges(transform, images), range(16, 49))
    integers = QuantizedResidualDCT(arrays, transform.config())
    assert integers.channels == transform.channels and integers.config() == transform.config()
    for x, q in images:
        quality = torch.tensor([q])
        y = transform.analysis(x, quality)
        assert torch.allclose(integers.analysis(x, quality), y, atol=0.02)
        expected = transform.synthesis(y, quality)
        assert torch.allclose(integers.synthesis(y, quality), expected, atol=0.5)
    with pytest.raises(WeightsMismatch, match=r"lacks the array 'encoder\.down\.weight'"):
        QuantizedResidualDCT({k: v for k, v in arrays.items() if k != "encoder.down.weight"}, {})


@pytest.mark.parametrize("block", [8, 16])
def test_floats_come_back_from_integers(block: int) -> None:
    torch.manual_seed(0)
    shape = {"luma": 12, "chroma": 4, "fine": 16, "coarse": 24, "encoder_depth": 2, "decoder_depth": 1}
    trained, again = (ResidualDCT(**shape, block=block, fine_depth=1) for _ in range(2))
    for parameter in trained.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    x, quality = images(2, 64, 96), torch.tensor([3.5, 6.0])
    ranges = input_ranges(trained, [(x[:1], 3.5), (x[1:], 6.0)])
    load_quantized(again, quantize(trained, ranges, range(16, 129)))
    with torch.no_grad():
        y = trained.analysis(x, quality)
        assert (again.analysis(x, quality) - y).abs().max() < 0.01
        x_hat, found = (t.synthesis(y.round(), quality) for t in (trained, again))
    assert (found - x_hat).abs().max() < 0.02 * x_hat.std()


@pytest.mark.parametrize("network", ["encoder", "decoder"])
@pytest.mark.parametrize("dead", [3, 40])
def test_units_that_calibration_never_saw_come_back_in_a_size_that_trains(network: str, dead: int) -> None:
    torch.manual_seed(0)
    shape = {"luma": 12, "chroma": 4, "fine": 16, "coarse": 24, "encoder_depth": 1, "decoder_depth": 1}
    trained, again, twice = (ResidualDCT(**shape) for _ in range(3))
    for parameter in trained.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    calibration, quality = [(images(1, 64, 96), 4.0)], torch.tensor([4.0])

    def block_of(transform: ResidualDCT) -> PartialBlock:
        blocks = (m for m in transform.get_submodule(network).children() if isinstance(m, PartialBlock))
        return next(block for block in blocks if block.expand.out_channels == 48)

    block_of(trained).bias.table.data[:, :dead] = -50.0  # never above zero
    for before, after in ((trained, again), (again, twice)):  # a training may start from what another left
        ranges = input_ranges(before, calibration)
        assert sum(float(r.min() == 0) for name, r in ranges.items() if name.startswith(network)) > 0
        load_quantized(after, quantize(before, ranges, range(16, 129)))
        assert (
            max(
                layer.weight.abs().max()
                for layer in block_of(after).children()
                if isinstance(layer, nn.Conv2d)
            )
            < 20
        )
    # A nudge in training changes the picture by as little as it does elsewhere.
    x = calibration[0][0]
    with torch.no_grad():
        picture = twice.synthesis(twice.analysis(x, quality).round(), quality)
        block_of(twice).project.weight += 0.002
        block_of(twice).bias.table += 0.002
        nudged = twice.synthesis(twice.analysis(x, quality).round(), quality)
        assert (nudged - picture).abs().max() < picture.std()
