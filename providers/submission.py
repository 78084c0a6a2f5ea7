"""Start a scoring job once and only once, whatever happens to the process or to the answer."""

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from azure.storage.blob import ContainerClient

from providers import dynamic_host
from providers.arm import ArmClient
from providers.arm.errors import ArmError
from providers.blob import BlobMissing, delete_blob, put_if_absent, read_text
from providers.datastore import BlobLocation, locate, open_container
from providers.kind import Refusal, client
from providers.run_history import api_url

_LISTING = 30.0
"""Seconds within which a job that was started is taken to appear in the endpoint's list. Assumed, not documented."""
_LIST_API_VERSION = "2020-09-01-dataplanepreview"
_FAILED = ("Failed", "Canceled")


@dataclass(frozen=True)
class Attempt:
    """One try at a job: its number, and where it writes."""

    number: int
    base_uri: str
    base: BlobLocation
    output_file_name: str

    def note(self, name: str) -> str:
        """Blob path of one of this attempt's notes: `submitted`, `job`, `refused`; each is written once."""
        return f"{self.base.path.rstrip('/')}/{self.number}/notes/{name}"

    @property
    def predictions_uri(self) -> str:
        return f"{self.base_uri.rstrip('/')}/{self.number}/{self.output_file_name}"

    @property
    def predictions_path(self) -> str:
        return f"{self.base.path.rstrip('/')}/{self.number}/{self.output_file_name}"


def start_or_find(props: Mapping[str, Any]) -> tuple[Attempt, str]:
    """The attempt that counts now, and its job's name: one that runs or passed is found, else a new one is started."""
    base = locate(props["output_uri"], props)
    container = open_container(base, props)
    number = 1
    while True:
        attempt = Attempt(number, props["output_uri"], base, props["output_file_name"])
        submitted = _read(container, attempt.note("submitted"))
        if submitted is None:
            started = _start(props, container, attempt)
            if started:
                return attempt, started
            continue
        at = float(submitted.split()[0])
        name = _read(container, attempt.note("job")) or _started_unnoticed(props, container, attempt, at)
        if name and _read(container, attempt.note("refused")) is None and not _failed(props, name):
            return attempt, name
        # Nothing of it was ever seen, or it failed: whatever may still come of it, the next has a place of its own.
        number += 1


def note_refused(container: ContainerClient, attempt: Attempt, reason: str) -> None:
    """Remember that a completed job's predictions were refused, so that the next run is another attempt."""
    put_if_absent(container, attempt.note("refused"), reason.encode())


def _failed(props: Mapping[str, Any], name: str) -> bool:
    job = client(props).get(f"{props['workspace_id']}/jobs/{name}", api_version=props["api_version"])
    return ((job or {}).get("properties") or {}).get("status") in _FAILED


def _start(props: Mapping[str, Any], container: ContainerClient, attempt: Attempt) -> str | None:
    """Start the attempt's job; None when another run has begun this attempt in the meantime.

    That may be what a killed engine left behind: its provider process lives on for a moment.
    """
    arm = client(props)
    endpoint = arm.get(props["endpoint_id"], api_version=props["api_version"])
    uri = ((endpoint or {}).get("properties") or {}).get("scoringUri")
    if not uri:
        raise Refusal(
            f"{props['endpoint_id']} has no scoring URI: it is gone, or not ready", name="scoring-uri-missing"
        )
    now = time.time()
    intention = f"{now} {uuid.uuid4()}"
    # Not written may also mean that our own first try was carried out and its answer lost.
    written = put_if_absent(container, attempt.note("submitted"), intention.encode())
    if not written and _read(container, attempt.note("submitted")) != intention:
        return None
    dynamic_host.progress()(f"submitting attempt {attempt.number} to {props['deployment_name']}")
    try:
        answer = arm.call(
            "POST",
            uri,
            audience=arm.cloud.ml_audience,
            json=_request(props, attempt),
            headers={"azureml-model-deployment": props["deployment_name"]},
            idempotent=False,
        )
        name = str(answer.body["name"])
    except ArmError as error:
        if not error.maybe_carried_out:
            # The service said no: nothing was started, and no note may say that something was.
            delete_blob(container, attempt.note("submitted"))
            raise
        found = _started_unnoticed(props, container, attempt, now)
        if found is None:
            raise
        return found
    put_if_absent(container, attempt.note("job"), name.encode())
    return name


def _request(props: Mapping[str, Any], attempt: Attempt) -> dict[str, Any]:
    return {
        "properties": {
            "inputData": {"input": {"jobInputType": props["input_type"], "uri": props["input_uri"]}},
            "outputData": {"score": {"jobOutputType": "UriFile", "uri": attempt.predictions_uri}},
        }
    }


def _started_unnoticed(
    props: Mapping[str, Any], container: ContainerClient, attempt: Attempt, submitted: float
) -> str | None:
    """The job that writes to this attempt's place, where a note says that one may have been started."""
    show = dynamic_host.progress()
    while True:
        for job in _jobs(props):
            if _writes_to(job, attempt.predictions_uri):
                put_if_absent(container, attempt.note("job"), str(job["name"]).encode())
                return str(job["name"])
        left = submitted + _LISTING - time.time()
        if left <= 0:
            return None
        show(f"looking for the job that an earlier run may have started, {left:.0f} s at most")
        time.sleep(min(2.0, left))


def _jobs(props: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The endpoint's jobs, from the list that the data plane keeps."""
    arm: ArmClient = client(props)
    api = api_url(arm, props["workspace_id"], props["api_version"])
    url: str | None = f"{api}/mferp/managementfrontend{props['endpoint_id']}/jobs?api-version={_LIST_API_VERSION}"
    while url:
        page = arm.call("GET", url, audience=arm.cloud.ml_audience, idempotent=True).body
        yield from page["value"]
        url = page.get("nextLink")


def _writes_to(job: Mapping[str, Any], uri: str) -> bool:
    outputs = (job.get("properties") or {}).get("outputData") or {}
    return any(_place(str((each or {}).get("uri"))) == _place(uri) for each in outputs.values())


def _place(uri: str) -> str:
    """Where a uri points, without what the service writes differently: the case of the ARM part."""
    split = urlsplit(uri)
    head, _, path = split.path.partition("/paths/")
    return f"{split.netloc.lower()}{head.lower()}/paths/{path}"


def _read(container: ContainerClient, path: str) -> str | None:
    try:
        return read_text(container, path, limit=16_384)
    except BlobMissing:
        return None
