"""Codecs that are programs: their command lines, their planes, their failures. The programs are stand-ins."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import programs
import pytest
from PIL import Image

import pycodec
from pycodec.errors import CorruptStream, InvalidInput, MissingDependency, ProgramFailed

PHOTO = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in PATH; temporary files go to a folder of their own, which has to be empty afterwards."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for variable in [name for name in os.environ if name.startswith("PYCODEC_")]:
        monkeypatch.delenv(variable)
    (tmp_path / "bin").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    yield tmp_path / "bin"
    assert not list((tmp_path / "temporary").iterdir()), "temporary files are left behind"


@pytest.fixture
def vtm(folder: Path) -> Any:
    """Makes the codec vtm of stand-ins."""
    (folder.parent / "cfg").mkdir()
    (folder.parent / "cfg" / "encoder_intra_vtm.cfg").write_text("IntraPeriod : 1\n")

    def make(encoder: str = programs.VTM_ENCODER, decoder: str = programs.VTM_DECODER, **options: Any) -> Any:
        programs.install(folder, "EncoderApp", encoder)
        programs.install(folder, "DecoderAppStatic", decoder)
        return pycodec.load("vtm", **options)

    return make


def test_vtm_gets_the_planes_and_gives_them_back(vtm: Any, folder: Path) -> None:
    """Ten bits a sample restore every pixel, if nothing on the way cuts fractions off."""
    codec = vtm(extra="--Level=6.2 --Threads=1")
    data = codec.compress(PHOTO, 27)
    np.testing.assert_array_equal(np.asarray(codec.decompress(data)), PHOTO)
    assert len(data) == data.index(b"\n") + 1 + 2 * PHOTO.size  # the bitstream and nothing of ours
    ((*encoding,),) = programs.calls(folder / "EncoderApp")
    assert encoding[:2] == ["-c", str(folder.parent / "cfg" / "encoder_intra_vtm.cfg")]
    assert [encoding[encoding.index("-q") + 1], encoding[-2:]] == ["27", ["--Level=6.2", "--Threads=1"]]
    assert {"--SourceWidth=7", "--SourceHeight=5", "--FramesToBeEncoded=1", "--InputBitDepth=10"} < set(
        encoding
    )
    assert {"--InputChromaFormat=444", "--ConformanceWindowMode=1"} < set(encoding)
    ((*decoding,),) = programs.calls(folder / "DecoderAppStatic")
    assert decoding[::2] == ["-b", "-o", "-d"]


def test_vtm_with_eight_bits_is_off_by_one_at_most(vtm: Any) -> None:
    codec = vtm(bits=8)
    decoded = np.asarray(codec.decompress(codec.compress(PHOTO, 27))).astype(int)
    assert np.abs(decoded - PHOTO).max() == 1


def test_vtm_declares_what_it_is(vtm: Any, folder: Path) -> None:
    codec = vtm()
    assert (codec.label, codec.suffix, codec.version()) == ("VTM", ".266", "7.1")
    assert codec.description == "intra, 4:4:4 BT.709, 10 bit, encoder_intra_vtm.cfg"
    assert list(codec.settings) == sorted(codec.settings, reverse=True)  # a higher parameter, a smaller file
    other = folder.parent / "other.cfg"
    other.write_text("IntraPeriod : 2\n")
    assert pycodec.load("vtm", config=str(other)).fingerprint != codec.fingerprint
    assert pycodec.load("vtm").fingerprint == codec.fingerprint


def test_vtm_says_which_file_is_missing(vtm: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vtm()
    with pytest.raises(InvalidInput, match=r"no file none\.cfg"):
        pycodec.load("vtm", config="none.cfg")
    config = folder.parent / "cfg" / "encoder_intra_vtm.cfg"
    config.rename(folder.parent / "elsewhere.cfg")
    with pytest.raises(MissingDependency, match=r"needs encoder_intra_vtm\.cfg .* PYCODEC_VTM_CONFIG"):
        pycodec.load("vtm")
    monkeypatch.setenv("PYCODEC_VTM_CONFIG", str(folder.parent / "elsewhere.cfg"))
    assert "elsewhere.cfg" in pycodec.load("vtm").description


def test_a_decoder_that_does_not_tell_the_size_is_too_old(vtm: Any) -> None:
    codec = vtm(decoder=programs.VTM_DECODER_OLD)
    with pytest.raises(MissingDependency, match="needs VTM 18 or newer"):
        codec.decompress(codec.compress(PHOTO, 27))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (programs.FAILING, "App ended with exit status 3: line 0; ...; line 8; Unknown chroma format$"),
        (programs.KILLED, "App ended with signal 9: it printed nothing$"),
        (programs.SILENT, "App wrote no file: done$"),
    ],
)
def test_a_failure_is_a_sentence_with_the_last_lines(vtm: Any, body: str, sentence: str) -> None:
    with pytest.raises(ProgramFailed, match=f"^Encoder{sentence}"):
        vtm(encoder=body).compress(PHOTO, 27)
    codec = vtm(decoder=body)
    with pytest.raises(CorruptStream, match="not a VTM file that decodes: DecoderAppStatic "):
        codec.decompress(codec.compress(PHOTO, 27))


def test_bpg_is_handed_a_png_file(folder: Path) -> None:
    encoder = programs.install(folder, "bpgenc", programs.BPG_ENCODER, "BPG Image Encoder version 0.9.8")
    programs.install(folder, "bpgdec", programs.BPG_DECODER)
    codec = pycodec.load("bpg", chroma=420)
    np.testing.assert_array_equal(np.asarray(codec.decompress(codec.compress(PHOTO, 30))), PHOTO)
    assert (codec.version(), codec.description) == ("0.9.8", "4:2:0 ycbcr_bt709, 10 bit, effort 9")
    (call,) = programs.calls(encoder)
    pairs = dict(zip(call[:-1:2], call[1::2], strict=True))
    assert {k: pairs[k] for k in ("-q", "-f", "-b", "-c", "-m")} == {
        "-q": "30", "-f": "420", "-b": "10", "-c": "ycbcr_bt709", "-m": "9",
    }  # fmt: skip


def test_x265_gets_its_planes_through_a_pipe(folder: Path) -> None:
    ffmpeg = programs.install(folder, "ffmpeg", programs.FFMPEG, "ffmpeg version n9.0 Copyright")
    codec, large = pycodec.load("x265", preset="medium"), np.tile(PHOTO, (4, 4, 1))
    data = codec.compress(large, 30)
    np.testing.assert_array_equal(np.asarray(codec.decompress(data)), large)
    assert codec.version() == "ffmpeg n9.0"
    call, _ = programs.calls(ffmpeg)
    assert [call[call.index(o) + 1] for o in ("-c:v", "-preset", "-qp")] == ["libx265", "medium", "30"]
    assert "info=0" in call[call.index("-x265-params") + 1]  # else its settings are in every file
    assert "-bsf:v" not in call
    codec.compress(large[:, :7], 30)  # x265 takes no picture narrower than 16 pixels
    call = programs.calls(ffmpeg)[-1]
    assert call[call.index("-bsf:v") + 1] == "hevc_metadata=crop_right=9"


@pytest.mark.parametrize(
    ("name", "program", "variable"),
    [
        ("vtm", "EncoderApp or EncoderAppStatic", "PYCODEC_VTM_ENCODER"),
        ("bpg", "bpgenc", "PYCODEC_BPG_ENCODER"),
        ("x265", "ffmpeg", "PYCODEC_FFMPEG"),
    ],
)
def test_a_missing_program_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, program: str, variable: str
) -> None:
    with pytest.raises(MissingDependency, match=f"needs the program {program}; .* in {variable}$"):
        pycodec.load(name)
    (component,) = [c for c in pycodec.components("codec") if c.name == name]
    assert component.needs().startswith(f"needs {program.partition(' ')[0]}")
    monkeypatch.setenv(variable, "/none/here")
    with pytest.raises(MissingDependency, match="needs /none/here, which is no program here"):
        pycodec.load(name)


def test_programs_are_found_by_option_and_by_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    path = str(programs.install(elsewhere, "my-ffmpeg", programs.FFMPEG))
    assert pycodec.load("x265", ffmpeg=path).version() == "ffmpeg 7.1"
    monkeypatch.setenv("PYCODEC_FFMPEG", path)
    assert pycodec.load("x265").version() == "ffmpeg 7.1"
    (component,) = [c for c in pycodec.components("codec") if c.name == "x265"]
    assert component.needs() == ""


def test_another_program_of_that_name_is_no_codec(folder: Path) -> None:
    programs.install(folder, "ffmpeg", programs.FFMPEG, banner="hello")
    with pytest.raises(MissingDependency, match="does not tell its version; is it the program that is meant"):
        pycodec.load("x265")


def test_a_profile_or_transparency_is_refused(folder: Path) -> None:
    programs.install(folder, "ffmpeg", programs.FFMPEG)
    codec, image = pycodec.load("x265"), Image.fromarray(PHOTO)
    image.info["icc_profile"] = bytes(16) + b"RGB " + bytes(108)
    with pytest.raises(InvalidInput, match="drop the profile first"):
        codec.compress(image)
