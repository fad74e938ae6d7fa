"""From a name, a weights file or the header of a stream to a codec that is ready."""

from __future__ import annotations

import functools
import inspect
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pycodec import weight_store
from pycodec.errors import (
    CorruptStream,
    InvalidInput,
    MissingWeights,
    PycodecError,
    UnknownComponent,
    WeightsMismatch,
)
from pycodec.registry import Component
from pycodec.runtime import get_runtime

if TYPE_CHECKING:
    from pycodec.codec import Codec

KEPT = 4
"""Codecs that `codec_for` keeps loaded, and as many that `load_kept` does."""

_one_at_a_time = threading.RLock()  # many threads that ask for one codec load it once


def load(
    name: str | None = None,
    /,
    *,
    weights_file: str | os.PathLike[str] | None = None,
    decoder: str | None = None,
    **config: Any,
) -> Codec:
    """Make a codec by its name or alias; without one, the codec that the weights file names, or the default.

    >>> codec = pycodec.load("ctx3d")
    >>> codec = pycodec.load(weights_file="runs/mine/mine.safetensors")

    Args:
        name: ``"default"`` is the codec of ``pycodec compress``.
        weights_file: weights of your own, instead of those that come with the codec.
        decoder: of a codec that has several for the same files, the one to use.
        config: further options of the codec's factory.

    Raises:
        UnknownComponent, InvalidInput, PluginError: as ``pycodec.create``.
        MissingWeights: the codec has no weights, or there is no such file.
        WeightsMismatch: the file holds no weights, those of another codec, or damaged ones.
    """
    component = _component(name, weights_file)
    return _loaded(component, weights_file, {**config, **_decoder_option(component, decoder)})


def load_kept(name: str | None = None, weights_file: str | os.PathLike[str] | None = None) -> Codec:
    """As `load`, for callers that have no place to keep a codec: the last few stay loaded, and are the same
    ones for all threads. A weights file that has changed is read anew.
    """
    component, version = _component(name, weights_file), None
    if weights_file is not None:
        weights_file = os.path.abspath(weights_file)
        with suppress(OSError):  # loading says what is wrong
            found = os.stat(weights_file)
            version = found.st_mtime_ns, found.st_size, found.st_ino
    with _one_at_a_time:
        return _load_kept(component, weights_file, version)


def codec_for(name: str, fingerprint: bytes, device: str = "cpu", decoder: str | None = None) -> Codec:
    """The codec that reads a stream: with the weights that come with it, or else those of `weight_store`.

    The last few codecs stay loaded, so that many files of one codec are not as many loads; those of different
    devices are apart, because a codec moves to the device it works on.

    Args:
        name: of the codec, as the header of the stream has it.
        fingerprint: the first bytes of that of the weights, as in the header.
        device: where the codec will work.
        decoder: of a codec that has several for the same files, the one to use.

    Raises:
        UnknownComponent: the codec is not installed.
        InvalidInput: it has no such decoder.
        MissingWeights: the codec is, but not with these weights.
        WeightsMismatch: the only such weights are damaged.
    """
    try:
        component = get_runtime().find("codec", name)
    except UnknownComponent as error:
        raise UnknownComponent(
            f"this file needs a codec that is not installed: {error}; install the plugin that provides it"
        ) from error
    with _one_at_a_time:
        return _kept(component, fingerprint, device, decoder)


@functools.lru_cache(KEPT)
def _kept(component: Component, fingerprint: bytes, device: str, decoder: str | None) -> Codec:
    wanted = fingerprint.hex()
    problems: list[PycodecError] = []
    config = _decoder_option(component, decoder)
    own = weight_store.shipped(component)
    here = own.fingerprint[: len(wanted)] if own else ""
    if not here or here == wanted:
        try:
            codec = _made(component, config)
            if suffix := getattr(codec, "suffix", None):
                raise CorruptStream(
                    f"this .pci file says that codec {component.name!r} wrote it, which writes {suffix} files"
                )
            if codec.fingerprint.startswith(fingerprint):
                return codec
            here = codec.fingerprint.hex()[: len(wanted)]
        except (
            MissingWeights,
            InvalidInput,
        ) as error:  # a codec with no weights of its own, or with options it needs
            if decoder:
                problems.append(error)
        except PycodecError as error:
            problems.append(error)
    for stored in weight_store.find(component.name, wanted):
        try:
            codec = load(component.name, weights_file=stored.path, **config)
            if codec.fingerprint.startswith(fingerprint):
                return codec
            problems.append(WeightsMismatch(f"{stored.path} makes a codec of another fingerprint"))
        except PycodecError as error:
            problems.append(error)
    if problems:
        raise problems[0]
    raise MissingWeights(
        f"this file needs weights {wanted} of codec {component.name!r}, which are not here"
        + (f" (those that come with it are {here})" if here else "")
        + ": give their file with --weights, add it with pycodec weights add, or name its folder in "
        + weight_store.VARIABLE
    )


@functools.lru_cache(KEPT)
def _load_kept(component: Component, weights_file: str | None, version: object) -> Codec:
    return _loaded(component, weights_file, {})


def _decoder_option(component: Component, decoder: str | None) -> dict[str, Any]:
    """The option of a codec's factory that asks for one of its decoders; none for the usual one.

    Raises:
        InvalidInput: the factory has no such option.
    """
    if decoder is None:
        return {}
    if "decoder" not in inspect.signature(component.load_factory()).parameters:
        raise InvalidInput(f"codec {component.name!r} has one decoder, expected no other to be asked for")
    return {"decoder": decoder}


def _component(name: str | None, weights_file: str | os.PathLike[str] | None) -> Component:
    if not name:
        name = "default" if weights_file is None else weight_store.codec_of(weights_file)
    return get_runtime().find("codec", name)


def _loaded(
    component: Component, weights_file: str | os.PathLike[str] | None, config: dict[str, Any]
) -> Codec:
    if weights_file is None:
        return _made(component, config)
    weight_store.check_for(component, weights_file)
    return _made(component, {**config, "weights_file": weights_file})


def _made(component: Component, config: dict[str, Any]) -> Codec:
    codec: Codec = component.create(**config)
    return codec
