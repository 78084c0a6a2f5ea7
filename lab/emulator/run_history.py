"""The region's API host: discovery, run history, and the data plane's job lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import endpoints, ids, jobs, scoring, workspaces
from lab.emulator.call import Call, Reply
from lab.emulator.entra import ARM_AUDIENCES, ML_AUDIENCES, require_token
from lab.emulator.errors import unknown
from lab.emulator.job_changes import patch_run
from lab.emulator.routes import Found, RouteTable
from lab.emulator.timestamps import zulu

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

_WORKSPACE = (
    f"subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{ids.PROVIDER}/workspaces/{{workspace}}"
)
_Handler = Callable[["Cloud", Call], Reply]
_EXIT_CODE = (
    "Execution failed. User process '/azureml-envs/azureml_lab/bin/python' exited with status code 42. Please check "
    "log file 'user_logs/std_log_0.txt' for error details. Error: Traceback (most recent call last):\n"
    '  File "driver/amlbi_main.py", line 275, in <module>\n    main()\n'
    '  File "driver/amlbi_main.py", line 226, in main\n    sys.exit(exitcode_candidate)\nSystemExit: 42\n'
)
"""As people quote it for whatever went wrong in a script (azureml-examples#2614, MachineLearningNotebooks#1930)."""
_GENERIC = "Pipeline has some failed steps. See child run or execution logs for more details."


def answer(cloud: Cloud, call: Call) -> Reply:
    found = _ROUTES.find(call.method, call.path)
    if found is None:
        raise unknown(f"{call.method} https://{call.host}{call.path}")
    return found.handler(
        cloud, dataclasses.replace(call, params=found.params, workspace=_workspace(cloud, call, found))
    )


def _workspace(cloud: Cloud, call: Call, found: Found[_Handler]) -> str:
    if "workspace" not in found.params:
        return ""
    known = workspaces.find(cloud, found.params["group"], found.params["workspace"])
    if found.params["subscription"].lower() != identity.SUBSCRIPTION_ID or known is None:
        raise unknown(f"the workspace of https://{call.host}{call.path}")
    return str(known["id"])


def _discovery(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    return workspaces.get_discovery()


def _details(cloud: Cloud, call: Call) -> Reply:
    require_token(cloud, call, ARM_AUDIENCES)
    record = jobs.find(cloud, call.workspace, call.params["run"])
    return Reply(200, _run(cloud, call, record, child=call.params["run"] == record["child"], details=True))


def _run_alone(cloud: Cloud, call: Call) -> Reply:
    require_token(cloud, call, ARM_AUDIENCES)
    record = jobs.find(cloud, call.workspace, call.params["run"])
    return Reply(200, _run(cloud, call, record, child=call.params["run"] == record["child"], details=False))


def _change(cloud: Cloud, call: Call) -> Reply:
    """PATCH below the experiment, as azure-ai-ml's `jobs.archive`, `restore` and `update` send it; it makes no run."""
    require_token(cloud, call, ARM_AUDIENCES)
    record = patch_run(cloud, jobs.find(cloud, call.workspace, call.params["run"]), call)
    return Reply(200, _run(cloud, call, record, child=False, details=False))


def _children(cloud: Cloud, call: Call) -> Reply:
    """The one step `batchscoring` of a job; a step has none."""
    require_token(cloud, call, ARM_AUDIENCES)
    record = jobs.find(cloud, call.workspace, call.params["run"])
    steps = [] if call.params["run"] == record["child"] else [_run(cloud, call, record, child=True, details=False)]
    return Reply(200, {"value": steps, "continuationToken": None, "nextLink": None})


def _run_data(cloud: Cloud, call: Call) -> Reply:
    """What azure-ai-ml asks before it downloads. No typed outputs are said, so that it looks at the known places."""
    require_token(cloud, call, ARM_AUDIENCES)
    name = str(call.json_object().get("runId", ""))
    record = jobs.find(cloud, call.workspace, name)
    return Reply(200, {"runMetadata": _run(cloud, call, record, child=name == record["child"], details=False)})


def _jobs_of_endpoint(cloud: Cloud, call: Call) -> Reply:
    require_token(cloud, call, ML_AUDIENCES)
    return scoring.jobs_of(cloud, call, endpoint=endpoints.find(cloud, call.workspace, call.params["endpoint"])["id"])


def _jobs_of_deployment(cloud: Cloud, call: Call) -> Reply:
    require_token(cloud, call, ML_AUDIENCES)
    endpoint = endpoints.find(cloud, call.workspace, call.params["endpoint"])
    return scoring.jobs_of(cloud, call, deployment=f"{endpoint['id']}/deployments/{call.params['deployment']}")


def _run(cloud: Cloud, call: Call, record: jobs.JobRecord, *, child: bool, details: bool) -> dict[str, Any]:
    """Run or RunDetails of azure-ai-ml's run history client; what the lab knows of it."""
    name = record["child"] if child else record["name"]
    run: dict[str, Any] = {
        "runNumber": 2 if child else 1,
        "rootRunId": record["name"],
        "runId": name,
        "runUuid": name.removeprefix("batchjob-"),
        "parentRunUuid": record["name"].removeprefix("batchjob-") if child else None,
        "rootRunUuid": record["name"].removeprefix("batchjob-"),
        "parentRunId": record["name"] if child else None,
        "status": record["status"],
        "startTimeUtc": record["started"],
        "endTimeUtc": record["ended"],
        "error": _error(cloud, record, child=child),
        "warnings": None,
        "tags": {} if child else record["tags"],
        "properties": {"azureml.pipelinerunid": record["name"]} if child else record["properties"],
        "parameters": {},
        "services": {},
        "inputs": None,
        "outputs": None,
        "target": record["compute"].rpartition("/")[2] if child else None,
        "runTypeV2": {"orchestrator": None, "traits": []},
        "settings": {},
        "createdBy": {"userObjectId": None, "userName": "lab"},
    }
    if details:
        run |= {"createdTimeUtc": zulu(record["created"]), "logFiles": _log_files(cloud, call, record, child=child)}
    else:
        run |= {
            "createdUtc": zulu(record["created"]),
            "experimentId": record["endpoint"].rpartition("/")[2],
            "displayName": "batchscoring" if child else record["display_name"],
            "name": "batchscoring" if child else record["display_name"],
            "description": None if child else record.get("description"),
            "hidden": not child and bool(record.get("archived")),
            "runType": "azureml.StepRun" if child else "azureml.PipelineRun",
        }
    return run


def _error(cloud: Cloud, record: jobs.JobRecord, *, child: bool) -> dict[str, Any] | None:
    if not record["error"]:
        return None
    code, message = record["error"]["code"], record["error"]["message"]
    if not child and cloud.plays.parent_error == "generic":
        code, message = "UserError", _GENERIC
    elif cloud.plays.step_error == "exit_code" and record["error"].get("script_failed"):
        message = _EXIT_CODE
    return {
        "error": {
            "code": code,
            "message": message,
            "messageFormat": None,
            "messageParameters": {},
            "referenceCode": None,
            "detailsUri": None,
            "target": None,
            "details": [],
            "innerError": None,
        },
        "correlation": None,
        "environment": None,
        "location": None,
        "time": record["ended"],
        "componentName": None,
    }


def _log_files(cloud: Cloud, call: Call, record: jobs.JobRecord, *, child: bool) -> dict[str, str]:
    """Signed links. The pipeline's own logs lie at `logs/azureml/`, everything else is the step's."""
    account = workspaces.account_of(cloud, call.workspace)
    return {
        name: cloud.blobs.blob_url(account, place["container"], place["path"], call.now)
        for name, place in sorted((record["logs"] or {}).items())
        if child != name.startswith("logs/azureml/")
    }


_ROUTES: RouteTable[_Handler] = RouteTable(
    [
        ("GET", "discovery", _discovery),
        ("GET", f"history/v1.0/{_WORKSPACE}/runs/{{run}}/details", _details),
        ("GET", f"history/v1.0/{_WORKSPACE}/runs/{{run}}/children", _children),
        ("GET", f"history/v1.0/{_WORKSPACE}/runs/{{run}}", _run_alone),
        ("PATCH", f"history/v1.0/{_WORKSPACE}/experiments/{{experiment}}/runs/{{run}}", _change),
        ("POST", f"history/v1.0/{_WORKSPACE}/rundata", _run_data),
        ("GET", f"mferp/managementfrontend/{_WORKSPACE}/batchEndpoints/{{endpoint}}/jobs", _jobs_of_endpoint),
        (
            "GET",
            f"mferp/managementfrontend/{_WORKSPACE}/batchEndpoints/{{endpoint}}/deployments/{{deployment}}/jobs",
            _jobs_of_deployment,
        ),
    ]
)
