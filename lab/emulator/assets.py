"""Asset versions and their containers: one set of routes for all kinds."""

from __future__ import annotations

import base64
import secrets
import uuid
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids, workspaces
from lab.emulator.asset_kinds import ENVIRONMENT, KINDS, MODEL, MUTABLE, AssetKind
from lab.emulator.blobs import blob_host
from lab.emulator.call import Call, Reply
from lab.emulator.deleted_names import refuse_deleted, remember_deleted
from lab.emulator.errors import AzureError, user_error
from lab.emulator.filters import in_order, passing
from lab.emulator.paging import page_of
from lab.emulator.shapes import Property, Shape, Text, Texts, Truth, read_body
from lab.emulator.timestamps import seven_digits

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

_CONTAINER = Shape(
    {
        "properties": Property(
            Shape(
                {
                    "description": Property(Text()),
                    "tags": Property(Texts(tags=True), default={}),
                    "properties": Property(Texts(), default={}),
                    "isArchived": Property(Truth(), default=False),
                    "dataType": Property(Text(("uri_file", "uri_folder", "mltable")), sparse=True),
                },
                read_only=("latestVersion", "nextVersion", "provisioningState"),
            ),
            required=True,
        )
    },
    read_only=("id", "name", "type", "systemData"),
)
_PENDING_UPLOAD = Shape(
    {
        "pendingUploadId": Property(Text()),
        "pendingUploadType": Property(Text(("None", "TemporaryBlobReference")), default="TemporaryBlobReference"),
    }
)


def put_version(cloud: Cloud, call: Call) -> Reply:
    """Synchronous. 201 with `Location` for a new version; content never changes, what is `MUTABLE` does."""
    kind, name, version = _named(call)
    _check_names(kind, name, version)
    properties = kind.written(read_body(kind.shape, call.json_object(), kind.noun)["properties"])
    arm_id = _version_id(call, kind, name, version)
    old = cloud.store.get(arm_id)
    if old is None:
        refuse_deleted(cloud, call, arm_id, f"{kind.noun} '{name}' version '{version}'")
        body = _resource(arm_id, version, f"{kind.segment}/versions", properties, call.now)
        cloud.store.put(kind.segment, _container_id(call, kind, name), body, call.now)
        return Reply(201, body, _location(body, call))
    properties = _changed(cloud, kind, (name, version), old["properties"], properties)
    changed = properties != old["properties"]
    body = old | {"properties": properties}
    if changed:
        body["systemData"] = body["systemData"] | {"lastModifiedAt": seven_digits(call.now)}
    cloud.store.put(kind.segment, _container_id(call, kind, name), body, call.now)
    return Reply(kind.put_again, body, _location(body, call) if kind.put_again == 201 else {})


def get_version(cloud: Cloud, call: Call) -> Reply:
    kind, name, version = _named(call)
    body = cloud.store.get(_version_id(call, kind, name, version))
    if body is None:
        raise _no_version(call, kind, name, version)
    return Reply(200, body)


def delete_version(cloud: Cloud, call: Call) -> Reply:
    """200, or 204 for an absent one (specified)."""
    kind, name, version = _named(call)
    arm_id = _version_id(call, kind, name, version)
    if cloud.store.get(arm_id) is None:
        return Reply(204)
    with cloud.store.together():
        cloud.store.delete(arm_id)
        remember_deleted(cloud, call, arm_id)
    return Reply(200)


def list_versions(cloud: Cloud, call: Call) -> Reply:
    """The newest first unless `$orderBy` says otherwise; filters by kind."""
    kind, name = KINDS[call.params["kind"].lower()], call.params["name"]
    passes = passing(call, _FILTERS[kind.segment], beside=["$orderby"])
    found = cloud.store.children(
        kind.segment, _container_id(call, kind, name), older_than=call.now - cloud.plays.delayed_listing
    )
    return page_of(call, filter(passes, in_order(found, call.query.get("$orderby"))))


_FILTERS = {
    "codes": ("hash", "hashversion", "listviewtype"),
    "models": ("version", "description", "tags", "properties", "stage", "listviewtype"),
    "environments": ("stage", "listviewtype"),
    "data": ("$tags", "stage", "listviewtype"),
    "datasets": ("$tags", "listviewtype"),
    "components": ("stage", "listviewtype"),
}


