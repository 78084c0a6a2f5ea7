"""Provider resources: the engine itself creates, updates and deletes them, by starting plugins.

Source: pulumi 3.260.0, pkg/resource/deploy/providers/registry.go.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

from lab.engine import urn as urns
from lab.engine.errors import EngineError
from lab.engine.plugin import Checked, Diff, Plugin
from lab.engine.state import State
from lab.engine.values import UNKNOWN_TEXT, Properties, same

_UNCONFIGURED = "unconfigured"
_INTERNAL = "__internal"


class Registry:
    """The plugins of this run by (URN, id) of their provider resource. `start` gets package and version."""

    def __init__(self, start: Callable[[str, str], Plugin]) -> None:
        self._start = start
        self._plugins: dict[tuple[str, str], Plugin] = {}
        self._former_urns: dict[str, str] = {}
        self._all: list[Plugin] = []
        self._lock = threading.Lock()

    def get(self, reference: str) -> Plugin | None:
        with self._lock:
            return self._plugins.get((urns.provider_urn(reference), urns.provider_id(reference)))

    def alias(self, urn: str, former: str) -> None:
        """From now on a plugin registered under `urn` is found under its former URN too."""
        self._former_urns[urn] = former

    def check(self, urn: str, olds: Properties, news: Properties) -> Checked:
        plugin = self._load(urn, news)
        checked = plugin.check_config(urn, _public(olds), _public(news))
        if checked.failures:
            return checked
        self._put(urn, _UNCONFIGURED, plugin)
        kept = {key: news[key] for key in (_INTERNAL, "version") if key in news}
        return Checked({**checked.inputs, **kept}, [])

    def diff(self, urn: str, ident: str, old_inputs: Properties, old_outputs: Properties, news: Properties) -> Diff:
        with self._lock:
            plugin = self._plugins.get((urn, _UNCONFIGURED)) or self._plugins[urn, ident]
        diff = plugin.diff_config(urn, _public(old_inputs), old_outputs, _public(news))
        if diff.changes is None:
            diff.changes = not same(old_outputs, _public(news))
        return diff

    def create(self, urn: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        plugin = self._take(urn, _UNCONFIGURED) or self._load(urn, inputs)
        ident = UNKNOWN_TEXT if preview else str(uuid.uuid4())
        plugin.configure(urn, ident, _public(inputs))
        self._put(urn, ident, plugin)
        return ident, _public(inputs)

    def update(self, urn: str, ident: str, inputs: Properties) -> Properties:
        plugin = self._take(urn, _UNCONFIGURED) or self._load(urn, inputs)
        plugin.configure(urn, ident, _public(inputs))
        former = self._take(urn, ident)
        if former is not None:
            former.stop()
        self._put(urn, ident, plugin)
        return _public(inputs)

    def same(self, state: State, *, checked: bool) -> None:
        """Make an unchanged provider usable; `checked` says that this run's check has started its plugin already."""
        if self.get(f"{state.urn}::{state.id}") is not None:
            return
        plugin = (self._take(state.urn, _UNCONFIGURED) if checked else None) or self._load(state.urn, state.inputs)
        plugin.configure(state.urn, state.id, _public(state.inputs))
        self._put(state.urn, state.id, plugin)

    def delete(self, urn: str, ident: str) -> None:
        plugin = self._take(urn, ident)
        if plugin is not None:
            plugin.stop()

    def cancel(self) -> None:
        for plugin in self._all:
            plugin.cancel()

    def stop(self, patience: float = 2.0) -> None:
        for plugin in self._all:
            plugin.stop(patience)

    def _load(self, urn: str, inputs: Properties) -> Plugin:
        if (inputs.get(_INTERNAL) or {}).keys() - {"pluginDownloadURL"}:
            raise EngineError(f"{urn}: parameterised packages are not supported by the embedded engine")
        version: Any = inputs.get("version", "")
        plugin = self._start(urns.provider_package(urns.type_of(urn)), str(version))
        with self._lock:
            self._all.append(plugin)
        return plugin

    def _put(self, urn: str, ident: str, plugin: Plugin) -> None:
        with self._lock:
            self._plugins[urn, ident] = plugin
            if urn in self._former_urns:
                self._plugins[self._former_urns[urn], ident] = plugin

    def _take(self, urn: str, ident: str) -> Plugin | None:
        with self._lock:
            return self._plugins.pop((urn, ident), None)


def _public(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key != _INTERNAL}
