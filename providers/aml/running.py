"""Jobs that still run on something that is about to be deleted: our own are ended, other people's are waited for.

Documented is that deleting an endpoint or deployment does not delete its jobs. What becomes of one that runs or waits
for nodes is not; it needs the model, which is read where it lies when a worker starts, and that is deleted next.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from providers.arm import Progress
from providers.blob import BlobMissing, Container, list_blobs, read_dated, read_text

from . import job
from .datastore import BlobLocation
from .submission import LISTING, place_of
from .workspace import Workspace

_POLL = (0.5, 10.0)  # seconds: the first wait, and the longest
_SUBMITTED, _JOB = "/notes/submitted", "/notes/job"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where jobs of ours write, each attempt below it, and how to look there."""

    uri: str
    location: BlobLocation
    container: Container


def end_below(
    workspace: Workspace,
    place: Place,
    batch_id: str,
    *,
    within: float,
    progress: Progress,
    spare: Sequence[str] = (),
) -> list[str]:
    """Cancel every job that was ever begun below a place and still runs, and wait for its end; their names.

    The notes beside the outputs name them, also those that a killed run began and state knows nothing of. Of one that
    was submitted without its name being noted, the list of `batch_id` (the endpoint's or deployment's ARM id) is asked.
    `spare` are jobs to be left alone; `within` is in seconds, for all of them.
    """
    until = time.monotonic() + within
    ended = []
    for name in _begun(workspace, place, batch_id, progress):
        if name in spare or not job.cancel(workspace, name):
            continue
        ended.append(name)
        _wait(workspace, [name], until, _cancelling(progress))
    return ended


def end(workspace: Workspace, name: str, *, within: float, progress: Progress) -> bool:
    """Cancel one job, and wait for its end, at most `within` seconds; False where it still runs then."""
    if not job.cancel(workspace, name):
        return True
    return not _wait(workspace, [name], time.monotonic() + within, _cancelling(progress))


def _cancelling(progress: Progress) -> Callable[[Sequence[str]], None]:
    return lambda left: progress(f"cancelling {', '.join(left)}")


def wait_for_others(
    workspace: Workspace, batch_id: str, *, within: float, progress: Progress, elapsed: Callable[[], str]
) -> list[str]:
    """Wait for the jobs that still run on a deployment, at most `within` seconds; names of those that run even then."""
    running = [str(each["name"]) for each in workspace.jobs_of(batch_id) if job.status_of(each) not in job.ENDED]

    def tell(left: Sequence[str]) -> None:
        count = "1 job" if len(left) == 1 else f"{len(left)} jobs"
        progress(f"waiting for {count} that still run on it ({', '.join(left[:3])}), {elapsed()}")

    return _wait(workspace, running, time.monotonic() + within, tell)


def _begun(workspace: Workspace, place: Place, batch_id: str, progress: Progress) -> Iterator[str]:
    """Names of the jobs of all attempts below a place."""
    names = [blob.name for blob in list_blobs(place.container, f"{place.location.path.rstrip('/')}/")]
    noted = {name.removesuffix(_JOB) for name in names if name.endswith(_JOB)}
    yield from filter(None, (_read(place, path + _JOB).strip() for path in sorted(noted)))
    for path in sorted({name.removesuffix(_SUBMITTED) for name in names if name.endswith(_SUBMITTED)} - noted):
        uri = place.uri.rstrip("/") + path.removeprefix(place.location.path.rstrip("/"))
        found = _started_unnoticed(workspace, batch_id, uri, _age(place, path + _SUBMITTED), progress)
        if found:
            yield found


def _started_unnoticed(workspace: Workspace, batch_id: str, uri: str, age: float, progress: Progress) -> str | None:
    """The job that writes below a place, as soon as the service lists it; `age`: seconds since it was submitted."""
    until = time.monotonic() + LISTING - age
    while True:
        for each in workspace.jobs_of(batch_id):
            if _writes_below(each, uri):
                return str(each["name"])
        left = until - time.monotonic()
        if left <= 0:
            return None
        progress(f"looking for a job that an earlier run may have started, {left:.0f} s at most")
        time.sleep(min(2.0, left))


def _wait(workspace: Workspace, names: Sequence[str], until: float, tell: Callable[[Sequence[str]], None]) -> list[str]:
    """Until none of the jobs runs, or until then; those that still do."""
    running, (pause, longest) = list(names), _POLL
    while running:
        running = [name for name in running if _runs(workspace, name)]
        left = until - time.monotonic()
        if not running or left <= 0:
            break
        tell(running)
        time.sleep(min(pause, left))
        pause = min(longest, pause * 1.5)
    return running


def _runs(workspace: Workspace, name: str) -> bool:
    found = workspace.get(f"jobs/{name}")
    return found is not None and job.status_of(found) not in job.ENDED


def _writes_below(entry: Mapping[str, Any], uri: str) -> bool:
    outputs = (entry.get("properties") or {}).get("outputData") or {}
    below = place_of(uri).rstrip("/") + "/"
    return any(place_of(str((each or {}).get("uri"))).startswith(below) for each in outputs.values())


def _age(place: Place, path: str) -> float:
    """Seconds since a note was written, by the service's clock."""
    try:
        return read_dated(place.container, path, limit=16_384).age
    except BlobMissing:  # deleted since it was listed, as in `_read`
        return LISTING


def _read(place: Place, path: str) -> str:
    try:
        return read_text(place.container, path, limit=16_384)
    except BlobMissing:  # deleted since it was listed, by a run that ends the same jobs
        return ""
