"""Azure Resource Manager's front door: token, subscription, api-version, then the route."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from lab import identity
from lab.emulator import (
    assets,
    computes,
    datastores,
    deployments,
    endpoints,
    ids,
    job_changes,
    jobs,
    key_vaults,
    operations,
    resource_groups,
    resource_manager,
    role_assignments,
    storage_accounts,
    tracked,
    workspace_changes,
    workspaces,
)
from lab.emulator.asset_kinds import KINDS
from lab.emulator.call import Call, Reply
from lab.emulator.entra import ARM_AUDIENCES, require_token
from lab.emulator.errors import arm_error, unknown
from lab.emulator.ids import PROVIDER
from lab.emulator.refused import refusal
from lab.emulator.routes import Found, RouteTable

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

Handler = Callable[["Cloud", Call], Reply]

API_VERSIONS = (
    "2020-09-01-preview",
    "2021-03-01-preview",
    "2021-04-01",
    "2021-07-01",
    "2021-10-01",
    "2022-01-01-preview",
    "2022-02-01-preview",
    "2022-05-01",
    "2022-06-01-preview",
    "2022-10-01",
    "2022-10-01-preview",
    "2022-12-01-preview",
    "2023-02-01-preview",
    "2023-04-01",
    "2023-04-01-preview",
    "2023-06-01-preview",
    "2023-08-01-preview",
    "2023-10-01",
    "2024-01-01-preview",
    "2024-04-01",
    "2024-04-01-preview",
    "2024-07-01-preview",
    "2024-10-01",
    "2024-10-01-preview",
    "2025-01-01-preview",
    "2025-04-01",
    "2025-04-01-preview",
    "2025-06-01",
    "2025-07-01-preview",
    "2025-09-01",
    "2025-10-01-preview",
    "2025-12-01",
    "2026-01-15-preview",
    "2026-03-01",
    "2026-03-15-preview",
    "2026-05-01",
    "2026-05-15-preview",
    "2026-07-01",
    "2026-07-15-preview",
    "2026-09-01",
)
"""Of Microsoft.MachineLearningServices: what azure-native and the specification repository list."""
_WELL_FORMED = re.compile(r"\d{4}-\d{2}-\d{2}(?:-preview)?")

_SUBSCRIPTION = "subscriptions/{subscription}"
_GROUP = f"{_SUBSCRIPTION}/resourceGroups/{{group}}"
_WORKSPACE = f"{_GROUP}/providers/{PROVIDER}/workspaces/{{workspace}}"
_LOCATION = f"{_SUBSCRIPTION}/providers/{PROVIDER}/locations/{{location}}"
_ENDPOINT = f"{_WORKSPACE}/batchEndpoints/{{endpoint}}"
_DEPLOYMENT = f"{_ENDPOINT}/deployments/{{deployment}}"
_COMPUTE = f"{_WORKSPACE}/computes/{{compute}}"
_CONTAINER = f"{_WORKSPACE}/{{kind}}/{{name}}"
_VERSION = f"{_CONTAINER}/versions/{{version}}"

_ROUTES: RouteTable[Handler] = RouteTable(
    [
        ("GET", "subscriptions", workspaces.list_subscriptions),
        ("GET", _SUBSCRIPTION, workspaces.get_subscription),
        ("GET", f"{_SUBSCRIPTION}/locations", resource_manager.list_locations),
        ("GET", f"{_SUBSCRIPTION}/providers", resource_manager.list_providers(API_VERSIONS)),
        ("GET", f"{_SUBSCRIPTION}/providers/{{provider}}", resource_manager.get_provider(API_VERSIONS)),
        ("GET", f"{_SUBSCRIPTION}/resources", resource_manager.list_resources),
        ("GET", f"{_SUBSCRIPTION}/resourceGroups", resource_groups.list_groups),
        ("GET", _GROUP, resource_groups.get_group),
        ("PUT", _GROUP, resource_groups.put_group),
        ("DELETE", _GROUP, resource_groups.delete_group),
        ("GET", f"{_GROUP}/resources", resource_manager.list_resources),
        ("GET", f"{_GROUP}/providers/{PROVIDER}/workspaces", workspaces.list_workspaces),
        ("GET", f"{_SUBSCRIPTION}/providers/{PROVIDER}/workspaces", workspaces.list_workspaces),
        ("GET", _WORKSPACE, workspaces.get_workspace),
        ("PUT", _WORKSPACE, workspace_changes.put_workspace),
        ("DELETE", _WORKSPACE, workspace_changes.delete_workspace),
        ("POST", f"{_WORKSPACE}/listStorageAccountKeys", workspaces.list_account_keys),
        ("GET", f"{_LOCATION}/mfeOperationsStatus/{{operation}}", operations.status),
        ("GET", f"{_LOCATION}/mfeOperationResults/{{operation}}", operations.result),
        ("GET", f"{_LOCATION}/computeOperationsStatus/{{operation}}", operations.compute_status),
        ("GET", f"{_LOCATION}/workspaceOperationsStatus/{{operation}}", operations.status),
        ("GET", f"{_LOCATION}/workspaceOperationResults/{{operation}}", operations.result),
        ("GET", f"{_WORKSPACE}/batchEndpoints", endpoints.list_endpoints),
        ("PUT", _ENDPOINT, endpoints.put_endpoint),
        ("GET", _ENDPOINT, endpoints.get_endpoint),
        ("PATCH", _ENDPOINT, endpoints.patch_endpoint),
        ("DELETE", _ENDPOINT, endpoints.delete_endpoint),
        ("POST", f"{_ENDPOINT}/listkeys", endpoints.list_keys),
        ("GET", f"{_ENDPOINT}/deployments", deployments.list_deployments),
        ("PUT", _DEPLOYMENT, deployments.put_deployment),
        ("GET", _DEPLOYMENT, deployments.get_deployment),
        ("PATCH", _DEPLOYMENT, deployments.patch_deployment),
        ("DELETE", _DEPLOYMENT, deployments.delete_deployment),
        ("GET", f"{_WORKSPACE}/computes", computes.list_computes),
        ("PUT", _COMPUTE, computes.put_compute),
        ("GET", _COMPUTE, computes.get_compute),
        ("PATCH", _COMPUTE, computes.patch_compute),
        ("DELETE", _COMPUTE, computes.delete_compute),
        ("GET", f"{_WORKSPACE}/datastores", datastores.list_datastores),
        ("GET", f"{_WORKSPACE}/datastores/{{datastore}}", datastores.get_datastore),
        ("PUT", f"{_WORKSPACE}/datastores/{{datastore}}", datastores.put_datastore),
        ("DELETE", f"{_WORKSPACE}/datastores/{{datastore}}", datastores.delete_datastore),
        ("POST", f"{_WORKSPACE}/datastores/{{datastore}}/listSecrets", datastores.list_secrets),
        ("GET", f"{_WORKSPACE}/jobs", jobs.list_jobs),
        ("GET", f"{_WORKSPACE}/jobs/{{job}}", jobs.get_job),
        ("PUT", f"{_WORKSPACE}/jobs/{{job}}", job_changes.put_job),
        ("DELETE", f"{_WORKSPACE}/jobs/{{job}}", jobs.delete_job),
        ("POST", f"{_WORKSPACE}/jobs/{{job}}/cancel", jobs.cancel_job),
    ]
)
_VAULTS = f"{_SUBSCRIPTION}/providers/Microsoft.KeyVault"
_DELETED_VAULT = f"{_VAULTS}/locations/{{location}}/deletedVaults/{{name}}"
_NEIGHBOURS: RouteTable[Handler] = RouteTable(
    [
        ("GET", f"{_VAULTS}/deletedVaults", key_vaults.list_deleted),
        ("GET", _DELETED_VAULT, key_vaults.get_deleted),
        ("POST", f"{_DELETED_VAULT}/purge", key_vaults.purge),
        (
            "POST",
            f"{_GROUP}/providers/Microsoft.Storage/storageAccounts/{{name}}/listKeys",
            storage_accounts.list_keys,
        ),
        *(
            (method, f"{_GROUP}/providers/{kind.type}{tail}", partial(handler, kind=kind))
            for kind in tracked.KINDS
            for method, tail, handler in (
                ("GET", "", tracked.listed),
                ("GET", "/{name}", tracked.get),
                ("PUT", "/{name}", tracked.put),
                ("DELETE", "/{name}", tracked.delete),
            )
        ),
    ]
)
"""What workspaces stand on: types of other providers."""
_ASSET_ROUTES: RouteTable[Handler] = RouteTable(
    [
        ("GET", f"{_WORKSPACE}/{{kind}}", assets.list_containers),
        ("PUT", _CONTAINER, assets.put_container),
        ("GET", _CONTAINER, assets.get_container),
        ("DELETE", _CONTAINER, assets.delete_container),
        ("GET", f"{_CONTAINER}/versions", assets.list_versions),
        ("PUT", _VERSION, assets.put_version),
        ("GET", _VERSION, assets.get_version),
        ("DELETE", _VERSION, assets.delete_version),
        ("POST", f"{_VERSION}/startPendingUpload", assets.start_pending_upload),
    ]
)


def answer(cloud: Cloud, call: Call) -> Reply:
    require_token(cloud, call, ARM_AUDIENCES)
    # azure-cli leaves the place of a parent resource empty: `providers/Microsoft.MachineLearningServices//workspaces`.
    call = dataclasses.replace(call, path=re.sub("//+", "/", call.path))
    _check_subscription(call)
    _check_version(call)
    roles = role_assignments.answer(cloud, call)
    if roles is not None:
        return roles
    found = _ROUTES.find(call.method, call.path) or _NEIGHBOURS.find(call.method, call.path)
    if found is None:
        found = _ASSET_ROUTES.find(call.method, call.path)
        if found is None or not _is_asset(call, found.params["kind"].lower()):
            raise unknown(refusal(call.method, call.path) or f"{call.method} {call.path}")
    return found.handler(cloud, dataclasses.replace(call, params=found.params, workspace=_workspace(cloud, found)))


def _is_asset(call: Call, kind: str) -> bool:
    """startPendingUpload exists at workspace scope for codes alone; datasets were replaced by data in 2022-05-01."""
    is_upload = call.path.lower().rstrip("/").endswith("/startpendingupload")
    return (
        kind in KINDS and (kind == "codes" or not is_upload) and (kind != "datasets" or call.api_version < "2022-05-01")
    )


def _check_subscription(call: Call) -> None:
    parts = call.path.strip("/").split("/")
    if parts[0].lower() != "subscriptions":
        raise unknown(f"{call.method} {call.path}")
    if len(parts) > 1 and parts[1].lower() != identity.SUBSCRIPTION_ID:
        raise arm_error(404, "SubscriptionNotFound", f"The subscription '{parts[1]}' could not be found.")


def _check_version(call: Call) -> None:
    version = call.api_version
    if f"/providers/{PROVIDER}/".lower() in call.path.lower():
        if version in API_VERSIONS:
            return
    elif _WELL_FORMED.fullmatch(version):
        return
    location = call.path.strip("/").split("/")[-2:]
    raise arm_error(
        400,
        "NoRegisteredProviderFound",
        f"No registered resource provider found for location '{identity.LOCATION}' and API version '{version}' for "
        f"type '{location[0]}'. The supported api-versions are '{', '.join(API_VERSIONS)}'.",
    )


def _workspace(cloud: Cloud, found: Found[Handler]) -> str:
    """The id of the workspace that the route lies in, empty where it lies in none. Raises 404 for what is not there."""
    group, workspace = found.params.get("group"), found.params.get("workspace")
    if group is None or found.handler is resource_groups.put_group:
        return ""
    resource_groups.of(cloud, group)
    if workspace is None or found.handler in (workspace_changes.put_workspace, workspace_changes.delete_workspace):
        return ""
    return str(workspaces.of(cloud, ids.workspace(group, workspace))["id"])