def put_container(cloud: Cloud, call: Call) -> Reply:
    """Description, tags and the rest of the container itself; versions make it too, without this."""
    kind, name = KINDS[call.params["kind"].lower()], call.params["name"]
    _check_names(kind, name, "1")
    given = read_body(_CONTAINER, call.json_object(), kind.noun)["properties"]
    arm_id = _container_id(call, kind, name)
    old = cloud.store.get(arm_id)
    if old is None:
        refuse_deleted(cloud, call, arm_id, f"{kind.noun} container '{name}'")
    body = _resource(arm_id, name, kind.segment, given, call.now)
    if old is not None:
        body["systemData"] = old["systemData"] | {"lastModifiedAt": seven_digits(call.now)}
    cloud.store.put(kind.container_kind, call.workspace, body, call.now)
    return Reply(
        200 if old else 201, _with_versions(cloud, call, kind, name, body), {} if old else _location(body, call)
    )


def get_container(cloud: Cloud, call: Call) -> Reply:
    kind, name = KINDS[call.params["kind"].lower()], call.params["name"]
    body = _container(cloud, call, kind, name)
    if body is None:
        raise user_error(
            404, f"{kind.noun} container with name '{name}' was not found.", inner=("NotFound", "ContainerNotFound")
        )
    return Reply(200, body)


def list_containers(cloud: Cloud, call: Call) -> Reply:
    """Containers that were put, and those that have a version."""
    kind = KINDS[call.params["kind"].lower()]
    there = [*cloud.store.ids(kind.segment), *cloud.store.ids(kind.container_kind)]
    parts = [inside.split("/") for arm_id in there if (inside := ids.in_workspace(call.workspace, arm_id))]
    names = {part[1].lower(): part[1] for part in parts}
    passes = passing(call, ("listviewtype",))
    found = (body for name in names.values() if (body := _container(cloud, call, kind, name)))
    return page_of(call, filter(passes, found))


def delete_container(cloud: Cloud, call: Call) -> Reply:
    """With its versions."""
    kind, name = KINDS[call.params["kind"].lower()], call.params["name"]
    if _container(cloud, call, kind, name) is None:
        return Reply(204)
    versions = cloud.store.children(kind.segment, _container_id(call, kind, name))
    with cloud.store.together():
        cloud.store.delete(_container_id(call, kind, name))
        remember_deleted(cloud, call, _container_id(call, kind, name), *(version["id"] for version in versions))
    return Reply(200)


def start_pending_upload(cloud: Cloud, call: Call) -> Reply:
    """A fresh container for a code upload, with a signed URL for it. Makes the container in the lab's storage."""
    given = read_body(_PENDING_UPLOAD, call.json() or {}, "PendingUpload")
    token = base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
    properties = workspaces.of(cloud, call.workspace)["properties"]
    container = f"{properties['workspaceId']}-{token}"[:63]
    account = ids.name_of(properties["storageAccount"])
    cloud.blobs.ensure_container(account, container)
    url = f"https://{blob_host(account)}/{container}"
    return Reply(
        200,
        {
            "blobReferenceForConsumption": {
                "blobUri": url,
                "storageAccountArmId": properties["storageAccount"],
                "credential": {
                    "credentialType": "SAS",
                    "sasUri": f"{url}?{cloud.blobs.container_sas(account, container, call.now)}",
                },
            },
            "pendingUploadId": given["pendingUploadId"] or str(uuid.uuid4()),
            "pendingUploadType": "TemporaryBlobReference",
        },
    )


def _named(call: Call) -> tuple[AssetKind, str, str]:
    return KINDS[call.params["kind"].lower()], call.params["name"], call.params["version"]


def _container_id(call: Call, kind: AssetKind, name: str) -> str:
    return f"{call.workspace}/{kind.segment}/{name}"


def _version_id(call: Call, kind: AssetKind, name: str, version: str) -> str:
    return f"{_container_id(call, kind, name)}/versions/{version}"


