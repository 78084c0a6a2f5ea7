"""Compute clusters (AmlCompute). They cost nothing here and score nothing: jobs run on this machine."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids, operations
from lab.emulator.call import Call, Reply
from lab.emulator.errors import user_error
from lab.emulator.paging import page
from lab.emulator.shapes import (
    INT32,
    Anything,
    Duration,
    MapOf,
    OneOf,
    Property,
    Shape,
    Text,
    Texts,
    Truth,
    Whole,
    read_body,
)
from lab.emulator.timestamps import seven_digits

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

KIND = "compute"
IDENTITY_TYPES = ("None", "SystemAssigned", "UserAssigned", "SystemAssigned,UserAssigned")

_SCALE = Shape(
    {
        "maxNodeCount": Property(Whole(0, INT32), required=True),
        "minNodeCount": Property(Whole(0, INT32), default=0),
        "nodeIdleTimeBeforeScaleDown": Property(Duration(), default="PT2M"),
    }
)
_AML_COMPUTE = Shape(
    {
        "osType": Property(Text(("Linux", "Windows")), default="Linux"),
        "vmSize": Property(Text(), required=True),
        "vmPriority": Property(Text(("Dedicated", "LowPriority")), default="Dedicated"),
        "virtualMachineImage": Property(Shape({"id": Property(Text(), required=True)})),
        "isolatedNetwork": Property(Truth(), default=False),
        "scaleSettings": Property(_SCALE, required=True),
        "userAccountCredentials": Property(
            Shape(
                {
                    "adminUserName": Property(Text(), required=True),
                    "adminUserSshPublicKey": Property(Text()),
                    "adminUserPassword": Property(Text()),
                }
            ),
            sparse=True,
        ),
        "subnet": Property(Shape({"id": Property(Text(), required=True)})),
        "remoteLoginPortPublicAccess": Property(Text(("Enabled", "Disabled", "NotSpecified")), default="NotSpecified"),
        "enableNodePublicIp": Property(Truth(), default=True),
        "propertyBag": Property(Anything(), default={}),
    },
    read_only=(
        "allocationState",
        "allocationStateTransitionTime",
        "errors",
        "currentNodeCount",
        "targetNodeCount",
        "nodeStateCounts",
    ),
)
_COMPUTE = Shape(
    {
        "computeLocation": Property(Text(), sparse=True),
        "description": Property(Text()),
        "resourceId": Property(Text()),
        "disableLocalAuth": Property(Truth(), default=False),
        "properties": Property(_AML_COMPUTE, required=True),
    },
    read_only=("createdOn", "modifiedOn", "provisioningState", "provisioningErrors", "isAttachedCompute"),
)
_BODY = Shape(
    {
        "location": Property(Text(), default=identity.LOCATION),
        "tags": Property(Texts(tags=True)),
        "sku": Property(Anything(), sparse=True),
        "identity": Property(
            Shape(
                {
                    "type": Property(Text(IDENTITY_TYPES), required=True),
                    "userAssignedIdentities": Property(MapOf(Anything()), sparse=True),
                },
                read_only=("principalId", "tenantId"),
            ),
            sparse=True,
        ),
        "properties": Property(OneOf("computeType", {"AmlCompute": _COMPUTE}), required=True),
    },
    read_only=("id", "name", "type", "systemData"),
)
_PATCH = Shape(
    {
        "properties": Property(
            Shape({"properties": Property(Shape({"scaleSettings": Property(_SCALE, required=True)}), required=True)}),
            required=True,
        )
    }
)


def put_compute(cloud: Cloud, call: Call) -> Reply:
    """201 for a creation and for an update alike, with provisioningState Creating (recorded)."""
    given = read_body(_BODY, call.json_object(), "Compute")
    if not ids.COMPUTE_NAME.fullmatch(call.params["compute"]):
        raise user_error(
            400,
            f"The compute name '{call.params['compute']}' is not valid.",
            inner=("BadArgument", "InvalidComputeName"),
        )
    arm_id = ids.compute(call.workspace, call.params["compute"])
    operations.refuse_while_pending(cloud, arm_id, f"Compute '{call.params['compute']}'")
    old = cloud.store.get(arm_id)
    given["identity"] = _identity(cloud, arm_id, given.get("identity"))
    body = _compute(arm_id, call.params["compute"], given, call.now, old)
    cloud.store.put(KIND, call.workspace, body, call.now)
    operation = operations.begin(
        cloud,
        call,
        operations.COMPUTE,
        arm_id,
        kind=KIND,
        parent=call.workspace,
        seconds=cloud.plays.compute_seconds,
        then=_provisioned(body, call.now + cloud.plays.compute_seconds),
    )
    return Reply(201, body, operations.headers(cloud, call, operation))


def get_compute(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, _find(cloud, call))


def list_computes(cloud: Cloud, call: Call) -> Reply:
    return page(cloud, call, KIND, call.workspace)


def patch_compute(cloud: Cloud, call: Call) -> Reply:
    """Scale settings, and nothing else."""
    given = read_body(_PATCH, call.json_object(), "Compute")
    body = _find(cloud, call)
    operations.refuse_while_pending(cloud, body["id"], f"Compute '{body['name']}'")
    body["properties"]["properties"]["scaleSettings"] = given["properties"]["properties"]["scaleSettings"]
    body["properties"]["modifiedOn"] = seven_digits(call.now)
    cloud.store.put(KIND, call.workspace, body, call.now)
    return Reply(200, body)


def delete_compute(cloud: Cloud, call: Call) -> Reply:
    """202 with no body at all (recorded); 204 for an absent one. `underlyingResourceAction` must be there."""
    action = call.query.get("underlyingresourceaction", "").lower()
    if action not in {"delete", "detach"}:
        raise user_error(
            400,
            "The query parameter 'underlyingResourceAction' is required and must be Delete or Detach, "
            f"got '{call.query.get('underlyingresourceaction', '')}'.",
            inner=("BadArgument", "MissingQueryParameter"),
        )
    body = cloud.store.get(ids.compute(call.workspace, call.params["compute"]))
    if body is None:
        return Reply(204)
    operations.refuse_while_pending(cloud, body["id"], f"Compute '{body['name']}'")
    body["properties"]["provisioningState"] = "Deleting"
    cloud.store.put(KIND, call.workspace, body, call.now)
    operation = operations.begin(
        cloud,
        call,
        operations.COMPUTE,
        body["id"],
        kind=KIND,
        parent=call.workspace,
        seconds=cloud.plays.compute_seconds,
        then=None,
    )
    return Reply(202, headers=operations.headers(cloud, call, operation))


def _find(cloud: Cloud, call: Call) -> dict[str, Any]:
    name = call.params["compute"]
    body = cloud.store.get(ids.compute(call.workspace, name))
    if body is None:
        raise user_error(
            404,
            f"Compute with name '{name}' does not exist in the workspace '{ids.name_of(call.workspace)}'.",
            inner=("NotFound", "ComputeNotFound"),
        )
    return body


def principals(body: dict[str, Any]) -> list[str]:
    """Object ids of a cluster's managed identities, the one that jobs run under first."""
    who = body.get("identity") or {}
    own = [who["principalId"]] if who.get("principalId") else []
    return [*own, *(each["principalId"] for each in (who.get("userAssignedIdentities") or {}).values())]


