"""Who may import whom: the imports of every module against one table."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Component (a module or package directly in pycodec) -> components it may import, and so on downwards.
MAY_IMPORT = {
    "errors": [],
    "types": [],
    "names": [],
    "limits": ["errors"],
    "window": [],
    "progress": [],
    "files": ["errors"],
    "registry": ["errors", "types", "names"],
    "hookspecs": ["errors", "types"],
    "runtime": ["hookspecs", "registry"],
    "native": ["errors"],
    "profiling": [],
    "coding": ["native", "profiling", "progress"],
    "ops": ["native"],
    "bitstream": ["errors", "names"],
    "config": ["runtime"],
    "images": ["limits", "window", "types"],
    "weights": ["config", "files"],
    "weight_store": ["weights"],
    "loading": ["weight_store"],
    "tiled": ["images", "progress"],
    "rdoq": ["types"],
    "codec": ["rdoq", "tiled", "loading", "coding", "ops", "bitstream"],
    "doctor": ["native", "runtime"],
    "new_plugin": ["runtime"],
    "training": ["codec"],
    "evaluation": ["codec"],
    "selftest": ["codec"],
    "batch": ["codec"],
    "pillow": ["codec"],
    "optimization": ["codec"],
    "testing": ["codec"],  # public names only, see PRIVATE
    "sweep": ["training", "evaluation"],
    "cli": ["sweep", "optimization", "batch", "pillow", "doctor", "new_plugin", "testing", "selftest"],
    "__main__": ["cli"],
}

# Component -> packages of others it may import beside the standard library; one not named here is free.
# A listing of plugins loads the first rows; a user of pycodec.coding never waits for torch.
THIRD_PARTY: dict[str, list[str]] = {
    "__init__": [],
    "errors": [],
    "types": [],
    "names": [],
    "limits": [],
    "window": [],
    "progress": [],
    "files": [],
    "registry": [],
    "hookspecs": ["pluggy"],
    "runtime": ["pluggy"],
    "config": [],
    "native": [],
    "profiling": [],
    "coding": ["numpy"],
    "ops": ["numpy", "torch"],
    "bitstream": [],
    "pillow": ["PIL"],
}

# What plugins, the conformance kit and other people's code do not import.
PRIVATE = {"_C", "native", "registry", "hookspecs", "runtime", "cli", "doctor", "new_plugin", "__main__"}


def reachable(component: str) -> set[str]:
    """Components that ``component`` may import, itself included."""
    found: set[str] = set()
    todo = [component]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += MAY_IMPORT.get(name, [])
    return found


def exports() -> dict[str, str]:
    """Public name of pycodec -> component it lives in."""
    tree = ast.parse((ROOT / "pycodec" / "__init__.py").read_text("utf-8"))
    tables = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["_MODULE_OF"]
    ]
    return {name: module.split(".")[1] for name, module in ast.literal_eval(tables[0]).items()}


def imported_modules(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything a module imports anywhere, but for the eyes of type checkers only.

    ``from a import b`` yields ``a.b``, since ``b`` may be a module.
    """
    todo: list[ast.AST] = [ast.parse(source)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base += node.module.split(".") if node.module else []
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)
        todo += ast.iter_child_nodes(node)


def violations(path: str, source: str) -> list[str]:
    """Broken rules of a module, as ``path:line imports what: rule``; ``path`` starts at the repository."""
    parts = Path(path).with_suffix("").parts
    if parts[0] == "plugins":
        parts = parts[1:]
    found = []
    for line, name in sorted(imported_modules(source, ".".join(parts[:-1]))):
        rule = broken_rule(parts, name)
        if rule:
            found.append(f"{path}:{line} imports {name}: {rule}")
    return found


def broken_rule(parts: tuple[str, ...], name: str) -> str | None:
    """The rule that module ``parts`` breaks by importing ``name``."""
    component = parts[1]
    top, _, rest = name.partition(".")
    target = rest.split(".")[0]
    if top == "pycodec" and target in exports():
        target = exports()[target]
    if parts[0] in ("pycodec_plugins", "examples") or component == "testing":
        if top == "pycodec" and (target in PRIVATE or any(part.startswith("_") for part in name.split("."))):
            return "plugins and pycodec.testing use public names of pycodec only"
        if top == "pycodec_plugins" and target != component and name.count(".") > 2:
            return "a plugin uses another one only through the names of its package"
        return None
    if top == "pycodec_plugins":
        return "pycodec never imports pycodec_plugins"
    if top == "pycodec":
        if target == "_C":
            return None if component == "native" else "only native may import the extension"
        allowed = reachable(component)
        if component == "__init__" or target in allowed:
            return None
        return f"{component} may import {', '.join(sorted(allowed - {component})) or 'nothing of ours'}"
    third_party = THIRD_PARTY.get(component)
    if third_party is not None and top not in third_party and top not in sys.stdlib_module_names:
        return f"{component} may import {', '.join(['the standard library', *third_party])}"
    return None


