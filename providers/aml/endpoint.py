"""A batch endpoint and its deployments, as somebody asks for them who wants a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from .refusal import Refusal
from .workspace import Workspace


@dataclass(frozen=True)
class Deployment:
    name: str
    is_default: bool
    output_action: str
    """AppendRow or SummaryOnly."""
    output_file_name: str
    component_id: str | None
    """Of a pipeline deployment, which has inputs and outputs by name; None for a model's."""


def deployment_of(workspace: Workspace, endpoint_id: str, name: str | None) -> Deployment:
    """The deployment of that name, or the default one. Raises Refusal that says which there are."""
    endpoint = workspace.arm.get(endpoint_id, api_version=workspace.api_version)
    if endpoint is None:
        raise Refusal(f"{endpoint_id} does not exist{_others(workspace, endpoint_id)}", name="endpoint-missing")
    default = ((endpoint.get("properties") or {}).get("defaults") or {}).get("deploymentName")
    wanted = name or default
    if not wanted:
        there = _names(workspace, endpoint_id)
        raise Refusal(
            f"the endpoint {endpoint_id.rpartition('/')[2]} has no default deployment; name one with --deployment: "
            f"{', '.join(there) if there else 'it has none yet'}",
            name="default-missing",
        )
    body = workspace.arm.get(f"{endpoint_id}/deployments/{wanted}", api_version=workspace.api_version)
    if body is None:
        there = _names(workspace, endpoint_id)
        what = f"there is no deployment {wanted!r}" if name else f"the default deployment {wanted!r} does not exist"
        raise Refusal(
            f"{what} on the endpoint {endpoint_id.rpartition('/')[2]}; "
            + (f"it has {', '.join(there)}" if there else "it has none"),
            name="deployment-missing",
        )
    return _read(body["properties"], str(wanted), is_default=wanted == default)


def _read(properties: Mapping[str, Any], name: str, *, is_default: bool) -> Deployment:
    configuration = properties.get("deploymentConfiguration") or {}
    pipeline = str(configuration.get("deploymentConfigurationType")).lower() == "pipelinecomponent"
    component = configuration.get("componentId") or {}
    return Deployment(
        name=name,
        is_default=is_default,
        output_action=str(properties.get("outputAction") or "AppendRow"),
        output_file_name=str(properties.get("outputFileName") or "predictions.csv"),
        component_id=str(component.get("assetId") if isinstance(component, Mapping) else component)
        if pipeline
        else None,
    )


def _names(workspace: Workspace, endpoint_id: str) -> list[str]:
    found = workspace.arm.list(f"{endpoint_id}/deployments", api_version=workspace.api_version)
    return sorted(str(each["name"]) for each in found)


def _others(workspace: Workspace, endpoint_id: str) -> str:
    there = sorted(str(each["name"]) for each in workspace.list("batchEndpoints"))
    close = get_close_matches(endpoint_id.rpartition("/")[2], there, n=3)
    shown = close or there[:5]
    return f"; the workspace has {', '.join(shown)}" if shown else "; the workspace has no batch endpoint"
