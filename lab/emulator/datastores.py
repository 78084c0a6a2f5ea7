"""The workspace's datastores: two are seeded, others may be put; their secrets are told to who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids, workspaces
from lab.emulator.call import Call, Reply
from lab.emulator.errors import unknown, user_error
from lab.emulator.filters import in_order, passing
from lab.emulator.paging import page_of
from lab.emulator.shapes import OneOf, Property, Shape, Text, Texts, read_body
from lab.emulator.timestamps import seven_digits

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

KIND = "datastore"
SECRETS = "datastore secrets"
SEEDED = (identity.DEFAULT_DATASTORE, "workspaceartifactstore")
"""Datastores that a workspace is born with."""

_CREDENTIALS = OneOf(
    "credentialsType",
    {
        "None": Shape({}),
        "AccountKey": Shape(
            {"secrets": Property(OneOf("secretsType", {"AccountKey": Shape({"key": Property(Text())})}))}
        ),
        "Sas": Shape({"secrets": Property(OneOf("secretsType", {"Sas": Shape({"sasToken": Property(Text())})}))}),
    },
)
_AZURE_BLOB = Shape(
    {
        "description": Property(Text()),
        "tags": Property(Texts(tags=True)),
        "properties": Property(Texts()),
        "credentials": Property(_CREDENTIALS, required=True),
        "accountName": Property(Text(), required=True),
        "containerName": Property(Text(), required=True),
        "endpoint": Property(Text(), default="core.windows.net"),
        "protocol": Property(Text(), default="https"),
        "subscriptionId": Property(Text(), sparse=True),
        "resourceGroup": Property(Text(), sparse=True),
        "serviceDataAccessAuthIdentity": Property(
            Text(("None", "WorkspaceSystemAssignedIdentity", "WorkspaceUserAssignedIdentity")), default="None"
        ),
    },
    read_only=("isDefault",),
)
_BODY = Shape(
    {"properties": Property(OneOf("datastoreType", {"AzureBlob": _AZURE_BLOB}), required=True)},
    read_only=("id", "name", "type", "systemData"),
)
_OTHER_TYPES = ("AzureDataLakeGen1", "AzureDataLakeGen2", "AzureFile", "OneLake", "Hdfs")


def containers(cloud: Cloud, workspace: str) -> dict[str, str]:
    """Datastore name, lower-cased, to container: those that lie in the workspace's own account."""
    account = workspaces.account_of(cloud, workspace).lower()
    put = {
        body["name"].lower(): str(body["properties"]["containerName"])
        for body in cloud.store.children(KIND, workspace)
        if body["properties"]["accountName"].lower() == account
    }
    return {**put, **_born_containers(cloud, workspace)}


def _born_containers(cloud: Cloud, workspace: str) -> dict[str, str]:
    return dict(zip(SEEDED, workspaces.containers_of(cloud, workspace), strict=True))


def get_datastore(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, _find(cloud, call))


def list_datastores(cloud: Cloud, call: Call) -> Reply:
    """Filters: `isDefault`, `names`, `searchText`. Order: `orderBy` with `orderByAsc`, else that of their creation."""
    passing(call, beside=_QUERY)
    only_default = {"true": True, "false": False}.get(call.query.get("isdefault", "").lower())
    names = [name for name in call.query.get("names", "").lower().split(",") if name]
    search = call.query.get("searchtext", "").lower()
    older = call.now - cloud.plays.delayed_listing
    there = [_seeded(cloud, call.workspace, name) for name in SEEDED]
    found = [
        body
        for body in there + cloud.store.children(KIND, call.workspace, older_than=older)
        if (only_default is None or only_default == body["properties"]["isDefault"])
        and (not names or body["name"].lower() in names)
        and search in body["name"].lower()
    ]
    upwards = "orderby" not in call.query or call.query.get("orderbyasc", "").lower() == "true"
    order = call.query.get("orderby", "createdtime")
    return page_of(call, in_order(found, f"{order} {'asc' if upwards else 'desc'}"))


_QUERY = ("isdefault", "names", "searchtext", "orderby", "orderbyasc")


