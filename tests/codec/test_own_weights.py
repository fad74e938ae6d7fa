"""Weights of one's own: files say which they need, and find them by fingerprint in the search path."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint
from pathlib import Path

import brick_codec
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save as to_safetensors

import pycodec
from pycodec import bitstream, cli, loading, runtime, weight_store, weights
from pycodec.errors import InvalidInput, MissingWeights, UnknownComponent, WeightsMismatch


@pytest.fixture
def user_folder(tmp_path, monkeypatch):
    """The user's folder, not there yet; a name with a blank and letters beyond ASCII."""
    folder = tmp_path / "Ordner für Gewichte" / "pycodec" / "weights"
    monkeypatch.setattr(weight_store, "user_folder", lambda: folder)
    monkeypatch.delenv("PYCODEC_WEIGHTS", raising=False)
    return folder


@pytest.fixture
def brick(monkeypatch, user_folder):
    """The codecs brick, without weights, and plain are installed, and no others."""
    found = [EntryPoint("brick", "brick_codec", "pycodec")]
    monkeypatch.setattr(runtime, "_runtime", runtime.Runtime(found, ()))
    loading._kept.cache_clear()
    brick_codec.LOADED.clear()


@pytest.fixture
def coarse(tmp_path):
    """A weights file of brick."""
    brick_codec.save(tmp_path / "coarse.safetensors", 9)
    return tmp_path / "coarse.safetensors"


@pytest.fixture
def fine(tmp_path):
    """Another one."""
    brick_codec.save(tmp_path / "fine.safetensors", 1)
    return tmp_path / "fine.safetensors"


@pytest.fixture
def ship(brick, monkeypatch):
    """Makes a weights file the one that comes with brick."""

    def ship(path):
        nowhere = path.parent / "nowhere"
        monkeypatch.setattr(weights, "shipped", lambda module, codec: path if codec == "brick" else nowhere)

    return ship


@pytest.fixture
def run(brick, capsys):
    """Runs pycodec in this process: exit status, standard output, standard error."""

    def run(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def fails(run):
    """Runs pycodec, which has to end with status 2 and one line; the line."""

    def fails(*arguments):
        status, _, err = run(*arguments)
        assert status == 2
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err

    return fails


def pixels(data, **options):
    return np.asarray(pycodec.decompress(data, **options))


def damage(path):
    """Flip a bit of the last tensor: the header still states the old fingerprint."""
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def test_two_weights_of_one_codec_side_by_side(brick, coarse, fine, photo):
    codecs = [pycodec.load("brick", weights_file=path) for path in (coarse, fine)]
    files = [codec.compress(photo(40, 24)) for codec in codecs]
    for path in (coarse, fine):
        weight_store.add(path)
        path.unlink()
    expected = [codec.reconstruct(photo(40, 24)) for codec in codecs]
    assert not np.array_equal(*expected)
    for data, image in zip(files, expected, strict=True):
        assert np.array_equal(pixels(data), image)


def test_weights_beside_those_that_ship(ship, coarse, fine, photo):
    ship(coarse)
    files = [pycodec.load("brick", **o).compress(photo(9, 9)) for o in ({}, {"weights_file": fine})]
    weight_store.add(fine)
    before = len(brick_codec.LOADED)
    for data in files:
        pixels(data)
    copy = weight_store.user_folder() / next(weight_store.user_folder().iterdir()).name
    assert brick_codec.LOADED[before:] == [str(coarse), str(copy)]  # each once, and no wrong one


def test_a_file_says_which_weights_it_needs(fails, ship, coarse, fine, photo, tmp_path):
    codec = pycodec.load(weights_file=fine)
    stream = tmp_path / "a.pci"
    stream.write_bytes(codec.compress(photo(9, 9)))
    wanted = codec.fingerprint.hex()[:8]
    with pytest.raises(
        MissingWeights, match=f"needs weights {wanted} of codec 'brick', which are not here: give"
    ):
        pixels(stream.read_bytes())
    # Weights of the same content for another codec are no help: the fingerprint does not cover the name.
    weights.save(tmp_path / "twin.safetensors", weights.load(fine)[0], {"config": {}, "codec": "nobodys"})
    weight_store.add(tmp_path / "twin.safetensors")
    ship(coarse)
    own = weights.read_metadata(coarse)["fingerprint"][:8]
    line = fails("decompress", stream, "-o", tmp_path / "a.png")
    for words in (wanted, f"those that come with it are {own}", "pycodec weights add", "PYCODEC_WEIGHTS"):
        assert words in line
    assert not (tmp_path / "a.png").exists()


def test_the_codec_is_named_by_its_weights(run, coarse, photo, tmp_path):
    Image.fromarray(photo(40, 24)).save(tmp_path / "ein Bild.png")
    status, out, _ = run("compress", tmp_path / "ein Bild.png", "--weights", coarse)
    assert (status, out.count("\n")) == (0, 1)
    stream = tmp_path / "ein Bild.pci"
    assert bitstream.parse(stream.read_bytes()).header.codec == "brick"
    expected = pycodec.load("brick", weights_file=coarse).reconstruct(photo(40, 24))
    assert run("decompress", stream, "--weights", coarse, "-o", tmp_path / "a.png")[0] == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), expected)
    assert json.loads(run("info", stream, "--json")[1])["weights_match"] is None
    assert run("weights", "add", coarse)[0] == 0
    assert run("decompress", stream, "-o", tmp_path / "b.png")[0] == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), expected)
    assert json.loads(run("info", stream, "--json")[1])["weights_match"] is True


