"""The prior: densities that are densities, tables that follow them, and streams coded by tables alone."""

import numpy as np
import pytest
import torch

from pycodec.errors import CorruptStream, InvalidInput, MissingWeights
from pycodec_gdn_factorized.prior import FactorizedPrior

CHANNELS = 3


@pytest.fixture
def prior() -> FactorizedPrior:
    """Densities as training leaves them: of all shapes and widths."""
    torch.manual_seed(0)
    model = FactorizedPrior(CHANNELS)
    for parameter in [*model.shifts, *model.bends]:
        torch.nn.init.normal_(parameter)
    with torch.no_grad():
        model.log_scale += torch.tensor([-2.0, 0.0, 3.0])
    model.freeze([], None)
    return model


def drawn(h: int = 16, w: int = 24, spread: float = 3.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.rint(rng.laplace(0, spread, (CHANNELS, h, w))).astype(np.int32)


def test_masses_of_all_integers_sum_to_one(prior):
    grid = torch.arange(-3000, 3001.0).expand(1, CHANNELS, 1, -1)
    for quality in (1.0, 4.3, 8.0):
        mass = 2 ** -prior.bits(grid, grid, torch.tensor([quality])).double()
        assert torch.allclose(mass.sum(3), torch.ones(1, dtype=torch.float64), atol=1e-3)


def test_a_latent_moved_towards_the_middle_costs_less(prior):
    values = torch.full((1, CHANNELS, 1, 1), 400.0, requires_grad=True)
    prior.bits(values, values, torch.tensor([8.0])).sum().backward()
    assert (values.grad[0, -1] > 0).all()


def test_tables_cost_what_the_densities_cost(prior):
    """At half qualities, of which there are tables."""
    symbols = drawn()
    values = torch.from_numpy(symbols)[None].float()
    for step in (16, 72, 128):
        with torch.no_grad():
            bits = prior.bits(values, values, torch.tensor([step / 16]))
        usual = bits < 10  # integers of 14 bits say little about rare symbols
        few = np.where(usual[0].numpy(), symbols, 0)
        expected = prior.bits(torch.from_numpy(few)[None].float(), values, torch.tensor([step / 16])).sum()
        assert prior.code_length_bits(few, step) == pytest.approx(expected.item(), rel=0.01)


def test_every_table_sums_to_its_precision(prior):
    tables = prior.tables
    sums = np.add.reduceat(tables.freqs.astype(int), np.cumsum(tables.sizes) - tables.sizes)
    assert len(tables) == 15 * CHANNELS and (sums == 1 << tables.precision).all()


@pytest.mark.parametrize("step", [16, 23, 24, 128])
def test_round_trip_with_symbols_no_table_has(prior, step):
    symbols = drawn()
    symbols[:, 0, :4] = -(1 << 20), 1 << 20, 5000, -2000
    data = prior.encode(symbols, step)
    assert np.array_equal(prior.decode(data, symbols.shape, step), symbols)
    assert len(data) * 8 <= 1.01 * prior.code_length_bits(symbols, step) + 64


def test_only_tables_decide_bytes(prior):
    """Another machine, or another version of torch, may compute other floats."""
    other = FactorizedPrior(CHANNELS)
    other.load_frozen(prior.tables.to_arrays())
    assert other.encode(drawn(), 40) == prior.encode(drawn(), 40)


def test_the_nearest_half_quality_codes(prior):
    lengths = [prior.code_length_bits(drawn(), step) for step in range(16, 129)]
    assert lengths[3] == lengths[0] != lengths[4]  # 1.1875 by the tables of 1, 1.25 by those of 1.5
    assert lengths[111] == lengths[112]


def test_what_does_not_fit_is_refused(prior):
    with pytest.raises(MissingWeights, match="no integer tables"):
        FactorizedPrior(CHANNELS).encode(drawn(), 16)
    with pytest.raises(InvalidInput, match="expected 15"):
        FactorizedPrior(1).load_frozen(prior.tables.to_arrays())
    with pytest.raises(InvalidInput, match="quality step 129, expected 16 to 128"):
        prior.encode(drawn(), 129)
    with pytest.raises(InvalidInput, match=r"expected \(3, h, w\)"):
        prior.encode(drawn()[:2], 16)
    data = prior.encode(drawn(), 16)
    with pytest.raises(CorruptStream):
        prior.decode(data[:-1], drawn().shape, 16)
