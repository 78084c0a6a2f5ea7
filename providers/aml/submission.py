"""Start a job of a batch endpoint once and only once, whatever happens to the process or to the answer.

Starting a job costs money and POST is not idempotent, so every attempt has a place of its own, `<base>/<number>/`,
where the intention to submit is written before the POST (`notes/submitted`) and the job's name after it (`notes/job`).
A lost answer, a crash or a kill is healed by reading these notes: the job that they name is found; else the endpoint's
list of jobs has the one that writes to that place; and only where nothing was started there is another attempt made.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from providers.arm import Progress
from providers.arm.errors import ArmError, BadAnswer
from providers.blob import BlobMissing, Container, Dated, delete_blob, put_if_absent, read_dated, read_text

from .datastore import BlobLocation
from .job import created_of
from .refusal import Refusal
from .workspace import Workspace

_CLOCKS_APART = 60.0
"""Seconds by which the clock of blob storage may be ahead of Azure Machine Learning's. Our own does not count."""
LISTING = 30.0
"""Seconds within which a job that was started is taken to appear in the endpoint's list. Assumed, not documented."""


SUBMITTED = "submitted"
"""The note that is written before the POST; its text is for people: this machine's time, and a number of the run's."""
SCORE = "score"
"""What the one output of a model's job is called."""


@dataclass(frozen=True)
class Output:
    type: str
    """In the service's word: UriFile or UriFolder."""
    uri: str | None = None
    """Where it goes; None for the attempt's own place."""


@dataclass(frozen=True)
class Attempt:
    """One try at a job: its number, and where it writes."""

    number: int
    base_uri: str
    base: BlobLocation
    output_file_name: str
    outputs: Mapping[str, Output] = field(default_factory=lambda: {SCORE: Output("UriFile")})

    def note(self, name: str) -> str:
        """Blob path of one of this attempt's notes; each is written once."""
        return f"{self.path}/notes/{name}"

    @property
    def path(self) -> str:
        """Blob path of the attempt's place, without a slash at the end."""
        return f"{self.base.path.rstrip('/')}/{self.number}"

    @property
    def uri(self) -> str:
        """Datastore uri of the attempt's place."""
        return f"{self.base_uri.rstrip('/')}/{self.number}"

    @property
    def output_uris(self) -> dict[str, str]:
        """Name of each output -> where it goes: the score a file, what a pipeline writes a folder of its name."""
        return {
            name: each.uri or f"{self.uri}/{self.output_file_name if each.type == 'UriFile' else f'{name}/'}"
            for name, each in self.outputs.items()
        }

    @property
    def predictions_uri(self) -> str:
        return self.output_uris[SCORE]

    @property
    def predictions_path(self) -> str:
        return f"{self.path}/{self.output_file_name}"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What is asked of an endpoint, and below which place its attempts write."""

    workspace: Workspace
    endpoint_id: str
    deployment_name: str | None
    """None: the endpoint's default."""
    input_data: Mapping[str, Any]
    """As the request has it: name -> `{"jobInputType": ..., "uri": ...}`."""
    base_uri: str
    base: BlobLocation
    output_file_name: str
    container: Container
    """That of `base`."""
    outputs: Mapping[str, Output] = field(default_factory=lambda: {SCORE: Output("UriFile")})
    mark: str = ""
    """A tag of the job that holds which attempt it is, beside its output path; empty for none."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Other members of the request's `properties`, in the service's names."""
    progress: Progress = lambda _: None
    now: Callable[[], float] = time.monotonic
    """Seconds since whenever."""
    sleep: Callable[[float], None] = time.sleep

    def attempt(self, number: int) -> Attempt:
        return Attempt(number, self.base_uri, self.base, self.output_file_name, self.outputs)

    def request(self, attempt: Attempt) -> dict[str, Any]:
        """The body that starts the attempt's job."""
        uris = attempt.output_uris
        outputs = {name: {"jobOutputType": each.type, "uri": uris[name]} for name, each in self.outputs.items()}
        asked: dict[str, Any] = {"inputData": dict(self.input_data), "outputData": outputs, **self.settings}
        if self.mark:
            asked["tags"] = {**asked.get("tags", {}), self.mark: attempt.path}
        return {"properties": asked}

    def is_of(self, job: Mapping[str, Any], attempt: Attempt, submitted: Dated) -> bool:
        """Whether a job of the endpoint's list is this attempt's: it writes to its place, or carries its mark.

        Where the caller chose the place, earlier jobs may have written there, too: only one that was created since
        the note `submitted` was written can be it.
        """
        tags = (job.get("properties") or {}).get("tags") or {}
        if self.mark and tags.get(self.mark) == attempt.path:
            return True
        created = created_of(job)
        young = created is None or created > submitted.written - _CLOCKS_APART
        return any(
            writes_to(job, uri) and (self.outputs[name].uri is None or young)
            for name, uri in attempt.output_uris.items()
        )


Stands = Callable[[Attempt, str], bool]
"""Whether an attempt and the job of that name are to be gone on with; if not, the next attempt is looked at."""


