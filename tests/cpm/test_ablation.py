"""Rates of the simple context models against values worked out by hand."""

import numpy as np
import pytest

from pycodec_plugins.cpm.ablation import count_pairs, first_order_bits, zeroth_order_bits


def test_histograms_give_the_hand_worked_rates():
    volume = np.array([[[0, 0, 1, 0]]])
    counts = count_pairs([volume], 2)
    assert counts.tolist() == [[2, 2], [2, 1]]  # pairs 00, 01, 10, and one of each
    # Symbol shares 4/7 and 3/7.
    assert zeroth_order_bits(volume, counts) == pytest.approx(-3 * np.log2(4 / 7) - np.log2(3 / 7))
    # One bit for the first symbol, then 1/2, 1/2, 2/3.
    assert first_order_bits(volume, counts) == pytest.approx(1 + 1 + 1 + np.log2(1.5))
