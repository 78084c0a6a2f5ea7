"""The workspace and what it stands on, for a stack that builds its own: no shared key, every id known in preview.

    resource group -> storage account, key vault, logs, insights, registry, identity of jobs -> workspace -> roles

Everything else of the stack waits for all of it, so that on destroy it is the last to go. What Azure would only hide
(key vault, workspace) is purged (providers/purge.py).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_azure_native as azure_native
from pulumi import Input, ResourceOptions

from components.placement import Placement, colour
from components.roles import BLOBS, DATA_SCIENTIST, IMAGES, QUEUES, TABLES, Assignment, Role
from providers import checks
from providers.arm.ids import folded
from providers.ownership import TAG
from providers.purge import Purge, PurgeArgs
from providers.schema import prop


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who a role is given to."""

    id: str = prop("Object id in Entra ID: `az ad signed-in-user show --query id`.", check=checks.guid)
    type: str = prop(
        "What it is; without the right word a new one may not be found yet.",
        check=checks.one_of("User", "Group", "ServicePrincipal"),
    )


@dataclass(frozen=True, kw_only=True)
class FoundationSettings:
    """A workspace of the stack's own, with what it stands on."""

    tenant_id: str = prop("Entra ID tenant of the key vault: `az account show --query tenantId`.", check=checks.guid)
    deployers: Mapping[str, Principal] = prop(
        "Who runs `up`, by names of your choice: they may read and write blobs.", check=checks.not_empty
    )
    invokers: Mapping[str, Principal] | None = prop(
        "Who starts scoring jobs without deploying anything, by names of your choice.", default=None
    )
    resource_group: bool = prop("Make the resource group, too; otherwise it exists already.", default=True)
    storage_account: str | None = prop(
        "Name, unique in Azure; by default from the workspace's with a suffix of its own.",
        default=None,
        check=checks.storage_account_name,
    )
    storage_sku: str = prop(
        "How often blobs are kept.",
        default="Standard_LRS",
        check=checks.one_of("Standard_LRS", "Standard_ZRS", "Standard_GRS", "Standard_GZRS", "Standard_RAGRS"),
    )
    key_vault: str | None = prop(
        "Name, unique in Azure; by default from the workspace's with a suffix of its own.",
        default=None,
        check=checks.key_vault_name,
    )
    container_registry: str | None = prop(
        "Name, unique in Azure; by default from the workspace's with a suffix of its own.",
        default=None,
        check=checks.registry_name,
    )
    container_registry_sku: str = prop(
        "Size of the registry for environment images.",
        default="Basic",
        check=checks.one_of("Basic", "Standard", "Premium"),
    )
    log_retention_days: int = prop("Days that logs are kept.", default=30, check=checks.at_least(30, 730))
    purge: bool = prop(
        "Purge workspace and key vault on destroy, so that nothing is left and the names are free at once; otherwise "
        "they stay soft-deleted for 14 and 90 days.",
        default=True,
    )
    role_wait: str = prop(
        "Longest wait of an upload for a role that this stack has just made.", default="PT10M", check=checks.duration
    )
    description: str | None = prop("Text for people, at the workspace.", default=None)


@dataclass(frozen=True)
class Foundation:
    """What the rest of the stack needs to know of it."""

    needs: list[pulumi.Resource]
    """Everything that must be there before anything is put into the workspace."""
    jobs_identity: str
    """ARM id of the managed identity that jobs run as."""
    upload_roles: tuple[str, ...]
    """ARM ids of the role assignments that uploads need."""
    role_wait: str


@dataclass(frozen=True)
class Names:
    """Names and ARM ids of what the workspace stands on: all of them follow from the settings."""

    group_id: str
    storage_account: str
    key_vault: str
    registry: str
    logs: str
    insights: str
    jobs_identity: str

    @property
    def storage_id(self) -> str:
        return f"{self.group_id}/providers/Microsoft.Storage/storageAccounts/{self.storage_account}"

    @property
    def key_vault_id(self) -> str:
        return f"{self.group_id}/providers/Microsoft.KeyVault/vaults/{self.key_vault}"

    @property
    def registry_id(self) -> str:
        return f"{self.group_id}/providers/Microsoft.ContainerRegistry/registries/{self.registry}"

    @property
    def logs_id(self) -> str:
        return f"{self.group_id}/providers/Microsoft.OperationalInsights/workspaces/{self.logs}"

    @property
    def insights_id(self) -> str:
        return f"{self.group_id}/providers/Microsoft.Insights/components/{self.insights}"

    @property
    def jobs_identity_id(self) -> str:
        return f"{self.group_id}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{self.jobs_identity}"


