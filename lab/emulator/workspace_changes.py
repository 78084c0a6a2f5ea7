"""Workspaces made, changed and deleted. A deleted one is soft-deleted and holds its name, unless it is purged at once.

https://learn.microsoft.com/azure/machine-learning/concept-soft-delete: the default, 14 days; the text of the refusal as
people quote it (Azure/ResourceModules#3596).
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids, operations, storage_accounts, tracked, workspaces
from lab.emulator.call import Call, Reply
from lab.emulator.errors import arm_error, unknown, user_error
from lab.emulator.shapes import Anything, Property, Shape, Text, Texts, Truth, read_body
from lab.emulator.timestamps import zulu

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

_RETENTION_SECONDS = 14 * 86_400.0
SOFT_DELETED = "soft-deleted workspace"
_STANDS_ON = (
    ("storageAccount", tracked.STORAGE),
    ("keyVault", tracked.VAULT),
    ("applicationInsights", tracked.COMPONENT),
    ("containerRegistry", tracked.REGISTRY),
)
_KEPT = ("storageAccount", "keyVault", "enableDataIsolation", "hbiWorkspace")
"""Cannot change once the workspace is there (specified for the first two, documented for the third)."""
_BODY = Shape(
    {
        "location": Property(Text(), required=True),
        "tags": Property(Texts(tags=True), default={}),
        "kind": Property(Text(("Default", "Hub", "Project", "FeatureStore")), default="Default"),
        "sku": Property(Anything(), default={"name": "Basic", "tier": "Basic"}),
        "identity": Property(
            Shape({"type": Property(Text(("SystemAssigned",)), required=True)}, read_only=("principalId", "tenantId")),
            default={"type": "SystemAssigned"},
        ),
        "properties": Property(
            Shape(
                {
                    "friendlyName": Property(Text()),
                    "description": Property(Text(), default=""),
                    "storageAccount": Property(Text(), required=True),
                    "keyVault": Property(Text(), required=True),
                    "applicationInsights": Property(Text()),
                    "containerRegistry": Property(Text()),
                    "hbiWorkspace": Property(Truth(), default=False),
                    "imageBuildCompute": Property(Text()),
                    "publicNetworkAccess": Property(Text(("Enabled", "Disabled")), default="Enabled"),
                    "systemDatastoresAuthMode": Property(
                        Text(("accesskey", "identity", "userdelegationsas")), default="accesskey"
                    ),
                    "v1LegacyMode": Property(Truth(), default=False),
                    "enableDataIsolation": Property(Truth(), default=False),
                    "managedNetwork": Property(Anything(), sparse=True),
                    "serverlessComputeSettings": Property(Anything(), sparse=True),
                },
                read_only=(
                    *("provisioningState", "workspaceId", "tenantId", "mlFlowTrackingUri", "notebookInfo"),
                    *("discoveryUrl", "privateLinkCount", "softDeleteEnabled", "storageHnsEnabled"),
                ),
            ),
            required=True,
        ),
    },
    read_only=("id", "name", "type", "systemData", "etag"),
)


def put_workspace(cloud: Cloud, call: Call) -> Reply:
    """202, and the workspace is there when the operation ends (specified); what it stands on must exist."""
    group, name = call.params["group"], call.params["workspace"]
    arm_id = ids.workspace(group, name)
    if arm_id.lower() == ids.WORKSPACE.lower():
        raise unknown(f"changes of the workspace '{name}', which the lab was born with")
    if not ids.WORKSPACE_NAME.fullmatch(name):
        raise user_error(
            400, f"The workspace name '{name}' is not valid.", inner=("BadArgument", "InvalidWorkspaceName")
        )
    given = read_body(_BODY, call.json_object(), "Workspace")
    old = cloud.store.get(arm_id)
    if old is None:
        _refuse_soft_deleted(cloud, arm_id, call.now)
    else:
        operations.refuse_while_pending(cloud, old["id"], f"Workspace '{name}'")
    _check(cloud, given["properties"], old)
    body = _workspace(arm_id, name, given, call.now, old)
    cloud.store.put(workspaces.KIND, ids.group(group), body, call.now)
    for container in workspaces.containers_of(cloud, arm_id):
        cloud.blobs.ensure_container(workspaces.account_of(cloud, arm_id), container)
    operation = operations.begin(
        cloud,
        call,
        operations.WORKSPACE,
        body["id"],
        kind=workspaces.KIND,
        parent=ids.group(group),
        seconds=cloud.plays.operation_seconds,
        then={"properties": {"provisioningState": "Succeeded"}},
    )
    return Reply(202, body, operations.headers(cloud, call, operation))


def delete_workspace(cloud: Cloud, call: Call) -> Reply:
    """202; soft-deleted, or with `forceToPurge=true` gone for good. 204 for one that is not there, soft-deleted or not.

    Whether `forceToPurge` on one that is soft-deleted already purges it is not known (azure-cli#33756 says no).
    """
    arm_id = ids.workspace(call.params["group"], call.params["workspace"])
    if arm_id.lower() == ids.WORKSPACE.lower():
        raise unknown(f"deleting the workspace '{call.params['workspace']}', which the lab was born with")
    body = cloud.store.get(arm_id)
    if body is None:
        return Reply(204)
    operations.refuse_while_pending(cloud, body["id"], f"Workspace '{body['name']}'")
    give_up(cloud, body, call.now, purge=call.query.get("forcetopurge", "").lower() == "true")
    body["properties"]["provisioningState"] = "Deleting"
    cloud.store.put(workspaces.KIND, ids.group(call.params["group"]), body, call.now)
    operation = operations.begin(
        cloud,
        call,
        operations.WORKSPACE,
        body["id"],
        kind=workspaces.KIND,
        parent=ids.group(call.params["group"]),
        seconds=cloud.plays.operation_seconds,
        then=None,
    )
    return Reply(202, headers=operations.headers(cloud, call, operation))


def give_up(cloud: Cloud, body: dict[str, Any], now: float, *, purge: bool) -> None:
    """What the end of a workspace means beside its own record: its jobs are cancelled, its name is held, its history
    is kept; or, purged, neither."""
    for record in cloud.store.jobs(workspace=body["id"]):
        if record["active"]:
            cloud.executions.cancel(record, now)
        elif purge:
            cloud.executions.forget(record["name"])
    if not purge:
        held = {"id": _held(body["id"]), "until": now + _RETENTION_SECONDS}
        cloud.store.put(SOFT_DELETED, ids.SUBSCRIPTION, held, now)


def _refuse_soft_deleted(cloud: Cloud, arm_id: str, now: float) -> None:
    held = cloud.store.get(_held(arm_id))
    if held is not None and now < held["until"]:
        raise arm_error(
            400,
            "BadRequest",
            "Soft-deleted workspace exists. Please purge or recover it. https://aka.ms/wsoftdelete",
        )


def _held(arm_id: str) -> str:
    return f"{ids.SUBSCRIPTION}/soft-deleted/{arm_id}"


def _check(cloud: Cloud, properties: dict[str, Any], old: dict[str, Any] | None) -> None:
    for name, kind in _STANDS_ON:
        value = properties[name]
        own = name == "storageAccount" and str(value).lower() == storage_accounts.OWN.lower()
        if value is not None and not own and (cloud.store.get(value) or {}).get("type") != kind.type:
            raise arm_error(400, "ValidationError", f"{name}: {value} is not there, or not of the type {kind.type}.")
    if old is None:
        return
    changed = [name for name in _KEPT if str(old["properties"][name]).lower() != str(properties[name]).lower()]
    if changed:
        raise arm_error(400, "BadRequest", f"{', '.join(changed)} of a workspace cannot be changed.")


def _workspace(arm_id: str, name: str, given: dict[str, Any], now: float, old: dict[str, Any] | None) -> dict[str, Any]:
    guid = str(uuid.uuid4())
    created = zulu(now)
    added = {
        "friendlyName": given["properties"]["friendlyName"] or name,
        "tenantId": identity.TENANT_ID,
        "provisioningState": "Updating" if old else "Creating",
        "creationTime": old["properties"]["creationTime"] if old else created,
        "workspaceId": old["properties"]["workspaceId"] if old else guid,
        "discoveryUrl": f"{workspaces.API_HOST}/discovery",
        "mlFlowTrackingUri": f"azureml://{identity.LOCATION}.api.azureml.ms/mlflow/v1.0{arm_id}",
        "privateLinkCount": 0,
        "storageHnsEnabled": False,
    }
    return {
        "id": old["id"] if old else arm_id,
        "name": old["name"] if old else name,
        "type": f"{ids.PROVIDER}/workspaces",
        "location": given["location"],
        "tags": given["tags"],
        "etag": None,
        "kind": given["kind"],
        "sku": given["sku"],
        "identity": {
            "type": "SystemAssigned",
            "principalId": old["identity"]["principalId"] if old else str(uuid.uuid4()),
            "tenantId": identity.TENANT_ID,
        },
        "properties": {**given["properties"], **added},
        "systemData": {
            "createdAt": old["systemData"]["createdAt"] if old else created,
            "createdBy": "lab",
            "createdByType": "Application",
            "lastModifiedAt": created,
            "lastModifiedBy": "lab",
            "lastModifiedByType": "Application",
        },
    }
