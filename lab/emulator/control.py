"""The lab's own control API under `/_lab/`, for `python -m lab`, tests and people. Nothing of it is Azure's."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lab.emulator import (
    asset_kinds,
    computes,
    deployments,
    endpoints,
    key_vaults,
    resource_groups,
    role_assignments,
    storage_accounts,
    tracked,
    workspace_changes,
    workspaces,
)
from lab.emulator.call import Call, Reply
from lab.emulator.errors import arm_error, unknown
from lab.emulator.federated import read_credentials
from lab.emulator.overview import overview
from lab.emulator.routes import RouteTable

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

PREFIX = "/_lab/"


def answer(cloud: Cloud, call: Call) -> Reply:
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    good = hmac.compare_digest(token.encode(), cloud.config.control_token.encode())
    if scheme.lower() != "bearer" or not good:
        raise arm_error(
            401, "Unauthorized", "The control API needs the lab's control token.", {"WWW-Authenticate": "Bearer"}
        )
    found = _ROUTES.find(call.method, call.path)
    if found is None:
        raise unknown(f"{call.method} {call.path}")
    return found.handler(cloud, call)


def _health(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, {"healthy": True, "proxy_port": cloud.config.proxy_port})


def _status(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    """Everything that is there and was not from the lab's birth, by id, and the number of blobs.

    `foundations`: resource groups, workspaces and what they stand on, role assignments, deleted vaults and
    workspaces that hold their names.
    """
    store = cloud.store
    kinds = {
        "endpoints": endpoints.KIND,
        "deployments": deployments.KIND,
        **{kind.segment: kind.segment for kind in asset_kinds.KINDS.values()},
        "computes": computes.KIND,
    }
    said: dict[str, Any] = {name: store.ids(kind) for name, kind in kinds.items()}
    groups, deleted = store.ids(resource_groups.KIND), store.ids(key_vaults.DELETED)
    made = [*groups, *tracked.known(cloud), *store.ids(workspaces.KIND), *store.ids(role_assignments.KIND), *deleted]
    made += store.ids(workspace_changes.SOFT_DELETED)
    said["foundations"] = made
    said["jobs"] = store.job_ids()
    said["blobs"] = cloud.blobs.census(storage_accounts.names(cloud), store.job_outputs())
    return Reply(200, said)


def _overview(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, overview(cloud, call.now))


def _get_settings(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, cloud.plays.as_json())


def _put_settings(cloud: Cloud, call: Call) -> Reply:
    """Changes the settings that are given; the others stay. For the life of this process."""
    try:
        cloud.set_plays(cloud.plays.changed(call.json_object()))
    except ValueError as error:
        raise arm_error(400, "UnfitSetting", str(error)) from error
    return Reply(200, cloud.plays.as_json())


def _get_federated(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, [each.document for each in cloud.federated])


def _put_federated(cloud: Cloud, call: Call) -> Reply:
    """Replaces all of them, for the life of this process."""
    try:
        cloud.federated = read_credentials(call.json())
    except ValueError as error:
        raise arm_error(400, "UnfitCredential", str(error)) from error
    return _get_federated(cloud, call)


def _get_requests(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, {"requests": cloud.log.as_json()})


def _delete_requests(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    cloud.log.clear()
    return Reply(204)


def _get_faults(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return Reply(200, {"faults": cloud.faults.as_json()})


def _put_faults(cloud: Cloud, call: Call) -> Reply:
    """Replaces the script: a list, or an object with the list in `faults`. POST adds to it."""
    given = call.json()
    script = given.get("faults") if isinstance(given, dict) else given
    if not isinstance(script, list) or not all(isinstance(entry, dict) for entry in script):
        raise arm_error(400, "UnfitFault", "faults: must be a list of objects")
    try:
        (cloud.faults.add if call.method == "POST" else cloud.faults.replace)(script)
    except (ValueError, TypeError, AttributeError) as error:
        raise arm_error(400, "UnfitFault", str(error)) from error
    return Reply(200, {"faults": cloud.faults.as_json()})


def _delete_faults(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    cloud.faults.replace([])
    return Reply(204)


_Handler = Callable[["Cloud", Call], Reply]
_ROUTES: RouteTable[_Handler] = RouteTable(
    [
        ("GET", "_lab/health", _health),
        ("GET", "_lab/status", _status),
        ("GET", "_lab/overview", _overview),
        ("GET", "_lab/settings", _get_settings),
        ("PUT", "_lab/settings", _put_settings),
        ("GET", "_lab/federated_credentials", _get_federated),
        ("PUT", "_lab/federated_credentials", _put_federated),
        ("GET", "_lab/requests", _get_requests),
        ("DELETE", "_lab/requests", _delete_requests),
        ("GET", "_lab/faults", _get_faults),
        ("PUT", "_lab/faults", _put_faults),
        ("POST", "_lab/faults", _put_faults),
        ("DELETE", "_lab/faults", _delete_faults),
    ]
)
