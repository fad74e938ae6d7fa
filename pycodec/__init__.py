"""pycodec: a learned image codec. Models are plugins, coding is native.

>>> import pycodec
>>> codec = pycodec.load("default")
>>> data = codec.compress(image, quality=5)
>>> picture = pycodec.decompress(data)

Every name is imported when it is first used, so that ``import pycodec`` is quick and never loads torch.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pycodec import coding, config, errors, ops, profiling, types
    from pycodec.codec import Codec, decompress
    from pycodec.errors import PycodecError
    from pycodec.loading import load
    from pycodec.runtime import components, create, plugins

    __version__: str

__all__ = [
    "Codec",
    "PycodecError",
    "__version__",
    "coding",
    "components",
    "config",
    "create",
    "decompress",
    "errors",
    "load",
    "ops",
    "plugins",
    "profiling",
    "types",
]

_MODULE_OF = {
    "Codec": "pycodec.codec",
    "PycodecError": "pycodec.errors",
    "components": "pycodec.runtime",
    "create": "pycodec.runtime",
    "decompress": "pycodec.codec",
    "load": "pycodec.loading",
    "plugins": "pycodec.runtime",
}


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        value = getattr(importlib.import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value
    if name == "__version__":
        return importlib.metadata.version("pycodec")
    if name in __all__:
        return importlib.import_module(f"pycodec.{name}")
    raise AttributeError(f"module 'pycodec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
