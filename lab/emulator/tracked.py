"""What a workspace stands on: tracked resources of other providers, one row of a table each.

A PUT is answered at once with what was sent and what the provider adds to it; the real ones take up to a minute. The
shapes are those of the api-versions that azure-native 3.29.0 uses; properties that no row names are refused.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids, key_vaults, storage_accounts
from lab.emulator.call import Call, Reply
from lab.emulator.errors import arm_error
from lab.emulator.shapes import Anything, ListOf, Property, Shape, Text, Texts, Truth, Whole, read_body
from lab.emulator.workspaces import not_found

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

Properties = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One resource type."""

    provider: str
    collection: str
    name: re.Pattern[str]
    """https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules"""
    properties: Shape
    adds: Callable[[str, Properties], Properties]
    """ARM id and the properties that were sent -> what the provider adds."""
    top: tuple[str, ...] = ()
    """Members of the body beside `properties`, kept as they were sent."""
    taken: str = ""
    """Code of the 409 where names are unique in the whole cloud."""
    made: Callable[[Cloud, Call, str], None] = lambda *_: None
    """Before a new one is kept."""
    gone: Callable[[Cloud, dict[str, Any], float], None] = lambda *_: None
    """Once one is deleted, with its body."""

    def arm_id(self, group: str, name: str) -> str:
        return f"{ids.group(group)}/providers/{self.provider}/{self.collection}/{name}"

    @property
    def type(self) -> str:
        return f"{self.provider}/{self.collection}"


def put(cloud: Cloud, call: Call, kind: Kind) -> Reply:
    """201 makes one, 200 replaces it."""
    name = call.params["name"]
    if not kind.name.fullmatch(name):
        raise arm_error(400, "InvalidResourceName", f"'{name}' is not a valid name for {kind.type}.")
    given = read_body(_body(kind), call.json_object(), kind.type)
    arm_id = kind.arm_id(call.params["group"], name)
    old = cloud.store.get(arm_id)
    if old is None:
        _refuse_taken(cloud, kind, name)
        kind.made(cloud, call, arm_id)
    sent = given.get("properties") or {}
    body = {
        "id": old["id"] if old else arm_id,
        "name": old["name"] if old else name,
        "type": kind.type,
        "location": given["location"],
        "tags": given["tags"],
        **{part: given[part] for part in kind.top if given.get(part) is not None},
        "properties": {**sent, **kind.adds(arm_id, sent)},
    }
    cloud.store.put(kind.type, ids.group(call.params["group"]), body, call.now)
    if old is None and kind is STORAGE:
        cloud.blobs.serve(storage_accounts.names(cloud))
    return Reply(200 if old else 201, body)


def get(cloud: Cloud, call: Call, kind: Kind) -> Reply:
    arm_id = kind.arm_id(call.params["group"], call.params["name"])
    body = cloud.store.get(arm_id)
    if body is None:
        raise not_found(arm_id)
    return Reply(200, body)


def delete(cloud: Cloud, call: Call, kind: Kind) -> Reply:
    """200 at once, 204 for an absent one."""
    body = cloud.store.get(kind.arm_id(call.params["group"], call.params["name"]))
    if body is None:
        return Reply(204)
    _give_up(cloud, kind, body, call.now)
    return Reply(200)


def listed(cloud: Cloud, call: Call, kind: Kind) -> Reply:
    """Those of a resource group."""
    return Reply(200, {"value": cloud.store.children(kind.type, ids.group(call.params["group"]))})


def give_up_all(cloud: Cloud, group: str, now: float) -> None:
    """Delete everything of these types in a resource group, as its own DELETE would."""
    for kind in KINDS:
        for body in cloud.store.children(kind.type, group):
            _give_up(cloud, kind, body, now)


def known(cloud: Cloud) -> list[str]:
    """ARM ids of everything of these types."""
    return [arm_id for kind in KINDS for arm_id in cloud.store.ids(kind.type)]


