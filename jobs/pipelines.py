"""What a pipeline deployment takes and gives: the inputs and outputs of its component, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers.aml.refusal import Refusal
from providers.aml.submission import Output
from providers.aml.workspace import Workspace

_LITERALS = ("string", "boolean", "integer", "number")
_TYPES = {
    "uri_folder": "UriFolder",
    "uri_file": "UriFile",
    "mltable": "MLTable",
    "custom_model": "CustomModel",
    "mlflow_model": "MLFlowModel",
    "triton_model": "TritonModel",
}


@dataclass(frozen=True)
class Interface:
    """Name -> type of each, in the component's words; required inputs have no default and are not optional."""

    inputs: Mapping[str, str]
    required: frozenset[str]
    outputs: Mapping[str, str]

    def literal_type(self, name: str) -> str | None:
        """None where the component takes data by that name, or nothing."""
        kind = self.inputs.get(name)
        return kind if kind in _LITERALS else None


def interface_of(workspace: Workspace, component_id: str) -> Interface | None:
    """What the component says of itself; None where it lies in a registry or says nothing: the service decides then."""
    if not component_id.startswith("/"):
        return None
    body = workspace.arm.get(component_id, api_version=workspace.api_version)
    spec = ((body or {}).get("properties") or {}).get("componentSpec")
    if not isinstance(spec, Mapping):
        return None
    inputs = _types(spec.get("inputs"))
    given = spec.get("inputs") or {}
    required = {
        name
        for name in inputs
        if not (isinstance(given[name], Mapping) and (given[name].get("optional") or "default" in given[name]))
    }
    return Interface(inputs, frozenset(required), _types(spec.get("outputs")))


def check(interface: Interface, data: Mapping[str, Any], literals: Mapping[str, str]) -> None:
    """Raises Refusal for inputs that the component does not know, lacks, or takes otherwise; all of them at once."""
    wrong = []
    takes = ", ".join(f"{name} ({kind})" for name, kind in interface.inputs.items()) or "nothing"
    for name in [*data, *literals]:
        if name not in interface.inputs:
            wrong.append(f"{name!r} is no input of this deployment, which takes {takes}")
    wrong += [f"{name!r} is a literal: use --literal {name}=..." for name in data if interface.literal_type(name)]
    for name, value in literals.items():
        if name in interface.inputs and interface.literal_type(name) is None:
            wrong.append(f"{name!r} is {interface.inputs[name]}: use --input {name}=...")
        else:
            wrong += _misfit(name, value, interface.literal_type(name))
    missing = sorted(interface.required - set(data) - set(literals))
    wrong += [f"{name!r} ({interface.inputs[name]}) is missing" for name in missing]
    if wrong:
        raise Refusal("; ".join(wrong), name="pipeline-inputs")


def outputs_of(interface: Interface | None, asked: Mapping[str, str]) -> dict[str, Output]:
    """Every output of the component, at the places that were asked for, else at the job's own."""
    if interface is None:
        return {name: Output("UriFolder", uri) for name, uri in asked.items()}
    unknown = sorted(asked.keys() - interface.outputs.keys())
    if unknown:
        has = ", ".join(interface.outputs) or "none"
        raise Refusal(f"--output: the deployment has no output {', '.join(unknown)}; it has {has}", name="usage")
    return {name: Output(_TYPES.get(kind, "UriFolder"), asked.get(name)) for name, kind in interface.outputs.items()}


def _types(declared: Any) -> dict[str, str]:
    """Each is `{"type": "uri_folder", ...}`, or the type alone."""
    if not isinstance(declared, Mapping):
        return {}
    return {
        str(name): str(each.get("type") if isinstance(each, Mapping) else each).lower()
        for name, each in declared.items()
    }


def _misfit(name: str, value: str, kind: str | None) -> list[str]:
    try:
        if kind == "integer":
            int(value)
        elif kind == "number":
            float(value)
    except ValueError:
        return [f"{name!r} must be of type {kind}, got {value!r}"]
    if kind == "boolean" and value.lower() not in ("true", "false"):
        return [f"{name!r} must be true or false, got {value!r}"]
    return []
