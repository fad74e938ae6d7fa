"""The conformance kit: what every component of a kind has to keep, as checks that anybody runs on their own.

    @parametrize_with_checks(plugin="my-distribution")
    def test_conformance(check):
        check()

``pycodec check NAME`` makes the same checks from the command line. A check that fails says in one sentence
what was found, what was expected and what to do.
"""

from __future__ import annotations

from typing import Any

# Each declares its checks, in the order they are made.
from pycodec.testing import (  # noqa: F401  # noqa: F401
    codec,
    common,
    devices,
    discriminator,
    entropy_model,
    estimator,
    metric,
    quantizer,
    transform,
)
from pycodec.testing.checks import Check, CheckFailure, checks
from pycodec.testing.parametrize import parametrize_with_checks
from pycodec.testing.run import Result, check_all, run
from pycodec.testing.sample import sample_codec
from pycodec.testing.subject import find, installed

__all__ = [
    "Check",
    "CheckFailure",
    "Result",
    "check_codec",
    "check_discriminator",
    "check_entropy_model",
    "check_estimator",
    "check_metric",
    "check_quantizer",
    "check_transform",
    "checks",
    "find",
    "installed",
    "parametrize_with_checks",
    "run",
    "sample_codec",
]


def check_transform(component: Any, /, **config: Any) -> None:
    """Make every check of a transform.

    Args:
        component: a registered name; a factory, which is called with ``config``; or a transform.
        config: keyword arguments of the factory; without them a registered one is made with the test
            configurations of its plugin.

    Raises:
        CheckFailure: the first check that fails, in one sentence.
    """
    check_all("transform", component, config)


def check_quantizer(component: Any, /, **config: Any) -> None:
    """Make every check of a quantizer; arguments and errors as for `check_transform`."""
    check_all("quantizer", component, config)


def check_entropy_model(component: Any, /, **config: Any) -> None:
    """Make every check of an entropy model; arguments and errors as for `check_transform`."""
    check_all("entropy_model", component, config)


def check_discriminator(component: Any, /, **config: Any) -> None:
    """Make every check of a discriminator; arguments and errors as for `check_transform`."""
    check_all("discriminator", component, config)


def check_estimator(component: Any, /, **config: Any) -> None:
    """Make every check of an estimator; arguments and errors as for `check_transform`."""
    check_all("estimator", component, config)


def check_codec(component: Any, /, **config: Any) -> None:
    """Make every check of a codec; arguments and errors as for `check_transform`."""
    check_all("codec", component, config)


def check_metric(component: Any, /, **config: Any) -> None:
    """Make every check of a metric; arguments and errors as for `check_transform`."""
    check_all("metric", component, config)