def names(placement: Placement, settings: FoundationSettings) -> Names:
    """Every name, given or made of the workspace's; those that must be unique in Azure carry a suffix of their own."""
    workspace = placement.workspace
    suffix = colour(folded(placement.workspace_id), placement.project, placement.stack)
    letters = re.sub("[^a-z0-9]", "", workspace.lower())
    dashed = re.sub("-+", "-", re.sub("[^a-zA-Z0-9-]", "-", workspace))
    return Names(
        group_id=f"/subscriptions/{placement.subscription_id}/resourceGroups/{placement.resource_group}",
        storage_account=settings.storage_account or f"st{letters[:14]}{suffix}",
        key_vault=settings.key_vault or f"kv-{dashed[:12].strip('-')}-{suffix}",
        registry=settings.container_registry or f"cr{letters[:32]}{suffix}",
        logs=f"{dashed.strip('-')}-logs",
        insights=f"{workspace}-insights",
        jobs_identity=f"{workspace}-jobs",
    )


def assignments(
    placement: Placement, settings: FoundationSettings, known: Names, jobs_principal: Input[str]
) -> list[Assignment]:
    """Every role that keyless uploads and jobs need, but for those that the service gives to the workspace itself."""

    def to_jobs(role: Role, scope: str) -> Assignment:
        return Assignment(role, scope, known.jobs_identity_id, jobs_principal, "ServicePrincipal")

    def to(principal: Principal, role: Role, scope: str) -> Assignment:
        return Assignment(role, scope, principal.id, principal.id, principal.type)

    deployers, invokers = settings.deployers.values(), (settings.invokers or {}).values()
    found = [
        *(to(each, BLOBS, known.storage_id) for each in deployers),
        *(to_jobs(role, known.storage_id) for role in (BLOBS, QUEUES, TABLES)),
        to_jobs(IMAGES, known.registry_id),
        *(to(each, DATA_SCIENTIST, placement.workspace_id) for each in invokers),
        *(to(each, BLOBS, known.storage_id) for each in invokers),
    ]
    return list({each.id: each for each in found}.values())


