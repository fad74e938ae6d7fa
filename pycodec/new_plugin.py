"""A plugin to start from: renders a working distribution of one kind from the templates beside this file.

A template ``templates/KIND/component.py.jinja`` is a whole component, not a stub; the distribution around it
comes from ``templates/common``. A codec is made of a transform, a quantizer and an entropy model, and so is
its template.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jinja2

from pycodec.errors import InvalidInput, near_names
from pycodec.names import LONGEST
from pycodec.runtime import components, plugins
from pycodec.types import KINDS

TEMPLATES = Path(__file__).parent / "templates"
_NAME = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")


@dataclass(frozen=True)
class Part:
    """A component that a distribution registers; its module is called like its kind."""

    kind: str
    factory: str
    summary: str


PARTS = {
    part.kind: part
    for part in (
        Part("transform", "WaveletTransform", "learnable block transform that starts as the Haar wavelet"),
        Part("quantizer", "DeadZoneQuantizer", "rounding with a dead zone, straight-through gradient"),
        Part("entropy_model", "FactorizedModel", "one integer table per latent plane and quality"),
        Part("discriminator", "PatchDiscriminator", "PatchGAN critic with hinge losses"),
        Part("estimator", "OperationalPoint", "rate and PSNR of real files"),
        Part("codec", "create", "learnable wavelet, dead zone and factorized entropy model"),
        Part("metric", "GradientSimilarity", "similarity of gradient magnitudes"),
    )
}
_OF_A_CODEC = ("transform", "quantizer", "entropy_model", "codec")


def create(name: str, kind: str, output: str | Path = ".", author: str | None = None) -> Path:
    """Write the distribution ``pycodec-NAME`` into the folder ``output``, whole or not at all.

    Args:
        name: of the component, and so of distribution, package and entry point.
        kind: one of the seven kinds.
        output: an existing folder.
        author: for licence and metadata, one line; by default the authors of the distribution.

    Returns:
        The folder of the distribution.

    Raises:
        InvalidInput: an unknown kind, a name that cannot be used or is taken, an output that is there
            already.
        OSError: the folder cannot be written.
    """
    if kind not in KINDS:
        raise InvalidInput(
            f"unknown kind {kind!r}{near_names(kind, KINDS)}; expected one of {', '.join(KINDS)}"
        )
    distribution, package = _names(name)
    parts = [PARTS[k] for k in (_OF_A_CODEC if kind == "codec" else (kind,))]
    _check_free(name, package, parts)
    author = f"the authors of {distribution}" if author is None else author.strip()
    if not author or not author.isprintable():
        raise InvalidInput(f"the author is {author!r}, expected one line of text")
    folder = Path(output)
    target = folder / distribution
    if not folder.is_dir():
        raise InvalidInput(f"cannot write {target}: the directory {folder} does not exist; make it first")
    if target.exists() or target.is_symlink():
        raise InvalidInput(f"{target} exists already; remove it, or choose another name or --output")
    variables = {
        "name": name,
        "kind": kind,
        "noun": kind.replace("_", " "),
        "distribution": distribution,
        "package": package,
        "parts": parts,
        "summary": PARTS[kind].summary,
        "protocol": KINDS[kind].__name__,
        "author": author,
        "year": datetime.date.today().year,
        "requirement": _requirement(importlib.metadata.version("pycodec")),
    }
    with tempfile.TemporaryDirectory(prefix=f".{distribution}.", dir=folder) as temporary:
        draft = Path(temporary) / distribution
        for path, text in render(kind, variables):
            file = draft / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        draft.rename(target)
    return target


def render(kind: str, variables: dict[str, object]) -> Iterator[tuple[str, str]]:
    """Path in the distribution and content of each of its files."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # A JSON string is a TOML string too.
    environment.filters["toml"] = lambda text: json.dumps(text, ensure_ascii=False)
    for template, path in _files(kind, str(variables["name"]), str(variables["package"])).items():
        yield path, environment.get_template(f"{template}.jinja").render(variables)


def _files(kind: str, name: str, package: str) -> dict[str, str]:
    """Template -> path in the distribution."""
    source = f"src/{package}"
    files = {
        "common/pyproject.toml": "pyproject.toml",
        "common/README.md": "README.md",
        "common/LICENSE": "LICENSE",
        "common/gitignore": ".gitignore",
        "common/workflow.yml": ".github/workflows/test.yml",
        "common/init.py": f"{source}/__init__.py",
        "common/plugin.py": f"{source}/plugin.py",
        "common/test_conformance.py": "tests/test_conformance.py",
    }
    for part in _OF_A_CODEC if kind == "codec" else (kind,):
        files[f"{part}/component.py"] = f"{source}/{part}.py"
        files[f"{part}/test.py"] = f"tests/test_{part}.py"
    if kind == "codec":
        files["codec/training.py"] = f"{source}/training.py"
        files["codec/recipe.toml"] = f"{source}/recipes/{name}.toml"
    return files


def _names(name: str) -> tuple[str, str]:
    """Distribution and package of a component."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise InvalidInput(
            f"{name!r} is no name for a plugin, expected at most {LONGEST} of a-z and 0-9, with single "
            "'-' or '_' between them, such as 'my-codec'"
        )
    return f"pycodec-{name.replace('_', '-')}", f"pycodec_{name.replace('-', '_')}"


def _check_free(name: str, package: str, parts: list[Part]) -> None:
    """Nothing that is installed has these names.

    Raises:
        InvalidInput: naming who has.
    """
    for part in parts:
        for component in components(part.kind):
            if name in (component.name, *component.aliases):
                raise InvalidInput(
                    f"the {part.kind} {name!r} is already taken by {component.origin}; choose another name"
                )
    for plugin in plugins():
        if name == plugin.name:
            raise InvalidInput(f"the name {name!r} is already taken by {plugin.origin}; choose another name")
    if importlib.util.find_spec(package):
        raise InvalidInput(f"a package {package} is already installed; choose another name")


def _requirement(version: str) -> str:
    """Of this version or a later one, below the next major version."""
    lowest = version.partition("+")[0]
    return f"pycodec>={lowest},<{int(lowest.partition('.')[0]) + 1}"