def _identity(cloud: Cloud, arm_id: str, given: dict[str, Any] | None) -> dict[str, Any] | None:
    """The identity as it is written back, with object ids. Raises 400 for one that is not there."""
    if given is None or given["type"] == "None":
        return given
    assigned: dict[str, Any] = {}
    for each in given.get("userAssignedIdentities") or {}:
        found = cloud.store.get(each)
        if found is None:
            raise user_error(
                400, f"The user-assigned identity '{each}' does not exist.", inner=("BadArgument", "IdentityNotFound")
            )
        assigned[each] = {name: found["properties"][name] for name in ("principalId", "clientId")}
    if ("UserAssigned" in given["type"]) != bool(assigned):
        raise user_error(
            400,
            f"identity: the type {given['type']} does not go with {len(assigned)} user-assigned identities.",
            inner=("BadArgument", "InvalidIdentity"),
        )
    own = {
        "principalId": str(uuid.uuid5(uuid.UUID(identity.TENANT_ID), arm_id.lower())),
        "tenantId": identity.TENANT_ID,
    }
    return {
        "type": given["type"],
        **(own if "SystemAssigned" in given["type"] else {}),
        **({"userAssignedIdentities": assigned} if assigned else {}),
    }


def _compute(arm_id: str, name: str, given: dict[str, Any], now: float, old: dict[str, Any] | None) -> dict[str, Any]:
    properties = given["properties"]
    cluster = properties["properties"]
    cluster.pop("propertyBag")  # said only once the cluster is there
    credentials = cluster.get("userAccountCredentials")
    if credentials:
        credentials["adminUserPassword"] = None
    cluster["vmSize"] = cluster["vmSize"].upper()
    nothing_yet = ("currentNodeCount", "targetNodeCount", "nodeStateCounts", "allocationState", "errors")
    body = {
        "id": old["id"] if old else arm_id,
        "name": old["name"] if old else name,
        "type": "Microsoft.MachineLearningServices/workspaces/computes",
        "location": given["location"],
        "tags": given["tags"],
        "properties": {
            "createdOn": old["properties"]["createdOn"] if old else seven_digits(now),
            "modifiedOn": seven_digits(now),
            "disableLocalAuth": properties["disableLocalAuth"],
            "description": properties["description"],
            "resourceId": properties["resourceId"],
            "computeType": "AmlCompute",
            "provisioningState": "Creating",
            "provisioningErrors": None,
            "isAttachedCompute": False,
            "properties": {**cluster, **dict.fromkeys(nothing_yet)},
        },
    }
    for name_, value in (("sku", given.get("sku")), ("identity", given.get("identity"))):
        if value is not None:
            body[name_] = value
    return body


def _provisioned(body: dict[str, Any], then: float) -> dict[str, Any]:
    """What the end of provisioning adds (recorded)."""
    counts = ("preparing", "running", "idle", "unusable", "leaving", "preempted")
    return {
        "tags": body["tags"] or {},
        "properties": {
            "modifiedOn": seven_digits(then),
            "computeLocation": body["location"],
            "provisioningState": "Succeeded",
            "properties": {
                "currentNodeCount": 0,
                "targetNodeCount": 0,
                "nodeStateCounts": {f"{state}NodeCount": 0 for state in counts},
                "allocationState": "Resizing",
                "allocationStateTransitionTime": seven_digits(then),
                "propertyBag": {},
            },
        },
    }