def test_files_and_folders_of_the_environment(brick, coarse, fine, photo, tmp_path, monkeypatch):
    folder = tmp_path / "Größe 2"
    folder.mkdir()
    shutil.move(fine, folder / "naïve.safetensors")
    files = [pycodec.load(weights_file=p).compress(photo(9, 9)) for p in (coarse, *folder.iterdir())]
    places = [str(tmp_path / "nowhere"), str(coarse), "", str(folder)]
    monkeypatch.setenv("PYCODEC_WEIGHTS", os.pathsep.join(places))
    assert [s.path for s in weight_store.search_path()] == [coarse, folder / "naïve.safetensors"]
    for data in files:
        pixels(data)


def test_what_is_no_use_is_passed_over(brick, coarse, fine, photo, monkeypatch, tmp_path):
    data = pycodec.load(weights_file=fine).compress(photo(9, 9))
    folder = tmp_path / "mixed"
    (folder / "a folder.safetensors").mkdir(parents=True)
    folder.joinpath("a.safetensors").write_bytes(b"")
    folder.joinpath("b.safetensors").write_bytes(b"\xff" * 99)
    folder.joinpath("c.safetensors").write_bytes(to_safetensors({"t": np.zeros(3)}))
    nested = {"pycodec": "[" * 100_000}
    folder.joinpath("d.safetensors").write_bytes(to_safetensors({}, metadata=nested))
    for name, text in (("e", "[]"), ("f", '{"codec": 3}'), ("g", '{"codec": "../x", "fingerprint": "aa"}')):
        folder.joinpath(f"{name}.safetensors").write_bytes(to_safetensors({}, metadata={"pycodec": text}))
    weights.save(folder / "h.safetensors", {}, {"config": {}})  # names no codec
    weights.save(folder / "i.safetensors", {}, {"config": {}, "codec": "nobodys"})
    shutil.copy(fine, folder / "j.safetensors")
    damage(folder / "j.safetensors")
    folder.joinpath("k.safetensors").symlink_to(tmp_path / "gone")
    folder.joinpath("readme.txt").write_text("weights of the winter")
    monkeypatch.setenv("PYCODEC_WEIGHTS", str(folder))
    with pytest.raises(WeightsMismatch, match=r"j\.safetensors is damaged"):
        pixels(data)
    shutil.copy(fine, folder / "z.safetensors")
    pixels(data)
    problems = {s.path.stem: s.problem for s in weight_store.search_path()}
    assert {name for name, problem in problems.items() if problem} == set("abcdefgh")
    assert all("\n" not in problem for problem in problems.values())
    assert "names no codec" in problems["h"]


def test_candidates_are_not_read_to_be_found(brick, coarse, fine, photo, monkeypatch):
    data = pycodec.load(weights_file=fine).compress(photo(9, 9))
    weight_store.add(coarse)
    weight_store.add(fine)
    read = []
    load = weights.load
    monkeypatch.setattr(weights, "load", lambda path: [read.append(path), load(path)][1])
    weight_store.every()
    assert read == []
    for _ in range(3):
        pixels(data)
    # One file of the two, once for three images; brick has none of its own to be tried.
    assert [path.name[:6] for path in read if path.is_file()] == ["brick-"]


