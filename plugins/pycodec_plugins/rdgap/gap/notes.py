"""What each number of a report includes, and what it does not: a sentence for each, with its own figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pycodec.evaluation.estimates import means

from .spec import BOUNDS

_BD = (
    "BD-rates are taken image by image at equal PSNR and then averaged, over the interval of quality that both "
    "curves reach; the 95 % interval says how far the average would move with other images of their kind, not "
    "with other trainings."
)
_CURVES = {
    "operational": "Files: every byte of them, headers too, against the pixels that are decoded from them.",
    "optimized": (
        "Optimised files: real files too, whose latents were optimised for each image; the minutes that this "
        "takes are not in the figure, and more steps would gain more."
    ),
    "bound": (
        "Bound: what a code without rounding would need at most with the encoder's own Gaussians, decoded from "
        "samples; no code of finite length need reach it, and it bounds the rate-distortion function of these "
        "images from above alone: how far below the function is, it does not say."
    ),
    "optimized_bound": (
        "Optimised bound: the same with Gaussians that were optimised for each image, which leaves the modelling "
        "of prior and decoder in it; more steps would tighten it."
    ),
}
_PARTS = {
    "parameters": (
        "Parameters are counted: those of analysis and synthesis, between pixels and latent, on the axis; all is "
        "with hyperprior, entropy model and context networks."
    ),
    "overhead": (
        "Coder overhead: bytes of files over the code length of the same symbols by the codec's own integer "
        "tables; it has the container and the coder in it, and not what these tables lose against the trained "
        "floats."
    ),
    "amortisation": (
        "Amortisation: what optimising latents for each image gains against the encoder's own, everything else "
        "fixed (negative: fewer bits at equal PSNR); only what so many steps find of it, and for files also what "
        "they find of a better rounding."
    ),
    "lagrangian": (
        "The Lagrangian is bits per pixel plus lambda times the squared error, which is what is optimised; its "
        "changes are of images at one lambda, which no interpolation of curves enters."
    ),
    "digitisation": (
        "Digitisation: the bound against files of codecs of the same size (negative: fewer bits); it has "
        "everything in it that tells the two apart, the coder's overhead and the difference between two "
        "trainings too."
    ),
}


def notes(document: Mapping[str, Any]) -> dict[str, str]:
    """The sentences of a document, by what they are about; those of figures that it lacks are left out."""
    estimators = document["estimators"]
    found = {"bd_rate": _BD}
    found |= {curve: f"{_CURVES[curve]} Estimator: {spec}." for curve, spec in estimators.items()}
    found |= _PARTS
    if any(curve in estimators for curve in BOUNDS):
        found["sampling"] = _sampling(document)
        found["networks"] = " ".join(_networks(document))
    found["training"] = " ".join(_training(document))
    return {name: text for name, text in found.items() if text}


def _sampling(document: Mapping[str, Any]) -> str:
    """Standard errors of the bound's averages."""
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for row in document["rows"]:
        if row["curve"] in BOUNDS:
            groups.setdefault((row["codec"], row["curve"], row["point"]), []).append(row)
    averages = [
        means([{**row, "estimator": "", "quality": None} for row in own])[0] for own in groups.values()
    ]
    if not averages:
        return ""
    rate, mse = (max(one[name] for one in averages) for name in ("rate_error_bpp", "distortion_error_mse"))
    return (
        "Drawing samples makes averages of the bound over the images uncertain by a standard error of at most "
        f"{rate:.2g} bits per pixel and {mse:.2g} in squared error."
    )


def _networks(document: Mapping[str, Any]) -> Iterator[str]:
    """Whose bounds they are."""
    for own, sentence in (
        (True, "is of networks that were trained with noise in place of rounding"),
        (False, "is of the networks that write files, whose prior and decoder were trained for rounding"),
    ):
        names = [one["name"] for one in document["codecs"] if one["own_bounds"] == own]
        if names:
            yield f"The bound of {', '.join(names)} {sentence}."


def _training(document: Mapping[str, Any]) -> Iterator[str]:
    """How long the networks were trained; those of one training in one sentence."""
    yield "Networks that were trained little need more bits than their size could do with, and so do their bounds:"
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
        f"{run['steps']:,} steps"
        + "".join(
            f" of {one['batch']} crops of {one['crop']} x {one['crop']} pixels" for one in run["stages"][:1]
        )
        + ("" if len(run["stages"]) < 2 else f" at first, in {len(run['stages'])} stages")
        + f", from {run['images']:,} images"
        for run in runs
    )
