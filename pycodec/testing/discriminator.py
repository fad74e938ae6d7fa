"""Checks of discriminators: two losses, and which way their gradients flow."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn

from pycodec.testing import samples
from pycodec.testing.checks import check, require
from pycodec.testing.probes import discriminator_input
from pycodec.testing.subject import Subject
from pycodec.testing.transform import require_refusal

LOSSES = ("critic_loss", "generator_loss")


@check("discriminator")
def scalar_losses(subject: Subject) -> None:
    """Both losses are finite numbers, for ordinary and for extreme images."""
    d = subject.component
    x, x_hat, y = discriminator_input(d)
    extremes = torch.full_like(x, 127.0), torch.full_like(x, -128.0), y * 1e3
    for loss in LOSSES:
        for batch in ((x, x_hat, y), (x, x, y), extremes):
            found = getattr(d, loss)(*batch)
            require(
                isinstance(found, Tensor) and found.ndim == 0 and bool(found.isfinite()),
                f"{loss} gives {found if isinstance(found, Tensor) else type(found).__name__}, expected a "
                "finite tensor without axes; average over the batch, and use losses on logits",
            )


@check("discriminator")
def gradient_paths(subject: Subject) -> None:
    """critic_loss trains the critic and leaves x_hat alone; generator_loss reaches x_hat."""
    d = copy.deepcopy(subject.component)
    x, x_hat, y = discriminator_input(d)
    x_hat.requires_grad_()
    loss = d.generator_loss(x, x_hat, y)
    (gradient,) = torch.autograd.grad(loss, x_hat, allow_unused=True) if loss.requires_grad else (None,)
    require(
        gradient is not None and bool((gradient != 0).any()),
        "the gradient of generator_loss does not reach x_hat, expected it to train the codec; leave detach() "
        "out of generator_loss",
    )
    loss = d.critic_loss(x, x_hat, y)
    if loss.requires_grad:
        (gradient,) = torch.autograd.grad(loss, x_hat, allow_unused=True, retain_graph=True)
        require(
            gradient is None or not bool((gradient != 0).any()),
            "the gradient of critic_loss reaches x_hat, expected it to train the critic alone; use "
            "x_hat.detach() in critic_loss",
        )
    if isinstance(d, nn.Module) and any(p.requires_grad for p in d.parameters()):
        require(
            loss.requires_grad,
            "critic_loss has no gradient, expected one to train the critic's parameters; compute it from the "
            "critic's own output",
        )
        loss.backward()
        require(
            any(p.grad is not None and bool((p.grad != 0).any()) for p in d.parameters()),
            "the gradient of critic_loss reaches no parameter, expected it to train the critic; leave "
            "detach() out of the critic's own layers",
        )


@check("discriminator")
def finite_gradients(subject: Subject) -> None:
    """Gradients of both losses are finite, also where a reconstruction is perfect or far off."""
    d = copy.deepcopy(subject.component)
    x, x_hat, y = discriminator_input(d)
    for other in (x_hat, x, -100 * x.sign(), torch.zeros_like(x)):
        for name in LOSSES:
            given = other.clone().requires_grad_()
            loss = getattr(d, name)(x, given, y)
            if loss.requires_grad:
                loss.backward()
            parameters = d.named_parameters() if isinstance(d, nn.Module) else ()
            for what, tensor in (("x_hat", given), *parameters):
                require(
                    tensor.grad is None or bool(tensor.grad.isfinite().all()),
                    f"the gradient of {name} in {what} is infinite or NaN, expected a finite one; use "
                    "losses on logits, and keep roots and logarithms away from 0",
                )
                tensor.grad = None


@check("discriminator")
@torch.no_grad()
def wrong_input(subject: Subject) -> None:
    """Images of different sizes, or of another number of planes, are refused."""
    d = subject.component
    x, x_hat, y = discriminator_input(d)
    for name in LOSSES:
        loss = getattr(d, name)
        smaller = samples.images(2, x.shape[2] // 2, x.shape[3] // 2)
        require_refusal(f"{name} of images of two sizes", partial(loss, x, smaller, y))
        require_refusal(f"{name} of grey images", partial(loss, x[:, :1], x_hat[:, :1], y))
