"""Deleted key vaults. Every deleted vault is soft-deleted, and holds its name until it is purged or its days are over.

https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview; the shapes are those of the specification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids
from lab.emulator.call import Call, Reply
from lab.emulator.errors import arm_error
from lab.emulator.timestamps import zulu

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

DELETED = "deletedVaults"
_DAY = 86_400.0


def remember(cloud: Cloud, body: dict[str, Any], now: float) -> None:
    """Keep what is told of a vault that was deleted just now."""
    days = float(body["properties"]["softDeleteRetentionInDays"])
    told = {
        "id": _deleted_id(body["name"]),
        "name": body["name"],
        "type": f"Microsoft.KeyVault/{DELETED}",
        "properties": {
            "vaultId": body["id"],
            "location": body["location"],
            "tags": body["tags"],
            "deletionDate": zulu(now),
            "scheduledPurgeDate": zulu(now + days * _DAY),
            "purgeProtectionEnabled": body["properties"].get("enablePurgeProtection"),
        },
    }
    cloud.store.put(DELETED, ids.SUBSCRIPTION, told, now)


def refuse_deleted(cloud: Cloud, name: str) -> None:
    """Raise 409 while a deleted vault holds the name."""
    if cloud.store.get(_deleted_id(name)) is not None:
        raise arm_error(
            409,
            "ConflictError",
            "A vault with the same name already exists in deleted state. You need to either recover or purge existing "
            "key vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more information on soft "
            "delete.",
        )


def list_deleted(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, {"value": cloud.store.children(DELETED, ids.SUBSCRIPTION)})


def get_deleted(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, _find(cloud, call))


def purge(cloud: Cloud, call: Call) -> Reply:
    """200 at once; the real service says 202 and takes about a minute."""
    body = _find(cloud, call)
    if body["properties"]["purgeProtectionEnabled"]:
        raise arm_error(
            409, "VaultPurgeProtected", f"The vault '{body['name']}' has purge protection and cannot be purged."
        )
    cloud.store.delete(body["id"])
    return Reply(200)


def _find(cloud: Cloud, call: Call) -> dict[str, Any]:
    body = cloud.store.get(_deleted_id(call.params["name"]))
    if body is None or call.params["location"].lower() != identity.LOCATION:
        raise arm_error(
            404, "DeletedVaultNotFound", f"The specified deleted vault '{call.params['name']}' is not there."
        )
    return body


def _deleted_id(name: str) -> str:
    return f"{ids.SUBSCRIPTION}/providers/Microsoft.KeyVault/locations/{identity.LOCATION}/{DELETED}/{name}"
