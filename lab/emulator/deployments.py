"""Deployments of a batch endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lab.emulator import endpoints, ids, operations
from lab.emulator.asset_kinds import CODE, COMPONENT, ENVIRONMENT, MODEL
from lab.emulator.call import Call, Reply
from lab.emulator.create_only import settle_create_only
from lab.emulator.envelope import optional_parts, system_data, tracked
from lab.emulator.errors import Fault, unknown, user_error, validation_error
from lab.emulator.filters import in_order, passing
from lab.emulator.paging import page_of
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
    Whole,
    read_body,
)

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

KIND = "deployment"

_ASSET_ID = Shape({"assetId": Property(Text(pattern="."), required=True)})
PIPELINE = "PipelineComponent"
_PIPELINE = Shape(
    {
        "componentId": Property(OneOf("referenceType", {"Id": _ASSET_ID}), required=True),
        "description": Property(Text()),
        # azure-ai-ml sends booleans beside strings, whatever the specification says.
        "settings": Property(MapOf(Anything())),
        "tags": Property(Texts()),
    }
)
_BODY = tracked(
    Shape(
        {
            "description": Property(Text()),
            "properties": Property(Texts(), default={}),
            "codeConfiguration": Property(
                Shape(
                    {
                        "codeId": Property(Text()),
                        "scoringScript": Property(Text(pattern="[a-zA-Z0-9_]"), required=True),
                    }
                )
            ),
            "environmentId": Property(Text()),
            "environmentVariables": Property(Texts(), default={}),
            "compute": Property(Text()),
            "errorThreshold": Property(Whole(-1, INT32), default=-1),
            "retrySettings": Property(
                Shape(
                    {
                        "maxRetries": Property(Whole(0, INT32), default=3),
                        "timeout": Property(Duration(), default="PT30S"),
                    }
                ),
                default={"maxRetries": 3, "timeout": "PT30S"},
            ),
            "miniBatchSize": Property(Whole(1), default=10),
            "loggingLevel": Property(Text(("Info", "Warning", "Debug")), default="Info"),
            "model": Property(
                OneOf(
                    "referenceType",
                    {
                        "Id": _ASSET_ID,
                        "DataPath": Shape({"datastoreId": Property(Text()), "path": Property(Text())}),
                        "OutputPath": Shape({"jobId": Property(Text()), "path": Property(Text())}),
                    },
                )
            ),
            "maxConcurrencyPerInstance": Property(Whole(1, INT32), default=1),
            "outputAction": Property(Text(("SummaryOnly", "AppendRow")), default="AppendRow"),
            "outputFileName": Property(Text(), default="predictions.csv"),
            "resources": Property(
                Shape(
                    {
                        "instanceCount": Property(Whole(1, INT32), default=1),
                        "instanceType": Property(Text()),
                        "properties": Property(MapOf(Anything())),
                    }
                ),
                default={"instanceCount": 1, "instanceType": None, "properties": None},
            ),
            "deploymentConfiguration": Property(
                OneOf("deploymentConfigurationType", {"Model": Shape({}), PIPELINE: _PIPELINE}), sparse=True
            ),
        },
        read_only=("provisioningState",),
    )
)
_PATCH = Shape(
    {
        "tags": Property(Texts(tags=True), sparse=True),
        "properties": Property(Shape({"description": Property(Text(), sparse=True)}), sparse=True),
    }
)
_CREATE_ONLY = ("location", "properties.codeConfiguration", "properties.resources")


def put_deployment(cloud: Cloud, call: Call) -> Reply:
    """201 creates, 200 updates; provisioningState is Updating at once (recorded)."""
    endpoint = endpoints.find(cloud, call.workspace, call.params["endpoint"])
    name = call.params["deployment"]
    given = read_body(_BODY, call.json_object(), "Deployment")
    extras = optional_parts(given)
    arm_id = f"{endpoint['id']}/deployments/{name}"
    old = cloud.store.get(arm_id)
    if old is None:
        _check_new(cloud, endpoint, name)
    else:
        operations.refuse_while_pending(cloud, arm_id, f"Deployment '{name}'")
    if endpoint["properties"]["provisioningState"] in {"Creating", "Deleting", "Failed"}:
        raise user_error(
            409,
            f"The endpoint '{endpoint['name']}' is {endpoint['properties']['provisioningState']}; a deployment needs "
            "one that has succeeded.",
            inner=("Conflict", "EndpointNotReady"),
        )
    _check_references(cloud, call.workspace, given["properties"])
    body = _deployment(arm_id, given, extras, call, old)
    if old is not None:
        body = settle_create_only(cloud.plays, "Deployment", old, body, _CREATE_ONLY)
    cloud.store.put(KIND, endpoint["id"], body, call.now)
    operation = operations.begin(
        cloud,
        call,
        operations.DEPLOYMENT,
        arm_id,
        kind=KIND,
        parent=endpoint["id"],
        seconds=cloud.plays.operation_seconds,
        then={"properties": {"provisioningState": "Succeeded"}},
    )
    said = operations.headers(cloud, call, operation, location=body["id"])
    return Reply(201 if old is None else 200, operations.with_uri(call, body, said), said)


def get_deployment(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, find(cloud, call.workspace, call.params["endpoint"], call.params["deployment"]))


def list_deployments(cloud: Cloud, call: Call) -> Reply:
    """In the order of their creation unless `$orderBy` says otherwise."""
    passing(call, beside=["$orderby"])
    endpoint = endpoints.find(cloud, call.workspace, call.params["endpoint"])
    older = call.now - cloud.plays.delayed_listing
    found = cloud.store.children(KIND, endpoint["id"], older_than=older)
    return page_of(call, in_order(found, call.query.get("$orderby", "createdtime asc")))


def patch_deployment(cloud: Cloud, call: Call) -> Reply:
    """Tags and description, at once (specified since 2022-05-01)."""
    given = read_body(_PATCH, call.json_object(), "Deployment")
    body = find(cloud, call.workspace, call.params["endpoint"], call.params["deployment"])
    operations.refuse_while_pending(cloud, body["id"], f"Deployment '{body['name']}'")
    if "tags" in given:
        body["tags"] = given["tags"]
    if "description" in given.get("properties", {}):
        body["properties"]["description"] = given["properties"]["description"]
    body["systemData"] = system_data(call.now, body)
    cloud.store.put(KIND, ids.endpoint(call.workspace, call.params["endpoint"]), body, call.now)
    return Reply(200, body)


def delete_deployment(cloud: Cloud, call: Call) -> Reply:
    """202 with the body `null`, 204 for an absent one; deleting the default is an open question."""
    endpoint = cloud.store.get(ids.endpoint(call.workspace, call.params["endpoint"]))
    body = cloud.store.get(ids.deployment(call.workspace, call.params["endpoint"], call.params["deployment"]))
    if endpoint is None or body is None:
        return Reply(204)
    operations.refuse_while_pending(cloud, body["id"], f"Deployment '{body['name']}'")
    default = endpoint["properties"]["defaults"]["deploymentName"]
    if default is not None and default.lower() == body["name"].lower():
        _delete_default(cloud, call, endpoint, body["name"])
    body["properties"]["provisioningState"] = "Deleting"
    cloud.store.put(KIND, endpoint["id"], body, call.now)
    operation = operations.begin(
        cloud,
        call,
        operations.DEPLOYMENT,
        body["id"],
        kind=KIND,
        parent=endpoint["id"],
        seconds=cloud.plays.operation_seconds,
        then=None,
    )
    return Reply(202, None, operations.headers(cloud, call, operation))


def find(cloud: Cloud, workspace: str, endpoint: str, name: str) -> dict[str, Any]:
    """The deployment. Raises 404, of the endpoint where that is missing."""
    endpoints.find(cloud, workspace, endpoint)
    body = cloud.store.get(ids.deployment(workspace, endpoint, name))
    if body is None:
        raise user_error(
            404,
            f"A deployment with the name '{name}' does not exist in the endpoint '{endpoint}'. Please check the "
            "deployment name and also ensure the current user has access to it.",
            inner=("NotFound", "DeploymentNotFound"),
        )
    return body


def is_pipeline(properties: Mapping[str, Any]) -> bool:
    """Whether a deployment runs a pipeline component instead of a model."""
    configuration = properties.get("deploymentConfiguration") or {}
    return bool(configuration.get("deploymentConfigurationType") == PIPELINE)


def _delete_default(cloud: Cloud, call: Call, endpoint: dict[str, Any], name: str) -> None:
    if cloud.plays.delete_default_deployment == "refuse":
        raise user_error(
            409,
            f"The deployment '{name}' is the default deployment of the endpoint '{endpoint['name']}' and cannot be "
            "deleted. Set another default first.",
            inner=("Conflict", "DefaultDeployment"),
        )
    if cloud.plays.delete_default_deployment == "clear":
        endpoint["properties"]["defaults"] = {"deploymentName": None}
        cloud.store.put(endpoints.KIND, call.workspace, endpoint, call.now)


def _check_new(cloud: Cloud, endpoint: dict[str, Any], name: str) -> None:
    if not ids.ENDPOINT_NAME.fullmatch(name):
        raise user_error(
            400,
            f"The deployment name '{name}' is not valid. It must be 3 to 32 characters, begin with a letter, end with "
            "a letter or a digit, and hold letters, digits and single dashes only.",
            inner=("BadArgument", "InvalidDeploymentName"),
        )
    limit = cloud.plays.deployments_per_endpoint
    if cloud.store.count(KIND, endpoint["id"]) >= limit:
        raise user_error(
            400,
            f"The limit of {limit} deployments per endpoint is reached for '{endpoint['name']}'.",
            inner=("BadArgument", "QuotaExceeded"),
        )
    if cloud.store.count(KIND) >= cloud.plays.deployments_per_region:
        raise user_error(
            400,
            f"The limit of {cloud.plays.deployments_per_region} deployments per subscription and region is reached.",
            inner=("BadArgument", "QuotaExceeded"),
        )


def _check_references(cloud: Cloud, workspace: str, properties: dict[str, Any]) -> None:
    """Everything that a deployment names must be there. Raises 400 that names each missing thing."""
    code, model = properties["codeConfiguration"], properties["model"]
    if code is not None and not properties["environmentId"]:
        raise validation_error("Deployment", [Fault("EnvironmentId", "'Environment Id' must not be empty.", None)])
    if not properties["compute"] and not is_pipeline(properties):
        raise validation_error("Deployment", [Fault("Compute", "'Compute' must not be empty.", None)])
    if model is not None and model["referenceType"] != "Id":
        raise unknown(f"a model by {model['referenceType']} reference; the lab takes registered models (Id)")
    missing = [Fault(name, text, value) for name, text, value in _missing(cloud, workspace, properties)]
    if missing:
        raise validation_error("Deployment", missing)


def _missing(cloud: Cloud, workspace: str, properties: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    code, model = properties["codeConfiguration"], properties["model"]
    named: list[tuple[str, str, str, str]] = []
    if properties["compute"]:
        named.append(("Compute", properties["compute"], r"computes/[^/]+", ""))
    if is_pipeline(properties):
        component = properties["deploymentConfiguration"]["componentId"]["assetId"]
        pattern = r"components/[^/]+/versions/[^/]+"
        named.append(("DeploymentConfiguration.ComponentId", component, pattern, COMPONENT.segment))
    if code is not None and code["codeId"]:
        named.append(("CodeConfiguration.CodeId", code["codeId"], r"codes/[^/]+/versions/[^/]+", CODE.segment))
    if model is not None:
        named.append(("Model.AssetId", model["assetId"], r"models/[^/]+/versions/[^/]+", MODEL.segment))
    if properties["environmentId"]:
        pattern = r"environments/[^/]+/versions/[^/]+"
        named.append(("EnvironmentId", properties["environmentId"], pattern, ENVIRONMENT.segment))
    for name, value, pattern, registry_kind in named:
        of_registry = rf"azureml://registries/[^/]+/{registry_kind}/[^/]+/versions/[^/]+"
        if registry_kind in {MODEL.segment, ENVIRONMENT.segment} and re.fullmatch(of_registry, value, re.IGNORECASE):
            continue
        inside = ids.in_workspace(workspace, value)
        if inside is None or not re.fullmatch(pattern, inside, re.IGNORECASE):
            example = re.sub(r"\[\^/\]\+", "<...>", pattern)
            yield name, f"Must be an ARM id in this workspace ({workspace}/{example}).", value
        elif cloud.store.get(value) is None:
            yield name, f"The resource '{value}' was not found.", value


def _deployment(
    arm_id: str, given: dict[str, Any], extras: dict[str, Any], call: Call, old: dict[str, Any] | None
) -> dict[str, Any]:
    properties = dict(given["properties"])
    resources = properties["resources"]
    properties["resources"] = {**resources, "properties": resources["properties"] or None}
    return {
        "id": old["id"] if old else arm_id,
        "name": old["name"] if old else call.params["deployment"],
        "type": "Microsoft.MachineLearningServices/workspaces/batchEndpoints/deployments",
        "properties": {**properties, "provisioningState": "Updating"},
        "systemData": system_data(call.now, old),
        "tags": given["tags"],
        "location": given["location"],
        **extras,
    }
