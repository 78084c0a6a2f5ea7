"""ARM ids of the lab's one workspace, and of what lies in it."""

from __future__ import annotations

import re

from lab import identity

PROVIDER = "Microsoft.MachineLearningServices"
SUBSCRIPTION = f"/subscriptions/{identity.SUBSCRIPTION_ID}"
GROUP = f"{SUBSCRIPTION}/resourceGroups/{identity.RESOURCE_GROUP}"
WORKSPACE = f"{GROUP}/providers/{PROVIDER}/workspaces/{identity.WORKSPACE}"

ENDPOINT_NAME = re.compile(r"[a-zA-Z](?:[a-zA-Z0-9]|-(?!-)){1,30}[a-zA-Z0-9]")
"""3-32 characters, a letter first, letters, digits and single dashes, no dash last (quota page, January 2026)."""
COMPUTE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}")
"""Wider than any rule that was ever published; the current specification has none."""
DATASTORE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_]{0,254}")
"""Assumed: the specification's pattern for workspace assets, without the dash that datastore uris cannot hold."""
ASSET_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_.]{0,254}")


def endpoint(name: str) -> str:
    return f"{WORKSPACE}/batchEndpoints/{name}"


def deployment(endpoint_name: str, name: str) -> str:
    return f"{endpoint(endpoint_name)}/deployments/{name}"


def compute(name: str) -> str:
    return f"{WORKSPACE}/computes/{name}"


def datastore(name: str) -> str:
    return f"{WORKSPACE}/datastores/{name}"


def job(name: str) -> str:
    return f"{WORKSPACE}/jobs/{name}"


def in_workspace(arm_id: str) -> str | None:
    """What follows the lab's workspace in this id, or None for an id that lies elsewhere. Letter case is free."""
    prefix = WORKSPACE.lower() + "/"
    return arm_id[len(prefix) :] if arm_id.lower().startswith(prefix) else None
