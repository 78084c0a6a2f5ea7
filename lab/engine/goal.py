"""What a program asks for: one registration, its options read and the unsupported ones refused by name."""

from __future__ import annotations

import re
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from pulumi.runtime.proto import resource_pb2

from lab.engine import urn as urns
from lab.engine import values
from lab.engine.errors import Refused
from lab.engine.state import State
from lab.engine.values import Properties

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_REFUSED = {
    "importId": "import_",
    "remote": "remote components",
    "transforms": "transforms",
    "hooks": "hooks",
    "replace_with": "replace_with",
    "replacement_trigger": "replacement_trigger",
    "hideDiffs": "hide_diffs",
    "envVarMappings": "env_var_mappings",
    "packageRef": "parameterised packages",
    "state_migrations": "state migrations",
    "snippetId": "snippets",
    "pluginChecksums": "plugin checksums",
}


@dataclass(frozen=True)
class Alias:
    """A former identity; empty parts are as now."""

    urn: str = ""
    name: str = ""
    type: str = ""
    parent: str = ""
    no_parent: bool = False
    stack: str = ""
    project: str = ""


@dataclass
class Goal:
    type: str
    name: str
    custom: bool
    properties: Properties
    parent: str = ""
    provider: str = ""
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    protect: bool | None = None
    retain_on_delete: bool | None = None
    deleted_with: str = ""
    delete_before_replace: bool | None = None
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[Alias] = field(default_factory=list)
    custom_timeouts: dict[str, float] = field(default_factory=dict)


@dataclass(eq=False)
class Registration:
    """A goal and who waits for its state."""

    goal: Goal
    done: Future[State] = field(default_factory=Future)


def read(request: resource_pb2.RegisterResourceRequest, parent: Goal | None) -> Goal:
    """The goal without its provider reference. Inherits from the parent's goal what resources inherit."""
    _refuse_unsupported(request)
    properties = values.from_struct(request.object)
    if request.propertyDependencies:
        needs = {key: list(item.urns) for key, item in request.propertyDependencies.items()}
        needs = {**{key: [] for key in properties}, **needs}
    else:
        needs = {key: list(request.dependencies) for key in properties}
    goal = Goal(
        type=request.type,
        name=request.name,
        custom=request.custom,
        properties=properties,
        parent=request.parent,
        provider=request.provider,
        dependencies=list(request.dependencies),
        property_dependencies=needs,
        protect=request.protect if request.HasField("protect") else None,
        retain_on_delete=request.retainOnDelete if request.HasField("retainOnDelete") else None,
        deleted_with=request.deletedWith,
        ignore_changes=list(request.ignoreChanges),
        replace_on_changes=list(request.replaceOnChanges),
        additional_secret_outputs=list(request.additionalSecretOutputs),
        aliases=[*(Alias(urn=urn) for urn in request.aliasURNs), *map(_alias, request.aliases)],
        custom_timeouts=_timeouts(request.customTimeouts),
    )
    if request.deleteBeforeReplaceDefined or request.deleteBeforeReplace:
        goal.delete_before_replace = request.deleteBeforeReplace
    if parent is not None:
        _inherit(goal, parent)
    return goal


def _refuse_unsupported(request: resource_pb2.RegisterResourceRequest) -> None:
    used = [name for descriptor, _ in request.ListFields() if (name := _REFUSED.get(descriptor.name))]
    if request.HasField("hooks") and not request.hooks.ListFields():
        used.remove("hooks")
    if used:
        raise Refused(
            f"resource {request.name!r} [{request.type}]: {', '.join(used)}: not supported by the embedded engine"
        )


def _inherit(goal: Goal, parent: Goal) -> None:
    goal.deleted_with = goal.deleted_with or parent.deleted_with
    goal.protect = parent.protect if goal.protect is None else goal.protect
    goal.retain_on_delete = parent.retain_on_delete if goal.retain_on_delete is None else goal.retain_on_delete
    if not goal.provider and parent.provider:
        package = urns.provider_package(urns.type_of(urns.provider_urn(parent.provider)))
        if not goal.custom or package == urns.package_of(goal.type):
            goal.provider = parent.provider


def _alias(given: Any) -> Alias:
    if given.WhichOneof("alias") != "spec":
        return Alias(urn=given.urn)
    spec = given.spec
    return Alias(
        name=spec.name,
        type=spec.type,
        stack=spec.stack,
        project=spec.project,
        parent=spec.parentUrn,
        no_parent=spec.noParent,
    )


def _timeouts(given: Any) -> dict[str, float]:
    """Seconds by operation, of what is set: "create", "update", "delete", "read"."""
    texts = {name: getattr(given, name) for name in ("create", "update", "delete", "read")}
    return {name: _seconds(text) for name, text in texts.items() if text}


def _seconds(text: str) -> float:
    """A Go duration such as "1h30m" in seconds."""
    parts = re.findall(r"([0-9]*\.?[0-9]+)(ns|us|µs|ms|s|m|h)", text)
    if "".join(number + unit for number, unit in parts) != text:
        raise Refused(f"unable to parse customTimeout Value {text}")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
