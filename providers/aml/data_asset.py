"""Registered data: found by name and version or label, and registered, never changed."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from .refusal import Refusal
from .workspace import Workspace

_TYPES = {"uri_folder": "UriFolder", "uri_file": "UriFile"}
"""The asset's type -> what an invocation calls it."""
LATEST = "latest"
"""The one label that workspaces have for data: the version that was created last."""
_DEADLINE = 120.0  # seconds


@dataclass(frozen=True)
class DataVersion:
    id: str
    name: str
    version: str
    input_type: str
    """UriFolder or UriFile."""
    uri: str


def data_version(workspace: Workspace, name: str, version: str) -> DataVersion:
    """The version of an asset. Raises Refusal where there is none, or where it is no input of a batch endpoint."""
    body = workspace.get(f"data/{name}/versions/{version}")
    if body is None:
        raise Refusal(
            f"data asset {name}:{version} does not exist in {workspace.id.rpartition('/')[2]}; "
            f"{_what_there_is(workspace, name)}",
            name="data-asset-missing",
        )
    return _read(body, name)


def data_labelled(workspace: Workspace, name: str, label: str) -> DataVersion:
    """The version that carries a label."""
    if label != LATEST:
        raise Refusal(
            f"data asset {name}@{label}: workspaces know the label `latest` of data and no other; name a version: "
            f"{_what_there_is(workspace, name)}",
            name="data-label-unknown",
        )
    newest = next(iter(_versions(workspace, name)), None)
    if newest is None:
        raise Refusal(
            f"data asset {name} does not exist in {workspace.id.rpartition('/')[2]}; {_what_there_is(workspace, name)}",
            name="data-asset-missing",
        )
    return _read(newest, name)


def register(workspace: Workspace, name: str, version: str, uri: str, input_type: str) -> DataVersion:
    """Register what lies at `uri`. A version that has it already is taken; one that has something else is refused."""
    path = f"data/{name}/versions/{version}"
    found = workspace.get(path)
    if found is None:
        kind = next(ours for ours, wire in _TYPES.items() if wire == input_type)
        body = {"properties": {"dataType": kind, "dataUri": uri}}
        put = workspace.arm.put(f"{workspace.id}/{path}", body, api_version=workspace.api_version, deadline=_DEADLINE)
        return _read(put, name)
    there = _read(found, name)
    if there.uri.rstrip("/") != uri.rstrip("/"):
        raise Refusal(
            f"data asset {name}:{version} is registered already, with {there.uri}, not {uri}; name another version: "
            f"--register {name}:<version>",
            name="data-asset-of-other-content",
        )
    return there


def _read(body: dict[str, Any], name: str) -> DataVersion:
    properties = body["properties"]
    kind = str(properties.get("dataType"))
    version = str(body.get("name") or body["id"].rpartition("/")[2])
    if kind not in _TYPES:
        raise Refusal(
            f"data asset {name}:{version} is {kind}; batch endpoints read uri_folder and uri_file",
            name="data-asset-of-another-kind",
        )
    return DataVersion(str(body["id"]), name, version, _TYPES[kind], str(properties["dataUri"]))


def _versions(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    """Active versions, the newest first; empty for an asset that does not exist."""
    if workspace.get(f"data/{name}") is None:
        return []
    query = {"$orderBy": "createdtime desc", "listViewType": "ActiveOnly"}
    return list(workspace.list(f"data/{name}/versions", **query))


def _what_there_is(workspace: Workspace, name: str) -> str:
    versions = [str(each["name"]) for each in _versions(workspace, name)]
    if versions:
        more = f" and {len(versions) - 5} more" if len(versions) > 5 else ""
        return f"it has {', '.join(versions[:5])}{more}"
    names = sorted(str(each["name"]) for each in workspace.list("data"))
    close = get_close_matches(name, names, n=3) or names[:5]
    return f"there are {', '.join(close)}" if close else "no data is registered there"
