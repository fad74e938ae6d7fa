"""pycodec selftest: golden files are read and made again at every SIMD level, and a difference is found and named."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pycodec import bitstream, cli, loading, selftest
from pycodec.cli import selftest as command
from pycodec.errors import InvalidInput
from pycodec.native import native
from pycodec.runtime import components, get_runtime

CODECS = ("cpm", "ctx3d", "ctx3d-msssim", "hyperprior", "hyperprior-illm")


@pytest.fixture
def cpm():
    return get_runtime().find("codec", "cpm")


def test_every_codec_with_weights_brings_golden_files() -> None:
    assert tuple(c.name for c in selftest.codecs_with_golden_files(components("codec"))) == CODECS


def test_this_machine_is_like_every_other_at_every_level(python) -> None:
    done = python("-m", "pycodec", "selftest", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["passed"], done.stdout + done.stderr
    rows = {(row["where"], row["codec"]): row["checks"] for row in found["rows"] if row["where"] != "cuda"}
    assert rows.keys() == set(product(native().simd_available(), CODECS))
    for (_, codec), checks in rows.items():
        promised = [c for c in selftest.CHECKS if c != "pixels" or codec != "cpm"]
        assert tuple(checks) == selftest.CHECKS and {checks[c] for c in promised} == {"equal"}


def other(golden: selftest.GoldenFiles, **changes: object) -> selftest.GoldenFiles:
    """With changes of its last picture."""
    return replace(golden, files=(*golden.files[:-1], replace(golden.files[-1], **changes)))


def flipped(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("change", "checks", "sentence"),
    [
        (lambda g: replace(g, fingerprint="0" * 64), {"weights": "differs"}, "its weights are"),
        (lambda g: other(g, symbols="0"), {"symbols": "differs"}, "other symbols"),
        (lambda g: other(g, quality=2.0), {"files": "differs"}, "compressed to another file"),
        (lambda g: other(g, pixels="0"), {"pixels": "close"}, ""),
        (lambda g: replace(other(g, pixels="0"), promises=("pixels",)), {"pixels": "differs"}, "other pixels"),
        (
            lambda g: other(g, pixels="0", means=base64.b64encode(bytes(len(base64.b64decode(g.files[-1].means)))).decode()),
            {"pixels": "differs"},
            "pixels that are off by",
        ),
        (lambda g: other(g, file=flipped(g.files[-1].file)), {"symbols": "differs"}, "CRC"),
    ],
)  # fmt: skip
def test_a_difference_is_found(monkeypatch, cpm, change, checks: dict[str, str], sentence: str) -> None:
    golden = selftest.read(selftest.path_of(cpm))
    monkeypatch.setattr(selftest, "read", lambda path: change(golden))
    row = selftest.check(cpm, "here")
    assert row.checks.items() >= checks.items()
    assert sentence in " ".join(row.problems) and bool(row.problems) == bool(sentence)
    assert selftest.passed([row]) == (not sentence)


def repacked(alpha: np.ndarray, level: int) -> bytes:
    """The alpha section of another zlib."""
    out = io.BytesIO()
    Image.fromarray(alpha).save(out, "PNG", compress_level=level)
    return out.getvalue()


@pytest.mark.parametrize("same", [True, False])
def test_transparency_is_compared_by_what_it_is_not_by_how_it_is_packed(monkeypatch, cpm, same: bool) -> None:
    golden = selftest.read(selftest.path_of(cpm))
    (one,) = (file for file in golden.files if file.picture == "transparent")
    container = bitstream.parse(base64.b64decode(one.file))
    alpha = np.asarray(selftest.picture("transparent"))[..., 3].copy()
    alpha[0, 0] ^= not same
    changed = replace(container, alpha=repacked(alpha, 0)).to_bytes()
    assert changed != container.to_bytes()
    changed_golden = replace(golden, files=(replace(one, file=base64.b64encode(changed).decode()),))
    monkeypatch.setattr(selftest, "read", lambda path: changed_golden)
    row = selftest.check(cpm, "here")
    assert row.checks["files"] == ("equal" if same else "differs")
    assert selftest.passed([row]) == same


def test_what_is_recorded_passes(monkeypatch, tmp_path: Path, capsys) -> None:
    path = tmp_path / "cpm.golden.json"
    monkeypatch.setattr(selftest, "path_of", lambda component: path)
    assert (
        cli.main(["selftest", "cpm", "--record", "--promise", "files"]) == 0
        and path.name in capsys.readouterr().out
    )
    monkeypatch.setenv("PYCODEC_SIMD", native().simd_in_use())
    assert cli.main(["selftest", "cpm"]) == 0
    assert "\npassed: 1 codec at " in capsys.readouterr().out
    path.write_text(path.read_text().replace('"quality"', '"queer"'))
    assert cli.main(["selftest", "cpm"]) == 1
    assert "holds no golden files" in (shown := capsys.readouterr().out) and "\nFAILED: " in shown


def test_a_level_whose_process_dies_has_failed(monkeypatch) -> None:
    monkeypatch.setattr(command.sys, "executable", "/bin/false")
    (row,) = command._rows_at("scalar", ["cpm"], with_gpu=False)
    assert (row.where, row.problems) == ("scalar", ["the process of this level ended with status 1"])
    assert not selftest.passed([row]) and not selftest.passed([])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["jpeg"], "brings no golden files"),
        (["nothing"], "unknown codec"),
        (["--record"], "needs the names"),
        (["cpm", "--promise", "pixels"], "goes with --record"),
    ],
)
def test_wrong_use_is_one_sentence(capsys, arguments: list[str], words: str) -> None:
    assert cli.main(["selftest", *arguments]) == 2 and words in capsys.readouterr().err


def test_golden_pictures_have_names() -> None:
    pictures = {name: selftest.picture(name) for name in selftest.PICTURES}
    assert {name: (image.mode, image.size) for name, image in pictures.items()} == {
        "transparent": ("RGBA", (23, 19)), "dot": ("RGB", (1, 1)), "grey": ("L", (37, 45)), "colour": ("RGB", (109, 72)),
    }  # fmt: skip
    assert [name for name, image in pictures.items() if "icc_profile" in image.info] == ["transparent"]
    with pytest.raises(InvalidInput):
        loading.load("cpm").compress(selftest.picture("dot"), 9)
