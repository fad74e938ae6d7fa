"""The order of coding: every value once, and nothing follows from what comes later."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pycodec_plugins.rdgap.quadtree import PASSES, passes, walk


def test_each_pass_takes_one_position_of_each_channel_and_one_channel_of_each_position() -> None:
    order = passes(8, 6, 10).numpy()
    assert set(np.unique(order)) == set(range(PASSES))
    squares = order.reshape(2, 4, 3, 2, 5, 2)  # groups of four channels, in squares of 2 x 2
    for number in range(PASSES):
        here = squares == number
        assert (here.sum((3, 5)) == 1).all() and (here.sum(1) == 1).all()


def test_the_order_is_that_of_dcvc_dc() -> None:
    """Its table of positions: of pass 0 to 3, the place in the square that each channel of four uses."""
    table = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1], [1, 0, 3, 2]]
    order = passes(4, 2, 2).reshape(4, 4)
    found = [[order[channel].tolist().index(number) for channel in range(4)] for number in range(PASSES)]
    assert found == table


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 4), (6, 0, 2)])
def test_any_shape_is_covered(shape: tuple[int, int, int]) -> None:
    order = passes(*shape)
    assert order.shape == shape and ((order >= 0) & (order < PASSES)).all()


def test_only_what_is_coded_is_known() -> None:
    """Whatever is said of values out of turn changes nothing."""
    order, prior = passes(5, 4, 6), torch.randn(5, 4, 6)
    truth, seen = torch.randn(5, 4, 6), []

    def predict(number: int, given: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        assert torch.equal(given, prior)
        seen.append((number, known))
        return torch.full_like(prior, 100.0 * number)

    def learn(here: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        return torch.where(here, truth, 1e9)

    told = walk(prior, predict, learn)
    assert torch.equal(told, prior + 100.0 * order)
    assert [number for number, _ in seen] == [1, 2, 3]
    for number, known in seen:
        assert torch.equal(known, torch.where(order < number, truth, 0.0))
