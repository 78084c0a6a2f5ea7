"""Long-running operations: begun by a PUT or DELETE, ended by the clock, asked for by URL.

An operation holds what its end does to its target as data, so it ends the same way after a restart. `settle` ends what
is due; it is called before every request, and costs one look at an index when nothing is.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids, workspaces
from lab.emulator.call import Call, Reply
from lab.emulator.errors import user_error
from lab.emulator.store import Operation, Store

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

ENDPOINT, DEPLOYMENT, COMPUTE, JOB, WORKSPACE = "bebes", "bdbes", "compute", "job", "workspace"
"""Styles. The first two are the kinds seen in recorded operation URLs."""


def begin(
    cloud: Cloud,
    call: Call,
    style: str,
    target: str,
    *,
    kind: str,
    parent: str,
    seconds: float,
    then: Mapping[str, Any] | None,
) -> Operation:
    """Start an operation on `target` (an ARM id). `then` is merged into the resource at the end; None deletes it.

    Whatever still runs on the target is superseded. A scripted fault may decide how the operation ends.
    """
    outcome = cloud.faults.outcome(call)
    name = (
        str(uuid.uuid4())
        if style in (COMPUTE, WORKSPACE)
        else f"{style}:{workspaces.guid_of(cloud, ids.workspace_of(target))}:{uuid.uuid4()}"
    )
    record: dict[str, Any] = {"then": then, "kind": kind, "parent": parent, "started": call.now}
    if outcome is not None:
        record |= {"outcome": outcome.status, "error": {"code": outcome.code, "message": outcome.message}}
    due = None if outcome is not None and outcome.status == "never" else call.now + seconds
    operation = Operation(name, target, style, due, "pending", record)
    with cloud.store.together():
        cloud.store.forget_operations(call.now - cloud.plays.operation_retention_seconds)
        for pending in cloud.store.operations_pending(target):
            cloud.store.put_operation(replace(pending, status="Canceled", due=call.now))
        cloud.store.put_operation(operation)
    return operation


def settle(store: Store, now: float) -> None:
    """End every operation whose time has come."""
    for operation in store.operations_due(now):
        with store.together():
            _end(store, operation, now)


def _end(store: Store, operation: Operation, now: float) -> None:
    status = str(operation.record.get("outcome", "Succeeded"))
    then = operation.record["then"]
    body = store.get(operation.target)
    if status == "Succeeded" and then is None:
        store.delete(operation.target)
    elif body is not None:
        change = then if status == "Succeeded" else {"properties": {"provisioningState": status}}
        store.put(operation.record["kind"], operation.record["parent"], merged(body, change), now)
    store.put_operation(replace(operation, status=status))


def refuse_while_pending(cloud: Cloud, target: str, what: str) -> None:
    """Raise 409 when an operation runs on the target and the play is to refuse."""
    if cloud.plays.update_while_updating == "refuse" and cloud.store.operations_pending(target):
        raise user_error(
            409,
            f"{what} cannot be changed while another operation on it is in progress. Please try again later.",
            inner=("Conflict", "AnotherOperationInProgress"),
        )


def headers(cloud: Cloud, call: Call, operation: Operation, *, location: str = "") -> dict[str, str]:
    """`location`: an ARM id for `Location`, by default the operation's own result."""
    retry_after = _retry_after(cloud)
    base = f"https://management.azure.com{ids.SUBSCRIPTION}/providers/{ids.PROVIDER}/locations/{identity.LOCATION}"
    version = f"?api-version={call.api_version}"
    if operation.style == COMPUTE:
        return {
            "Azure-AsyncOperation": f"{base}/computeOperationsStatus/{operation.name}{version}&service=new",
            **retry_after,
        }
    family = "workspaceOperation" if operation.style == WORKSPACE else "mfeOperation"
    result = f"https://management.azure.com{location}" if location else f"{base}/{family}Results/{operation.name}"
    return {
        "Azure-AsyncOperation": f"{base}/{family}sStatus/{operation.name}{version}",
        "Location": f"{result}{version}",
        "x-ms-async-operation-timeout": "PT30M",
        **retry_after,
    }


def with_uri(call: Call, body: dict[str, Any], said: Mapping[str, str]) -> dict[str, Any]:
    """The reply's body, for the api-versions up to 2022-05-01 with the operation's URL in it, where scripts looked."""
    if call.api_version > _URI_IN_BODY:
        return body
    return merged(body, {"properties": {"properties": {"AzureAsyncOperationUri": said["Azure-AsyncOperation"]}}})


_URI_IN_BODY = "2022-05-01"


def status(cloud: Cloud, call: Call) -> Reply:
    """GET mfeOperationsStatus, workspaceOperationsStatus: `Updating` until it ends, whatever it does (recorded)."""
    operation = _find(cloud, call)
    body: dict[str, Any] = {
        "id": f"/{call.path.strip('/')}",
        "name": operation.name,
        "status": "Updating" if operation.status == "pending" else operation.status,
    }
    return Reply(200, body | _error(operation), _retry_after(cloud) if operation.status == "pending" else {})


def result(cloud: Cloud, call: Call) -> Reply:
    """GET mfeOperationResults: 202 until it ends, then 200 `null`, or the error that it ended with."""
    operation = _find(cloud, call)
    if operation.status == "pending":
        location = f"https://{call.host}{call.path}?api-version={call.api_version}"
        return Reply(202, None, {"Location": location, **_retry_after(cloud)})
    if operation.status == "Succeeded":
        return Reply(200, None)
    error = _error(operation).get("error", {})
    raise user_error(409, str(error.get("message", "The operation was superseded.")), inner=("Conflict",))


def compute_status(cloud: Cloud, call: Call) -> Reply:
    """GET computeOperationsStatus: no id, no name (recorded)."""
    operation = _find(cloud, call)
    if operation.status == "pending":
        return Reply(200, {"status": "InProgress", "percentComplete": 0.0}, _retry_after(cloud))
    return Reply(200, {"status": operation.status, "percentComplete": 100.0} | _error(operation))


def _find(cloud: Cloud, call: Call) -> Operation:
    operation = cloud.store.operation(call.params["operation"])
    if operation is None:
        raise user_error(
            404, f"The operation '{call.params['operation']}' was not found.", inner=("NotFound", "OperationNotFound")
        )
    return operation


def _retry_after(cloud: Cloud) -> dict[str, str]:
    """Clients wait by the header of the newest answer, so it stands on each question's answer too."""
    return {"Retry-After": str(cloud.plays.retry_after)} if cloud.plays.retry_after else {}


def _error(operation: Operation) -> dict[str, Any]:
    if operation.status not in {"Failed", "Canceled"}:
        return {}
    default = {"code": "UserError", "message": "The operation was superseded by a later one."}
    return {"error": operation.record.get("error", default)}


def merged(body: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`body` with `change` laid over it, objects merged member by member."""
    result = dict(body)
    for name, value in change.items():
        old = result.get(name)
        result[name] = merged(old, value) if isinstance(value, Mapping) and isinstance(old, Mapping) else value
    return result
