"""The scoring data plane: `https://<endpoint>.<region>.inference.ml.azure.com/jobs`."""

from __future__ import annotations

import dataclasses
import json
import random
import uuid
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import (
    computes,
    deployments,
    endpoints,
    ids,
    jobs,
    role_assignments,
    storage_accounts,
    workspaces,
)
from lab.emulator.call import Call, Reply
from lab.emulator.entra import ML_AUDIENCES, require_token
from lab.emulator.errors import unknown, user_error
from lab.emulator.invocation import Invocation, read_invocation
from lab.emulator.job_spec import driver_spec
from lab.emulator.locations import Elsewhere
from lab.emulator.paging import bounds, paged
from lab.emulator.roles import QUEUES, READ, TABLES, WRITE
from lab.emulator.workspaces import API_HOST

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

_NO_DEFAULT = (
    "No valid deployments to route to. Please check that the endpoint has at least one deployment with positive weight "
    "values or use a deployment specific header to route."
)
_API_VERSION = "2020-09-01-dataplanepreview"
_SUFFIX = ".inference.ml.azure.com"


def answer(cloud: Cloud, call: Call) -> Reply:
    require_token(cloud, call, ML_AUDIENCES)
    endpoint = _endpoint(cloud, call.host)
    call = dataclasses.replace(call, workspace=ids.workspace_of(endpoint["id"]))
    parts = call.path.strip("/").split("/")
    if parts == ["jobs"] and call.method == "POST":
        return _invoke(cloud, call, endpoint)
    if parts == ["jobs"] and call.method == "GET":
        return jobs_of(cloud, call, endpoint=endpoint["id"])
    if parts[0] == "jobs" and len(parts) == 2 and call.method == "GET":
        return _job(cloud, call.workspace, endpoint, parts[1])
    raise unknown(f"{call.method} https://{call.host}{call.path}")


def jobs_of(cloud: Cloud, call: Call, *, endpoint: str | None = None, deployment: str | None = None) -> Reply:
    """A list of BatchJobResource, the newest first; those younger than `delayed_listing` are not in it yet."""
    size, skip = bounds(call)
    older_than = call.now - cloud.plays.delayed_listing
    found = cloud.store.jobs(
        endpoint=endpoint, deployment=deployment, older_than=older_than, limit=size + 1, offset=skip
    )
    items = [jobs.batch_job(cloud.executions.refresh(record)) for record in found[:size]]
    return paged(call, items, more=len(found) > size, size=size, skip=skip)


def _endpoint(cloud: Cloud, host: str) -> dict[str, Any]:
    name, _, region = host.removesuffix(_SUFFIX).partition(".")
    if region != identity.LOCATION:
        raise unknown(f"the region '{region}' of {host}; it lies in {identity.LOCATION}")
    return endpoints.in_region(cloud, name) or endpoints.find(cloud, ids.WORKSPACE, name)


def _job(cloud: Cloud, workspace: str, endpoint: dict[str, Any], name: str) -> Reply:
    record = jobs.find(cloud, workspace, name)
    if record["endpoint"].lower() != endpoint["id"].lower() or record["name"] != name:
        raise user_error(
            404,
            f"Job with name '{name}' was not found in the endpoint '{endpoint['name']}'.",
            inner=("NotFound", "JobNotFound"),
        )
    return Reply(200, jobs.batch_job(record))


def _invoke(cloud: Cloud, call: Call, endpoint: dict[str, Any]) -> Reply:
    deployment = _routed(cloud, call, endpoint)
    if deployments.is_pipeline(deployment["properties"]):
        raise unknown(f"jobs of pipeline component deployments, such as '{deployment['name']}'; it runs no pipelines")
    invocation = read_invocation(call.json_object(), deployment["properties"], call.workspace)
    record = _record(cloud, call, endpoint, deployment, invocation)
    spec = None
    try:
        spec = driver_spec(cloud, record, deployment["properties"], invocation)
    except Elsewhere as elsewhere:
        # The service accepts such a job and its run fails; so does the lab.
        record["impossible"] = str(elsewhere)
    record["impossible"] = record["impossible"] or _without_access(cloud, call, deployment["properties"]["compute"])
    cloud.executions.submit(record, spec)
    return Reply(
        201,
        jobs.batch_job(record),
        {
            "azureml-model-deployment": deployment["name"],
            "Location": f"{API_HOST}/mferp/managementfrontend{deployment['id']}?api-version={_API_VERSION}",
            "Server": "azureml-frontdoor",
        },
    )


