"""ARM ids: of the workspace that the lab is born with, and of what lies in any workspace."""

from __future__ import annotations

import re

from lab import identity

PROVIDER = "Microsoft.MachineLearningServices"
SUBSCRIPTION = f"/subscriptions/{identity.SUBSCRIPTION_ID}"
GROUP = f"{SUBSCRIPTION}/resourceGroups/{identity.RESOURCE_GROUP}"
WORKSPACE = f"{GROUP}/providers/{PROVIDER}/workspaces/{identity.WORKSPACE}"

ENDPOINT_NAME = re.compile(r"[a-zA-Z](?:[a-zA-Z0-9]|-(?!-)){1,30}[a-zA-Z0-9]")
"""3-32 characters, a letter first, letters, digits and single dashes, no dash last (quota page, January 2026)."""
WORKSPACE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}")
"""The specification's."""
COMPUTE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}")
"""Wider than any rule that was ever published; the current specification has none."""
DATASTORE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_]{0,254}")
"""Assumed: the specification's pattern for workspace assets, without the dash that datastore uris cannot hold."""
ASSET_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_.]{0,254}")
_VERSION = re.compile(r"[!-~]{1,255}")
"""Visible ASCII, and none of `_NOT_IN_A_VERSION`. Assumed: the specification has no rule."""
_NOT_IN_A_VERSION = frozenset("/\\?#%")


def group(name: str) -> str:
    return f"{SUBSCRIPTION}/resourceGroups/{name}"


def workspace(group_name: str, name: str) -> str:
    return f"{group(group_name)}/providers/{PROVIDER}/workspaces/{name}"


def endpoint(workspace_id: str, name: str) -> str:
    return f"{workspace_id}/batchEndpoints/{name}"


def deployment(workspace_id: str, endpoint_name: str, name: str) -> str:
    return f"{endpoint(workspace_id, endpoint_name)}/deployments/{name}"


def compute(workspace_id: str, name: str) -> str:
    return f"{workspace_id}/computes/{name}"


def datastore(workspace_id: str, name: str) -> str:
    return f"{workspace_id}/datastores/{name}"


def job(workspace_id: str, name: str) -> str:
    return f"{workspace_id}/jobs/{name}"


def is_version(text: str) -> bool:
    """Whether a text may be the version of an asset: what an ARM id can hold as one segment."""
    return _VERSION.fullmatch(text) is not None and not _NOT_IN_A_VERSION & set(text)


def in_workspace(workspace_id: str, arm_id: str) -> str | None:
    """What follows this workspace in an id, or None for an id that lies elsewhere. Letter case is free."""
    prefix = f"{workspace_id.lower()}/"
    return arm_id[len(prefix) :] if arm_id.lower().startswith(prefix) else None


def workspace_of(arm_id: str) -> str:
    """The id of the workspace that something lies in."""
    return "/".join(arm_id.split("/")[:9])


def name_of(arm_id: str) -> str:
    return arm_id.rpartition("/")[2]


def group_of(arm_id: str) -> str:
    """The name of the resource group that something lies in."""
    return arm_id.split("/")[4]