def test_no_more_than_a_few_codecs_stay_loaded(brick, photo, tmp_path):
    files = []
    for gain in range(1, loading.KEPT + 3):
        brick_codec.save(tmp_path / f"{gain}.safetensors", gain)
        weight_store.add(tmp_path / f"{gain}.safetensors")
        files.append(pycodec.load(weights_file=tmp_path / f"{gain}.safetensors").compress(photo(9, 9)))
    for data in files * 2:
        pixels(data)
    assert loading._kept.cache_info().currsize == loading.KEPT


def test_weights_of_another_codec(fails, coarse, photo, tmp_path):
    Image.fromarray(photo(9, 9)).save(tmp_path / "a.png")
    line = fails("compress", tmp_path / "a.png", "--weights", coarse, "--codec", "plain")
    assert "holds weights of codec 'brick', not of 'plain'" in line
    stream = tmp_path / "a.pci"
    stream.write_bytes(pycodec.load("plain").compress(photo(9, 9)))
    weights.save(tmp_path / "nameless.safetensors", {}, {"config": {}})
    weights.save(tmp_path / "toy.safetensors", {}, {"config": {}, "codec": "toy"})
    weights.save(tmp_path / "plain.safetensors", {}, {"config": {}, "codec": "plain"})
    for name, sentence in (
        (
            "plain",
            "codec 'plain' of plugin 'brick' of (unknown distribution) cannot take weights of your own",
        ),
        ("toy", "unknown codec 'toy'"),
        ("nameless", "names no codec"),
        ("none", "no weights at"),
    ):
        assert sentence in fails(
            "compress", tmp_path / "a.png", "--weights", tmp_path / f"{name}.safetensors"
        )
    # A stream of a codec that is not the one of the weights; and weights that did not write it.
    with pytest.raises(UnknownComponent, match="unknown codec 'toy'"):
        pycodec.decompress(stream.read_bytes(), weights_file=coarse)
    data = pycodec.load(weights_file=coarse).compress(photo(9, 9))
    brick_codec.save(tmp_path / "third.safetensors", 3)
    with pytest.raises(WeightsMismatch, match="not with these"):
        pycodec.decompress(data, weights_file=tmp_path / "third.safetensors")
    with pytest.raises(WeightsMismatch, match="of codec 'toy', not of 'brick'"):
        pycodec.decompress(data, weights_file=tmp_path / "toy.safetensors")


def test_a_file_without_a_codec_is_usable_with_its_name(brick, coarse, photo, tmp_path):
    tensors, _ = weights.load(coarse)
    weights.save(tmp_path / "old.safetensors", tensors, {"config": {}})
    with pytest.raises(InvalidInput, match="names no codec"):
        pycodec.load(weights_file=tmp_path / "old.safetensors")
    codec = pycodec.load("brick", weights_file=tmp_path / "old.safetensors")
    assert codec.fingerprint == pycodec.load(weights_file=coarse).fingerprint  # metadata do not count


def test_add_refuses_what_is_of_no_use(fails, run, coarse, user_folder, tmp_path):
    tmp_path.joinpath("text.safetensors").write_text("no weights")
    weights.save(tmp_path / "plain.safetensors", {}, {"config": {}, "codec": "plain"})
    weights.save(tmp_path / "nameless.safetensors", {}, {"config": {}})
    weights.save(tmp_path / "path.safetensors", {}, {"config": {}, "codec": "../../up"})
    damage(coarse)
    for name, sentence in (
        ("text", "holds no weights of pycodec"),
        ("plain", "cannot take weights of your own"),
        ("nameless", "names no codec"),
        ("path", "names no codec"),
        ("coarse", "is damaged"),
        ("none", "no weights at"),
    ):
        assert sentence in fails("weights", "add", tmp_path / f"{name}.safetensors")
    assert not user_folder.exists()
    weights.save(tmp_path / "later.safetensors", {}, {"config": {}, "codec": "later"})
    status, _, err = run("weights", "add", tmp_path / "later.safetensors")
    assert (status, err) == (
        0,
        f"warning: {tmp_path / 'later.safetensors'}: codec 'later' is not installed here\n",
    )
    assert [p.name[:6] for p in user_folder.iterdir()] == ["later-"]


def test_adding_at_the_same_time(brick, coarse, fine, user_folder):
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(weight_store.add, [coarse, fine] * 12))
    assert sorted(user_folder.iterdir()) == sorted({stored.path for stored in added})
    assert len(set(added)) == 2
    for path in user_folder.iterdir():
        weights.load(path)


