"""Jobs: the record of one, and the two faces that the service shows of it, ARM's and the data plane's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids, operations
from lab.emulator.call import Call, Reply
from lab.emulator.errors import user_error
from lab.emulator.filters import passing, view
from lab.emulator.paging import bounds, page_of, paged
from lab.emulator.timestamps import seven_digits

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

JobRecord = dict[str, Any]
"""What `scoring.py` makes of a request and `executions.py` keeps up to date, as JSON:

name, child (run name of the `batchscoring` step), endpoint and deployment (ARM ids), active, created (seconds), status,
launched, launches (how often), pid, spec (its driver's, until it has ended), ready_at, cancel_requested (seconds or
null), archived, description (or null), impossible (why it cannot run, or null), display_name, echo (what the service
repeats of the request), compute, environment (ARM ids), output (uri, container, path), retry_settings, tags,
properties, started, ended, error, outputs, logs.
"""


def get_job(cloud: Cloud, call: Call) -> Reply:
    record = find(cloud, call.workspace, call.params["job"])
    return Reply(200, _child(record) if call.params["job"] == record["child"] else parent(record))


def list_jobs(cloud: Cloud, call: Call) -> Reply:
    """The newest first; children are not in it. Filters: `jobType`, `listViewType`, `tag`, `properties`."""
    passes = passing(call, ("listviewtype", "tag", "properties"), beside=["jobtype"])
    if call.query.get("jobtype", "Pipeline").lower() != "pipeline":
        return page_of(call, [])
    archived, older_than = view(call), call.now - cloud.plays.delayed_listing
    if not {"tag", "properties"} & call.query.keys():
        size, skip = bounds(call)
        found = cloud.store.jobs(
            workspace=call.workspace, archived=archived, older_than=older_than, limit=size + 1, offset=skip
        )
        items = [parent(cloud.executions.refresh(record)) for record in found[:size]]
        return paged(call, items, more=len(found) > size, size=size, skip=skip)
    return page_of(call, filter(passes, map(parent, _newest_first(cloud, call.workspace, archived, older_than))))


def _newest_first(cloud: Cloud, workspace: str, archived: bool | None, older_than: float) -> Iterator[JobRecord]:
    """All of them, some at a time."""
    offset = 0
    while some := cloud.store.jobs(
        workspace=workspace, archived=archived, older_than=older_than, limit=_SOME, offset=offset
    ):
        yield from map(cloud.executions.refresh, some)
        offset += len(some)


_SOME = 200


def cancel_job(cloud: Cloud, call: Call) -> Reply:
    """202 and an operation; 200 for a job that has ended already."""
    record = find(cloud, call.workspace, call.params["job"])
    if not record["active"]:
        return Reply(200, None)
    record = cloud.executions.cancel(record, call.now)
    operation = operations.begin(
        cloud,
        call,
        operations.JOB,
        ids.job(call.workspace, record["name"]),
        kind="job",
        parent=call.workspace,
        seconds=cloud.plays.operation_seconds,
        then={},
    )
    return Reply(202, None, operations.headers(cloud, call, operation))


def delete_job(cloud: Cloud, call: Call) -> Reply:
    """The record of an ended job; 204 for an absent one, 409 for one that runs."""
    record = cloud.store.job(call.params["job"])
    if record is None or not _lies_in(call.workspace, record):
        return Reply(204)
    record = cloud.executions.refresh(record)
    if record["active"]:
        raise user_error(
            409,
            f"The job '{record['name']}' is {record['status']} and cannot be deleted. Cancel it first.",
            inner=("Conflict", "JobIsActive"),
        )
    cloud.executions.forget(record["name"])
    return Reply(200)


def find(cloud: Cloud, workspace: str, name: str) -> JobRecord:
    """The job, by its own name or its child's, as its driver sees it now. Raises 404."""
    record = cloud.store.job(name)
    if record is None or not _lies_in(workspace, record):
        raise user_error(
            404,
            f"Job with name '{name}' was not found in the workspace '{ids.name_of(workspace)}'.",
            inner=("NotFound", "JobNotFound"),
        )
    return cloud.executions.refresh(record)


def workspace_of(record: JobRecord) -> str:
    """ARM id of the workspace that a job runs in."""
    return ids.workspace_of(record["endpoint"])


