"""Batch endpoints."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids, operations, workspaces
from lab.emulator.call import Call, Reply
from lab.emulator.create_only import settle_create_only
from lab.emulator.deleted_names import refuse_deleted, remember_deleted
from lab.emulator.envelope import optional_parts, said_identity, system_data, tracked
from lab.emulator.errors import AzureError, user_error
from lab.emulator.paging import page
from lab.emulator.shapes import Property, Shape, Text, Texts, read_body

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

KIND = "endpoint"

_BODY = tracked(
    Shape(
        {
            "authMode": Property(Text(("AMLToken", "Key", "AADToken")), required=True),
            "description": Property(Text()),
            "properties": Property(Texts(), default={}),
            "keys": Property(Shape({"primaryKey": Property(Text()), "secondaryKey": Property(Text())}), sparse=True),
            "defaults": Property(Shape({"deploymentName": Property(Text())}), default={"deploymentName": None}),
        },
        read_only=("scoringUri", "swaggerUri", "provisioningState"),
    )
)
_PATCH = Shape(
    {
        "tags": Property(Texts(tags=True), sparse=True),
        "identity": _BODY.properties["identity"],
    }
)


def put_endpoint(cloud: Cloud, call: Call) -> Reply:
    """201 creates, 200 updates; both answer before the operation ends."""
    name = call.params["endpoint"]
    given = read_body(_BODY, call.json_object(), "Endpoint")
    extras = optional_parts(given)
    old = cloud.store.get(ids.endpoint(call.workspace, name))
    if old is None:
        _check_new(cloud, call, name)
    else:
        operations.refuse_while_pending(cloud, old["id"], f"Endpoint '{name}'")
    if given["properties"]["authMode"] != "AADToken":
        raise user_error(
            400,
            f"Auth mode '{given['properties']['authMode']}' is not supported for batch endpoints. Use 'AADToken'.",
            inner=("BadArgument", "AuthModeNotSupported"),
        )
    _check_default(cloud, ids.endpoint(call.workspace, name), given["properties"]["defaults"]["deploymentName"])
    body = _endpoint(name, given, extras, call, old)
    if old is not None:
        body = settle_create_only(cloud.plays, "Endpoint", old, body, ("location", "properties.properties"))
    cloud.store.put(KIND, call.workspace, body, call.now)
    operation = operations.begin(
        cloud,
        call,
        operations.ENDPOINT,
        body["id"],
        kind=KIND,
        parent=call.workspace,
        seconds=cloud.plays.operation_seconds,
        then={"properties": {"provisioningState": "Succeeded", "scoringUri": scoring_uri(body["name"])}},
    )
    said = operations.headers(cloud, call, operation, location=body["id"])
    return Reply(201 if old is None else 200, operations.with_uri(call, body, said), said)


def get_endpoint(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, find(cloud, call.workspace, call.params["endpoint"]))


def list_endpoints(cloud: Cloud, call: Call) -> Reply:
    return page(cloud, call, KIND, call.workspace)


def patch_endpoint(cloud: Cloud, call: Call) -> Reply:
    """Tags and identity, at once; `defaults` and the rest change by PUT only (specified since 2022-05-01)."""
    given = read_body(_PATCH, call.json_object(), "Endpoint")
    body = find(cloud, call.workspace, call.params["endpoint"])
    operations.refuse_while_pending(cloud, body["id"], f"Endpoint '{body['name']}'")
    if "tags" in given:
        body["tags"] = given["tags"]
    who = said_identity(given.get("identity"))
    if who is not None:
        body["identity"] = who
    body["systemData"] = system_data(call.now, body)
    cloud.store.put(KIND, call.workspace, body, call.now)
    return Reply(200, body)


def delete_endpoint(cloud: Cloud, call: Call) -> Reply:
    """202 with the body `null`; its deployments go with it."""
    body = cloud.store.get(ids.endpoint(call.workspace, call.params["endpoint"]))
    if body is None:
        return Reply(204)
    operations.refuse_while_pending(cloud, body["id"], f"Endpoint '{body['name']}'")
    body["properties"]["provisioningState"] = "Deleting"
    cloud.store.put(KIND, call.workspace, body, call.now)
    remember_deleted(cloud, call, body["id"])
    operation = operations.begin(
        cloud,
        call,
        operations.ENDPOINT,
        body["id"],
        kind=KIND,
        parent=call.workspace,
        seconds=cloud.plays.operation_seconds,
        then=None,
    )
    return Reply(202, None, operations.headers(cloud, call, operation))


def list_keys(cloud: Cloud, call: Call) -> Reply:
    """The real answer of an endpoint that takes Entra ID tokens is unknown; the lab makes keys up, once for each."""
    body = find(cloud, call.workspace, call.params["endpoint"])
    keys = [cloud.store.fact(f"{which} key of {body['id'].lower()}", secrets.token_urlsafe(32)) for which in "12"]
    return Reply(200, {"primaryKey": keys[0], "secondaryKey": keys[1]})


def find(cloud: Cloud, workspace: str, name: str) -> dict[str, Any]:
    """The endpoint. Raises the recorded 404."""
    body = cloud.store.get(ids.endpoint(workspace, name))
    if body is None:
        raise _no_endpoint(workspace, name)
    return body


def in_region(cloud: Cloud, name: str) -> dict[str, Any] | None:
    """The endpoint of this name, whatever workspace it lies in: names are unique in the region."""
    places = [ids.WORKSPACE, *cloud.store.ids(workspaces.KIND)]
    return next((body for place in places if (body := cloud.store.get(ids.endpoint(place, name)))), None)


def scoring_uri(name: str) -> str:
    return f"https://{name}.{identity.LOCATION}.inference.ml.azure.com/jobs"


def _no_endpoint(workspace: str, name: str) -> AzureError:
    return user_error(
        404,
        f"An endpoint with the name '{name}' does not exist in the workspace '{ids.name_of(workspace)}'. Please check "
        "the endpoint name and also ensure the current user has access to it.",
        inner=("NotFound", "EndpointNotFound"),
    )


def _check_new(cloud: Cloud, call: Call, name: str) -> None:
    if not ids.ENDPOINT_NAME.fullmatch(name):
        raise user_error(
            400,
            f"The endpoint name '{name}' is not valid. It must be 3 to 32 characters, begin with a letter, end with a "
            "letter or a digit, and hold letters, digits and single dashes only.",
            inner=("BadArgument", "InvalidEndpointName"),
        )
    taken = {each.lower() for each in cloud.plays.taken_names}
    if name.lower() in taken or in_region(cloud, name) is not None:
        status = 409 if cloud.plays.duplicate_name == "conflict" else 400
        raise user_error(
            status,
            f"There is already an endpoint with this name. Endpoint names must be unique in the region "
            f"{identity.LOCATION}, '{name}' is taken.",
            inner=("Conflict" if status == 409 else "BadArgument", "EndpointNameAlreadyExists"),
        )
    refuse_deleted(cloud, call, ids.endpoint(call.workspace, name), f"Endpoint '{name}'")
    if cloud.store.count(KIND) >= cloud.plays.endpoints_per_region:
        raise user_error(
            400,
            f"The limit of {cloud.plays.endpoints_per_region} endpoints per subscription and region is reached.",
            inner=("BadArgument", "QuotaExceeded"),
        )


def _check_default(cloud: Cloud, endpoint_id: str, deployment: str | None) -> None:
    if not deployment or cloud.plays.default_names_nothing == "accept":
        return
    if cloud.store.get(f"{endpoint_id}/deployments/{deployment}") is None:
        raise user_error(
            400,
            f"The default deployment '{deployment}' does not exist in the endpoint '{ids.name_of(endpoint_id)}'.",
            inner=("BadArgument", "DeploymentNotFound"),
        )


def _endpoint(
    name: str, given: dict[str, Any], extras: dict[str, Any], call: Call, old: dict[str, Any] | None
) -> dict[str, Any]:
    arm_id = old["id"] if old else ids.endpoint(call.workspace, name)
    properties = given["properties"]
    injected = {"BatchEndpointCreationApiVersion": call.api_version, "azureml.onlineendpointid": arm_id}
    if old:
        injected = {key: old["properties"]["properties"].get(key, value) for key, value in injected.items()}
    return {
        "id": arm_id,
        "name": old["name"] if old else name,
        "type": "Microsoft.MachineLearningServices/workspaces/batchEndpoints",
        "properties": {
            "description": properties["description"],
            "properties": {**properties["properties"], **injected},
            "scoringUri": old["properties"]["scoringUri"] if old else None,
            "swaggerUri": None,
            "authMode": properties["authMode"],
            "defaults": {"deploymentName": properties["defaults"]["deploymentName"] or None},
            "provisioningState": "Updating" if old else "Creating",
        },
        "systemData": system_data(call.now, old),
        "tags": given["tags"],
        "location": given["location"],
        **extras,
    }
