"""The computes that jobs run on: AmlCompute clusters of the stack's own, or existing ones by their ARM ids."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_azure_native.machinelearningservices as aml
from pulumi import Input, ResourceOptions

from components.placement import Placement
from providers import checks
from providers.ownership import TAG
from providers.schema import prop


@dataclass(frozen=True, kw_only=True)
class ComputeSettings:
    """Either `id` alone, or a cluster: property names and meanings are the API's."""

    id: str | None = prop(
        "ARM id of an existing compute; nothing else is set then.", default=None, check=checks.id_of("computes")
    )
    name: str | None = prop("Name of the cluster.", default=None, check=checks.compute_name)
    vm_size: str = prop("VM size of a node.", default="Standard_DS3_v2")
    vm_priority: str = prop(
        "LowPriority nodes cost less and may be taken away.",
        default="Dedicated",
        check=checks.one_of("Dedicated", "LowPriority"),
    )
    min_node_count: int = prop("Nodes kept running; 0 scales to nothing.", default=0, check=checks.at_least(0))
    max_node_count: int = prop("Most nodes at a time.", default=1, check=checks.at_least(1))
    node_idle_time_before_scale_down: str = prop("How long a node may idle.", default="PT2M", check=checks.duration)
    description: str | None = prop("Text for people.", default=None)
    disable_local_auth: bool = prop("Refuse SSH with local accounts.", default=True)
    subnet_id: str | None = prop("ARM id of the subnet of the nodes.", default=None, check=checks.arm_id)
    enable_node_public_ip: bool = prop("Give nodes public addresses.", default=True)
    isolated_network: bool | None = prop("Whether the network is isolated.", default=None)
    remote_login_port_public_access: str = prop(
        "SSH from the internet.", default="NotSpecified", check=checks.one_of("Enabled", "Disabled", "NotSpecified")
    )
    os_type: str = prop("Operating system.", default="Linux", check=checks.one_of("Linux", "Windows"))
    identity_type: str | None = prop(
        "Managed identity of the cluster.",
        default=None,
        check=checks.one_of("None", "SystemAssigned", "UserAssigned", "SystemAssigned,UserAssigned"),
    )
    user_assigned_identities: list[str] | None = prop("ARM ids of the user-assigned identities.", default=None)
    tags: Mapping[str, str] | None = prop("ARM tags.", default=None, check=checks.tags)


@dataclass(frozen=True)
class Computes:
    """The computes of a stack, once they are built."""

    ids: Mapping[str, str]
    """Name in the stack file -> ARM id."""
    clusters: Mapping[str, Sequence[pulumi.Resource]]
    """ARM id in lower case -> what to wait for: nothing for those of others."""

    def id_of(self, reference: str | None) -> str:
        """ARM id of what a deployment names: one of these, one by its ARM id, or nothing, where there is but one."""
        if reference and reference.startswith("/"):
            return reference
        return self.ids[reference] if reference else next(iter(self.ids.values()))

    def needs(self, ids: Iterable[str]) -> list[pulumi.Resource]:
        """What to wait for before something runs on these computes."""
        return [each for id_ in dict.fromkeys(map(str.lower, ids)) for each in self.clusters.get(id_, ())]


def compute_id(placement: Placement, settings: ComputeSettings) -> str:
    return settings.id or f"{placement.workspace_id}/computes/{settings.name}"


def build_compute(
    placement: Placement, settings: ComputeSettings, owner: Input[str], opts: ResourceOptions
) -> list[pulumi.Resource]:
    """The cluster, as a list of what to wait for: empty when the compute is somebody else's."""
    if settings.id:
        return []
    cluster = aml.Compute(
        str(settings.name),
        compute_name=settings.name,
        resource_group_name=placement.resource_group,
        workspace_name=placement.workspace,
        location=placement.location,
        tags={**(settings.tags or {}), TAG: owner},
        identity=aml.ManagedServiceIdentityArgs(
            type=settings.identity_type, user_assigned_identities=settings.user_assigned_identities
        )
        if settings.identity_type
        else None,
        properties=aml.AmlComputeArgs(
            compute_type="AmlCompute",
            description=settings.description,
            disable_local_auth=settings.disable_local_auth,
            properties=aml.AmlComputePropertiesArgs(
                vm_size=settings.vm_size,
                vm_priority=settings.vm_priority,
                os_type=settings.os_type,
                scale_settings=aml.ScaleSettingsArgs(
                    min_node_count=settings.min_node_count,
                    max_node_count=settings.max_node_count,
                    node_idle_time_before_scale_down=settings.node_idle_time_before_scale_down,
                ),
                subnet=aml.ResourceIdArgs(id=settings.subnet_id) if settings.subnet_id else None,
                enable_node_public_ip=settings.enable_node_public_ip,
                isolated_network=settings.isolated_network,
                remote_login_port_public_access=settings.remote_login_port_public_access,
            ),
        ),
        opts=opts,
    )
    return [cluster]
