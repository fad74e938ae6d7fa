"""One table of components for all kinds: who registered what, and how to make one."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pycodec.errors import DuplicateComponent, InvalidInput, PluginError, PycodecError, near_names
from pycodec.names import NAME, RULE
from pycodec.types import KINDS, Factory, missing_members

_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def resolve(target: str) -> Any:
    """Import ``"module:attribute"`` (the attribute may be dotted)."""
    module, _, attribute = target.partition(":")
    value = importlib.import_module(module)
    for name in attribute.split("."):
        value = getattr(value, name)
    return value


@dataclass(frozen=True)
class Origin:
    """Where something registered comes from."""

    plugin: str
    """Name of its entry point."""
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} of {self.distribution} {self.version}".rstrip()


@dataclass(frozen=True)
class Component:
    """One registered component and who provides it."""

    kind: str
    name: str
    factory: Factory
    summary: str
    aliases: tuple[str, ...]
    origin: Origin
    missing: Callable[[], str] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInput(f"unknown kind {self.kind!r}, expected one of {', '.join(KINDS)}")
        for name in (self.name, *self.aliases):
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise InvalidInput(f"{name!r} is no name for a {self.kind}, expected {RULE}")
        if not (_TARGET.fullmatch(self.factory) if isinstance(self.factory, str) else callable(self.factory)):
            raise InvalidInput(
                f"the factory of {self.kind} {self.name!r} is {self.factory!r}, "
                "expected a callable or 'module:attribute'"
            )

    def needs(self) -> str:
        """What has to be there before the factory works, as its plugin says it; empty if nothing is."""
        try:
            return self.missing() if self.missing else ""
        except Exception as error:
            return f"cannot tell what it needs: {type(error).__name__}: {error}"

    def load_factory(self) -> Callable[..., Any]:
        """The callable that makes the component, imported if need be.

        Raises:
            PluginError: it cannot be imported.
        """
        if not isinstance(self.factory, str):
            return self.factory
        try:
            factory: Callable[..., Any] = resolve(self.factory)
        except PycodecError:
            raise
        except Exception as error:
            raise PluginError(f"{self._title} cannot be imported: {type(error).__name__}: {error}") from error
        return factory

    def create(self, /, **config: Any) -> Any:
        """Call the factory.

        Raises:
            InvalidInput: an option the factory does not take, or one that is missing.
            PluginError: the factory cannot be imported, or what it made breaks the contract of its kind.
        """
        factory = self.load_factory()
        self._check_options(factory, config)
        component = factory(**config)
        if missing := missing_members(component, self.kind):
            raise PluginError(
                f"{self._title} made a {type(component).__name__} without {', '.join(missing)}; "
                f"see pycodec.types.{KINDS[self.kind].__name__}"
            )
        return component

    def takes(self, option: str) -> bool:
        """Whether the factory has an argument of that name.

        Raises:
            PluginError: it cannot be imported.
        """
        try:
            parameters = inspect.signature(self.load_factory()).parameters
        except ValueError:  # as below
            return True
        return option in parameters or any(p.kind == p.VAR_KEYWORD for p in parameters.values())

    @property
    def _title(self) -> str:
        return f"{self.kind} {self.name!r} of {self.origin}"

    def _check_options(self, factory: Callable[..., Any], config: dict[str, Any]) -> None:
        try:
            parameters = inspect.signature(factory).parameters.values()
        except ValueError:  # native code often has no signature; it checks its options itself
            return
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        options = {p.name for p in named}
        takes = f"it takes {', '.join(sorted(options)) or 'no options'}"
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            for key in sorted(config.keys() - options):
                hint = near_names(key, options)
                raise InvalidInput(f"{self.kind} {self.name!r} has no option {key!r}{hint} ({takes})")
        for p in named:
            if p.default is p.empty and p.name not in config:
                raise InvalidInput(f"{self.kind} {self.name!r} needs the option {p.name!r} ({takes})")


class Registry:
    """Components by kind and name; an alias is one more name of the same component."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str], Component] = {}

    def add(self, component: Component) -> None:
        """Add a component under its name and aliases.

        Raises:
            DuplicateComponent: one of them is taken; names both plugins and distributions.
        """
        keys = [(component.kind, name) for name in (component.name, *component.aliases)]
        for key in keys:
            if other := self._by_name.get(key):
                raise DuplicateComponent(
                    f"{component.kind} {key[1]!r} of {component.origin} is already taken by {other.origin}: "
                    "rename it, or block one of the two with PYCODEC_DISABLE_PLUGINS"
                )
        self._by_name.update(dict.fromkeys(keys, component))

    def remove(self, origin: Origin) -> None:
        """Forget every component of one origin."""
        self._by_name = {key: c for key, c in self._by_name.items() if c.origin != origin}

    def find(self, kind: str, name: str) -> Component | None:
        """The component of that name or alias."""
        return self._by_name.get((kind, name))

    def names(self, kind: str) -> list[str]:
        """Names and aliases of a kind, sorted."""
        return sorted(name for k, name in self._by_name if k == kind)

    def components(self, kind: str | None = None) -> list[Component]:
        """Components of a kind, or of all, in the order of the kinds and then by name."""
        order = list(KINDS)
        found = [c for (k, name), c in self._by_name.items() if name == c.name and kind in (None, k)]
        return sorted(found, key=lambda c: (order.index(c.kind), c.name))
