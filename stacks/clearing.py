"""Deletes what is left of a stack, thing by thing, each by its marker as it reads at that moment.

What a kind of this project knows to delete, it deletes: an endpoint's own jobs are ended first, a deployment that
serves is not touched, a workspace and a vault are purged.
"""

from collections.abc import Callable, Mapping
from typing import Any

from providers import arm
from providers.aml import job, running
from providers.aml.datastore import datastore_uri, find, open_container
from providers.aml.refusal import Refusal
from providers.aml.workspace import Workspace
from providers.amounts import counted
from providers.arm import ArmClient, ArmError, NotFound
from providers.asset_version import CodeVersionKind, DataVersionKind, ModelVersionKind
from providers.batch_deployment import BatchDeploymentKind
from providers.batch_endpoint import BatchEndpointKind
from providers.blob import container, delete_below, delete_prefix
from providers.explanations import told
from providers.ownership import refuse_to_delete_stranger, tag_of
from providers.purge import PurgeKind
from stacks.marked import AUTHORIZATION, RESOURCES, TYPES, WORKSPACE, container_of
from stacks.remains import Thing
from stacks.where import Where

_DEADLINE = 1800.0
"""Seconds for one deletion."""
_KINDS = {
    "endpoint": BatchEndpointKind,
    "deployment": BatchDeploymentKind,
    "code": CodeVersionKind,
    "model": ModelVersionKind,
    "data": DataVersionKind,
    WORKSPACE: PurgeKind,
    "microsoft.keyvault/vaults": PurgeKind,
    "deleted key vault": PurgeKind,
}


def clear(where: Where, things: list[Thing], say: Callable[[str], None]) -> dict[str, str]:
    """Delete in this order; what could not be: id -> why, two lines as everywhere."""
    failed = {}
    for each in things:
        try:
            _delete(where, arm.client(where.cloud), each, say)
        except (ArmError, Refusal) as error:
            failed[each.id] = told(error)
        else:
            say(f"{'cancelled' if each.kind == 'job' else 'deleted'} {each.kind} {each.id}")
    return failed


def _delete(where: Where, client: ArmClient, thing: Thing, say: Callable[[str], None]) -> None:
    _refuse_strangers(where, client, thing)
    if (kind := thing.kind.lower()) in _KINDS:
        _KINDS[kind]().delete(thing.id, _props(where, thing))
    elif thing.kind == "job":
        _end(Workspace(client, where.workspace_id, where.api_version), thing.id.rpartition("/")[2], say)
    elif thing.kind in ("upload", "outputs"):
        _delete_blobs(where, client, thing)
    elif thing.kind == "role assignment":
        client.delete(thing.id, api_version=AUTHORIZATION, deadline=_DEADLINE)
    else:
        _delete_marked(where, client, thing)


def _props(where: Where, thing: Thing) -> Mapping[str, Any]:
    """What the kind that made the thing has in its state."""
    endpoint, _, deployment = thing.id.partition("/deployments/")
    smoke = f"{where.prefix}smoke/{endpoint.rpartition('/')[2]}"
    return {
        "cloud": where.cloud,
        "api_version": where.api_version,
        "deadline": "PT30M",
        "owner": thing.marker,
        "endpoint_id": endpoint,
        "deployment_name": deployment,
        "target": thing.id,
        "location": thing.location,
        "jobs_uri": datastore_uri(
            f"{where.workspace_id}/datastores/{where.datastore}", f"{smoke}/{deployment}" if deployment else smoke
        ),
        "shared_key": where.shared_key,
    }


def _end(workspace: Workspace, name: str, say: Callable[[str], None]) -> None:
    """Cancel a job, and wait for its end."""
    if not running.end(workspace, name, within=_DEADLINE, progress=say):
        raise Refusal(
            f"job {name} is {job.status(workspace, name)} still, {_DEADLINE:.0f} s after it was cancelled",
            name="cancellation-not-ended",
        )


def _delete_blobs(where: Where, client: ArmClient, thing: Thing) -> None:
    account, name = container_of(thing.id)
    found = find(client, where.blobs)
    in_datastore = found is not None and (found.account_url, found.container) == (account, name)
    opened = (
        open_container(client, found, shared_key=where.shared_key)
        if found is not None and in_datastore
        else container(account, name, client.cloud)
    )
    path = thing.id.removeprefix(f"{account}/{name}/").rstrip("/") + "/"
    with opened:
        if thing.kind == "upload":
            delete_prefix(opened, path)
        else:
            delete_below(opened, path)


def _delete_marked(where: Where, client: ArmClient, thing: Thing) -> None:
    """An environment, a compute, what a workspace stands on, a resource group."""
    version = RESOURCES if thing.kind == "resource group" else TYPES.get(thing.kind.lower(), where.api_version)
    live = client.get(thing.id, api_version=version)
    if live is None:
        return
    refuse_to_delete_stranger(live, thing.marker)
    query = {"underlyingResourceAction": "Delete"} if thing.kind == "compute" else None
    client.delete(thing.id, api_version=version, query=query, deadline=_DEADLINE)


def _refuse_strangers(where: Where, client: ArmClient, thing: Thing) -> None:
    """Raise Refusal where others have put something into what takes with it all that lies in it."""
    inside = {
        "resource group": ("resources", RESOURCES),
        WORKSPACE: ("batchEndpoints", where.api_version),
        "endpoint": ("deployments", where.api_version),
    }.get(thing.kind.lower())
    if inside is None:
        return
    collection, version = inside
    try:
        strangers = [
            str(each["id"])
            for each in client.list(f"{thing.id}/{collection}", api_version=version)
            if tag_of(each) != thing.marker
        ]
    except NotFound:
        return
    if strangers:
        raise Refusal(
            f"{thing.id} is not deleted: of what lies in it, and would go with it, {counted(len(strangers), 'thing')} "
            f"do not carry {thing.marker}, {strangers[0]} for one; delete or move them first",
            name="leftover-holds-others",
        )
