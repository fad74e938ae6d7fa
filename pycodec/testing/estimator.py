"""Checks of estimators, each on the sample codec and tiny images."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from pycodec.testing import samples
from pycodec.testing.checks import check, require
from pycodec.testing.probes import equal, timeless
from pycodec.testing.sample import sample_codec
from pycodec.testing.subject import Subject, seeded
from pycodec.testing.transform import require_refusal

UNITS = ("bpp", "bits", "nats", "bytes", "db", "mse", "ms_ssim", "percent", "ratio", "seconds")


def _estimate(subject: Subject, codec: object, seed: int = 0) -> Mapping[str, float]:
    with seeded(seed):
        found: Mapping[str, float] = subject.component.estimate(
            codec, [samples.pil(24, 32), samples.pil(17, 21)]
        )
    return found


@check("estimator")
def named_figures(subject: Subject) -> None:
    """It gives finite numbers, and each name ends in its unit."""
    found = _estimate(subject, sample_codec())
    require(
        isinstance(found, Mapping) and found,
        f"estimate gives {found!r}, expected a mapping of names to numbers; return a dict",
    )
    for key, value in found.items():
        require(
            isinstance(key, str) and any(key == unit or key.endswith(f"_{unit}") for unit in UNITS),
            f"estimate gives {key!r}, expected a name that ends in its unit (one of {', '.join(UNITS)}); "
            "rename it",
        )
        require(
            isinstance(value, (int, float, np.number)) and math.isfinite(value),
            f"estimate gives {key} = {value!r}, expected a finite number; return float(...)",
        )


@check("estimator")
def deterministic(subject: Subject) -> None:
    """Seeded alike, it gives the same figures again, but for seconds."""
    first, second = (timeless(_estimate(subject, sample_codec())) for _ in range(2))
    for key in {**first, **second}:
        a, b = first.get(key), second.get(key)
        require(
            a is not None and b is not None and equal(np.float64(a), np.float64(b)),
            f"{key} is {a}, then {b} with the same seed, expected the same; draw from torch's generator or "
            "one seeded by an option, and keep no state between calls",
        )


@check("estimator")
def codec_unchanged(subject: Subject) -> None:
    """The codec is left as it was: it writes the same file afterwards."""
    codec, image = sample_codec(), samples.photo(24, 32)
    before = codec.compress(image)
    _estimate(subject, codec)
    require(
        codec.compress(image) == before,
        "the codec writes another file after estimate than before, expected the same; work on "
        "copy.deepcopy of the parts that are changed",
    )


@check("estimator")
def wrong_input(subject: Subject) -> None:
    """No images are refused: there is no average of nothing."""
    require_refusal("estimate of no images", lambda: subject.component.estimate(sample_codec(), []))