def test_list_tells_where_from_and_what_is_wrong(run, ship, coarse, fine, user_folder, monkeypatch, tmp_path):
    ship(coarse)
    run("weights", "add", fine)
    user_folder.joinpath("junk.safetensors").write_text("junk")
    monkeypatch.setenv("PYCODEC_WEIGHTS", os.pathsep.join([str(fine), "nowhere"]))
    status, out, err = run("weights", "list", "--json")
    rows = json.loads(out)
    assert (status, err) == (0, "warning: PYCODEC_WEIGHTS names nowhere, which does not exist\n")
    own, other = (weights.read_metadata(path)["fingerprint"] for path in (coarse, fine))
    copy = user_folder / f"brick-{other[:16]}.safetensors"
    assert [(r["codec"], r["fingerprint"], r["source"], r["path"]) for r in rows] == [
        ("brick", own, "shipped", str(coarse)),
        ("brick", other, "PYCODEC_WEIGHTS", str(fine)),
        ("brick", other, "user", str(copy)),
        ("", "", "user", str(user_folder / "junk.safetensors")),
    ]
    assert [r["bytes"] for r in rows] == [Path(r["path"]).stat().st_size for r in rows]
    assert [bool(r["problem"]) for r in rows] == [False, False, False, True]
    table = run("weights", "list")[1].splitlines()
    assert table[1].split() == ["brick", own[:16], str(coarse.stat().st_size), "shipped", str(coarse)]
    assert "holds no weights" in table[4]


def test_remove_one_and_only_one(fails, run, ship, coarse, fine, user_folder, tmp_path):
    ship(coarse)
    prints = {}
    for gain in (5, 6, 7):
        path = tmp_path / f"{gain}.safetensors"
        prints[gain] = brick_codec.save(path, gain)
        run("weights", "add", path)
    user_folder.joinpath("junk.safetensors").write_text("junk")
    assert "may be brick-" in fails("weights", "remove", "brick")
    assert "no weights 'junc'" in fails("weights", "remove", "junc")
    assert f"{coarse} is not in it: it stays" in fails(
        "weights", "remove", weights.read_metadata(coarse)["fingerprint"][:9]
    )
    assert "no weights ''" in fails("weights", "remove", "")
    assert len(list(user_folder.iterdir())) == 4
    for wanted in (prints[5][:12], f"brick-{prints[6][:16]}", "brick", "junk.safetensors"):
        status, out, _ = run("weights", "remove", wanted)
        assert (status, out.startswith("removed ")) == (0, True)
    assert list(user_folder.iterdir()) == []
    assert coarse.exists()


@pytest.fixture
def elsewhere(installed, tmp_path):
    """Environment of a process in which brick is installed as well, with its own folder for the user's data."""
    site = Path(installed["PYTHONPATH"].split(os.pathsep)[0])
    site.joinpath("toy-0.1.dist-info", "entry_points.txt").write_text("[pycodec]\nbrick = brick_codec\n")
    home = tmp_path / "home"
    home.mkdir()
    clean = {key: value for key, value in installed.items() if key != "PYCODEC_WEIGHTS"}
    return {**clean, "XDG_DATA_HOME": str(home), "HOME": str(home)}


def test_another_process_finds_what_was_added(brick, coarse, photo, tmp_path, elsewhere):
    def process(*arguments):
        code = (
            "import sys; from pycodec.cli import main; status = main(sys.argv[1:]); "
            "print('torch' in sys.modules); sys.exit(status)"
        )
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, env=elsewhere, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines(), done.stderr

    stream = tmp_path / "a.pci"
    stream.write_bytes(pycodec.load(weights_file=coarse).compress(photo(9, 9)))
    status, _, err = process("decompress", stream)
    assert status == 2
    assert "needs weights" in err
    assert process("weights", "add", coarse)[0] == 0
    status, lines, _ = process("weights", "list", "--json")
    (row,) = (row for row in json.loads("\n".join(lines[:-1])) if row["source"] == "user")
    assert (status, lines[-1]) == (0, "False")  # torch was not loaded
    assert Path(row["path"]).is_relative_to(tmp_path / "home")
    assert process("decompress", stream)[0] == 0
    assert stream.with_suffix(".png").exists()


def test_weights_that_ship_name_their_codec():
    from pycodec_plugins import cpm

    for path in sorted((Path(cpm.__file__).parent / "weights").glob("*.safetensors")):
        assert weight_store.codec_of(path) == path.stem
