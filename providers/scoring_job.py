"""A scoring job: data through a deployment, waited for, its predictions checked. A smoke job is one that gates.

Every attempt has a place of its own, `<output_uri>/<deployment>/<key>/<attempt>/`, and starts one job at most
(aml/submission.py). A finished failed job is never adopted, nor one whose predictions were refused by what is expected
now: the next run is another attempt. Whether anything runs at all is decided in gating.py.

One resource gates an endpoint, whichever deployment is the default: it remembers which of them passed.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import Input, Output, ResourceOptions
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from providers import checks, dynamic_host, gating, schema
from providers.aml import inputs, job, predictions, run_history, running, submission
from providers.aml.datastore import check_datastore_uri, find, locate, same_place
from providers.aml.predictions import Expected
from providers.aml.refusal import Refusal
from providers.aml.running import Place
from providers.aml.submission import Attempt, Submission
from providers.aml.workspace import Workspace
from providers.arm.ids import same_id
from providers.dynamic_host import InitFailed
from providers.gating import Decision
from providers.kind import (
    AzureArgs,
    Kind,
    Operation,
    client,
    container_at,
    deadline,
    planned,
    resource_props,
    without_provider,
)
from providers.schema import LOCAL, REPLACE, UPDATE, prop

OUTPUTS = ("job_id", "job_name", "status", "attempt", "rows", "predictions_uri", "sample", "check", "verdict", "passed")
_POLL = (0.5, 10.0)  # seconds: the first wait, and the longest
_SEEN_BY_THE_WAY = frozenset({"subjects"})
"""A change of these alone is no change: what they say is taken in with the next one."""


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
    subject: Input[str] | None = prop(
        "Name that stands for the deployment and its content; by default the deployment's.", default=None, wire=None
    )
    subjects: Input[list[str]] | None = prop(
        "Of all deployments of the stack: what passed on others is forgotten.", default=None, change=LOCAL, wire=None
    )
    key: Input[str] = prop("Digest of all that is run.", change=UPDATE, wire=None)
    input_uri: Input[str] = prop(
        "Data to score: datastore uri, https url or data asset id.",
        check=checks.job_input,
        wire=None,
        equal=same_place,
    )
    input_type: Input[str] = prop(
        "A folder or one file.", default="UriFolder", check=checks.one_of("UriFolder", "UriFile"), wire=None
    )
    files: Input[int] | None = prop(
        "How many files the input has, where that is known.", default=None, change=LOCAL, wire=None
    )
    bytes: Input[int] | None = prop("Their size, in bytes.", default=None, change=LOCAL, wire=None)
    max_files: Input[int] | None = prop(
        "Most files that the input may have; they are counted before the job starts, where they are not known.",
        default=None,
        check=checks.at_least(1),
        change=LOCAL,
        wire=None,
    )
    output_uri: Input[str] = prop(
        "Datastore uri below which outputs go, each attempt to a place of its own.",
        check=check_datastore_uri,
        change=REPLACE,
        wire=None,
        equal=same_place,
    )
    output_file_name: Input[str] = prop(
        "Name of the predictions file.", default="predictions.csv", check=checks.file_name, wire=None
    )
    output_action: Input[str] | None = prop(
        "What the deployment does with results; by default AppendRow.",
        default=None,
        check=checks.one_of("AppendRow", "SummaryOnly"),
        wire=None,
    )
    instance_count: Input[int] | None = prop(
        "Nodes that the job takes; by default as many as the deployment has.",
        default=None,
        check=checks.at_least(1, checks.INT32),
        wire=None,
    )
    allowed_failures: Input[int] | None = prop(
        "Failed files that the job may have, -1 for any number; by default the deployment's `error_threshold`.",
        default=None,
        check=checks.at_least(-1, checks.INT32),
        wire=None,
    )
    expected_rows: Input[int] | None = prop(
        "Rows that the predictions must have.", default=None, check=checks.at_least(0), wire=None
    )
    expected_columns: Input[Any] | None = prop(
        "Columns of each row: how many, or their names.", default=None, check=checks.columns, wire=None
    )
    check_script: Input[str] | None = prop(
        "Local Python script that is run with the predictions file as its argument; it refuses by exiting non-zero.",
        default=None,
        wire=None,
        change=LOCAL,
    )
    check_digest: Input[str] | None = prop("Digest of the check script.", default=None, wire=None)
    on_rollback: Input[str] | None = prop(
        "Whether a deployment that passed another job before is tested again; by default run.",
        default=None,
        check=checks.one_of(gating.RUN, gating.SKIP),
        change=LOCAL,
        wire=None,
    )
    deadline: Input[str] = prop("Longest wait for the job.", default="PT2H", check=checks.wait, change=LOCAL, wire=None)
    shared_key: Input[bool] = prop(
        "Use the storage account's key instead of an Entra ID token.", default=False, change=LOCAL, wire=None
    )


class ScoringJobKind(Kind):
    args = ScoringJobArgs

    def arrival(self, inputs: Mapping[str, Any]) -> str:
        return "" if schema.is_unknown(inputs) else announcement({}, inputs)

    def diff(self, _id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> DiffResult:
        """A job that did not pass is run again, also where a refresh made Pulumi forget that it failed."""
        changed = {name: how for name, how in self._changed(olds, news).items() if name not in _SEEN_BY_THE_WAY}
        replaces = [name for name, how in changed.items() if how == REPLACE]
        again = olds.get("verdict") in (gating.FAILED, gating.PENDING)
        if changed or again:
            said = "" if replaces or schema.is_unknown(news) else announcement(olds, news)
            dynamic_host.progress()(said or planned(changed, ""))
        return DiffResult(
            changes=bool(changed) or again, replaces=replaces, stables=[], delete_before_replace=bool(replaces)
        )

    def create(self, props: Mapping[str, Any]) -> CreateResult:
        _refuse_too_much(props)
        id_, outs = self._run(props, {}, "create")
        return CreateResult(id_, outs)

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        """What state has: a refresh must not cause a paid run, so a job that is gone from the service is no drift."""
        return ReadResult(id_, without_provider(props), self.owned(props))

    def update(self, _id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        decision, passed = decide(olds, news), gating.remembered(olds, news)
        if decision.act == "nothing":
            return UpdateResult({**self.outputs(olds), **self.owned(news)})
        if decision.act == "skip":
            _end_all(news, "update")
            outs = {**dict.fromkeys(OUTPUTS), "status": "Skipped", "verdict": gating.SKIPPED, "passed": passed}
            return UpdateResult({**self.owned(news), **outs, "check": decision.why})
        if decision.act == "run":
            _refuse_too_much(news)
        _, outs = self._run(news, passed, "update")
        return UpdateResult(outs)

    def delete(self, _id: str, props: Mapping[str, Any]) -> None:
        """Cancel what still runs, and delete the outputs. The record of the job stays: it is the audit trail."""
        _end_all(props, "delete")
        location = find(client(props), props["output_uri"])
        if location is not None:
            predictions.delete(container_at(location, props), location.path)

    def _run(
        self, props: Mapping[str, Any], passed: Mapping[str, Any], operation: Operation
    ) -> tuple[str, dict[str, Any]]:
        """Start or find the job, wait for its end, check what it wrote; raises InitFailed with all that is known."""
        expected, asked = expected_of(props), _submission(props)
        attempt, name = submission.start_or_find(asked, lambda each, known: _stands(asked, each, known, expected))
        id_ = job.job_id(props["workspace_id"], name)
        outs: dict[str, Any] = {
            **self.owned(props),
            "job_id": id_,
            "job_name": name,
            "attempt": attempt.number,
            "predictions_uri": attempt.predictions_uri,
            "verdict": gating.PENDING,
            "passed": dict(passed),
        }
        _end_all(props, operation, spare=name)
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
        outs["verdict"] = gating.FAILED
        outs["passed"] = gating.without(passed, props)
        if status != "Completed":
            reason = run_history.explain(asked.workspace, name)
            raise InitFailed(
                id_,
                outs,
                f"job {name} on deployment {props['deployment_name']} {status.lower()}: {reason}",
                name="job-failed",
            )
        try:
            outs.update(predictions.examine(asked.container, attempt, expected))
        except predictions.Refused as refused:
            submission.write_note(asked, attempt, _refused_note(expected), str(refused))
            raise InitFailed(
                id_,
                {**outs, **refused.facts},
                f"job {name} on deployment {props['deployment_name']} completed, but {refused}",
                name="predictions-refused",
            ) from refused
        evidence = {gating.subject(props): {"key": props["key"], "expectations": expected.digest, "job": name}}
        return id_, {**outs, "verdict": gating.PASSED, "passed": {**passed, **evidence}}


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


def decide(olds: Mapping[str, Any], news: Mapping[str, Any]) -> Decision:
    """Whether a job runs, from the state's outputs (empty where there are none) and the wanted inputs."""
    return gating.decide(olds, news, expected_of(news).digest, expected_of(olds).digest if olds else "")