def put_datastore(cloud: Cloud, call: Call) -> Reply:
    """201 makes one, 200 changes it. Neither account nor secret is tried out, whatever `skipValidation` says."""
    name = call.params["datastore"]
    given = call.json_object()
    _refuse_other_types(given)
    properties = read_body(_BODY, given, "Datastore")["properties"]
    if name.lower() in SEEDED:
        raise unknown(f"changes of the datastore '{name}', which the workspace was born with")
    if not ids.DATASTORE_NAME.fullmatch(name):
        raise user_error(
            400,
            f"The datastore name '{name}' is not valid. It must be 1 to 255 characters, letters, digits and "
            "underscores only, and not begin with an underscore.",
            inner=("BadArgument", "InvalidDatastoreName"),
        )
    secrets = (properties["credentials"] or {}).pop("secrets", None)
    old = cloud.store.get(ids.datastore(call.workspace, name))
    body = _resource(ids.datastore(call.workspace, name), {**properties, "isDefault": False}, old or {}, call.now)
    with cloud.store.together():
        cloud.store.put(KIND, call.workspace, body, call.now)
        if secrets is not None or old is None:
            kept = {"id": f"{ids.datastore(call.workspace, name)}/secrets", "secrets": secrets}
            cloud.store.put(SECRETS, ids.datastore(call.workspace, name), kept, call.now)
    return Reply(201 if old is None else 200, body)


def delete_datastore(cloud: Cloud, call: Call) -> Reply:
    """200, 204 for an absent one. What lies in its container stays."""
    name = call.params["datastore"]
    if name.lower() in SEEDED:
        raise user_error(
            409,
            f"The datastore '{name}' belongs to the workspace and cannot be deleted.",
            inner=("Conflict", "DatastoreInUse"),
        )
    if cloud.store.get(ids.datastore(call.workspace, name)) is None:
        return Reply(204)
    cloud.store.delete(ids.datastore(call.workspace, name))
    return Reply(200)


def list_secrets(cloud: Cloud, call: Call) -> Reply:
    """The account key. The newer request body (`expirableSecret`) is taken, and answered with the key all the same."""
    body = _find(cloud, call)
    if body["name"].lower() in SEEDED:
        if body["properties"]["credentials"]["credentialsType"] == "None":
            raise user_error(
                400,
                f"The datastore '{body['name']}' has no credentials: it is accessed by identity.",
                inner=("BadArgument", "NoCredentials"),
            )
        return Reply(200, {"secretsType": "AccountKey", "key": workspaces.key_of(cloud, call.workspace)})
    kept = cloud.store.get(f"{body['id']}/secrets") or {}
    return Reply(200, kept.get("secrets") or {"secretsType": body["properties"]["credentials"]["credentialsType"]})


def _refuse_other_types(given: dict[str, Any]) -> None:
    properties = next((value for name, value in given.items() if name.lower() == "properties"), None)
    pairs = properties.items() if isinstance(properties, dict) else ()
    kind = next((str(value) for name, value in pairs if name.lower() == "datastoretype"), "")
    if kind.lower() in {other.lower() for other in _OTHER_TYPES}:
        raise unknown(f"datastores of the type '{kind}'; it has blob storage alone (AzureBlob)")


def _find(cloud: Cloud, call: Call) -> dict[str, Any]:
    name = call.params["datastore"]
    if name.lower() in SEEDED:
        return _seeded(cloud, call.workspace, name.lower())
    body = cloud.store.get(ids.datastore(call.workspace, name))
    if body is None:
        raise user_error(
            404,
            f"Could not find datastore {name} in workspace {ids.name_of(call.workspace)}.",
            inner=("NotFound", "DatastoreNotFound"),
        )
    return body


def _seeded(cloud: Cloud, workspace: str, name: str) -> dict[str, Any]:
    by_identity = workspaces.of(cloud, workspace)["properties"].get("systemDatastoresAuthMode") == "identity"
    properties = {
        "description": None,
        "tags": None,
        "properties": None,
        "isDefault": name == identity.DEFAULT_DATASTORE,
        "credentials": {"credentialsType": "None" if by_identity else "AccountKey"},
        "datastoreType": "AzureBlob",
        "accountName": workspaces.account_of(cloud, workspace),
        "containerName": _born_containers(cloud, workspace)[name],
        "endpoint": "core.windows.net",
        "protocol": "https",
        "serviceDataAccessAuthIdentity": "WorkspaceSystemAssignedIdentity",
    }
    return _resource(ids.datastore(workspace, name), properties, {}, workspaces.born(cloud, workspace))


def _resource(arm_id: str, properties: dict[str, Any], old: dict[str, Any], now: float) -> dict[str, Any]:
    instant = seven_digits(now)
    return {
        "id": old.get("id") or arm_id,
        "name": old.get("name") or ids.name_of(arm_id),
        "type": "Microsoft.MachineLearningServices/workspaces/datastores",
        "properties": properties,
        "systemData": {
            "createdAt": instant,
            "createdBy": "lab",
            "createdByType": "Application",
            **old.get("systemData", {}),
            "lastModifiedAt": instant,
            "lastModifiedBy": "lab",
            "lastModifiedByType": "Application",
        },
    }
