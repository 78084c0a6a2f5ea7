"""Storage accounts: which there are, who may come in, and what their key opens."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from lab import identity
from lab.emulator import ids, role_assignments
from lab.emulator.call import Call, Reply
from lab.emulator.roles import READ, WRITE

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

KIND = "Microsoft.Storage/storageAccounts"
OWN = f"{ids.GROUP}/providers/Microsoft.Storage/storageAccounts/{identity.STORAGE_ACCOUNT}"


def names(cloud: Cloud) -> list[str]:
    """Every account, the lab's own first."""
    return [identity.STORAGE_ACCOUNT, *(ids.name_of(arm_id) for arm_id in cloud.store.ids(KIND))]


def find(cloud: Cloud, name: str) -> str | None:
    """The ARM id of an account, whose name is unique in the whole cloud."""
    return next((arm_id for arm_id in [OWN, *cloud.store.ids(KIND)] if ids.name_of(arm_id) == name.lower()), None)


def opens(cloud: Cloud, name: str, now: float) -> bool | None:
    """Whether Entra ID tokens of the lab's principal open an account's blobs now; None where there is no such account.

    In the lab's own account the roles are as old as the lab, or as `role_assignment_seconds` says; in another one they
    are what was assigned.
    """
    arm_id = find(cloud, name)
    if arm_id is None:
        return None
    if arm_id == OWN:
        return now >= cloud.roles_work_from
    return not role_assignments.lacking(cloud, identity.PRINCIPAL_ID, frozenset({READ, WRITE}), arm_id, now)


def told_key(cloud: Cloud, arm_id: str) -> str:
    """The account's key, as Azure tells it. Where shared keys are off it is told all the same, and opens nothing."""
    body = cloud.store.get(arm_id)
    if body is None or body["properties"].get("allowSharedKeyAccess") is not False:
        return cloud.config.storage_key
    return base64.b64encode(hashlib.sha512(arm_id.lower().encode()).digest()).decode()


def list_keys(cloud: Cloud, call: Call) -> Reply:
    """POST listKeys: two keys that are one in the lab."""
    key = told_key(cloud, "/" + call.path.strip("/").rpartition("/")[0])
    told = [{"keyName": name, "value": key, "permissions": "FULL"} for name in ("key1", "key2")]
    return Reply(200, {"keys": told})
