"""A weights file of full width with random weights in it, as `pycodec metric-weights` would write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pycodec import weights
from pycodec_plugins.metrics import LPIPS
from pycodec_plugins.metrics import weights as metric_weights


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with lpips_alex.safetensors in it."""
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metric_weights, "NARROW", 1)
        module = LPIPS("alex", "random")
    config = {"config": {"metric_weights": "lpips_alex"}}
    weights.save(folder / "lpips_alex.safetensors", module.state_dict(), config)
    return folder
