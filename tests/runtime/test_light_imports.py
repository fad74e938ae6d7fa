"""What must not be loaded: listing and importing stay quick, heavy modules wait until they are used."""

from __future__ import annotations

from pathlib import Path

import pytest

from pycodec.bitstream import Container, Header

HEAVY = [
    "torch",
    "numpy",
    "PIL",
    "matplotlib",
    "rich",
    "scipy",
    "torchmetrics",
    "lightning_fabric",
    "tensorboard",
]


def loaded(python, program: str) -> set[str]:
    """Top-level modules a fresh interpreter has after running ``program``."""
    report = "\nimport sys\nprint('MODULES', *{name.partition('.')[0] for name in sys.modules})"
    done = python("-c", program + report)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "program",
    [
        "import pycodec",
        "import pycodec; pycodec.plugins(); pycodec.components(); pycodec.types, pycodec.config",
        "from pycodec.cli import main; assert main(['--help']) == 0",
        "from pycodec.cli import main; assert main(['plugins']) == 0 and main(['codecs', '--json']) == 0",
    ],
)
def test_listing_loads_nothing_heavy(python, program: str) -> None:
    assert not loaded(python, program) & set(HEAVY)


def test_importing_pycodec_does_not_even_load_the_plugin_machinery(python) -> None:
    assert not loaded(python, "import pycodec") & {"pluggy", "click", "pycodec_plugins"}


def test_a_codec_loads_nothing_of_its_training(python) -> None:
    found = loaded(python, "import pycodec; pycodec.load('ctx3d')")
    assert "torch" in found
    assert not found & {"torchmetrics", "lightning_fabric", "scipy", "matplotlib", "tensorboard"}


def test_coding_never_loads_torch(python) -> None:
    assert "torch" not in loaded(python, "import pycodec.coding")


def test_pillow_knows_a_file_without_torch(python, tmp_path: Path) -> None:
    header = Header("ctx3d", bytes(4), 640, 48, 80, 0, grey=True)
    (tmp_path / "photo.pci").write_bytes(Container(header, b"pay").to_bytes())
    program = f"""
from PIL import Image
import pycodec.pillow

with Image.open({str(tmp_path / "photo.pci")!r}) as image:
    assert (image.size, image.mode, image.info["quality"]) == ((640, 48), "L", 5)
    image.verify()
"""
    assert not loaded(python, program) & (set(HEAVY) - {"numpy", "PIL"})
