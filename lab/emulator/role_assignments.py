"""Role assignments of every scope, and what they come to: who may do what in a storage account, and since when.

The lab's own principal owns the subscription, which, as in Azure, opens no blob; in the storage account that the lab is
born with it may do all that a test needs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids
from lab.emulator.call import Call, Reply
from lab.emulator.errors import AzureError, arm_error, unknown
from lab.emulator.roles import ROLES, Role
from lab.emulator.shapes import Property, Shape, Text, read_body
from lab.emulator.timestamps import seven_digits

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

KIND = "role assignment"
PROVIDER = "Microsoft.Authorization"
_PATH = re.compile(rf"/?(?P<scope>.+?)/providers/{PROVIDER}/roleAssignments(?:/(?P<name>[^/]+))?/?", re.IGNORECASE)
_ROLE = re.compile(rf".*/providers/{PROVIDER}/roleDefinitions/([0-9a-f-]{{36}})", re.IGNORECASE)
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_BODY = Shape(
    {
        "properties": Property(
            Shape(
                {
                    "roleDefinitionId": Property(Text(), required=True),
                    "principalId": Property(Text(), required=True),
                    "principalType": Property(
                        Text(("User", "Group", "ServicePrincipal", "ForeignGroup", "Device")), default="User"
                    ),
                    "description": Property(Text(), sparse=True),
                },
                read_only=("scope", "createdOn", "updatedOn", "createdBy", "updatedBy"),
            ),
            required=True,
        )
    },
    read_only=("id", "name", "type"),
)


def answer(cloud: Cloud, call: Call) -> Reply | None:
    """The reply to a request about role assignments; None for any other."""
    found = _PATH.fullmatch(call.path)
    if found is None:
        return None
    scope, name = f"/{found['scope']}", found["name"]
    if name is None:
        if call.method != "GET":
            raise unknown(f"{call.method} {call.path}")
        return Reply(200, {"value": [body for body in _known(cloud) if _within(body["properties"]["scope"], scope)]})
    arm_id = f"{scope}/providers/{PROVIDER}/roleAssignments/{name}"
    body = cloud.store.get(arm_id)
    if call.method == "PUT":
        return _put(cloud, call, arm_id, scope, body)
    if call.method == "GET":
        if body is None:
            raise arm_error(404, "RoleAssignmentNotFound", f"The role assignment '{name}' is not found.")
        return Reply(200, body)
    if call.method == "DELETE":
        if body is None:
            return Reply(204)
        cloud.store.delete(arm_id)
        return Reply(200, body)
    raise unknown(f"{call.method} {call.path}")


def lacking(cloud: Cloud, principal: str, wanted: frozenset[str], scope: str, now: float) -> list[str]:
    """Which of the `wanted` (words of `roles`) no role of a principal allows at a scope by now, in order."""
    held: set[str] = set()
    for body in _known(cloud):
        properties = body["properties"]
        if properties["principalId"].lower() != principal.lower() or not _within(scope, properties["scope"]):
            continue
        made = cloud.store.created(body["id"]) or 0.0
        if made + cloud.plays.role_assignment_seconds <= now:
            held |= _role(properties["roleDefinitionId"]).allows
    return sorted(wanted - held)


def _put(cloud: Cloud, call: Call, arm_id: str, scope: str, old: dict[str, Any] | None) -> Reply:
    """201 makes one. What one says cannot change, and no second one may say the same."""
    name = ids.name_of(arm_id)
    if not _GUID.fullmatch(name):
        raise arm_error(400, "InvalidRoleAssignmentId", f"The role assignment ID '{name}' is not valid.")
    _check_scope(cloud, scope)
    given = read_body(_BODY, call.json_object(), "RoleAssignment")["properties"]
    _role(given["roleDefinitionId"])
    same = ("roleDefinitionId", "principalId")
    if old is not None and any(old["properties"][each].lower() != given[each].lower() for each in same):
        raise arm_error(
            400,
            "RoleAssignmentUpdateNotPermitted",
            "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
        )
    for body in _known(cloud):
        told = body["properties"]
        twin = told["scope"].lower() == scope.lower() and all(
            told[each].lower() == given[each].lower() for each in same
        )
        if twin and body["id"].lower() != arm_id.lower():
            raise arm_error(409, "RoleAssignmentExists", f"The role assignment already exists. ID: {body['name']}.")
    instant = seven_digits(call.now)
    body = {
        "id": old["id"] if old else arm_id,
        "name": name,
        "type": f"{PROVIDER}/roleAssignments",
        "properties": {
            **given,
            "scope": scope,
            "condition": None,
            "conditionVersion": None,
            "createdOn": old["properties"]["createdOn"] if old else instant,
            "updatedOn": instant,
            "createdBy": identity.PRINCIPAL_ID,
            "updatedBy": identity.PRINCIPAL_ID,
        },
    }
    cloud.store.put(KIND, scope, body, call.now)
    return Reply(200 if old else 201, body)


def _known(cloud: Cloud) -> list[dict[str, Any]]:
    bodies = (cloud.store.get(arm_id) for arm_id in cloud.store.ids(KIND))
    return [body for body in bodies if body is not None]


def _within(inner: str, outer: str) -> bool:
    """Whether one scope is another, or lies in it."""
    return f"{inner.lower()}/".startswith(f"{outer.lower()}/")


def _check_scope(cloud: Cloud, scope: str) -> None:
    """What does not exist can have no roles. Scopes of the lab's own group are not looked at closer."""
    inside = scope.lower() == ids.SUBSCRIPTION.lower() or _within(scope, ids.GROUP)
    if not inside and cloud.store.get(scope) is None:
        raise arm_error(404, "ResourceNotFound", f"The scope '{scope}' was not found.")


def _role(definition_id: str) -> Role:
    found = _ROLE.fullmatch(definition_id)
    known = ROLES.get(found[1].lower()) if found else None
    if known is None:
        raise _no_role(definition_id)
    return known


def _no_role(definition_id: str) -> AzureError:
    listed = ", ".join(f"{role.name} ({guid})" for guid, role in ROLES.items())
    return unknown(f"the role '{definition_id}'; it knows {listed}")
