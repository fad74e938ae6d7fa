"""What can go wrong. Every message says what was found, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PycodecError(Exception):
    """Base of every error pycodec raises on purpose; the command line prints it and exits with 2."""


class InvalidInput(PycodecError, ValueError):
    """An argument, an image or a configuration that cannot be used as it is."""


class LimitExceeded(InvalidInput):
    """Something larger than `pycodec.limits` allows; it may be fine, and who trusts it raises the limit."""


class CorruptStream(PycodecError, ValueError):
    """Data that is not a stream pycodec wrote, or no longer."""


class UnsupportedVersion(PycodecError):
    """A container written by a newer format version."""


class UnknownComponent(PycodecError, LookupError):
    """No plugin registers this name."""


class DuplicateComponent(PycodecError):
    """Two plugins claim one name."""


class PluginError(PycodecError):
    """A plugin could not be loaded."""


class MissingDependency(PycodecError):
    """A component needs a library or a program that is not installed here."""


class ProgramFailed(PycodecError):
    """Another program that a component runs ended with an error."""


class MissingWeights(PycodecError):
    """The codec has no weights, or not those a stream was written with."""


class WeightsMismatch(PycodecError):
    """Weights that do not fit the component, or not the stream."""


class NativeUnavailable(PycodecError, ImportError):
    """The native extension is not built, or was built for another interpreter."""


class DeviceError(PycodecError, RuntimeError):
    """A GPU that did not do what it was asked for."""


class TrainingDiverged(PycodecError):
    """The loss is no longer finite; the last good checkpoint is kept."""


class ProcessFailed(PycodecError):
    """Another process of a data-parallel run failed, and said why."""


class ProcessLost(ProcessFailed):
    """Another process of a data-parallel run is gone without a word."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out; those of torch are a RuntimeError."""
    text = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("allocate memory" in text or "out of memory" in text)
    )


def near_names(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'a' or 'b'?"``, or nothing when no known name resembles ``name``."""
    matches = difflib.get_close_matches(name, sorted(known), n=3)
    return f"; did you mean {' or '.join(map(repr, matches))}?" if matches else ""
