"""A scoring job: data through a deployment, waited for, its predictions checked. A smoke job is one that gates.

Every attempt has a place of its own, `<outputs>/<key>/<attempt>/`, and starts one job at most (aml/submission.py). A
finished failed job is never adopted, nor one whose predictions were refused: the next run is another attempt.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import Input, Output, ResourceOptions
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from providers import checks, dynamic_host
from providers.aml import job, predictions, run_history, submission
from providers.aml.datastore import check_datastore_uri, find, locate, same_place
from providers.aml.submission import Attempt, Submission
from providers.aml.workspace import Workspace
from providers.arm.ids import same_id
from providers.dynamic_host import InitFailed
from providers.kind import AzureArgs, Kind, Operation, client, container_at, deadline, resource_props, without_provider
from providers.schema import LOCAL, REPLACE, UPDATE, prop

OUTPUTS = ("job_id", "job_name", "status", "attempt", "rows", "predictions_uri", "sample", "check", "verdict")
_POLL = (0.5, 10.0)  # seconds: the first wait, and the longest


@dataclass(frozen=True, kw_only=True)
class ScoringJobArgs(AzureArgs):
    """A change of `key` runs another job; everything that the key stands for is told by whoever makes it."""

    workspace_id: Input[str] = prop(
        "ARM id of the workspace.", check=checks.arm_id, change=REPLACE, wire=None, equal=same_id
    )
    endpoint_id: Input[str] = prop(
        "ARM id of the endpoint.", check=checks.arm_id, change=REPLACE, wire=None, equal=same_id
    )
    deployment_name: Input[str] = prop("The deployment that scores.", check=checks.endpoint_name, wire=None)
    key: Input[str] = prop("Digest of all that is tested.", change=UPDATE, wire=None)
    input_uri: Input[str] = prop(
        "Data to score: datastore uri, https url or data asset id.", wire=None, equal=same_place
    )
    input_type: Input[str] = prop(
        "A folder or one file.", default="UriFolder", check=checks.one_of("UriFolder", "UriFile"), wire=None
    )
    output_uri: Input[str] = prop(
        "Datastore uri below which outputs go, each attempt to a place of its own.",
        check=check_datastore_uri,
        wire=None,
        equal=same_place,
    )
    output_file_name: Input[str] = prop("Name of the predictions file.", default="predictions.csv", wire=None)
    expected_rows: Input[int] | None = prop(
        "Rows that the predictions must have.", default=None, check=checks.at_least(0), wire=None
    )
    check_script: Input[str] | None = prop(
        "Local Python script that is run with the predictions file as its argument; it refuses by exiting non-zero.",
        default=None,
        wire=None,
        change=LOCAL,
    )
    deadline: Input[str] = prop(
        "Longest wait for the job.", default="PT2H", check=checks.duration, change=LOCAL, wire=None
    )
    shared_key: Input[bool] = prop(
        "Use the storage account's key instead of an Entra ID token.", default=False, change=LOCAL, wire=None
    )


class ScoringJobKind(Kind):
    args = ScoringJobArgs

    def create(self, props: Mapping[str, Any]) -> CreateResult:
        id_, outs = self._run(props, "create")
        return CreateResult(id_, outs)

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        """What state has: a refresh must not cause a paid run, so a job that is gone from the service is no drift."""
        return ReadResult(id_, without_provider(props), self.owned(props))

    def update(self, _id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        """Runs when what is tested changed, or when the last run did not pass (Pulumi asks for an update then)."""
        if self.only_local(olds, news) and olds.get("verdict") == "passed":
            return UpdateResult({**without_provider(olds), **self.owned(news)})
        _, outs = self._run(news, "update")
        return UpdateResult(outs)

    def delete(self, _id: str, props: Mapping[str, Any]) -> None:
        """Cancel what still runs, and delete the outputs. The record of the job stays: it is the audit trail."""
        name = props.get("job_name")
        if name and job.cancel(workspace_of(props), str(name)):
            _wait(props, str(name), deadline(props, "delete"))
        location = find(client(props), props["output_uri"])
        if location is not None:
            predictions.delete(container_at(location, props), location.path)

    def _run(self, props: Mapping[str, Any], operation: Operation) -> tuple[str, dict[str, Any]]:
        """Start or find the job, wait for its end, check what it wrote; raises InitFailed with all that is known."""
        asked = _submission(props)
        attempt, name = submission.start_or_find(asked, lambda attempt, name: _stands(asked, attempt, name))
        id_ = job.job_id(props["workspace_id"], name)
        outs: dict[str, Any] = {
            **self.owned(props),
            "job_id": id_,
            "job_name": name,
            "attempt": attempt.number,
            "predictions_uri": attempt.predictions_uri,
            "verdict": "pending",
        }
        longest = deadline(props, operation)
        status = _wait(props, name, longest)
        outs["status"] = status
        if status not in job.ENDED:
            raise InitFailed(
                id_,
                outs,
                f"job {name} is {status} after {longest:.0f} s (`deadline`); it still runs "
                f"in {props['workspace_id']}, and the next `up` goes on waiting for it",
                name="job-still-running",
            )
        outs["verdict"] = "failed"
        if status != "Completed":
            reason = run_history.explain(asked.workspace, name)
            raise InitFailed(
                id_,
                outs,
                f"job {name} on deployment {props['deployment_name']} {status.lower()}: {reason}",
                name="job-failed",
            )
        try:
            outs.update(
                predictions.examine(
                    asked.container,
                    attempt,
                    expected_rows=None if props.get("expected_rows") is None else int(props["expected_rows"]),
                    check_script=props.get("check_script"),
                )
            )
        except predictions.Refused as refused:
            submission.write_note(asked, attempt, "refused", str(refused))
            raise InitFailed(
                id_,
                {**outs, **refused.facts},
                f"job {name} on deployment {props['deployment_name']} completed, but {refused}",
                name="predictions-refused",
            ) from refused
        return id_, {**outs, "verdict": "passed"}


class ScoringJob(Resource, module="azureml", name="ScoringJob"):
    job_id: Output[str]
    """ARM id of the job that counts now; the resource's own id is the first attempt's and never changes."""
    job_name: Output[str]
    status: Output[str]
    attempt: Output[int]
    rows: Output[int]
    predictions_uri: Output[str]
    sample: Output[str]
    check: Output[str]
    verdict: Output[str]

    def __init__(self, name: str, args: ScoringJobArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__(ScoringJobKind(), name, resource_props(args, OUTPUTS), opts)


def workspace_of(props: Mapping[str, Any]) -> Workspace:
    return Workspace(client(props), str(props["workspace_id"]), str(props["api_version"]))


def _submission(props: Mapping[str, Any]) -> Submission:
    base = locate(client(props), props["output_uri"])
    return Submission(
        workspace=workspace_of(props),
        endpoint_id=props["endpoint_id"],
        deployment_name=props["deployment_name"],
        input_data={"input": {"jobInputType": props["input_type"], "uri": props["input_uri"]}},
        base_uri=props["output_uri"],
        base=base,
        output_file_name=props["output_file_name"],
        container=container_at(base, props),
        progress=dynamic_host.progress(),
    )


def _stands(asked: Submission, attempt: Attempt, name: str) -> bool:
    """A job that runs or passed: one whose predictions were refused has a note that says so."""
    refused = submission.read_note(asked, attempt, "refused")
    return refused is None and job.status(asked.workspace, name) not in job.FAILED


def _wait(props: Mapping[str, Any], name: str, longest: float) -> str:
    """The job's status when it ended, or after `longest` seconds."""
    show, elapsed = dynamic_host.progress(), dynamic_host.stopwatch()
    until = time.monotonic() + longest
    pause, longest_pause = _POLL
    while True:
        status = job.status(workspace_of(props), name)
        show(f"job {name}: {status}, {elapsed()}")
        if status in job.ENDED or time.monotonic() >= until:
            return status
        time.sleep(min(pause, max(0.0, until - time.monotonic())))
        pause = min(longest_pause, pause * 1.5)


def tested(facts: Mapping[str, Any]) -> str:
    """The key of a job: a digest of all that its outcome depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
