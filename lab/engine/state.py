"""A resource as the checkpoint records it, and the checkpoint's own form: version 3 of the CLI's deployments.

Source: pulumi 3.260.0, sdk/go/common/apitype/core.go (ResourceV3, DeploymentV3).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from lab.engine import urn as urns
from lab.engine import values
from lab.engine.errors import EngineError, Refused
from lab.engine.values import Properties, Secret

# JSON key -> attribute, where the value is taken over as it is and left out when empty.
_PLAIN = {
    "delete": "delete",
    "id": "id",
    "parent": "parent",
    "protect": "protect",
    "dependencies": "dependencies",
    "initErrors": "init_errors",
    "provider": "provider",
    "propertyDependencies": "property_dependencies",
    "pendingReplacement": "pending_replacement",
    "additionalSecretOutputs": "additional_secret_outputs",
    "aliases": "aliases",
    "customTimeouts": "custom_timeouts",
    "importID": "import_id",
    "retainOnDelete": "retain_on_delete",
    "deletedWith": "deleted_with",
    "created": "created",
    "modified": "modified",
    "ignoreChanges": "ignore_changes",
    "replaceOnChanges": "replace_on_changes",
}
_OWN = {*_PLAIN, "urn", "custom", "type", "inputs", "outputs"}
_CARRIED = {"sourcePosition", "stackTrace", "hideDiff", "refreshBeforeUpdate"}


@dataclass(eq=False)
class State:
    """One resource. Compared by identity: several states of one URN may be in a stack at once."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    parent: str = ""
    protect: bool = False
    delete: bool = False
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    provider: str = ""
    init_errors: list[str] = field(default_factory=list)
    pending_replacement: bool = False
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    import_id: str = ""
    retain_on_delete: bool = False
    deleted_with: str = ""
    created: str = ""
    modified: str = ""
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    carried: dict[str, Any] = field(default_factory=dict)
    """What only the CLI uses (source positions); kept as long as nothing registers the resource anew."""

    @property
    def name(self) -> str:
        return urns.name_of(self.urn)

    @property
    def is_provider(self) -> bool:
        return urns.is_provider(self.type)

    def copy(self) -> State:
        return dataclasses.replace(self)

    def requirements(self) -> Iterator[str]:
        """URNs this one needs, its parent left out: dependencies, deleted-with, provider."""
        yield from self.dependencies
        for needed in self.property_dependencies.values():
            yield from needed
        if self.deleted_with:
            yield self.deleted_with
        if self.provider:
            yield urns.provider_urn(self.provider)


def to_json(state: State, seal: values.Seal | None) -> dict[str, Any]:
    record: dict[str, Any] = {"urn": state.urn, "custom": state.custom, "type": state.type}
    for key, attribute in _PLAIN.items():
        if value := getattr(state, attribute):
            record[key] = list(value) if isinstance(value, list) else value
    for key, properties in (("inputs", state.inputs), ("outputs", state.outputs)):
        if properties:
            record[key] = values.to_json(properties, seal)
    return {**record, **state.carried}


def from_json(record: Mapping[str, Any], unseal: Callable[[str], Secret]) -> State:
    """Refuses, by name, a resource that carries what this engine would silently lose."""
    for key in sorted(record.keys() - _OWN - _CARRIED):
        if record[key]:
            raise Refused(f"{record['urn']}: the state uses {key}, which the embedded engine does not support")
    state = State(record["urn"], record["type"], record["custom"])
    for key, attribute in _PLAIN.items():
        if key in record:
            setattr(state, attribute, record[key])
    state.inputs = values.from_json(record.get("inputs") or {}, unseal)
    state.outputs = values.from_json(record.get("outputs") or {}, unseal)
    state.carried = {key: record[key] for key in _CARRIED if record.get(key)}
    return state


def now() -> str:
    """RFC 3339, UTC, microseconds."""
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")


@functools.cache
def _release() -> str:
    return f"v{version('pulumi')}"


def deployment(resources: list[dict[str, Any]], pending: list[dict[str, Any]], salt: str) -> dict[str, Any]:
    """A version-3 deployment of finished records, with the manifest that the CLI checks."""
    release = _release()
    made: dict[str, Any] = {
        "manifest": {"time": now(), "magic": hashlib.sha256(release.encode()).hexdigest(), "version": release},
        "secrets_providers": {"type": "passphrase", "state": {"salt": salt}},
    }
    if resources:
        made["resources"] = resources
    if pending:
        made["pending_operations"] = pending
    return {**made, "metadata": {}}


def verify(made: Mapping[str, Any]) -> None:
    """The CLI's integrity check: everything a resource refers to stands before it, and no live URN stands twice."""
    seen: set[str] = set()
    live: set[str] = set()
    providers: set[str] = set()
    manifest = made.get("manifest") or {}
    if manifest.get("version") and manifest.get("magic") != hashlib.sha256(manifest["version"].encode()).hexdigest():
        raise EngineError("snapshot integrity failure: magic cookie mismatch; possible tampering or corruption")
    for record in made.get("resources") or []:
        urn = record["urn"]
        needs = [record.get("parent"), record.get("deletedWith"), *record.get("dependencies", [])]
        for urn_list in record.get("propertyDependencies", {}).values():
            needs.extend(urn_list)
        for need in needs:
            if need and need not in seen:
                raise EngineError(f"snapshot integrity failure: resource {urn} refers to missing resource {need}")
        if record.get("provider") and record["provider"] not in providers and not record.get("pendingReplacement"):
            raise EngineError(f"snapshot integrity failure: resource {urn} refers to missing provider")
        if urn in live and not record.get("delete"):
            raise EngineError(f"snapshot integrity failure: duplicate resource {urn}")
        if not record.get("delete"):
            live.add(urn)
        seen.add(urn)
        if urns.is_provider(record["type"]):
            providers.add(f"{urn}::{record['id']}")
