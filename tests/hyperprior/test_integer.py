"""The integer networks: native, torch and numpy give the same integers, close to the float network's values."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from pycodec import weights
from pycodec.errors import InvalidInput
from pycodec_plugins.hyperprior.hyper import HyperSynthesis
from pycodec_plugins.hyperprior.integer import IntegerSynthesis, float_tensors, integer_arrays
from pycodec_plugins.hyperprior.integer_layer import FRACTION, SUM_LIMIT

DECONVOLUTION = pytest.mark.parametrize("deconvolution", [False, True])


def network(deconvolution: bool, seed: int = 0) -> HyperSynthesis:
    torch.manual_seed(seed)
    made = HyperSynthesis(6, 10, 8, deconvolution)
    for parameter in made.parameters():
        parameter.data *= 2
    return made


def hyper_latents(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    return (4 * torch.randn(count, 6, height, width, generator=torch.Generator().manual_seed(seed))).round()


@DECONVOLUTION
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (8, 2)])
def test_every_backend_gives_the_same_integers(deconvolution: bool, height: int, width: int) -> None:
    synthesis = IntegerSynthesis(integer_arrays(network(deconvolution), [hyper_latents(4, 4, 4)]))
    z = hyper_latents(1, height, width, seed=1)[0]
    z.view(-1)[0] = 1000  # beyond what the network looks at
    found = synthesis(z)
    assert found.shape == (10, 4 * height, 4 * width)
    assert np.array_equal(found.numpy(), synthesis.reference(z.numpy().astype(np.int32)))
    assert torch.equal(synthesis(z, portable=True), found)


@DECONVOLUTION
def test_close_to_the_float_network(deconvolution: bool) -> None:
    floats, z = network(deconvolution), hyper_latents(8, 5, 7)
    synthesis = IntegerSynthesis(integer_arrays(floats, z.split(4)))
    with torch.no_grad():
        expected = floats(z[:1])[0]
    error = synthesis(z[0]).float() / FRACTION - expected
    assert error.std() < 0.02 * expected.std()


@DECONVOLUTION
def test_floats_come_back_from_integers(deconvolution: bool) -> None:
    """A network equal to what they compute, whose own integers are the same but for rounding."""
    floats, z = network(deconvolution), hyper_latents(8, 5, 7)
    arrays = integer_arrays(floats, z.split(4))
    again = network(deconvolution, seed=1)
    weights.load_module(again, float_tensors(again, arrays), "")
    with torch.no_grad():
        expected, found = floats(z), again(z)
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()
    apart = IntegerSynthesis(integer_arrays(again, z.split(4)))(z[0]) - IntegerSynthesis(arrays)(z[0])
    assert apart.float().std() < 0.01 * FRACTION * expected.std()


@torch.no_grad()
def test_a_channel_that_is_hardly_active_comes_back_small() -> None:
    """Its codes stand for next to nothing; in their units its weights would be thousands."""
    floats, z = network(False), hyper_latents(8, 5, 7)
    floats[0].bias[:4] = -1000
    found = float_tensors(floats, integer_arrays(floats, z.split(4)))
    largest = max(np.abs(found[f"{i}.weight"]).max() for i in (0, 3, 6))
    assert largest < 10 * max(p.abs().max() for n, p in floats.named_parameters() if "weight" in n)


def test_threads_do_not_matter() -> None:
    synthesis, z = (
        IntegerSynthesis(integer_arrays(network(False), [hyper_latents(2, 4, 4)])),
        hyper_latents(1, 9, 9),
    )
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(synthesis(z[0]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


def test_survives_pickling() -> None:
    synthesis, z = (
        IntegerSynthesis(integer_arrays(network(False), [hyper_latents(2, 4, 4)])),
        hyper_latents(1, 2, 2)[0],
    )
    assert torch.equal(pickle.loads(pickle.dumps(synthesis))(z), synthesis(z))


def test_sums_that_could_leave_24_bits_are_refused() -> None:
    arrays = integer_arrays(network(False), [hyper_latents(2, 4, 4)])
    for name, value in (("1.bias", SUM_LIMIT), ("2.multiplier", 1 << 38), ("0.multiplier", -1)):
        broken = dict(arrays, **{name: np.full_like(arrays[name], value)})
        with pytest.raises(InvalidInput, match=f"layer {name[0]} do not fit their 24 bits"):
            IntegerSynthesis(broken)


def test_missing_arrays_and_shapes_that_do_not_fit_are_named() -> None:
    arrays = integer_arrays(network(False), [hyper_latents(2, 4, 4)])
    with pytest.raises(InvalidInput, match=r"1\.weight"):
        IntegerSynthesis({name: array for name, array in arrays.items() if name != "1.weight"})
    with pytest.raises(InvalidInput, match="one bias and multiplier for each output"):
        IntegerSynthesis(dict(arrays, **{"1.bias": arrays["1.bias"][:-1]}))