def start_or_find(submission: Submission, stands: Stands, *, first: int = 1) -> tuple[Attempt, str]:
    """The attempt that counts now, and its job's name: one that stands is found, else a new one is started.

    `first` is the number to begin with. Raises Refusal and ArmError; nothing was started then, or the next call finds
    it.
    """
    number = first
    while True:
        attempt = submission.attempt(number)
        submitted = intention_of(submission, attempt)
        if submitted is None:
            started = _start(submission, attempt)
            if started:
                return attempt, started
            continue
        name = read_note(submission, attempt, "job") or _started_unnoticed(submission, attempt, submitted)
        if name and stands(attempt, name):
            return attempt, name
        # Nothing of it was ever seen, or it is done with: what may still come of it has another place than the next.
        number += 1


def intention_of(submission: Submission, attempt: Attempt) -> Dated | None:
    """The note that says that an attempt's job is to be started, or may have been; None where there is none."""
    try:
        return read_dated(submission.container, attempt.note(SUBMITTED), limit=16_384)
    except BlobMissing:
        return None


def read_note(submission: Submission, attempt: Attempt, name: str) -> str | None:
    try:
        return read_text(submission.container, attempt.note(name), limit=16_384)
    except BlobMissing:
        return None


def write_note(submission: Submission, attempt: Attempt, name: str, text: str) -> bool:
    """Write a note unless there is one of that name; whether it was written."""
    return put_if_absent(submission.container, attempt.note(name), text.encode())


def _start(submission: Submission, attempt: Attempt) -> str | None:
    """Start the attempt's job; None when another run has begun this attempt in the meantime.

    That may be what a killed engine left behind: its provider process lives on for a moment.
    """
    arm = submission.workspace.arm
    uri = _scoring_uri(submission)
    intention = f"{time.time()} {uuid.uuid4()}"
    # Not written may also mean that our own first try was carried out and its answer lost.
    written = write_note(submission, attempt, SUBMITTED, intention)
    if not written and read_note(submission, attempt, SUBMITTED) != intention:
        return None
    submission.progress(f"submitting attempt {attempt.number} to {submission.deployment_name or 'the default'}")
    chosen = {"azureml-model-deployment": submission.deployment_name} if submission.deployment_name else {}
    try:
        answer = arm.call(
            "POST",
            uri,
            audience=arm.cloud.ml_audience,
            json=submission.request(attempt),
            headers=chosen,
            idempotent=False,
        )
        name = _name_in(answer.body)
    except ArmError as error:
        if not error.maybe_carried_out:
            # The service said no: nothing was started, and no note may say that something was.
            delete_blob(submission.container, attempt.note(SUBMITTED))
            raise
        noted = intention_of(submission, attempt)
        # The request may have taken long: the job may be as young as the loss of its answer.
        found = _started_unnoticed(submission, attempt, replace(noted, age=0.0)) if noted else None
        if found is None:
            raise
        return found
    write_note(submission, attempt, "job", name)
    return name


def _name_in(answer: Any) -> str:
    """The new job's name. An answer without one is none: the job may have been started all the same."""
    name = answer.get("name") if isinstance(answer, dict) else None
    if not isinstance(name, str) or not name:
        raise BadAnswer("the scoring host took the job and did not say its name", status=201, operation="POST")
    return name


def _scoring_uri(submission: Submission) -> str:
    workspace = submission.workspace
    endpoint = workspace.arm.get(submission.endpoint_id, api_version=workspace.api_version)
    uri = ((endpoint or {}).get("properties") or {}).get("scoringUri")
    if not uri:
        raise Refusal(
            f"{submission.endpoint_id} has no scoring URI: it is gone, or not ready", name="scoring-uri-missing"
        )
    return str(uri)


def _started_unnoticed(submission: Submission, attempt: Attempt, submitted: Dated) -> str | None:
    """The job that writes to this attempt's place, where a note says that one may have been started."""
    until = submission.now() + LISTING - submitted.age
    while True:
        for job in submission.workspace.jobs_of(submission.endpoint_id):
            if submission.is_of(job, attempt, submitted):
                write_note(submission, attempt, "job", str(job["name"]))
                return str(job["name"])
        left = until - submission.now()
        if left <= 0:
            return None
        submission.progress(f"looking for the job that an earlier run may have started, {left:.0f} s at most")
        submission.sleep(min(2.0, left))


def writes_to(job: Mapping[str, Any], uri: str) -> bool:
    """Whether a job of the endpoint's list has this datastore uri as an output."""
    outputs = (job.get("properties") or {}).get("outputData") or {}
    return any(place_of(str((each or {}).get("uri"))) == place_of(uri) for each in outputs.values())


def place_of(uri: str) -> str:
    """Where a uri points, without what the service writes differently: the case of the ARM part."""
    split = urlsplit(uri)
    head, _, path = split.path.partition("/paths/")
    return f"{split.netloc.lower()}{head.lower()}/paths/{path}"
