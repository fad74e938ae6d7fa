"""Training towards a rate: the numbers of the paper's Table 3, the switch, the first batches."""

import pytest
import torch

from pycodec.errors import InvalidInput
from pycodec.training.rate_target import ABOVE, BELOW, RateTarget


def test_table_3():
    assert len(ABOVE) == 8 and BELOW == 2**-4
    assert list(ABOVE.values()) == [2.0**n for n in range(5, -3, -1)]
    assert list(ABOVE) == [0.00875, 0.0175, 0.035, 0.07, 0.14, 0.3, 0.45, 0.9]


def test_lambda_of_each_image_depends_on_its_rounded_rate():
    target = RateTarget(0.14, first_batches=0)
    noisy = torch.tensor([1.0, 10.0, 100.0], requires_grad=True)
    loss = target(noisy, torch.tensor([0.1401, 0.1399, 0.14]))
    assert loss.item() == pytest.approx((2 * 1 + 10 / 16 + 100 / 16) / 3)
    loss.backward()
    assert noisy.grad.tolist() == pytest.approx([2 / 3, 1 / 48, 1 / 48])


def test_the_first_batches_have_a_looser_target():
    target = RateTarget(0.3, first_batches=2)
    noisy, rounded = torch.ones(2), torch.tensor([0.42, 0.43])  # 0.3 x 1.429 = 0.4287
    losses = [target(noisy, rounded).item() for _ in range(3)]
    assert losses == pytest.approx([(1 / 16 + 0.5) / 2, (1 / 16 + 0.5) / 2, 1.0])
    assert RateTarget(0.3).first_batches == 25_000


def test_batches_are_counted_in_training_and_kept():
    target = RateTarget(0.3, first_batches=2)
    for _ in range(3):
        target.eval()(torch.ones(1), torch.ones(1))
    assert target(torch.ones(1), torch.ones(1)).item() == 0.5
    target.train()
    for _ in range(2):
        target(torch.ones(1), torch.ones(1))
    resumed = RateTarget(0.3, first_batches=2)
    resumed.load_state_dict(target.state_dict())
    assert resumed(torch.ones(1), torch.ones(1)).item() == 1.0


def test_one_rate_for_each_quality():
    target = RateTarget(list(ABOVE), first_batches=0)
    rate, above = target.targets(torch.tensor([1.0, 4.0, 4.5, 8.0]))
    assert rate.tolist() == pytest.approx([0.00875, 0.07, (0.07 * 0.14) ** 0.5, 0.9])
    assert above.tolist() == pytest.approx([32, 4, 8**0.5, 0.25])
    loss = target(torch.ones(2), torch.tensor([0.05, 0.05]), torch.tensor([1.0, 8.0]))
    assert loss.item() == pytest.approx((32 + 1 / 16) / 2)


def test_rates_that_the_table_lacks():
    for rates in (0.15, [0.14, 0.2], []):
        with pytest.raises(InvalidInput, match=r"expected one of the target rates 0\.00875, 0\.0175"):
            RateTarget(rates)
