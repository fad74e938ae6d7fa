"""What a codec needs and is not installed, found without importing it: listings stay quick.

Answers are empty where nothing is missing.
"""

from __future__ import annotations

import os
import shutil
from importlib.machinery import PathFinder

PROGRAMS: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "vtm": {
        "encoder": ("PYCODEC_VTM_ENCODER", ("EncoderApp", "EncoderAppStatic")),
        "decoder": ("PYCODEC_VTM_DECODER", ("DecoderApp", "DecoderAppStatic")),
    },
    "bpg": {
        "encoder": ("PYCODEC_BPG_ENCODER", ("bpgenc",)),
        "decoder": ("PYCODEC_BPG_DECODER", ("bpgdec",)),
    },
    "x265": {"ffmpeg": ("PYCODEC_FFMPEG", ("ffmpeg",))},
}
"""Codec to its programs: by the name of the option that gives a path, the environment variable that does, and
the names that are looked for in PATH."""


def module(name: str, distribution: str) -> str:
    """Whether the module is there, at most one package deep."""
    path = None
    for part in name.split("."):
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            return f"needs {distribution}"
        path = spec.submodule_search_locations
    return ""


def program(codec: str) -> str:
    """Whether all programs of a codec are there."""
    absent = [names[0] for option, (_, names) in PROGRAMS[codec].items() if not path_of(codec, option)]
    return f"needs {' and '.join(absent)}" if absent else ""


def path_of(codec: str, option: str) -> str | None:
    """Path of a program: the one that its variable names, or else the first found in PATH."""
    variable, names = PROGRAMS[codec][option]
    given = os.environ.get(variable)
    return next(filter(None, map(shutil.which, [given] if given else names)), None)
