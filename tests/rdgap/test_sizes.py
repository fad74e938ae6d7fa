"""The family of eight sizes, against the building blocks of the paper and the table in the documentation."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import pycodec
from pycodec.training.recipe import load_recipe
from pycodec_plugins import rdgap
from pycodec_plugins.rdgap.sizes import CHROMA, LUMA, SIZES, config_of
from pycodec_plugins.rdgap.task import LAMBDAS, ResTask

RECIPES = Path(rdgap.__file__).parent / "recipes"
PAGE = Path(__file__).parents[2] / "docs" / "res.md"
PLANES = LUMA + 2 * CHROMA


def block(channels: int) -> tuple[float, float]:
    """Parameters, and multiplications a position, of a residual block with a partial convolution: 1/16 of a
    3 x 3 one (Chen et al. 2023, section 3.2), and two pointwise layers of twice the width.
    """
    products = 9 * channels**2 / 16 + 2 * 2 * channels**2
    return products + channels + 2 * channels, products  # biases of the output, and of the hidden layer


def counted(depth: int, width: int) -> tuple[float, float, float]:
    """Parameters of both transforms, multiplications a pixel of analysis and of synthesis, by hand."""
    fine = width // 2
    blocks = [depth * (a + b) for a, b in zip(block(fine), block(width), strict=True)]
    dct, edge = 3 * 16**2 * PLANES, 9 * 3 * 8**2 * fine
    down, up, first, last = 4 * fine * width, 4 * fine * width, 9 * PLANES * width, PLANES * width
    biases = (fine + width + PLANES) + (width + 4 * fine + 3 * 8**2)
    parameters = 2 * blocks[0] + 2 * dct + 2 * edge + down + up + first + last + biases + 2 * PLANES
    per_position = depth * (4 * block(fine)[1] + block(width)[1]) + dct + 4 * edge
    return parameters, (per_position + down + last) / 256, (per_position + up + first) / 256


def transform_of(size: int) -> torch.nn.Module:
    return pycodec.create(
        "transform", "residual_dct", **config_of({"size": size}, 0.0162)["transform"]["config"]
    )


def test_eight_models_grow_by_depth_and_width() -> None:
    """Zhang and Liu 2025, section IV.A."""
    assert len(SIZES) == 8
    for (depth, width), (deeper, wider) in pairwise(SIZES):
        assert deeper >= depth and wider > width
        assert counted(deeper, wider) > counted(depth, width)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_parameters_are_those_of_the_blocks(size: int) -> None:
    found = sum(p.numel() for p in transform_of(size).parameters())
    assert found == counted(*SIZES[size - 1])[0]


def test_multiplications_are_those_of_the_blocks() -> None:
    transform, quality = transform_of(2), torch.ones(1)
    found = []
    for call, given in (
        (transform.analysis, torch.zeros(1, 3, 32, 32)),
        (transform.synthesis, torch.zeros(1, PLANES, 2, 2)),
    ):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            call(given, quality)
        found.append(counter.get_total_flops() / 2 / 32**2)
    assert found == [pytest.approx(expected) for expected in counted(*SIZES[1])[1:]]


def test_the_table_of_the_documentation_is_true() -> None:
    rows = re.findall(
        r"^\| (\d) \| (\d+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$",
        PAGE.read_text("utf-8"),
        re.MULTILINE,
    )
    assert [(int(d), int(w)) for _, d, w, *_ in rows] == list(SIZES)
    for _, depth, width, *figures in rows:
        parameters, analysis, synthesis = counted(int(depth), int(width))
        assert figures == [f"{parameters / 1e6:.1f}", f"{analysis / 1e3:.1f}", f"{synthesis / 1e3:.1f}"]


@pytest.mark.parametrize("name", ["res_hyper", "res_context"])
@pytest.mark.parametrize("lam", LAMBDAS)
def test_the_recipes_train_at_every_lambda_of_the_paper(name: str, lam: float) -> None:
    recipe = load_recipe(RECIPES / f"{name}.toml", [f"task.lambda={lam}", "config.size=1"])
    assert recipe.codec == name
    task = ResTask(recipe.config, recipe.task)
    assert task.lambda_of(torch.ones(1)).item() == pytest.approx(lam)
    assert set(recipe.stages[0].learning_rate) == set(task.parameter_groups("joint"))