def announcement(olds: Mapping[str, Any], news: Mapping[str, Any]) -> str:
    """What a preview says of it; empty where there is nothing to say."""
    return gating.announcement(decide(olds, news), news)


def expected_of(props: Mapping[str, Any]) -> Expected:
    rows, allowed, columns = (props.get(name) for name in ("expected_rows", "allowed_failures", "expected_columns"))
    return Expected(
        rows=None if rows is None else int(rows),
        missing=max(0, int(rows or 0) if allowed == -1 else int(allowed or 0)),
        columns=int(columns) if isinstance(columns, float) else columns,
        script=props.get("check_script"),
        script_digest=str(props.get("check_digest") or ""),
        folder=props.get("output_action") == "SummaryOnly",
    )


def tested(facts: Mapping[str, Any]) -> str:
    """The key of a job: a digest of all that it runs."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _submission(props: Mapping[str, Any]) -> Submission:
    uri = f"{props['output_uri'].rstrip('/')}/{props['deployment_name']}/{props['key'][:16]}"
    base = locate(client(props), uri)
    settings: dict[str, Any] = {}
    if props.get("instance_count") is not None:
        settings["compute"] = {"instanceCount": int(props["instance_count"])}
    if props.get("allowed_failures") is not None:
        settings["errorThreshold"] = int(props["allowed_failures"])
    return Submission(
        workspace=workspace_of(props),
        endpoint_id=props["endpoint_id"],
        deployment_name=props["deployment_name"],
        input_data={"input": {"jobInputType": props["input_type"], "uri": props["input_uri"]}},
        base_uri=uri,
        base=base,
        output_file_name=props["output_file_name"],
        container=container_at(base, props),
        settings=settings,
        progress=dynamic_host.progress(),
    )


def _refuse_too_much(props: Mapping[str, Any]) -> None:
    """Refuse an input of more files than are allowed, before anything is started: a smoke job is a small one."""
    limit = props.get("max_files")
    if limit is None:
        return
    files = props.get("files")
    if files is None:
        dynamic_host.progress()(f"counting the files of {props['input_uri']}")
        one_file, shared_key = props["input_type"] == "UriFile", bool(props.get("shared_key"))
        found = inputs.measure(
            workspace_of(props), props["input_uri"], one_file=one_file, limit=int(limit), shared_key=shared_key
        )
        files = found.files
    if files > limit:
        raise Refusal(
            f"{props['input_uri']} has more files than a smoke job may read: {_at_least(files, limit)} where "
            f"{int(limit)} are allowed (`smoke_job.max_files`); nothing was started",
            name="input-too-large",
        )


def _at_least(files: float, limit: float) -> str:
    """Counting ends one above the limit."""
    return f"at least {int(files)}" if files == limit + 1 else str(int(files))


def _stands(asked: Submission, attempt: Attempt, name: str, expected: Expected) -> bool:
    """A job that runs or passed: one whose predictions were refused has a note that says so, and by what."""
    refused = submission.read_note(asked, attempt, _refused_note(expected))
    return refused is None and job.status(asked.workspace, name) not in job.FAILED


def _refused_note(expected: Expected) -> str:
    return f"refused-{expected.digest}"


def _end_all(props: Mapping[str, Any], operation: Operation, spare: str = "") -> None:
    """Cancel what this gate ever began and still runs, but for one job."""
    location = find(client(props), props["output_uri"])
    if location is not None:
        running.end_below(
            workspace_of(props),
            Place(uri=props["output_uri"], location=location, container=container_at(location, props)),
            props["endpoint_id"],
            within=deadline(props, operation),
            progress=dynamic_host.progress(),
            spare=(spare,),
        )


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
