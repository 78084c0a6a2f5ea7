"""Resource groups. The lab's own is there from its birth and stays; deleting another deletes all that lies in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids, resource_manager, tracked, workspace_changes, workspaces
from lab.emulator.call import Call, Reply
from lab.emulator.errors import AzureError, arm_error, unknown
from lab.emulator.shapes import Property, Shape, Text, Texts, read_body

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

KIND = "resource group"
_NAME = re.compile(r"[-\w._()]{0,89}[-\w_()]")
"""https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules"""
_BODY = Shape(
    {
        "location": Property(Text(), required=True),
        "tags": Property(Texts(), default={}),
        "managedBy": Property(Text(), sparse=True),
        "properties": Property(Shape({}, read_only=("provisioningState",)), sparse=True),
    },
    read_only=("id", "name", "type"),
)


def list_groups(cloud: Cloud, call: Call) -> Reply:
    made = (cloud.store.get(arm_id) for arm_id in cloud.store.ids(KIND))
    found = [_own(), *(body for body in made if body is not None)]
    return Reply(200, {"value": resource_manager.filtered(call, found)})


def get_group(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, of(cloud, call.params["group"]))


def put_group(cloud: Cloud, call: Call) -> Reply:
    """201 makes one, 200 changes its tags; the region of one cannot change."""
    name = call.params["group"]
    if name.lower() == identity.RESOURCE_GROUP:
        raise unknown(f"changes of the resource group '{name}', which the lab was born with")
    if not _NAME.fullmatch(name):
        raise arm_error(400, "InvalidResourceGroup", f"The provided resource group name '{name}' is not valid.")
    given = read_body(_BODY, call.json_object(), "ResourceGroup")
    old = cloud.store.get(ids.group(name))
    if old is not None and old["location"] != given["location"]:
        raise arm_error(
            409,
            "InvalidResourceGroupLocation",
            f"Invalid resource group location '{given['location']}'. The Resource group already exists in location "
            f"'{old['location']}'.",
        )
    body = {
        "id": old["id"] if old else ids.group(name),
        "name": old["name"] if old else name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": given["location"],
        "tags": given["tags"],
        **({"managedBy": given["managedBy"]} if given.get("managedBy") else {}),
        "properties": {"provisioningState": "Succeeded"},
    }
    cloud.store.put(KIND, ids.SUBSCRIPTION, body, call.now)
    return Reply(200 if old else 201, body)


def delete_group(cloud: Cloud, call: Call) -> Reply:
    """200 at once, with all that lies in it; workspaces and vaults in it are soft-deleted. 404 for an absent one."""
    name = call.params["group"]
    if name.lower() == identity.RESOURCE_GROUP:
        raise unknown(f"deleting the resource group '{name}', which the lab was born with")
    arm_id = of(cloud, name)["id"]
    for workspace in workspaces.known(cloud):
        if ids.group_of(workspace["id"]).lower() == name.lower():
            workspace_changes.give_up(cloud, workspace, call.now, purge=False)
    tracked.give_up_all(cloud, arm_id, call.now)
    cloud.store.delete(arm_id)
    return Reply(200)


def of(cloud: Cloud, name: str) -> dict[str, Any]:
    """A resource group by name. Raises ARM's 404."""
    body = _own() if name.lower() == identity.RESOURCE_GROUP else cloud.store.get(ids.group(name))
    if body is None:
        raise no_group(name)
    return body


def no_group(name: str) -> AzureError:
    return arm_error(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")


def _own() -> dict[str, Any]:
    return {
        "id": ids.GROUP,
        "name": identity.RESOURCE_GROUP,
        "type": "Microsoft.Resources/resourceGroups",
        "location": identity.LOCATION,
        "tags": {},
        "properties": {"provisioningState": "Succeeded"},
    }
