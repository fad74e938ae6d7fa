"""What a batch sets out to do: found files, direction, outputs. No process is started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pycodec.batch.plan import choose_direction, find_inputs, plan
from pycodec.errors import InvalidInput


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes empty files, and is where names are relative to."""
    monkeypatch.chdir(tmp_path)

    def make(*names: str) -> None:
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()

    return make


def targets(*inputs: str, out: str = "out", suffix: str = ".pci", direction=None) -> dict[str, str]:
    """Source to target of every job."""
    found = find_inputs(inputs, Path(out))
    return {job.source: job.target for job in plan(found, choose_direction(found, direction), suffix)}


def test_folders_keep_their_structure_and_files_their_names(files) -> None:
    files("in/a.PNG", "in/b/c.d.jpg", "in/b/e/f.webp", "elsewhere/g.tiff", "odd.name")
    assert targets("in", "elsewhere/g.tiff", "odd.name") == {
        "in/a.PNG": "a.pci",
        "in/b/c.d.jpg": "b/c.d.pci",
        "in/b/e/f.webp": "b/e/f.pci",
        "elsewhere/g.tiff": "g.pci",
        "odd.name": "odd.pci",
    }


def test_the_way_back(files) -> None:
    files("in/a.pci", "in/b/c.PCI")
    assert targets("in", suffix=".webp") == {"in/a.pci": "a.webp", "in/b/c.PCI": "b/c.webp"}


def test_other_files_hidden_ones_and_the_outputs_are_left_out(files) -> None:
    files("a.png", "notes.txt", "data.h5", ".hidden.png", ".git/b.png", "out/a.pci", "out/c.png")
    assert targets(".") == {"a.png": "a.pci"}


def test_links_to_files_are_followed_and_links_to_folders_are_not(files) -> None:
    files("elsewhere/a.png", "in/b.png")
    os.symlink("../elsewhere/a.png", "in/link.png")
    os.symlink("../elsewhere", "in/folder")
    assert list(targets("in")) == ["in/b.png", "in/link.png"]


def test_a_file_named_twice_is_one_job(files) -> None:
    files("in/a.png")
    assert targets("in", "in", "in/a.png") == {"in/a.png": "a.pci"}


def test_both_kinds_need_a_direction(files) -> None:
    files("in/a.png", "in/b.pci")
    with pytest.raises(InvalidInput, match=r"1 images and 1 \.pci files .* say --compress or --decompress"):
        targets("in")
    assert targets("in", direction="compress") == {"in/a.png": "a.pci"}
    assert targets("in", direction="decompress", suffix=".png") == {"in/b.pci": "b.png"}


@pytest.mark.parametrize(
    ("inputs", "options", "sentence"),
    [
        (["in", "none"], {}, "no file or folder none"),
        (["empty"], {}, "no image or .pci file among the inputs"),
        (["in"], {"direction": "decompress"}, "no .pci file among the inputs"),
        (["in"], {"out": "in"}, "lies in the folder of outputs"),
        (["in/sub"], {"out": "in"}, "lies in the folder of outputs"),
        (["twins"], {}, "twins/a.jpg and twins/a.png would both become a.pci"),
        (["in", "other"], {}, "in/x.png and other/x.png would both become x.pci"),
    ],
)
def test_mistakes_are_named(files, inputs, options, sentence) -> None:
    files("in/x.png", "in/sub/y.png", "other/x.png", "twins/a.jpg", "twins/a.png")
    Path("empty").mkdir()
    with pytest.raises(InvalidInput, match=sentence):
        targets(*inputs, **options)
