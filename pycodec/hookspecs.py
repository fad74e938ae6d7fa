"""The hooks of pycodec: what a plugin may define, and when it is called.

A plugin is a module (or an object) named by an entry point of the group ``pycodec``::

    [project.entry-points.pycodec]
    mine = "my_package.plugin"

Every function in it whose name begins with ``pycodec_`` is a hook; no decorator is needed. A hook may leave
out arguments it does not need. Keep the module light: it is imported whenever pycodec lists components, so
name heavy factories as ``"module:attribute"`` and import torch where they are defined.

The module says which version of this interface it was written for: ``PYCODEC_API = 1``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Protocol

import pluggy

from pycodec.errors import PluginError, near_names
from pycodec.types import Factory

API_VERSIONS = (1,)
"""Versions of the plugin interface, hooks and contracts alike, that this pycodec serves. A change that
breaks plugins adds one; an old one is dropped no earlier than a minor release later.
"""

hookspec = pluggy.HookspecMarker("pycodec")


class Register(Protocol):
    """The callable that registration hooks receive."""

    def __call__(
        self,
        name: str,
        factory: Factory,
        *,
        summary: str | None = None,
        aliases: tuple[str, ...] = (),
        missing: Callable[[], str] | None = None,
    ) -> None:
        """Register one component.

        Args:
            name: at most 24 of a-z, 0-9, ``_``, ``.`` and ``-``; unique among components of its kind.
            factory: called with the component's configuration as keyword arguments; a callable, or
                ``"module:attribute"``, imported when the first component is made.
            summary: one line for listings; by default the first line of a callable's docstring.
            aliases: further names of the same component.
            missing: for listings, what has to be there before the factory works, as in "needs pillow-heif"
                or "needs weights of yours"; an empty text if nothing has. It is quick and imports nothing
                heavy. The factory itself raises `pycodec.errors.MissingDependency` or `MissingWeights`.
        """


@hookspec
def pycodec_register_transforms(register: Register) -> None:
    """Register transforms (``pycodec.types.Transform``). Called once, when plugins are loaded.

    ::

        def pycodec_register_transforms(register):
            register("haar", "my_package.haar:HaarTransform", summary="two-level Haar wavelet")
    """


@hookspec
def pycodec_register_quantizers(register: Register) -> None:
    """Register quantizers (``pycodec.types.Quantizer``). Called once, when plugins are loaded.

    ::

        def pycodec_register_quantizers(register):
            register("deadzone", "my_package.deadzone:DeadZoneQuantizer", summary="uniform with a wider zero")
    """


@hookspec
def pycodec_register_entropy_models(register: Register) -> None:
    """Register entropy models (``pycodec.types.EntropyModel``). Called once, when plugins are loaded.

    ::

        def pycodec_register_entropy_models(register):
            register("laplace", "my_package.laplace:LaplaceModel", summary="one scale per plane")
    """


@hookspec
def pycodec_register_discriminators(register: Register) -> None:
    """Register discriminators (``pycodec.types.Discriminator``). Called once, when plugins are loaded.

    ::

        def pycodec_register_discriminators(register):
            register("patch", "my_package.patch:PatchCritic", summary="PatchGAN with hinge loss")
    """


@hookspec
def pycodec_register_estimators(register: Register) -> None:
    """Register estimators (``pycodec.types.Estimator``). Called once, when plugins are loaded.

    ::

        def pycodec_register_estimators(register):
            register("oracle", "my_package.oracle:OracleBound", summary="rate with the true scales known")
    """


@hookspec
def pycodec_register_codecs(register: Register) -> None:
    """Register codecs: factories that return a ``pycodec.Codec``. Called once, when plugins are loaded.

    A factory with the argument ``weights_file`` (a path, by default None) can take a user's weights; those
    that come with it are ``weights/NAME.safetensors`` beside its module. One with the attribute
    ``training_task`` (`pycodec.training.task`) can be trained; recipes are ``recipes/*.toml``, sweeps
    ``sweeps/*.toml``, and gap reports ``gaps/*.toml``, beside the plugin's module.

    ::

        def pycodec_register_codecs(register):
            register("tiny", "my_package.tiny:load_tiny", summary="100 kB of weights", aliases=("small",))
    """


@hookspec
def pycodec_register_metrics(register: Register) -> None:
    """Register metrics (``pycodec.types.Metric``). Called once, when plugins are loaded.

    ::

        def pycodec_register_metrics(register):
            register("butteraugli", "my_package.metrics:Butteraugli", summary="smaller is better")
    """


@hookspec
def pycodec_register_commands(cli: Any) -> None:
    """Add commands to the command line. Called once a process, when ``pycodec`` needs to know all commands.

    Args:
        cli: a ``click.Group`` with one method more, ``lazy_command(name, "module:attribute", summary)``: the
            command is imported when it runs. A name that is taken disables the plugin.

    ::

        def pycodec_register_commands(cli):
            cli.lazy_command("histogram", "my_package.histogram:command", "Draw the symbols of a file.")
    """


@hookspec
def pycodec_training_event(event: str, step: int, scalars: Mapping[str, float]) -> None:
    """Watch a training run. Called by ``pycodec train`` at each logged step and at its beginning and end.

    Args:
        event: what happened, e.g. ``"step"`` or ``"checkpoint"``.
        step: optimiser steps taken so far.
        scalars: figures of the moment; a name ends in its unit where it has one (``rate_bpp``, ``psnr_db``).

    ::

        def pycodec_training_event(event, step, scalars):
            if event == "step":
                send_to_dashboard(step, scalars)
    """


HOOKS: dict[str, Callable[..., None]] = {
    name: value for name, value in list(globals().items()) if name.startswith("pycodec_")
}


def hook_names(plugin: object) -> list[str]:
    """Attributes of a plugin that claim to be hooks; a module such as ``import pycodec_foo`` is none."""
    return [
        name
        for name in dir(plugin)
        if name.startswith("pycodec_") and not isinstance(inspect.getattr_static(plugin, name), ModuleType)
    ]


def check_api(plugin: object) -> None:
    """Compare ``PYCODEC_API`` of a plugin, by default 1, with the versions served.

    Raises:
        PluginError: another version, or none at all.
    """
    version = getattr(plugin, "PYCODEC_API", 1)
    if type(version) is not int:
        raise PluginError(f"PYCODEC_API is {version!r}, expected an integer such as {API_VERSIONS[-1]}")
    if version not in API_VERSIONS:
        served = " and ".join(map(str, API_VERSIONS))
        other = "a newer" if version > API_VERSIONS[-1] else "an older"
        raise PluginError(
            f"it is written for version {version} of the plugin interface, and this pycodec serves {served}: "
            f"install {other} pycodec, or a release of the plugin for {served}"
        )


def check_hooks(plugin: object) -> None:
    """Compare the hooks of a plugin with the specifications; pluggy alone accepts a misspelt one in silence.

    Raises:
        PluginError: a misspelt hook, one that is no function, or an argument no hook of that name gets.
    """
    for name in hook_names(plugin):
        if name not in HOOKS:
            raise PluginError(f"{name!r} is no hook of pycodec{near_names(name, HOOKS)}")
        hook = getattr(plugin, name)
        if not inspect.isroutine(hook):
            raise PluginError(f"the hook {name!r} is a {type(hook).__name__}, expected a function")
        expected = list(inspect.signature(HOOKS[name]).parameters)
        if unknown := [p for p in inspect.signature(hook).parameters if p not in expected]:
            raise PluginError(
                f"the hook {name!r} has an argument {unknown[0]!r}, expected {', '.join(map(repr, expected))}"
            )
