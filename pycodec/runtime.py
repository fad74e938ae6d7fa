"""Plugins: found by their entry points, loaded one by one, and disabled one by one when they fail.

pluggy calls the hooks; the loading loop is ours, because pluggy's own lets one broken plugin end the program.
"""

from __future__ import annotations

import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from pycodec import hookspecs
from pycodec.errors import InvalidInput, PluginError, PycodecError, UnknownComponent, near_names
from pycodec.registry import Component, Origin, Registry
from pycodec.types import KINDS, Factory

GROUP = "pycodec"
BUILT_IN = "pycodec"
"""The distribution whose plugins load first, so that nobody takes a name from them."""
BLOCK_VARIABLE = "PYCODEC_DISABLE_PLUGINS"

logger = logging.getLogger(__name__)


@dataclass
class Plugin:
    """A plugin that was found, whether or not it works."""

    origin: Origin
    module: str
    """Value of its entry point."""
    status: str = "active"
    """``"active"``, ``"failed"``, or ``"blocked"`` by PYCODEC_DISABLE_PLUGINS."""
    reason: str = ""
    """Why it is not active, in one sentence."""

    @property
    def name(self) -> str:
        """Name of its entry point."""
        return self.origin.plugin


class _Manager(pluggy.PluginManager):
    """Takes a function with the name of a hook for a hook, so that plugins need no decorator."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        options = super().parse_hookimpl_opts(plugin, name)
        return {} if options is None and name in hookspecs.HOOKS else options


class Runtime:
    """The plugins of one process and what they registered.

    Args:
        found: entry points to load; by default the group ``pycodec`` of every installed distribution.
        blocked: names of plugins to leave out; by default those in PYCODEC_DISABLE_PLUGINS, comma-separated.
    """

    def __init__(self, found: Iterable[EntryPoint] | None = None, blocked: Iterable[str] | None = None):
        if found is None:
            found = entry_points(group=GROUP)
        if blocked is None:
            blocked = filter(None, (name.strip() for name in os.environ.get(BLOCK_VARIABLE, "").split(",")))
        self.registry = Registry()
        self.plugins: list[Plugin] = []
        self._blocked = set(blocked)
        self._manager = _Manager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        for entry_point in sorted(found, key=_loading_order):
            self._load(entry_point)

    def _load(self, entry_point: EntryPoint) -> None:
        plugin = Plugin(_origin(entry_point), entry_point.value)
        namesake = next((p for p in self.active() if p.name == plugin.name), None)
        self.plugins.append(plugin)
        if plugin.name in self._blocked:
            plugin.status, plugin.reason = "blocked", f"{BLOCK_VARIABLE} names it"
        elif namesake:
            plugin.status, plugin.reason = "failed", f"its name is already taken by {namesake.origin}"
        else:
            with self.isolated(plugin):
                module = entry_point.load()
                hookspecs.check_api(module)
                hookspecs.check_hooks(module)
                self._manager.register(module, plugin.name)
                self._manager.check_pending()
                for kind in KINDS:
                    self.call(plugin, f"pycodec_register_{kind}s", register=self._register(kind, plugin))

    def _register(self, kind: str, plugin: Plugin) -> hookspecs.Register:
        """The ``register`` that the hook of one kind of one plugin receives."""

        def register(
            name: str,
            factory: Factory,
            *,
            summary: str | None = None,
            aliases: tuple[str, ...] = (),
            missing: Callable[[], str] | None = None,
        ) -> None:
            if summary is None:
                summary = (
                    "" if isinstance(factory, str) else (factory.__doc__ or "").strip().partition("\n")[0]
                )
            self.registry.add(Component(kind, name, factory, summary, tuple(aliases), plugin.origin, missing))

        return register

    def active(self) -> list[Plugin]:
        """Plugins that work, in the order they were loaded."""
        return [plugin for plugin in self.plugins if plugin.status == "active"]

    def call(self, plugin: Plugin, hook: str, **arguments: Any) -> None:
        """Call one hook of one plugin; wrap it in ``isolated``."""
        others = [module for name, module in self._manager.list_name_plugin() if name != plugin.name]
        self._manager.subset_hook_caller(hook, others)(**arguments)

    @contextmanager
    def isolated(self, plugin: Plugin) -> Iterator[None]:
        """Disable ``plugin``, and nothing else, when the body raises."""
        try:
            yield
        except (Exception, SystemExit) as error:
            plugin.status, plugin.reason = "failed", _reason(error)
            self.registry.remove(plugin.origin)
            if self._manager.has_plugin(plugin.name):
                self._manager.unregister(name=plugin.name)
            logger.debug("plugin %r is disabled", plugin.name, exc_info=True)

    def training_event(self, event: str, step: int, scalars: Mapping[str, float]) -> None:
        """Tell every plugin about a training run; one that fails is disabled with a warning."""
        for plugin in self.active():
            with self.isolated(plugin):
                self.call(plugin, "pycodec_training_event", event=event, step=step, scalars=scalars)
            if plugin.status != "active":
                logger.warning(
                    "plugin %r is disabled for the rest of the run: %s", plugin.name, plugin.reason
                )

    def find(self, kind: str, name: str) -> Component:
        """The component registered under a name or alias.

        Raises:
            InvalidInput: no such kind.
            UnknownComponent: no such name; tells near names and the plugins that are not active.
        """
        _check_kind(kind)
        component = self.registry.find(kind, name)
        if component is None:
            names = self.registry.names(kind)
            known = f"known: {', '.join(names)}" if names else "none is registered"
            raise UnknownComponent(
                f"unknown {kind} {name!r}{near_names(name, names)} ({known}){self.inactive_note()}"
            )
        return component

    def inactive_note(self) -> str:
        """Clause for the error about a missing name: it may belong to a plugin that is not active."""
        return "".join(
            f"; {plugin.origin} is not active: {plugin.reason}"
            for plugin in self.plugins
            if plugin.status != "active"
        )


def _loading_order(entry_point: EntryPoint) -> tuple[bool, str, str]:
    origin = _origin(entry_point)
    return origin.distribution != BUILT_IN, origin.distribution, origin.plugin


def _origin(entry_point: EntryPoint) -> Origin:
    """Provider of an entry point; one made by hand has no distribution, and metadata can be damaged."""
    distribution, version = "(unknown distribution)", ""
    with suppress(Exception):
        if entry_point.dist:
            distribution, version = str(entry_point.dist.metadata["Name"]), str(entry_point.dist.version)
    return Origin(entry_point.name, distribution, version)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InvalidInput(f"unknown kind {kind!r}{near_names(kind, KINDS)} (kinds: {', '.join(KINDS)})")


def _reason(error: BaseException) -> str:
    """One sentence about a failure, with the line of the plugin where it happened."""
    message = " ".join(str(error).split())
    if isinstance(error, PycodecError):
        return message
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if os.path.basename(os.path.dirname(frame.filename)) not in ("pluggy", "importlib", "metadata")
        and not frame.filename.startswith("<frozen")
        and frame.filename != __file__
    ]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {message}{place}" if message else f"{type(error).__name__}{place}"


_runtime: Runtime | None = None
_runtime_lock = threading.RLock()
_loading = False


def get_runtime() -> Runtime:
    """The runtime of this process; plugins are loaded at the first call.

    Raises:
        PluginError: called by a plugin while plugins are being loaded.
    """
    global _runtime, _loading
    with _runtime_lock:
        if _runtime is None:
            if _loading:
                raise PluginError(
                    "a plugin asked for components while plugins are loaded; ask inside a factory instead"
                )
            _loading = True
            try:
                _runtime = Runtime()
            finally:
                _loading = False
        return _runtime


def plugins() -> list[Plugin]:
    """Every plugin that was found, in loading order: those of pycodec, then by distribution and name."""
    return list(get_runtime().plugins)


def components(kind: str | None = None) -> list[Component]:
    """Registered components of a kind, or of all seven; nothing is imported to list them.

    Raises:
        InvalidInput: no such kind.
    """
    if kind is not None:
        _check_kind(kind)
    return get_runtime().registry.components(kind)


def create(kind: str, name: str, /, **config: Any) -> Any:
    """Make a component of a kind (``"transform"``, ``"metric"``, ...) by its name or alias.

    Args:
        config: options of that component, as its ``config()`` gives them.

    Raises:
        UnknownComponent: no active plugin registers the name; tells near names and failed plugins.
        InvalidInput: no such kind, or an option the component does not take or misses.
        PluginError: the component cannot be imported or breaks the contract of its kind.
    """
    return get_runtime().find(kind, name).create(**config)