def _check_names(kind: AssetKind, name: str, version: str) -> None:
    if not ids.ASSET_NAME.fullmatch(name):
        raise user_error(
            400,
            f"The {kind.noun.lower()} name '{name}' is not valid. It must be 1 to 255 characters, begin with a letter "
            "or a digit, and hold letters, digits, dashes, underscores and dots only.",
            inner=("BadArgument", "InvalidAssetName"),
        )
    if not ids.is_version(version):
        raise user_error(
            400,
            f"The {kind.noun.lower()} version '{version}' is not valid. It must be 1 to 255 visible ASCII characters, "
            "without slash, backslash, question mark, number sign and percent sign.",
            inner=("BadArgument", "InvalidAssetVersion"),
        )
    if kind.whole_versions and not (version.isdecimal() and int(version) > 0):
        raise user_error(
            400,
            f"The model version '{version}' is not valid. It must be a positive integer.",
            inner=("BadArgument", "InvalidAssetVersion"),
        )


def _resource(arm_id: str, name: str, kind: str, properties: dict[str, Any], now: float) -> dict[str, Any]:
    instant = seven_digits(now)
    return {
        "id": arm_id,
        "name": name,
        "type": f"Microsoft.MachineLearningServices/workspaces/{kind}",
        "properties": properties,
        "systemData": {
            "createdAt": instant,
            "createdBy": "lab",
            "createdByType": "Application",
            "lastModifiedAt": instant,
            "lastModifiedBy": "lab",
            "lastModifiedByType": "Application",
        },
    }


def _changed(
    cloud: Cloud, kind: AssetKind, named: tuple[str, str], old: dict[str, Any], new: dict[str, Any]
) -> dict[str, Any]:
    """The properties after a PUT onto an existing version. Raises when its content would change."""
    frozen = {key for key in old.keys() | new.keys() if key not in MUTABLE and old.get(key) != new.get(key)}
    if not frozen or cloud.plays.changed_asset == "accept":
        return new
    status = 409 if cloud.plays.changed_asset == "conflict" else 400
    text = kind.frozen_text.format(name=named[0], version=named[1])
    raise user_error(status, text, inner=("Conflict" if status == 409 else "BadArgument", "AssetCannotBeChanged"))


def _no_version(call: Call, kind: AssetKind, name: str, version: str) -> AzureError:
    where = (
        f"Account Subscription: {identity.SUBSCRIPTION_ID}, ResourceGroup: {ids.group_of(call.workspace)}, "
        f"Workspace: {ids.name_of(call.workspace)}"
    )
    if kind is MODEL:
        detail = ("NoSuchModelRegistered", f"There is no registered model in {where} with id {name}:{version}")
        return user_error(404, "The specified resource was not found.", details=[detail])
    code = "EnvironmentNotFound" if kind is ENVIRONMENT else f"{kind.noun}VersionNotFound"
    return user_error(404, f"No {kind.noun.lower()} {name}:{version} in {where} was found.", inner=("NotFound", code))


def _container(cloud: Cloud, call: Call, kind: AssetKind, name: str) -> dict[str, Any] | None:
    body = cloud.store.get(_container_id(call, kind, name))
    if body is None:
        versions = cloud.store.children(kind.segment, _container_id(call, kind, name), limit=1)
        if not versions:
            return None
        first = versions[0]
        properties: dict[str, Any] = {"description": None, "tags": {}, "properties": {}, "isArchived": False}
        if "dataType" in first["properties"]:
            properties["dataType"] = first["properties"]["dataType"]
        body = {
            "id": _container_id(call, kind, first["id"].split("/")[-3]),
            "name": first["id"].split("/")[-3],
            "type": f"Microsoft.MachineLearningServices/workspaces/{kind.segment}",
            "properties": properties,
            "systemData": first["systemData"],
        }
    return _with_versions(cloud, call, kind, name, body)


def _with_versions(cloud: Cloud, call: Call, kind: AssetKind, name: str, body: dict[str, Any]) -> dict[str, Any]:
    versions = [each["name"] for each in cloud.store.children(kind.segment, _container_id(call, kind, name))]
    whole = [int(version) for version in versions if version.isdecimal()]
    following = str(max(whole) + 1) if whole else "1" if not versions else None
    latest = versions[-1] if versions else None
    return body | {
        "properties": body["properties"]
        | {"latestVersion": latest, "nextVersion": following, "provisioningState": "Succeeded"}
    }


def _location(body: dict[str, Any], call: Call) -> dict[str, str]:
    return {"Location": f"https://{call.host}{body['id']}?api-version={call.api_version}"}