def build_foundation(
    placement: Placement,
    settings: FoundationSettings,
    *,
    owner: Input[str],
    tags: Mapping[str, str] | None,
    own: ResourceOptions,
    azure: ResourceOptions,
) -> Foundation:
    """All resources of it. `own` and `azure`: options of this project's kinds, and of azure-native's."""
    known = names(placement, settings)
    where: dict[str, Any] = {"resource_group_name": placement.resource_group, "location": placement.location}
    marked = {**(tags or {}), TAG: owner}

    def after(opts: ResourceOptions, *resources: pulumi.Resource) -> ResourceOptions:
        return ResourceOptions.merge(opts, ResourceOptions(depends_on=list(resources)))

    group: list[pulumi.Resource] = []
    if settings.resource_group:
        group = [azure_native.resources.ResourceGroup("resource-group", **where, tags=marked, opts=azure)]
    storage = azure_native.storage.StorageAccount(
        "storage-account",
        account_name=known.storage_account,
        kind="StorageV2",
        sku=azure_native.storage.SkuArgs(name=settings.storage_sku),
        allow_shared_key_access=False,
        allow_blob_public_access=False,
        allow_cross_tenant_replication=False,
        default_to_o_auth_authentication=True,
        enable_https_traffic_only=True,
        minimum_tls_version="TLS1_2",
        tags=marked,
        **where,
        opts=after(azure, *group),
    )
    vault = _key_vault(
        placement,
        settings,
        known,
        owner=owner,
        tags=marked,
        own=after(own, *group),
        azure=after(azure, *group),
    )
    logs = azure_native.operationalinsights.Workspace(
        "logs",
        workspace_name=known.logs,
        sku=azure_native.operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
        retention_in_days=settings.log_retention_days,
        tags=marked,
        **where,
        opts=after(azure, *group),
    )
    insights = azure_native.applicationinsights.Component(
        "insights",
        resource_name_=known.insights,
        kind="web",
        application_type="web",
        workspace_resource_id=known.logs_id,
        tags=marked,
        **where,
        opts=after(azure, logs),
    )
    registry = azure_native.containerregistry.Registry(
        "container-registry",
        registry_name=known.registry,
        sku=azure_native.containerregistry.SkuArgs(name=settings.container_registry_sku),
        admin_user_enabled=False,
        tags=marked,
        **where,
        opts=after(azure, *group),
    )
    identity = azure_native.managedidentity.UserAssignedIdentity(
        "jobs-identity", resource_name_=known.jobs_identity, tags=marked, **where, opts=after(azure, *group)
    )
    workspace = azure_native.machinelearningservices.Workspace(
        "workspace",
        workspace_name=placement.workspace,
        identity=azure_native.machinelearningservices.ManagedServiceIdentityArgs(type="SystemAssigned"),
        kind="Default",
        sku=azure_native.machinelearningservices.SkuArgs(
            name="Basic", tier=azure_native.machinelearningservices.SkuTier.BASIC
        ),
        friendly_name=placement.workspace,
        description=settings.description,
        storage_account=known.storage_id,
        key_vault=known.key_vault_id,
        application_insights=known.insights_id,
        container_registry=known.registry_id,
        # Without it the datastores would keep the account's key, which opens nothing.
        system_datastores_auth_mode="identity",
        public_network_access="Enabled",
        tags=marked,
        **where,
        opts=after(azure, *group, storage, *vault, insights, registry),
    )
    gone_for_good = (
        [_purge("purge-workspace", placement, placement.workspace_id, owner=owner, opts=after(own, workspace))]
        if settings.purge
        else []
    )
    given = assignments(placement, settings, known, identity.principal_id)
    roles = [
        azure_native.authorization.RoleAssignment(
            each.logical_name,
            role_assignment_name=each.name,
            scope=each.scope,
            role_definition_id=_definition(placement, each.role),
            principal_id=each.principal_id,
            principal_type=each.principal_type,
            description=f"{each.role.name}, for stack {placement.project}/{placement.stack}",
            opts=after(azure, storage, registry, identity, workspace),
        )
        for each in given
    ]
    deployers = {principal.id.lower() for principal in settings.deployers.values()}
    return Foundation(
        needs=[*group, storage, *vault, insights, registry, identity, workspace, *gone_for_good, *roles],
        jobs_identity=known.jobs_identity_id,
        upload_roles=tuple(each.id for each in given if each.role == BLOBS and each.subject.lower() in deployers),
        role_wait=settings.role_wait,
    )


def _key_vault(
    placement: Placement,
    settings: FoundationSettings,
    known: Names,
    *,
    owner: Input[str],
    tags: Mapping[str, Input[str]],
    own: ResourceOptions,
    azure: ResourceOptions,
) -> list[pulumi.Resource]:
    """The vault, behind what frees its name: that is made before it, and deleted after it."""
    freed = [_purge("purge-key-vault", placement, known.key_vault_id, owner=owner, opts=own)] if settings.purge else []
    vault = azure_native.keyvault.Vault(
        "key-vault",
        vault_name=known.key_vault,
        resource_group_name=placement.resource_group,
        location=placement.location,
        properties=azure_native.keyvault.VaultPropertiesArgs(
            tenant_id=settings.tenant_id,
            sku=azure_native.keyvault.SkuArgs(family="A", name=azure_native.keyvault.SkuName.STANDARD),
            # Roles, not access policies: the service would add its own to them, and every `up` would take them away.
            enable_rbac_authorization=True,
        ),
        tags=tags,
        opts=ResourceOptions.merge(azure, ResourceOptions(depends_on=freed)),
    )
    return [*freed, vault]


def _purge(name: str, placement: Placement, target: str, *, owner: Input[str], opts: ResourceOptions) -> Purge:
    args = PurgeArgs(**placement.azure, target=target, location=placement.location, owner=owner)
    return Purge(name, args, opts)


def _definition(placement: Placement, role: Role) -> str:
    return f"/subscriptions/{placement.subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{role.id}"