def _give_up(cloud: Cloud, kind: Kind, body: dict[str, Any], now: float) -> None:
    kind.gone(cloud, body, now)
    cloud.store.delete(body["id"])
    if kind is STORAGE:
        cloud.blobs.serve(storage_accounts.names(cloud))


def _refuse_taken(cloud: Cloud, kind: Kind, name: str) -> None:
    if not kind.taken:
        return
    there = {ids.name_of(arm_id).lower() for arm_id in cloud.store.ids(kind.type)}
    if name.lower() in there or (kind is STORAGE and name == identity.STORAGE_ACCOUNT):
        raise arm_error(409, kind.taken, f"The name '{name}' of {kind.type} is already taken.")


def _body(kind: Kind) -> Shape:
    return Shape(
        {
            "location": Property(Text(), required=True),
            "tags": Property(Texts(tags=True), default={}),
            **{part: Property(Anything(), required=True) for part in kind.top},
            "properties": Property(kind.properties, sparse=True),
        },
        read_only=("id", "name", "type", "systemData", "etag"),
    )


def _guid(*parts: str) -> str:
    return str(uuid.uuid5(uuid.UUID(identity.TENANT_ID), "/".join(parts).lower()))


def _account(arm_id: str, _: Properties) -> Properties:
    name = ids.name_of(arm_id)
    hosts = {kind: f"https://{name}.{kind}.core.windows.net/" for kind in ("blob", "queue", "table", "file")}
    return {"provisioningState": "Succeeded", "primaryEndpoints": hosts, "primaryLocation": identity.LOCATION}


def _vault(arm_id: str, sent: Properties) -> Properties:
    return {
        "provisioningState": "Succeeded",
        "vaultUri": f"https://{ids.name_of(arm_id)}.vault.azure.net/",
        "enableSoftDelete": True,
        "softDeleteRetentionInDays": sent.get("softDeleteRetentionInDays") or 90,
    }


def _component(arm_id: str, sent: Properties) -> Properties:
    return {
        "provisioningState": "Succeeded",
        "AppId": _guid(arm_id, "app"),
        "ApplicationId": ids.name_of(arm_id),
        "InstrumentationKey": _guid(arm_id, "key"),
        "IngestionMode": "LogAnalytics",
        "RetentionInDays": sent.get("RetentionInDays") or 90,
    }


def _log_analytics(arm_id: str, _: Properties) -> Properties:
    return {"provisioningState": "Succeeded", "customerId": _guid(arm_id)}


def _identity(arm_id: str, _: Properties) -> Properties:
    return {
        "tenantId": identity.TENANT_ID,
        "principalId": _guid(arm_id, "principal"),
        "clientId": _guid(arm_id, "client"),
    }


def _registry(arm_id: str, _: Properties) -> Properties:
    return {"provisioningState": "Succeeded", "loginServer": f"{ids.name_of(arm_id).lower()}.azurecr.io"}


