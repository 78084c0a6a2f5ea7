"""The subscription, the resource group and the workspace: seeded, and only read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids
from lab.emulator.call import Call, Reply
from lab.emulator.timestamps import zulu

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

API_HOST = f"https://{identity.LOCATION}.api.azureml.ms"


def get_subscription(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, _subscription())


def list_subscriptions(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, {"value": [_subscription()], "count": {"type": "Total", "value": 1}})


def get_group(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, _group())


def list_groups(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, {"value": [_group()]})


def list_workspaces(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, {"value": [_workspace(cloud)], "nextLink": None})


def list_account_keys(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    """The key of the workspace's storage account."""
    return Reply(200, {"userStorageKey": cloud.config.storage_key})


def get_workspace(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, _workspace(cloud))


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


def _group() -> dict[str, Any]:
    return {
        "id": ids.GROUP,
        "name": identity.RESOURCE_GROUP,
        "type": "Microsoft.Resources/resourceGroups",
        "location": identity.LOCATION,
        "tags": {},
        "properties": {"provisioningState": "Succeeded"},
    }


def _workspace(cloud: Cloud) -> dict[str, Any]:
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