def modules() -> list[str]:
    """Every Python module of ours and of the examples, relative to the repository."""
    folders = [ROOT / "pycodec", ROOT / "plugins" / "pycodec_plugins", ROOT / "examples"]
    return [str(path.relative_to(ROOT)) for folder in folders for path in sorted(folder.rglob("*.py"))]


def test_every_import_keeps_to_the_table() -> None:
    found = [line for path in modules() for line in violations(path, (ROOT / path).read_text("utf-8"))]
    assert not found, "\n" + "\n".join(found)


def test_every_module_has_its_row() -> None:
    ours = {Path(path).with_suffix("").parts[1] for path in modules() if path.startswith("pycodec/")}
    assert ours - MAY_IMPORT.keys() <= {"__init__"}


def test_the_table_has_no_cycle() -> None:
    cyclic = [name for name, below in MAY_IMPORT.items() if any(name in reachable(other) for other in below)]
    assert cyclic == []


@pytest.mark.parametrize(
    ("path", "source", "rule"),
    [
        ("pycodec/coding/coder.py", "import torch", "coding may import"),
        ("pycodec/coding/coder.py", "def f():\n    import torch.nn", "coding may import"),
        ("pycodec/coding/coder.py", "from ..codec import Codec", "coding may import"),
        ("pycodec/bitstream.py", "import numpy as np", "bitstream may import"),
        ("pycodec/bitstream.py", "from pycodec import runtime", "bitstream may import"),
        ("pycodec/images.py", "from pycodec import load", "images may import"),
        ("pycodec/pillow.py", "import torch", "pillow may import"),
        ("pycodec/training/loop.py", "from pycodec.evaluation import rd", "training may import"),
        ("pycodec/codec.py", "from pycodec import _C", "only native may import"),
        ("pycodec/cli/demo.py", "import pycodec_plugins.cpm", "never imports pycodec_plugins"),
        ("plugins/pycodec_plugins/cpm/entropy.py", "from pycodec.native import rans", "public names"),
        ("plugins/pycodec_plugins/cpm/entropy.py", "from pycodec.coding.coder import _pack", "public names"),
        ("plugins/pycodec_plugins/cpm/entropy.py", "from ..illm.critic import PatchCritic", "another one"),
        ("pycodec/testing/codec.py", "from pycodec.runtime import get_runtime", "public names"),
        ("examples/pycodec-mine/src/mine/codec.py", "from pycodec.registry import resolve", "public names"),
    ],
)
def test_a_broken_rule_is_named(path: str, source: str, rule: str) -> None:
    (found,) = violations(path, source)
    line = source.count("\n") + 1
    assert found.startswith(f"{path}:{line} imports ") and rule in found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "pycodec/coding/coder.py",
            "import numpy\nfrom pycodec.errors import CorruptStream\nfrom . import tables",
        ),
        ("pycodec/types.py", "if TYPE_CHECKING:\n    import torch"),
        ("pycodec/cli/demo.py", "import torch\nfrom pycodec import load\nfrom pycodec.evaluation import rd"),
        (
            "plugins/pycodec_plugins/illm/model.py",
            "from pycodec import Codec\nfrom ..hyperprior import HificCoder",
        ),
    ],
)
def test_a_kept_rule_is_not(path: str, source: str) -> None:
    assert violations(path, source) == []


def includes() -> list[tuple[str, str]]:
    """(path, included header) over the native sources."""
    sources = [path for path in (ROOT / "csrc").rglob("*") if path.suffix in {".h", ".cpp", ".cu", ".cuh"}]
    pattern = re.compile(r"^\s*#\s*include\s*[<\"]([^>\"]+)", re.MULTILINE)
    return [
        (str(path.relative_to(ROOT)), header)
        for path in sorted(sources)
        for header in pattern.findall(path.read_text("utf-8"))
    ]


def test_native_code_sees_no_torch_and_only_bindings_see_python() -> None:
    found = includes()
    assert found, "no native sources under csrc"
    torch = [f"{path} includes {header}" for path, header in found if re.match(r"(torch|ATen|c10)/", header)]
    python = [
        f"{path} includes {header}"
        for path, header in found
        if re.match(r"pybind11/|Python\.h", header) and not path.startswith("csrc/bindings/")
    ]
    assert not torch + python, "\n" + "\n".join(torch + python)
