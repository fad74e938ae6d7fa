"""The compiled extension ``pycodec._C``, loaded at first use, so that importing pycodec works without it."""

from __future__ import annotations

import importlib
import sysconfig
from functools import cache
from pathlib import Path
from types import ModuleType

from pycodec.errors import NativeUnavailable

HOW_TO_BUILD = (
    "build it with `pip install -c constraints.txt .` (or `-e .`) in the source tree; needs g++ or clang++"
)


@cache
def native() -> ModuleType:
    """The extension module.

    Raises:
        NativeUnavailable: it is not built, was built for another interpreter, or does not load.
    """
    try:
        return importlib.import_module("pycodec._C")
    except ImportError as error:
        raise NativeUnavailable(why_unavailable(error)) from error


def why_unavailable(error: ImportError) -> str:
    """One sentence on why the extension did not load."""
    wanted = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
    folder = Path(__file__).parent
    if (folder / f"_C{wanted}").exists():
        return f"pycodec's native extension does not load: {error}; {HOW_TO_BUILD}"
    others = sorted(p.name for p in folder.glob("_C.*") if p.suffix in (".so", ".pyd"))
    if others:
        return (
            f"pycodec's native extension is there as {', '.join(others)}, "
            f"but this Python needs _C{wanted}; {HOW_TO_BUILD}"
        )
    return f"pycodec's native extension is not built; {HOW_TO_BUILD}"