def _lies_in(workspace: str, record: JobRecord) -> bool:
    return workspace_of(record).lower() == workspace.lower()


def batch_job(record: JobRecord) -> dict[str, Any]:
    """BatchJobResource: what the scoring endpoint and its job lists show (recorded)."""
    instant = seven_digits(record["created"])
    place: dict[str, Any] = {"datastoreId": None, "path": None}
    if record["status"] == "Completed":
        place = {
            "datastoreId": ids.datastore(workspace_of(record), identity.DEFAULT_DATASTORE),
            "path": record["output"]["path"],
        }
    return {
        "id": f"{record['deployment']}/jobs/{record['name']}",
        "name": record["name"],
        "type": "Microsoft.MachineLearningServices/workspaces/batchEndpoints/deployments/jobs",
        "properties": {
            "provisioningState": "Succeeded",
            **record["echo"],
            "output": place,
            "retrySettings": record["retry_settings"],
            "status": record["status"],
            "interactionEndpoints": {
                kind: {"jobEndpointType": kind, "port": None, "endpoint": url, "properties": None}
                for kind, url in _links(record, record["name"]).items()
            },
            "tags": record["tags"],
            "properties": record["properties"],
            "name": record["display_name"],
        },
        "systemData": {
            "createdAt": instant,
            "createdBy": "lab",
            "lastModifiedAt": instant,
            "lastModifiedBy": "lab",
        },
    }


def parent(record: JobRecord) -> dict[str, Any]:
    """JobBase of the pipeline run (recorded, January 2023)."""
    endpoint, deployment = record["endpoint"].rpartition("/")[2], record["deployment"].rpartition("/")[2]
    return _job_base(
        record,
        record["name"],
        {
            "description": record.get("description")
            or f"Pipeline submission for endpoint: {endpoint}, deployment: {deployment}.",
            "tags": record["tags"],
            "properties": record["properties"],
            "displayName": record["display_name"],
            "computeId": None,
            "jobType": "Pipeline",
            "settings": None,
            "jobs": None,
            "inputs": None,
            "outputs": None,
            "sourceJobId": None,
        },
    )


def _child(record: JobRecord) -> dict[str, Any]:
    """JobBase of the one step, which carries the output `score`. Its real kind is not known; a command is assumed."""
    output = {
        "description": None,
        "uri": record["output"]["uri"],
        "mode": "ReadWriteMount",
        "jobOutputType": "uri_file",
    }
    return _job_base(
        record,
        record["child"],
        {
            "description": None,
            "tags": {},
            "properties": {"azureml.pipelinerunid": record["name"], "azureml.rootpipelinerunid": record["name"]},
            "displayName": "batchscoring",
            "computeId": record["compute"],
            "jobType": "Command",
            "command": "python driver/amlbi_main.py",
            "environmentId": record["environment"],
            "inputs": None,
            "outputs": {"score": output},
        },
    )


def _job_base(record: JobRecord, name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": ids.job(workspace_of(record), name),
        "name": name,
        "type": "Microsoft.MachineLearningServices/workspaces/jobs",
        "properties": {
            "status": record["status"],
            "experimentName": record["endpoint"].rpartition("/")[2],
            "services": {
                kind: {
                    "jobServiceType": kind,
                    "port": None,
                    "endpoint": url,
                    "status": None,
                    "errorMessage": None,
                    "properties": None,
                    "nodes": None,
                }
                for kind, url in _links(record, name).items()
            },
            "isArchived": record.get("archived", False),
            "identity": None,
            "componentId": None,
            **properties,
        },
        "systemData": {
            "createdAt": seven_digits(record["created"]),
            "createdBy": "lab",
            "createdByType": "Application",
        },
    }


def _links(record: JobRecord, name: str) -> dict[str, str]:
    arm_id = workspace_of(record)
    workspace = (
        f"/subscriptions/{identity.SUBSCRIPTION_ID}/resourcegroups/{ids.group_of(arm_id)}"
        f"/workspaces/{ids.name_of(arm_id)}"
    )
    return {
        "Tracking": f"azureml://{identity.LOCATION}.api.azureml.ms/mlflow/v1.0{arm_id}?",
        "Studio": f"https://ml.azure.com/runs/{name}?wsid={workspace}",
    }
