"""`submit`: input, output and settings become one job, once, whatever happens to this process."""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobs import COMPLETED, overrides, pipelines, watching
from jobs.clock import Clock
from jobs.inputs import Data, find, registered, send
from jobs.keys import fingerprint, key_of
from jobs.progress_bar import progress_bar
from jobs.target import Target
from jobs.unfinished import Unfinished, finish, is_finished, newest_attempt
from jobs.voice import Voice
from jobs.writing import refuse_existing, writes
from providers.aml import job
from providers.aml.datastore import datastore_uri, open_located
from providers.aml.endpoint import Deployment, deployment_of
from providers.aml.refusal import Refusal
from providers.aml.submission import SCORE, Attempt, Output, Submission, intention_of, start_or_find
from providers.arm.errors import ArmError
from providers.blob import put_if_absent, read_text

MARK = "batch-scoring.submission"
"""The job's tag that holds where its submission's notes are: the path of its attempt."""
_DAY = 24 * 3600.0


@dataclass(frozen=True)
class Request:
    """What a command asks for, with all that is known before anything is sent."""

    deployment: Deployment
    data: Mapping[str, Data]
    literals: Mapping[str, str]
    outputs: Mapping[str, Output]
    output_file_name: str
    settings: Mapping[str, Any]

    def identity(self, asked_deployment: str | None) -> str:
        """Two commands of one identity are the same. The default deployment is one, whichever it is just now."""
        return fingerprint(
            {
                "deployment": asked_deployment,
                "inputs": {name: [each.type, each.identity] for name, each in self.data.items()},
                "literals": dict(self.literals),
                "outputs": {name: each.uri for name, each in self.outputs.items()},
                "output_file_name": self.output_file_name,
                "settings": dict(self.settings),
            }
        )


def submit(
    asked: argparse.Namespace, target: Target, voice: Voice, unfinished: Unfinished, clock: Clock
) -> tuple[int, Callable[[], None]]:
    """The exit code, and what is to be done as the very last thing before the process ends with it."""
    request = _read(asked, target)
    _tell_inputs(request, voice)
    for each in request.data.values():
        send(each, target, voice)
    if asked.register:
        only = next(iter(request.data))
        data = registered(request.data[only], asked.register, target, voice)
        request = Request(**{**vars(request), "data": {only: data}})
    identity = request.identity(asked.deployment)
    key = key_of(target.endpoint_id, asked.key, identity)
    submission = _submission(request, target, key, asked.deployment)
    if asked.key:
        _refuse_other_use(submission, asked.key, identity)
    number = 1 if asked.key else _attempt(submission, key, unfinished, anew=asked.new)
    earlier = intention_of(submission, submission.attempt(number))
    if earlier is None:
        refuse_existing(submission, number, target)
    unfinished.note(key, number)
    try:
        with progress_bar(voice, "submitting") as show:
            timed = replace(submission, progress=show, now=clock.monotonic, sleep=clock.sleep)
            attempt, name = start_or_find(timed, lambda _attempt, _name: True, first=number)
    except ArmError as error:
        if not error.maybe_carried_out:
            unfinished.forget(key)  # nothing was started, and nothing is to be found
        raise
    unfinished.note(key, attempt.number)
    if attempt.number != number:
        earlier = None
    if earlier and not asked.key:
        _refuse_yesterdays(target, name, earlier.age)
    _tell(voice, target, request.deployment, attempt, job_name=name, found=earlier.written if earlier else None)
    code = COMPLETED
    if asked.watch:
        code = watching.watch(name, target, voice, clock, deployment=request.deployment.name)
    why = finish(submission, attempt.number)
    if why:
        voice.note(f"the submission could not be marked as finished ({why}); --new starts another job")
    return code, lambda: unfinished.forget(key)


def _read(asked: argparse.Namespace, target: Target) -> Request:
    """Everything that can be refused before anything is sent is refused here."""
    settings = overrides.read(asked)
    given = _pairs(asked.input_named, "--input")
    literals = _pairs(asked.literal, "--literal")
    if asked.input is not None:
        given = {"input": asked.input, **given}
    deployment = deployment_of(target.workspace, target.endpoint_id, asked.deployment)
    overrides.refuse_other_output_action(asked.output_action, deployment)
    interface = None
    if deployment.component_id is None:
        _refuse_for_a_model(deployment, given, literals)
        outputs = {
            SCORE: Output("UriFile", writes(asked.output, asked.output_file or deployment.output_file_name, target))
        }
    else:
        interface = pipelines.interface_of(target.workspace, deployment.component_id)
        if interface:
            pipelines.check(interface, given, literals)
        outputs = pipelines.outputs_of(interface, _output_places(asked, target))
    if asked.register and len(given) != 1:
        raise Refusal("--register: needs exactly one data input", name="usage")
    if asked.output_file and deployment.component_id is None:
        settings["outputFileName"] = asked.output_file
    return Request(
        deployment=deployment,
        data={name: find(each, target, asked.input_type) for name, each in given.items()},
        literals=literals,
        outputs=outputs,
        output_file_name=asked.output_file or deployment.output_file_name,
        settings=settings,
    )