def _without_access(cloud: Cloud, call: Call, compute_id: str) -> str | None:
    """Why a job cannot reach the storage account of a workspace that is accessed by identity; None where it can.

    Parallel runs keep their tasks in queues and tables, as whoever the cluster's identity is
    (https://learn.microsoft.com/azure/machine-learning/how-to-disable-local-auth-storage#scenarios-for-role-assignments);
    the texts are the lab's own.
    """
    properties = workspaces.of(cloud, call.workspace)["properties"]
    if properties.get("systemDatastoresAuthMode") != "identity":
        return None
    account, compute = properties["storageAccount"], cloud.store.get(compute_id) or {}
    wanted = frozenset({READ, WRITE, QUEUES, TABLES})
    who = computes.principals(compute)[:1]
    missing = role_assignments.lacking(cloud, who[0], wanted, account, call.now) if who else sorted(wanted)
    if missing:
        name = (
            f"identity {who[0]} of compute {ids.name_of(compute_id)}" if who else f"compute {ids.name_of(compute_id)}"
        )
        return f"AuthorizationPermissionMismatch: {name} has no role for {', '.join(missing)} in {account}"
    if not storage_accounts.opens(cloud, ids.name_of(account), call.now):
        return f"AuthorizationPermissionMismatch: who started the job has no role for blobs in {account}"
    return None


def _routed(cloud: Cloud, call: Call, endpoint: dict[str, Any]) -> dict[str, Any]:
    """The deployment that the header names, else the default one."""
    name = call.headers.get("azureml-model-deployment") or endpoint["properties"]["defaults"]["deploymentName"]
    if not name:
        status = 404 if cloud.plays.invoke_without_default == "not_found" else 400
        raise user_error(status, _NO_DEFAULT, inner=("BadArgument", "NoValidDeployments"))
    deployment = deployments.find(cloud, call.workspace, endpoint["name"], name)
    if not _is_ready(deployment):
        state = deployment["properties"]["provisioningState"]
        raise user_error(
            409,
            f"The deployment '{name}' of the endpoint '{endpoint['name']}' is {state}; only one that has succeeded "
            "takes jobs.",
            inner=("Conflict", "DeploymentNotReady"),
        )
    return deployment


def _is_ready(deployment: dict[str, Any]) -> bool:
    """A deployment that is updated goes on serving; one that is being created does not yet."""
    state, data = deployment["properties"]["provisioningState"], deployment["systemData"]
    updated: bool = data["createdAt"] != data["lastModifiedAt"]
    return state == "Succeeded" or (state == "Updating" and updated)


def _record(
    cloud: Cloud, call: Call, endpoint: dict[str, Any], deployment: dict[str, Any], invocation: Invocation
) -> jobs.JobRecord:
    child = str(uuid.uuid4())
    settings = invocation.settings
    output = invocation.output_uri or (
        f"azureml://datastores/{identity.DEFAULT_DATASTORE}/paths/azureml/{child}/score/{settings['output_file_name']}"
    )
    parameters = {
        "run_max_try": str(settings["max_retries"]),
        "run_invocation_timeout": str(settings["timeout_seconds"]),
        "mini_batch_size": str(settings["mini_batch_size"]),
        "error_threshold": str(settings["error_threshold"]),
        "logging_level": settings["logging_level"].upper(),
        "process_count_per_node": str(settings["max_concurrency_per_instance"]),
        "legacy_model_job": "False",
        "NodeCount": str(settings["instance_count"]),
        "append_row_file_name": settings["output_file_name"],
    }
    return {
        "name": f"batchjob-{uuid.uuid4()}",
        "child": child,
        "endpoint": endpoint["id"],
        "deployment": deployment["id"],
        "active": True,
        "created": call.now,
        "status": "Preparing",
        "launched": False,
        "launches": 0,
        "pid": None,
        "ready_at": call.now + cloud.plays.provisioning_seconds,
        "cancel_requested": None,
        "archived": False,
        "description": None,
        "impossible": None,
        "display_name": invocation.name or _friendly_name(),
        "echo": invocation.echo,
        "compute": deployment["properties"]["compute"],
        "environment": deployment["properties"]["environmentId"],
        "output": {"uri": output},
        "retry_settings": invocation.retry_settings,
        "tags": {
            **invocation.tags,
            "outputType": "output_data",
            "inputType": "input_data",
            "azureml.batchrun": "true",
            "azureml.deploymentname": deployment["name"],
            "azureml.jobtype": "azureml.batchjob",
        },
        "properties": {
            **invocation.properties,
            "azureml.pipelineid": str(uuid.uuid4()),
            "azureml.runsource": "azureml.PipelineRun",
            "runSource": "Unavailable",
            "runType": "HTTP",
            "azureml.parameters": json.dumps(parameters, separators=(",", ":")),
            "azureml.continue_on_step_failure": "False",
            "azureml.continue_on_failed_optional_input": "False",
            "azureml.pipelineComponent": "pipelinerun",
        },
        "started": None,
        "ended": None,
        "error": None,
        "outputs": [],
        "logs": {},
    }


_ADJECTIVES = ("careful", "brave", "calm", "eager", "gentle", "keen", "patient", "quiet", "sharp", "witty")
_NOUNS = ("bulb", "stamp", "bread", "cart", "drawer", "fig", "hook", "lamp", "onion", "pear")


def _friendly_name() -> str:
    tail = "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=8))  # noqa: S311  (a name, no secret)
    return f"{random.choice(_ADJECTIVES)}_{random.choice(_NOUNS)}_{tail}"  # noqa: S311