_TRUTHS = (
    *("allowBlobPublicAccess", "allowCrossTenantReplication", "allowSharedKeyAccess", "defaultToOAuthAuthentication"),
    *("isHnsEnabled", "isLocalUserEnabled", "isSftpEnabled", "supportsHttpsTrafficOnly"),
)
STORAGE = Kind(
    "Microsoft.Storage",
    "storageAccounts",
    re.compile(r"[a-z0-9]{3,24}"),
    Shape(
        {
            **{name: Property(Truth(), sparse=True) for name in _TRUTHS},
            "accessTier": Property(Text(("Hot", "Cool", "Cold", "Premium")), default="Hot"),
            "minimumTlsVersion": Property(Text(("TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3")), sparse=True),
            "publicNetworkAccess": Property(Text(("Enabled", "Disabled", "SecuredByPerimeter")), sparse=True),
            "networkAcls": Property(Anything(), sparse=True),
        },
        read_only=("provisioningState", "primaryEndpoints", "primaryLocation"),
    ),
    _account,
    top=("kind", "sku"),
    taken="StorageAccountAlreadyTaken",
    gone=lambda cloud, body, _: cloud.blobs.empty(body["name"]),
)
VAULT = Kind(
    "Microsoft.KeyVault",
    "vaults",
    re.compile(r"[a-zA-Z](?:-?[a-zA-Z0-9]){2,23}"),
    Shape(
        {
            "tenantId": Property(Text(), required=True),
            "sku": Property(Shape({"family": Property(Text(("A",))), "name": Property(Text(("standard", "premium")))})),
            "accessPolicies": Property(ListOf(Anything()), sparse=True),
            **{
                name: Property(Truth(), sparse=True)
                for name in (
                    *("enableRbacAuthorization", "enableSoftDelete", "enablePurgeProtection"),
                    *("enabledForDeployment", "enabledForDiskEncryption", "enabledForTemplateDeployment"),
                )
            },
            "softDeleteRetentionInDays": Property(Whole(7, 90), sparse=True),
            "publicNetworkAccess": Property(Text(("Enabled", "Disabled")), sparse=True),
            "networkAcls": Property(Anything(), sparse=True),
        },
        read_only=("provisioningState", "vaultUri", "hsmPoolResourceId"),
    ),
    _vault,
    taken="VaultAlreadyExists",
    made=lambda cloud, _, arm_id: key_vaults.refuse_deleted(cloud, ids.name_of(arm_id)),
    gone=key_vaults.remember,
)
COMPONENT = Kind(
    "Microsoft.Insights",
    "components",
    re.compile(r"[^%&\\?/]{1,260}"),
    Shape(
        {
            "Application_Type": Property(Text(("web", "other")), default="web"),
            "WorkspaceResourceId": Property(Text(), sparse=True),
            "RetentionInDays": Property(Whole(30, 730), sparse=True),
            **{name: Property(Truth(), sparse=True) for name in ("DisableIpMasking", "DisableLocalAuth")},
            **{
                name: Property(Text(), sparse=True)
                for name in (
                    *("Flow_Type", "Request_Source", "IngestionMode"),
                    *("publicNetworkAccessForIngestion", "publicNetworkAccessForQuery"),
                )
            },
        },
        read_only=("provisioningState", "AppId", "ApplicationId", "InstrumentationKey"),
    ),
    _component,
    top=("kind",),
)
LOG_ANALYTICS = Kind(
    "Microsoft.OperationalInsights",
    "workspaces",
    re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]"),
    Shape(
        {
            "sku": Property(Shape({"name": Property(Text(), required=True)}), sparse=True),
            "retentionInDays": Property(Whole(7, 730), default=30),
            "features": Property(Anything(), sparse=True),
            "workspaceCapping": Property(Anything(), sparse=True),
            "publicNetworkAccessForIngestion": Property(Text(), default="Enabled"),
            "publicNetworkAccessForQuery": Property(Text(), default="Enabled"),
        },
        read_only=("provisioningState", "customerId"),
    ),
    _log_analytics,
)
IDENTITY = Kind(
    "Microsoft.ManagedIdentity",
    "userAssignedIdentities",
    re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}"),
    Shape({}, read_only=("tenantId", "principalId", "clientId")),
    _identity,
)
REGISTRY = Kind(
    "Microsoft.ContainerRegistry",
    "registries",
    re.compile(r"[a-zA-Z0-9]{5,50}"),
    Shape(
        {
            "adminUserEnabled": Property(Truth(), default=False),
            "anonymousPullEnabled": Property(Truth(), default=False),
            "dataEndpointEnabled": Property(Truth(), sparse=True),
            "networkRuleBypassOptions": Property(Text(("AzureServices", "None")), default="AzureServices"),
            "zoneRedundancy": Property(Text(("Enabled", "Disabled")), default="Disabled"),
            "publicNetworkAccess": Property(Text(("Enabled", "Disabled")), default="Enabled"),
        },
        read_only=("provisioningState", "loginServer"),
    ),
    _registry,
    top=("sku",),
    taken="AlreadyInUse",
)
KINDS = (STORAGE, VAULT, COMPONENT, LOG_ANALYTICS, IDENTITY, REGISTRY)
