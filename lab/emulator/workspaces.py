"""The subscription and its workspaces, as they are read. The lab's own workspace is there from its birth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids, storage_accounts
from lab.emulator.call import Call, Reply
from lab.emulator.errors import AzureError, arm_error
from lab.emulator.timestamps import zulu

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

Resource = dict[str, Any]

KIND = "workspace"
API_HOST = f"https://{identity.LOCATION}.api.azureml.ms"


def get_subscription(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, _subscription())


def list_subscriptions(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, {"value": [_subscription()], "count": {"type": "Total", "value": 1}})


def get_workspace(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, of(cloud, call.workspace))


def list_workspaces(cloud: Cloud, call: Call) -> Reply:
    """Of a resource group, or of the subscription."""
    group = call.params.get("group")
    there = [body for body in known(cloud) if group is None or ids.group_of(body["id"]).lower() == group.lower()]
    return Reply(200, {"value": there, "nextLink": None})


def list_account_keys(cloud: Cloud, call: Call) -> Reply:
    """The key of the workspace's storage account."""
    return Reply(200, {"userStorageKey": key_of(cloud, call.workspace)})


def known(cloud: Cloud) -> list[Resource]:
    """Every workspace, the lab's own first."""
    made = (cloud.store.get(arm_id) for arm_id in cloud.store.ids(KIND))
    return [_own(cloud), *(body for body in made if body is not None)]


def find(cloud: Cloud, group: str, name: str) -> Resource | None:
    """A workspace by the names in a path, or None where there is none."""
    arm_id = ids.workspace(group, name)
    return _own(cloud) if arm_id.lower() == ids.WORKSPACE.lower() else cloud.store.get(arm_id)


def of(cloud: Cloud, workspace: str) -> Resource:
    """A workspace by its id. Raises ARM's 404."""
    body = find(cloud, ids.group_of(workspace), ids.name_of(workspace))
    if body is None:
        raise not_found(workspace)
    return body


def not_found(arm_id: str) -> AzureError:
    """ARM's 404 for a resource of any provider."""
    provider, *rest = arm_id.partition("/providers/")[2].split("/")
    kind, name = "/".join([provider, *rest[0::2]]), "/".join(rest[1::2])
    return arm_error(
        404,
        "ResourceNotFound",
        f"The Resource '{kind}/{name}' under resource group '{ids.group_of(arm_id)}' was not found. For more details "
        "please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def account_of(cloud: Cloud, workspace: str) -> str:
    """The name of its storage account."""
    return ids.name_of(of(cloud, workspace)["properties"]["storageAccount"])


def key_of(cloud: Cloud, workspace: str) -> str:
    """The key of its storage account, as Azure tells it."""
    return storage_accounts.told_key(cloud, of(cloud, workspace)["properties"]["storageAccount"])


def guid_of(cloud: Cloud, workspace: str) -> str:
    return str(of(cloud, workspace)["properties"]["workspaceId"])


def containers_of(cloud: Cloud, workspace: str) -> tuple[str, str]:
    """The two that it has from its birth: for data, and for logs and artifacts."""
    return f"azureml-blobstore-{guid_of(cloud, workspace)}", identity.LOGS_CONTAINER


def born(cloud: Cloud, workspace: str) -> float:
    """When it was made, seconds since the epoch."""
    at: float = cloud.store.created(workspace) or cloud.created
    return at


def get_discovery() -> Reply:
    """Which host answers for which service; asked without a token."""
    services = ("api", "catalog", "experimentation", "history", "hyperdrive", "modelmanagement", "pipelines")
    return Reply(200, {**dict.fromkeys(services, API_HOST), "studio": "https://ml.azure.com"})


def _subscription() -> dict[str, Any]:
    return {
        "id": ids.SUBSCRIPTION,
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": identity.SUBSCRIPTION_ID,
        "tenantId": identity.TENANT_ID,
        "displayName": "lab",
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


def _own(cloud: Cloud) -> Resource:
    created = zulu(cloud.created)
    resources = f"{ids.GROUP}/providers"
    return {
        "id": ids.WORKSPACE,
        "name": identity.WORKSPACE,
        "type": "Microsoft.MachineLearningServices/workspaces",
        "location": identity.LOCATION,
        "tags": {},
        "etag": None,
        "properties": {
            "friendlyName": identity.WORKSPACE,
            "description": "",
            "storageAccount": f"{resources}/Microsoft.Storage/storageAccounts/{identity.STORAGE_ACCOUNT}",
            "keyVault": f"{resources}/Microsoft.Keyvault/vaults/labvault",
            "applicationInsights": f"{resources}/Microsoft.insights/components/labinsights",
            "hbiWorkspace": False,
            "tenantId": identity.TENANT_ID,
            "imageBuildCompute": None,
            "provisioningState": "Succeeded",
            "managedNetwork": {
                "changeableIsolationModes": ["AllowInternetOutbound", "AllowOnlyApprovedOutbound"],
                "isolationMode": "Disabled",
            },
            "v1LegacyMode": False,
            "softDeleteEnabled": False,
            "containerRegistry": None,
            "creationTime": created,
            "storageHnsEnabled": False,
            "workspaceId": identity.WORKSPACE_ID,
            "linkedModelInventoryArmId": None,
            "privateLinkCount": 0,
            "publicNetworkAccess": "Enabled",
            "ipAllowlist": [],
            "discoveryUrl": f"{API_HOST}/discovery",
            "mlFlowTrackingUri": f"azureml://{identity.LOCATION}.api.azureml.ms/mlflow/v1.0{ids.WORKSPACE}",
            "serverlessComputeSettings": None,
            "enableDataIsolation": False,
        },
        "identity": {
            "type": "SystemAssigned",
            "principalId": identity.PRINCIPAL_ID,
            "tenantId": identity.TENANT_ID,
        },
        "kind": "Default",
        "sku": {"name": "Basic", "tier": "Basic"},
        "systemData": {
            "createdAt": created,
            "createdBy": "lab",
            "createdByType": "Application",
            "lastModifiedAt": created,
            "lastModifiedBy": "lab",
            "lastModifiedByType": "Application",
        },
    }
