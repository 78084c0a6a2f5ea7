"""Where a uri of Azure's many kinds lies in the storage account of a workspace."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from lab.emulator import ids, workspaces
from lab.emulator.blobs import blob_host
from lab.emulator.datastores import containers
from lab.emulator.store import Store

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud


class Elsewhere(ValueError):
    """The uri names a place that is not in this lab; the text says which and why."""


@dataclass(frozen=True)
class Place:
    container: str
    path: str
    """Without leading or trailing slash."""

    def as_json(self) -> dict[str, Any]:
        return {"container": self.container, "path": self.path}


_SHORT = re.compile(r"azureml://datastores/(?P<store>[^/]+)/paths/(?P<path>.*)", re.IGNORECASE)
_LONG = re.compile(
    r"azureml://subscriptions/(?P<sub>[^/]+)/resourcegroups/(?P<group>[^/]+)"
    r"(?:/providers/Microsoft\.MachineLearningServices)?/workspaces/(?P<ws>[^/]+)"
    r"/datastores/(?P<store>[^/]+)/paths/(?P<path>.*)",
    re.IGNORECASE,
)
_ARM_DATASTORE = re.compile(
    r"(?:azureml:)?(?P<id>/subscriptions/.+)/datastores/(?P<store>[^/]+)/paths/(?P<path>.*)", re.IGNORECASE
)
_WASBS = re.compile(r"wasbs?://(?P<container>[^@/]+)@(?P<host>[^/]+)/(?P<path>.*)", re.IGNORECASE)
_DATA = re.compile(
    r"(?:azureml:)?(?P<id>(?P<ws>/subscriptions/.+)/data(?:sets)?/(?P<name>[^/]+)/versions/(?P<version>[^/]+))",
    re.IGNORECASE,
)


def locate(uri: str, cloud: Cloud, workspace: str) -> Place:
    """The container and path behind a datastore uri, a blob url or a data asset's id. Raises Elsewhere."""
    short = _SHORT.fullmatch(uri)
    if short:
        return _in_datastore(cloud, workspace, short["store"], short["path"])
    long = _LONG.fullmatch(uri)
    if long:
        there = f"/subscriptions/{long['sub']}/resourceGroups/{long['group']}/providers/{ids.PROVIDER}/workspaces/"
        if f"{there}{long['ws']}".lower() != workspace.lower():
            raise Elsewhere(f"{uri} lies in another workspace than {ids.name_of(workspace)}")
        return _in_datastore(cloud, workspace, long["store"], long["path"])
    arm = _ARM_DATASTORE.fullmatch(uri)
    if arm:
        if arm["id"].lower() != workspace.lower():
            raise Elsewhere(f"{uri} lies in another workspace than {ids.name_of(workspace)}")
        return _in_datastore(cloud, workspace, arm["store"], arm["path"])
    if _DATA.fullmatch(uri):
        behind = _asset_data(uri, cloud.store)[1]
        if _DATA.fullmatch(behind):
            raise Elsewhere(f"data asset {uri} names another data asset, {behind}, and no place")
        return locate(behind, cloud, workspace)
    if uri.lower().startswith(("https://", "http://")):
        return _at_url(uri, workspaces.account_of(cloud, workspace))
    wasbs = _WASBS.fullmatch(uri)
    if wasbs:
        return _at_url(
            f"https://{wasbs['host']}/{wasbs['container']}/{wasbs['path']}", workspaces.account_of(cloud, workspace)
        )
    raise Elsewhere(f"{uri} is no place that the lab knows")


def input_type(uri: str, said: str, store: Store) -> str:
    """UriFile or UriFolder: what a dataset of 2021 says of itself, else what the invocation `said`."""
    return _asset_data(uri, store)[0] or said if _DATA.fullmatch(uri) else said


def _asset_data(uri: str, store: Store) -> tuple[str | None, str]:
    """Type (None where the asset's own is not asked for) and uri of the data behind an asset's id. Raises Elsewhere.

    The dataset that an invocation of 2021 names may be a data asset of today: their names were taken over.
    """
    named = _DATA.fullmatch(uri)
    if named is None:
        raise Elsewhere(f"{uri} is no data asset's id")
    tail = f"{named['name']}/versions/{named['version']}"
    asset = store.get(named["id"]) or store.get(f"{named['ws']}/data/{tail}")
    if asset is None:
        raise Elsewhere(f"data asset {named['id']} does not exist in the lab")
    properties = asset["properties"]
    if str(properties.get("dataType", "")).lower() == "mltable":
        raise Elsewhere(
            "Data set node [code] references parameter dataset_param which doesn't have a specified value or a default "
            f"value: data asset {named['id']} is an MLTable, and batch endpoints take files and folders only"
        )
    if "paths" not in properties:
        return None, str(properties["dataUri"])
    paths = [(kind, path[part]) for path in properties["paths"] for kind, part in _PARTS if path[part]]
    if len(paths) != 1:
        raise Elsewhere(f"dataset {named['id']} has {len(paths)} paths, and the lab reads one")
    return paths[0]


_PARTS = (("UriFile", "file"), ("UriFolder", "folder"))


def _in_datastore(cloud: Cloud, workspace: str, name: str, path: str) -> Place:
    known = containers(cloud, workspace)
    container = known.get(name.lower())
    if container is None:
        if cloud.store.get(ids.datastore(workspace, name)) is not None:
            raise Elsewhere(f"datastore '{name}' lies in another storage account than the workspace's")
        raise Elsewhere(f"datastore '{name}' does not exist in the lab; there are {', '.join(known)}")
    return Place(container, unquote(path).strip("/"))


def _at_url(uri: str, account: str) -> Place:
    try:
        split = urlsplit(uri)
    except ValueError as error:
        raise Elsewhere(f"{uri} is no URL: {error}") from error
    if split.hostname != blob_host(account):
        raise Elsewhere(f"{uri}: the lab reaches no host but its own; copy the data to its datastore")
    container, _, path = split.path.strip("/").partition("/")
    return Place(container, unquote(path).strip("/"))
