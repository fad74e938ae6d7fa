"""Pages of files: versions of one picture beside one another, and a look into one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pycodec import bitstream, files
from pycodec.errors import InvalidInput, PycodecError
from pycodec.evaluation import inspection
from pycodec.evaluation.report import maps, page
from pycodec.evaluation.report.scene import (
    Inside,
    Scene,
    Version,
    busiest_crop,
    data_uri,
    lossless,
    quality_facts,
    size_facts,
)
from pycodec.images import Picture, as_picture

_SHOWN_AS_THEY_ARE = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
}


def write_comparison(paths: Sequence[Path], out: Path) -> None:
    """Write a page that compares image files, .pci files among them, with the first one.

    Raises:
        InvalidInput: fewer than two files, one that is no image, or pictures of different sizes.
        CorruptStream, MissingWeights: a .pci file that does not decode here.
    """
    if len(paths) < 2:
        raise InvalidInput(f"{len(paths)} file to compare, expected the reference and at least one more")
    scene = scene_of_files(paths)
    page.write(out, "file.html.jinja", title=f"{paths[0].name} compared", scene=scene, facts=())


def write_view(
    path: Path, out: Path, *, original: Path | None = None, facts: Sequence[tuple[str, str]] = ()
) -> None:
    """Write the page of one .pci file or image.

    Args:
        original: what the file was made of, to compare with and for the importance map.
        facts: (name, value) pairs to show in a table.

    Raises:
        InvalidInput, CorruptStream, MissingWeights: as `write_comparison`.
    """
    scene = scene_of_files([path] if original is None else [original, path])
    page.write(out, "file.html.jinja", title=path.name, scene=scene, facts=facts)


def scene_of_files(paths: Sequence[Path]) -> Scene:
    """The scene of a reference and of other versions of it."""
    opened = [_opened(paths[0])]
    reference = opened[0][1]
    opened += [_opened(path, reference) for path in paths[1:]]
    width, height = reference.size
    versions, insides = [], []
    labels = _labels(paths)
    for path, label, (data, picture, inside) in zip(paths, labels, opened, strict=True):
        if picture.size != reference.size:
            raise InvalidInput(
                f"{path} has {picture.size[0]} x {picture.size[1]} pixels and {paths[0]} {width} x {height}; "
                "expected versions of one picture, of one size"
            )
        facts = size_facts(len(data), width, height)
        if path is not paths[0]:
            facts += quality_facts(reference.rgb, picture.rgb)
        else:
            facts += (("pixels", f"{width} × {height}"),)
        versions.append(Version(label, _source(path, data, picture), facts, _note(picture)))
        if inside is not None:
            insides.append(inside)
    crop = busiest_crop(reference.rgb, [picture.rgb for _, picture, _ in opened[1:]])
    for inside in insides:
        versions += maps.as_versions(inside, width, height)
    right = 1 if len(versions) > 1 else 0
    return Scene(
        "image-1",
        paths[0].name,
        width,
        height,
        tuple(versions),
        right=right,
        crop=crop,
        insides=tuple(insides),
    )


def _opened(path: Path, original: Picture | None = None) -> tuple[bytes, Picture, Inside | None]:
    """Content and picture of an image or .pci file, and what is inside the latter.

    Args:
        original: of a .pci file, for its importance map.
    """
    data = files.read_bytes(path)
    if not data.startswith(bitstream.MAGIC):
        return data, as_picture(path), None
    from pycodec import loading  # with torch: only once there is something to decode

    try:
        header, _ = bitstream.parse_header(data)
        codec = loading.codec_for(header.codec, header.fingerprint)
        picture = as_picture(codec.decompress(data))
    except PycodecError as error:
        raise type(error)(f"{path}: {error}") from error
    if original is not None and original.size != picture.size:
        original = None
    return data, picture, maps.inside(path.name, inspection.inspect_file(codec, data, original))


def _labels(paths: Sequence[Path]) -> list[str]:
    """File names; with the folder where two are the same."""
    names = [path.name for path in paths]
    return [path.name if names.count(path.name) == 1 else str(path) for path in paths]


def _source(path: Path, data: bytes, picture: Picture) -> str:
    """The file itself where browsers show what Pillow read, else exactly its pixels."""
    media_type = _SHOWN_AS_THEY_ARE.get(path.suffix.lower())
    if media_type and not picture.notes and picture.alpha is None:
        return data_uri(data, media_type)
    return lossless(np.asarray(picture.rgb))


def _note(picture: Picture) -> str:
    notes = [*picture.notes, *(["transparency is not shown"] if picture.alpha is not None else [])]
    return "; ".join(notes)
