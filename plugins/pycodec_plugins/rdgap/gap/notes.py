"""What each number of a report includes, and what it does not: a sentence for each, with its own figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pycodec.evaluation.estimates import means

from .spec import BOUNDS

_BD = (
    "BD-rates are taken image by image at equal PSNR and then averaged, over the qualities that both "
    "curves reach; the 95 % interval says how far the average would move with other images of their "
    "kind, not with other trainings."
)
_CURVES = {
    "operational": ("Files: every byte of them, headers too, against the pixels that are decoded from them."),
    "optimized": (
        "Optimised files: real files as well, whose latents were optimised for each image; the time "
        "that this takes is not in the figure, and more steps would gain more."
    ),
    "bound": (
        "Bound: the rate of the encoder's latents drawn from Gaussians in place of rounding, decoded "
        "from these samples; no code of finite length need reach it, and it bounds the rate-distortion "
        "function from above: how far below that is, it does not say."
    ),
    "optimized_bound": (
        "Optimised bound: the same with Gaussians that were optimised for each image; what prior and "
        "decoder do not know of images is still in it, and more steps would tighten it."
    ),
}
_PARTS = {
    "parameters": (
        "Parameters are counted: first those of analysis and synthesis, between pixels and latent, "
        "which figures are drawn over; then those of everything, hyperprior and context networks too."
    ),
    "overhead": (
        "Coder overhead: bytes of files over the code length of the same symbols by the codec's own "
        "integer tables; container and coder are in it, and what these tables lose against the trained "
        "floats is not."
    ),
    "amortisation": (
        "Amortisation: what optimising latents for each image gains over the encoder's own, everything "
        "else as it was (negative: fewer bits at equal PSNR); it is what so many steps find, and of "
        "files also what they find of a better rounding."
    ),
    "lagrangian": (
        "The Lagrangian is bits per pixel plus lambda times the squared error, which is what is "
        "optimised; its changes are taken image by image at one lambda, without any curve."
    ),
    "digitisation": (
        "Digitisation: the bound against files of networks of the same size (negative: fewer bits at "
        "equal PSNR); all that tells the two apart is in it, the coder's overhead and the difference "
        "between two trainings too."
    ),
}


def notes(document: Mapping[str, Any]) -> dict[str, str]:
    """The sentences of a document, by what they are about; those of figures that it lacks are left out."""
    estimators = document["estimators"]
    anchor = document["anchor"]
    found = {"anchor": f"Anchor: real files of {anchor['label']}, {anchor['description']}.", "bd_rate": _BD}
    found |= {curve: f"{_CURVES[curve]} Estimator: {spec}." for curve, spec in estimators.items()}
    found |= {part: text for part, text in _PARTS.items() if part in _reported(document["codecs"])}
    if any(curve in estimators for curve in BOUNDS):
        found["sampling"] = _sampling(document)
        found["networks"] = " ".join(_networks(document))
    found["training"] = " ".join(_training(document))
    return {name: text for name, text in found.items() if text}


def _reported(codecs: Iterable[Mapping[str, Any]]) -> set[str]:
    """Those of _PARTS that some codec has a figure of."""
    found = {"parameters"}
    for one in codecs:
        gains = [gain for gain in one["amortisation"].values() if gain]
        has = {
            "overhead": one["overhead"],
            "amortisation": gains,
            "lagrangian": [gain for gain in gains if gain["lagrangian"]],
            "digitisation": [gap for gap in one["digitisation"].values() if gap],
        }
        found |= {part for part, figures in has.items() if figures}
    return found


def _sampling(document: Mapping[str, Any]) -> str:
    """Standard errors of the bound's averages."""
    errors = "rate_error_bpp", "distortion_error_mse"
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for row in document["rows"]:
        if row["curve"] in BOUNDS:
            own = {"estimator": "", "quality": None, **{name: row[name] for name in errors}}
            groups.setdefault((row["codec"], row["curve"], row["point"]), []).append(own)
    if not groups:
        return ""
    averages = [means(own)[0] for own in groups.values()]
    rate, mse = (max(one[name] for one in averages) for name in errors)
    return (
        "That samples are drawn makes a bound's average over the images uncertain, by a standard error of at "
        f"most {rate:.2g} bits per pixel and {mse:.2g} in squared error."
    )


def _networks(document: Mapping[str, Any]) -> Iterator[str]:
    """Whose bounds they are."""
    for own, sentence in (
        (True, "of other networks than its files, made for noise in place of rounding"),
        (False, "of the networks that write files, whose prior and decoder were trained for rounding"),
    ):
        names = [
            one["name"]
            for one in document["codecs"]
            if one["own_bounds"] == own and not one["bd_rates"].keys().isdisjoint(BOUNDS)
        ]
        if names:
            yield f"Of {', '.join(names)} the bound is {sentence}."


def _training(document: Mapping[str, Any]) -> Iterator[str]:
    """How long the networks were trained; those of one training in one sentence."""
    little = "What was trained little needs more bits than its size could do with"
    if any(curve in document["estimators"] for curve in BOUNDS):
        little += ": of such networks the bound is an upper bound of the upper bound"
    yield f"{little}."
    said: dict[str, list[str]] = {}
    for point in document["points"]:
        kind = "bound" if point["curve"] in BOUNDS else "files"
        own = said.setdefault(_said(point["training"]), [])
        if (name := f"{point['codec']} ({kind})") not in own:
            own.append(name)
    for text, names in said.items():
        yield f"{', '.join(names)}: {text}."


def _said(runs: list[dict[str, Any]] | None) -> str:
    if not runs:
        return "their weights do not say how they were trained"
    return ", then ".join(
        f"{run['steps']:,} steps{_crops(run['stages'])}, from {run['images']:,} images" for run in runs
    )


def _crops(stages: list[dict[str, int]]) -> str:
    """What a step sees, where that is known; of all stages if they differ."""
    found = dict.fromkeys(f"{one['batch']} crops of {one['crop']} x {one['crop']} pixels" for one in stages)
    return f" of {', then of '.join(found)}" if found else ""
