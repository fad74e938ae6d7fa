"""Checks of metrics: the perfect image, the direction, and how values accumulate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pycodec.testing.checks import check, require
from pycodec.testing.probes import equal, metric_input
from pycodec.testing.subject import Subject
from pycodec.testing.transform import require_refusal


@torch.no_grad()
def _value(m: Any, *batches: tuple[Tensor, Tensor]) -> float:
    m.reset()
    for x_hat, x in batches:
        m.update(x_hat, x)
    return float(m.compute())


@check("metric")
@torch.no_grad()
def plain_value(subject: Subject) -> None:
    """compute() gives one number, and direction and data range are declared."""
    m = subject.component
    require(
        isinstance(m.higher_is_better, bool),
        f"higher_is_better is {m.higher_is_better!r}, expected True or False; declare it in the class",
    )
    require(
        isinstance(m.data_range, (int, float)) and 0 < m.data_range < math.inf,
        f"data_range is {m.data_range!r}, expected a positive number, 255 for 8 bits; declare it in the "
        "class",
    )
    m.reset()
    m.update(*metric_input())
    found = m.compute()
    m.reset()
    number = isinstance(found, (int, float, np.number)) or (isinstance(found, Tensor) and found.ndim == 0)
    require(
        number and math.isfinite(float(found)),
        f"compute gives {found!r}, expected a finite number or a tensor without axes; average over images "
        "and channels",
    )


@check("metric")
def direction(subject: Subject) -> None:
    """The original is best and more noise is worse, in the direction that higher_is_better says."""
    m = subject.component
    _, x = metric_input()
    values = [_value(m, (x, x)), *(_value(m, metric_input(noise=noise)) for noise in (4.0, 40.0))]
    ordered = sorted(values, reverse=m.higher_is_better)
    require(
        values == ordered and values[0] != values[2],
        f"the original, little and much noise score {', '.join(f'{v:.6g}' for v in values)}, expected "
        f"{'falling' if m.higher_is_better else 'rising'} values; correct higher_is_better or the sign",
    )


@check("metric")
def reset_forgets(subject: Subject) -> None:
    """After reset() the value is that of a new metric."""
    fresh = _value(subject.fresh(), metric_input())
    _value(subject.component, metric_input(seed=3, noise=40))
    found = _value(subject.component, metric_input())
    require(
        equal(np.float64(fresh), np.float64(found)),
        f"after reset the value is {found:.6g}, expected the {fresh:.6g} of a new metric; set back every sum "
        "and count",
    )


@check("metric")
def batch_invariance(subject: Subject) -> None:
    """The value does not depend on how images are split into batches."""
    m = subject.component
    x_hat, x = metric_input()
    x_hat = torch.cat([x_hat[:1], x_hat[1:] + 5])  # images of different quality, else means of means agree
    whole = _value(m, (x_hat, x))
    split = _value(m, (x_hat[:1], x[:1]), (x_hat[1:], x[1:]))
    require(
        equal(np.float64(whole), np.float64(split)),
        f"in two batches the value is {split:.6g}, expected the {whole:.6g} of one batch; weight each "
        "batch by its images",
    )


@check("metric")
def float_types(subject: Subject) -> None:
    """float64 images give the value of float32 ones."""
    m = subject.component
    x_hat, x = metric_input()
    single, double = _value(m, (x_hat, x)), _value(m, (x_hat.double(), x.double()))
    require(
        abs(single - double) <= 1e-3 * max(abs(single), 1e-3),
        f"float64 images score {double:.6g}, expected the {single:.6g} of float32; convert with .float() or "
        "compute in the type given",
    )


@check("metric")
def wrong_input(subject: Subject) -> None:
    """Batches of different sizes are refused."""
    m = subject.component
    x_hat, x = metric_input()
    m.reset()
    require_refusal("update with images of two sizes", lambda: m.update(x_hat, x[:, :, :-1]))
    m.reset()
    require_refusal("update with grey reconstructions", lambda: m.update(x_hat[:, :1], x))
    m.reset()
