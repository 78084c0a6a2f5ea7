"""Gone for good: what ARM's DELETE only hides, a workspace and a key vault, is purged when the stack is destroyed.

A hidden one holds its name (a workspace for 14 days, a vault for 90), so the next `up` would fail. azure-native sends
no query parameter with a DELETE, and knows no purge. Nothing is made in Azure for this resource:

- a workspace has to be purged while it lives: this one is made after the workspace, so that it is deleted first, by
  `DELETE ...?forceToPurge=true`; azure-native then finds nothing to delete. Purging one that is hidden already is not
  documented and said not to work (https://github.com/Azure/azure-cli/issues/33756).
- a vault can be purged once it is hidden: this one is made before the vault, and frees the name first if an earlier run
  of this very stack has left it hidden; it is deleted after the vault, and purges what that left.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import Input, ResourceOptions
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from providers import checks, dynamic_host
from providers.arm import ArmId, same_id
from providers.kind import AzureArgs, Kind, Refusal, client, deadline, resource_props, without_provider
from providers.ownership import TAG, refuse_to_delete_stranger
from providers.schema import LOCAL, REPLACE, prop

VAULTS = "2024-11-01"
"""api-version of Microsoft.KeyVault."""


@dataclass(frozen=True, kw_only=True)
class PurgeArgs(AzureArgs):
    target: Input[str] = prop("ARM id of the workspace or key vault.", check=checks.arm_id, change=REPLACE, wire=None)
    location: Input[str] = prop("Its region.", change=REPLACE, wire=None)
    owner: Input[str] = prop("The stack's marker, which it must carry to be purged.", change=LOCAL, wire=None)


class PurgeKind(Kind):
    args = PurgeArgs

    def create(self, props: Mapping[str, Any]) -> CreateResult:
        if _is_vault(props):
            hidden = _hidden_vault(props)
            if hidden is not None and not _of_this_stack(hidden, props):
                raise Refusal(
                    f"{ArmId.parse(props['target']).name} is the name of a deleted key vault that is not this stack's "
                    f"({hidden['properties'].get('vaultId')}); set `foundation.key_vault` to another name, or purge it "
                    f"by `az keyvault purge --name {ArmId.parse(props['target']).name}`",
                    name="vault-name-held",
                )
            if hidden is not None:
                _purge_vault(props)
        return CreateResult(f"{props['target']}/purge", self.owned(props))

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        """NO-OP: it exists in the stack alone."""
        inputs = self.owned(props)
        return ReadResult(id_, inputs, inputs)

    def update(self, _id: str, _olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        """NO-OP: what can change is read when it is deleted."""
        return UpdateResult(without_provider(news))

    def delete(self, _id: str, props: Mapping[str, Any]) -> None:
        vault = _is_vault(props)
        version = VAULTS if vault else str(props["api_version"])
        live = client(props).get(props["target"], api_version=version)
        if live is not None:
            refuse_to_delete_stranger(live, props["owner"])
            client(props).delete(
                props["target"],
                api_version=version,
                query=None if vault else {"forceToPurge": "true"},
                deadline=deadline(props, "delete"),
                progress=dynamic_host.progress(),
            )
        if vault and (hidden := _hidden_vault(props)) and _of_this_stack(hidden, props):
            _purge_vault(props)


class Purge(Resource, module="azureml", name="Purge"):
    def __init__(self, name: str, args: PurgeArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__(PurgeKind(), name, resource_props(args, ()), opts)


def _is_vault(props: Mapping[str, Any]) -> bool:
    return ArmId.parse(props["target"]).type.lower() == "microsoft.keyvault/vaults"


def _hidden_id(props: Mapping[str, Any]) -> str:
    vault = ArmId.parse(props["target"])
    return (
        f"/subscriptions/{vault.subscription}/providers/Microsoft.KeyVault/locations/{props['location']}"
        f"/deletedVaults/{vault.name}"
    )


def _hidden_vault(props: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is told of a deleted vault of this name in this subscription and region, None where there is none."""
    return client(props).get(_hidden_id(props), api_version=VAULTS)


def _of_this_stack(hidden: Mapping[str, Any], props: Mapping[str, Any]) -> bool:
    """Whether it lay at this very id and was made by this stack, in this life or an earlier one.

    The marker's last part is another in each life of a stack; project and stack are the same.
    """
    told = hidden.get("properties") or {}
    stack = str(props["owner"]).rpartition("/")[0]
    marker = str((told.get("tags") or {}).get(TAG, ""))
    return same_id(str(told.get("vaultId")), props["target"]) and marker.rpartition("/")[0] == stack


def _purge_vault(props: Mapping[str, Any]) -> None:
    client(props).post(
        f"{_hidden_id(props)}/purge",
        api_version=VAULTS,
        idempotent=True,
        wait=True,
        deadline=deadline(props, "delete"),
        progress=dynamic_host.progress(),
    )