def _refuse_for_a_model(deployment: Deployment, given: Mapping[str, str], literals: Mapping[str, str]) -> None:
    if literals:
        raise Refusal(
            f"--literal: {deployment.name} deploys a model, and the service takes literals for pipeline deployments "
            "alone (azure-docs#115245)",
            name="pipeline-inputs",
        )
    if len(given) != 1:
        raise Refusal(
            f"a model's deployment such as {deployment.name} reads exactly one input, and {len(given)} were given",
            name="usage",
        )


def _output_places(asked: argparse.Namespace, target: Target) -> dict[str, str]:
    """--output NAME=URI, of a pipeline's deployment."""
    named = _pairs(asked.output or [], "--output")
    return {name: str(writes([uri], "", target)) for name, uri in named.items()}


def _submission(request: Request, target: Target, key: str, deployment: str | None) -> Submission:
    base_uri = datastore_uri(target.datastore_id, f"jobs/{target.endpoint_name}/{key}")
    base, container = open_located(target.workspace.arm, base_uri, shared_key=target.shared_key)
    literals = {name: {"jobInputType": "Literal", "value": value} for name, value in request.literals.items()}
    return Submission(
        workspace=target.workspace,
        endpoint_id=target.endpoint_id,
        deployment_name=deployment,
        input_data={**{name: each.wire for name, each in request.data.items()}, **literals},
        base_uri=base_uri,
        base=base,
        output_file_name=request.output_file_name,
        container=container,
        outputs=request.outputs,
        mark=MARK,
        settings=request.settings,
    )


def _attempt(submission: Submission, key: str, unfinished: Unfinished, *, anew: bool) -> int:
    """The number to begin with: that of an unfinished submission of this command, else the next one."""
    newest = newest_attempt(submission)
    if anew:
        return (newest or 0) + 1
    ours = unfinished.attempt(key)
    if ours is not None:
        return ours
    if newest is None:
        return 1
    return newest + 1 if is_finished(submission, newest) else newest


def _refuse_other_use(submission: Submission, own: str, identity: str) -> None:
    """A key of the user's own stands for one submission; with other words it would find a job that is not theirs."""
    path = f"{submission.base.path.rstrip('/')}/asked"
    if put_if_absent(submission.container, path, identity.encode()):
        return
    if read_text(submission.container, path, limit=1024) != identity:
        raise Refusal(
            f"--key {own} was used before for another submission to this endpoint (other input, output or settings); "
            "use another key",
            name="key-of-another-submission",
        )


def _refuse_yesterdays(target: Target, name: str, age: float) -> None:
    """A job that ended long ago is hardly what somebody means who types the command today: its data may be others."""
    if age < _DAY:
        return
    status = job.status(target.workspace, name)
    if status in job.ENDED:
        raise Refusal(
            f"this command was interrupted {age / 3600:.0f} hours ago, after it had started {name}, which is {status}; "
            f"--new starts another job, `{target.command('show', name)}` shows that one",
            name="submission-of-yesterday",
        )


def _tell_inputs(request: Request, voice: Voice) -> None:
    for name, each in request.data.items():
        what = "input" if len(request.data) == 1 else f"input {name}"
        voice.tell("input", f"{what}  {each.shown}", name=name, uri=each.uri, type=each.type, **(each.facts or {}))


def _tell(
    voice: Voice, target: Target, deployment: Deployment, attempt: Attempt, *, job_name: str, found: float | None
) -> None:
    """`found`: when an earlier run of the command started the job; None where this one did."""
    name = job_name
    outputs = attempt.output_uris
    if found:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found))
        text = f"found {name}, which this command started at {at}; --new starts another"
    else:
        text = f"started {name} on {deployment.name}{' (the default)' if deployment.is_default else ''}"
    for output, uri in outputs.items():
        text += f"\n{'output' if output == SCORE else f'output {output}'}  {target.short(uri)}"
    text += f"\nwatch it  {target.command('watch', name)}"
    voice.tell(
        "found" if found else "submitted",
        text,
        job=name,
        job_id=job.job_id(target.workspace.id, name),
        deployment=deployment.name,
        endpoint=target.endpoint_name,
        outputs=outputs,
        key=attempt.path.split("/")[-2],
        attempt=attempt.number,
    )


def _pairs(given: list[str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, separator, value = each.partition("=")
        if not (name and separator and value) or name in found:
            raise Refusal(f"{option}: must be NAME=VALUE, each name once, got {each!r}", name="usage")
        found[name] = value
    return found
