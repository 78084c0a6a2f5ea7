"""A scoring job: data through a deployment, waited for, its predictions checked. A smoke job is one that gates.

Starting a job costs money and POST is not idempotent, so every attempt has a place of its own,
`<outputs>/<key>/<attempt>/`, where the intention to submit is written before the POST and the job's name after it. A
lost answer, a crash or a kill is healed by reading that note: the job it names is adopted, a job that writes to that
place is found in the endpoint's list. A finished failed job is never adopted: the next run is another attempt.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import Input, Output, ResourceOptions
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from providers import checks, dynamic_host, predictions, run_history, submission
from providers.datastore import check_datastore_uri, find, open_container
from providers.dynamic_host import InitFailed
from providers.kind import AzureArgs, Kind, client, deadline, resource_props, without_provider
from providers.schema import LOCAL, REPLACE, UPDATE, prop

OUTPUTS = ("job_id", "job_name", "status", "attempt", "rows", "predictions_uri", "sample", "check", "verdict")
_ENDED = ("Completed", "Failed", "Canceled")
_POLL = (0.5, 10.0)  # seconds: the first wait, and the longest


@dataclass(frozen=True, kw_only=True)
class ScoringJobArgs(AzureArgs):
    """A change of `key` runs another job; everything that the key stands for is told by whoever makes it."""

    workspace_id: Input[str] = prop("ARM id of the workspace.", check=checks.arm_id, change=REPLACE, wire=None)
    endpoint_id: Input[str] = prop("ARM id of the endpoint.", check=checks.arm_id, change=REPLACE, wire=None)
    deployment_name: Input[str] = prop("The deployment that scores.", check=checks.endpoint_name, wire=None)
    key: Input[str] = prop("Digest of all that is tested.", change=UPDATE, wire=None)
    input_uri: Input[str] = prop("Data to score: datastore uri, https url or data asset id.", wire=None)
    input_type: Input[str] = prop(
        "A folder or one file.", default="UriFolder", check=checks.one_of("UriFolder", "UriFile"), wire=None
    )
    output_uri: Input[str] = prop(
        "Datastore uri below which outputs go, each attempt to a place of its own.",
        check=check_datastore_uri,
        wire=None,
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
        id_, outs = self._run(props)
        return CreateResult(id_, outs)

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        """What state has: a refresh must not cause a paid run, so a job that is gone from the service is no drift."""
        return ReadResult(id_, without_provider(props), self.owned(props))

    def update(self, _id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        """Runs when what is tested changed, or when the last run did not pass (Pulumi asks for an update then)."""
        if self.only_local(olds, news) and olds.get("verdict") == "passed":
            return UpdateResult({**without_provider(olds), **self.owned(news)})
        _, outs = self._run(news)
        return UpdateResult(outs)

    def delete(self, _id: str, props: Mapping[str, Any]) -> None:
        """Cancel what still runs, and delete the outputs. The record of the job stays: it is the audit trail."""
        name = props.get("job_name")
        if name:
            id_ = job_id(props, str(name))
            job = client(props).get(id_, api_version=props["api_version"])
            if job and status_of(job) not in _ENDED:
                client(props).post(f"{id_}/cancel", api_version=props["api_version"], idempotent=True, wait=True)
                _wait(props, str(name))
        location = find(props["output_uri"], props)
        if location is not None:
            predictions.delete(open_container(location, props), location.path)

    def _run(self, props: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Start or find the job, wait for its end, check what it wrote; raises InitFailed with all that is known."""
        attempt, name = submission.start_or_find(props)
        outs: dict[str, Any] = {
            **self.owned(props),
            "job_id": job_id(props, name),
            "job_name": name,
            "attempt": attempt.number,
            "predictions_uri": attempt.predictions_uri,
            "verdict": "pending",
        }
        id_ = job_id(props, name)
        status = _wait(props, name)
        outs["status"] = status
        if status not in _ENDED:
            raise InitFailed(
                id_,
                outs,
                f"job {name} is {status} after {checks.seconds(props['deadline']):.0f} s (`deadline`); it still runs "
                f"in {props['workspace_id']}, and the next `up` goes on waiting for it",
                name="job-still-running",
            )
        outs["verdict"] = "failed"
        if status != "Completed":
            reason = run_history.explain(client(props), props["workspace_id"], name, props["api_version"])
            raise InitFailed(
                id_,
                outs,
                f"job {name} on deployment {props['deployment_name']} {status.lower()}: {reason}",
                name="job-failed",
            )
        try:
            outs.update(predictions.examine(props, attempt))
        except predictions.Refused as refused:
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


def job_id(props: Mapping[str, Any], name: str) -> str:
    return f"{props['workspace_id']}/jobs/{name}"


def status_of(job: Mapping[str, Any]) -> str:
    return str((job.get("properties") or {}).get("status"))


def _wait(props: Mapping[str, Any], name: str) -> str:
    """The job's status when it ended, or when the deadline passed."""
    show, elapsed = dynamic_host.progress(), dynamic_host.stopwatch()
    until = time.monotonic() + deadline(props)
    pause, longest = _POLL
    while True:
        job = client(props).get(job_id(props, name), api_version=props["api_version"])
        status = status_of(job) if job else "NotStarted"  # a new job takes a moment to be listed
        show(f"job {name}: {status}, {elapsed()}")
        if status in _ENDED or time.monotonic() >= until:
            return status
        time.sleep(min(pause, max(0.0, until - time.monotonic())))
        pause = min(longest, pause * 1.5)


def tested(facts: Mapping[str, Any]) -> str:
    """The key of a job: a digest of all that its outcome depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
