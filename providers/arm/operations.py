"""Long-running operations: the one loop that waits for Azure to finish something.

What to ask is taken from the answer that began it, in this order (FOLLOW, by `source`):
1. header `Azure-AsyncOperation` (or `Operation-Location`): a body with `status`;
2. header `Location` of a 202: 202 while it goes on, 200, 201 or 204 when it is done;
3. `properties.properties.AzureAsyncOperationUri` in the body, while its provisioningState is not terminal (the service
   wrote it there until January 2023);
4. the resource itself: `properties.provisioningState`; where there is none, it is done.
An operation that says Succeeded is not believed alone: `client` reads the resource, and waits on while its
provisioningState is not terminal. For a DELETE the end is a 404 of the resource, whatever the operation said, or
another one under its name: one that was created after the DELETE was taken.

Between two questions: the answer's Retry-After, else a quarter of the time that the operation has taken so far, at
least 0.5 s and at most 10 s, so that an end is noticed soon for what it took; the last is asked at the deadline.
A status that is not in STATUSES is an error, not "still going". Questions that fail (5xx, 429, no network) are asked
again for up to PATIENCE seconds: the operation goes on without us. An operation URL on a foreign host is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Protocol

from .answer import Answer, Deadline
from .clocks import http_date
from .error_body import said_by
from .errors import (
    ArmError,
    DeadlineExceeded,
    OperationCanceled,
    OperationFailed,
    ServerTrouble,
    Throttled,
    Unreachable,
)
from .operation_status import Reading, Source, State, path_in, read, read_resource, source
from .retries import retry_after

SHORTEST_WAIT = 0.5
"""Seconds, whatever Retry-After says: some services say 0."""
LONGEST_WAIT = 10.0  # seconds, where Retry-After says nothing
PATIENCE = 300.0
"""Seconds of questions that fail one after the other, after which waiting ends with the last failure."""

Progress = Callable[[str], None]
"""Receives short phrases such as `updating 40 %, 12 s`."""


def next_wait(elapsed: float) -> float:
    """Seconds until the next question where the service does not say; `elapsed`: since the operation began."""
    return min(max(elapsed / 4, SHORTEST_WAIT), LONGEST_WAIT)


class Ask(Protocol):
    """GETs an absolute or relative URL: an Answer for 2xx and 404, an ArmError for all else."""

    def __call__(self, url: str, /) -> Answer: ...


def follow(
    first: Answer,
    ask: Ask,
    *,
    resource_url: str,
    arm_id: str,
    verb: str,
    deadline: Deadline,
    sleep: Callable[[float], None],
    progress: Progress | None = None,
    gone: bool = False,
) -> Answer | None:
    """Wait until what `first` began has ended; the resource as last read, or None where it was not read.

    gone: the operation is a deletion, whose end is a 404 of the resource (None is returned then), or another one in its
    place, which is returned.

    Raises OperationFailed, OperationCanceled, DeadlineExceeded, BadAnswer for an unknown status, ForeignHost.
    """
    wait = _Wait(arm_id, verb, deadline, sleep, progress)
    try:
        where = source(first, resource_url)
        if where is None and not gone:
            return None
        if where is None or where.kind == "resource":
            return _until_settled(resource_url, first, ask, wait, first if gone else None)
        ended = _until_ended(where, first, ask, wait)
        if ended is not None and not gone and _is_resource(ended, arm_id):
            return ended
        # The resource is read at once: an operation that ended has nothing to wait for.
        wait.start_over()
        return _until_settled(resource_url, None, ask, wait, first if gone else None)
    except ArmError as error:
        error.arm_id = error.arm_id or arm_id
        error.operation = error.operation or wait.operation or verb
        raise


class _Wait:
    """The pauses of one operation, what it last said, and the errors it ends with."""

    def __init__(
        self, arm_id: str, verb: str, deadline: Deadline, sleep: Callable[[float], None], progress: Progress | None
    ) -> None:
        self.arm_id = arm_id
        self.verb = verb
        self.operation = ""
        self._deadline = deadline
        self._sleep = sleep
        self._progress = progress
        self._began = deadline.elapsed
        self._failing_since: float | None = None
        self._told: float | None = None
        self._seen = "nothing yet"

    def pause(self, answer: Answer | None) -> None:
        """Sleep until the next question is due, or raise DeadlineExceeded when there is none left to ask."""
        if self._deadline.remaining <= 0:
            raise DeadlineExceeded(
                f"stopped waiting after {self._deadline.elapsed:.0f} s (deadline {self._deadline.seconds:.0f} s): "
                f"the {self.verb} was still running in Azure, last seen {self._seen}"
                + (f", at operation {self.operation}" if self.operation else "")
                + "; it goes on by itself, and the next run takes it up from there, or raise the deadline",
                code="DeadlineExceeded",
                arm_id=self.arm_id,
                operation=self.operation,
            )
        seconds = self._told if answer is None else retry_after(answer.headers)
        if seconds is None:
            seconds = next_wait(self._deadline.elapsed - self._began)
        self._sleep(min(max(seconds, SHORTEST_WAIT), self._deadline.remaining))

    def start_over(self) -> None:
        """Begin the pauses anew, for another thing to ask about."""
        self._began, self._told = self._deadline.elapsed, None

    def ask(self, ask: Ask, url: str) -> Answer | None:
        """One question; None when it failed in a way that the next one may not."""
        try:
            answer = ask(url)
        except (ServerTrouble, Throttled, Unreachable) as error:
            now = self._deadline.elapsed
            self._failing_since = now if self._failing_since is None else self._failing_since
            if now - self._failing_since >= PATIENCE:
                raise
            self._told = error.retry_after
            self._seen = f"{self._seen.split(' (then', 1)[0]} (then {type(error).__name__}: {error.message[:200]})"
            return None
        self._failing_since = self._told = None
        return answer

    def saw(self, reading: Reading) -> None:
        self._seen = reading.word
        if self._progress is not None:
            percent = f" {reading.percent:.0f} %" if reading.percent is not None else ""
            self._progress(f"{reading.word.lower()}{percent}, {self._deadline.elapsed:.0f} s")

    def failure(self, reading: Reading, answer: Answer) -> OperationFailed:
        """The error of an operation that ended badly, with what its body says of the reason."""
        body = answer.body if isinstance(answer.body, Mapping) else {}
        error = (
            body.get("error")
            or path_in(body, "properties", "error")
            or path_in(body, "properties", "provisioningErrors")
        )
        if isinstance(error, list) and error:
            error = error[0]
        said = said_by(error)
        kind = OperationCanceled if reading.state is State.CANCELED else OperationFailed
        why = "; ".join(dict.fromkeys((said.message, *said.details))).strip("; ")
        return kind(
            f"{self.verb} ended in {reading.word}: {why or 'the service gave no reason'}",
            status=answer.status,
            code=said.code or f"Operation{reading.word}",
            inner_code=said.inner_code,
            arm_id=self.arm_id,
            operation=self.operation,
            correlation_id=answer.headers.get("x-ms-correlation-request-id", "") or said.correlation_id,
            body=str(answer.body),
            failures=said.failures,
        )


def _until_ended(where: Source, first: Answer, ask: Ask, wait: _Wait) -> Answer | None:
    """Ask the operation itself until it ends; None when its record is gone, so that only the resource can tell."""
    wait.operation = where.url.split("?")[0].rstrip("/").rpartition("/")[2]
    last: Answer | None = first
    missing = 0
    while True:
        wait.pause(last)
        answer = wait.ask(ask, where.url)
        last = answer
        if answer is None:
            continue
        if answer.status == 404:
            # Right after the start the record may not be readable yet; later it has expired.
            missing += 1
            if missing >= 4:
                return None
            continue
        reading = read(where.kind, answer)
        wait.saw(reading)
        if reading.state is State.SUCCEEDED:
            return answer
        if reading.state is not State.GOING:
            raise wait.failure(reading, answer)


def _until_settled(
    resource_url: str, last: Answer | None, ask: Ask, wait: _Wait, deleted: Answer | None
) -> Answer | None:
    """Read the resource until it is terminal, or gone. `last` is None when it may be read without waiting first.

    `deleted` is the answer to the DELETE, where the end is that it is gone.
    """
    deleting = False
    missing = 0
    pausing = last is not None
    while True:
        if pausing:
            wait.pause(last)
        pausing = True
        answer = last = wait.ask(ask, resource_url)
        if answer is None:
            continue
        if answer.status == 404:
            missing += 1
            if deleted:
                return None
            if missing >= 6:  # with the pauses between them, 15 s
                raise wait.failure(Reading(State.FAILED, "404 Not Found"), answer)
            continue
        reading = read_resource(answer)
        wait.saw(reading)
        deleting = deleting or reading.word.lower() == "deleting"
        if deleted:
            if _created_since(deleted, answer):
                return answer
            # A resource in Failed may be deleted: only one that was on its way out and came back has failed to go.
            if deleting and reading.state in (State.FAILED, State.CANCELED):
                raise wait.failure(reading, answer)
            continue
        if reading.state is State.SUCCEEDED:
            return answer
        if reading.state is not State.GOING:
            raise wait.failure(reading, answer)


def _created_since(deleted: Answer, answer: Answer) -> bool:
    """Whether a resource is another one than is being deleted, by the service's own times.

    `deleted` is the resource on its way out, with its time of creation; or the answer to our DELETE, with the time of
    the answer, in whole seconds.
    """
    created = path_in(answer.body, "systemData", "createdAt")
    before = path_in(deleted.body, "systemData", "createdAt")
    if created and before:
        return bool(created != before)
    moment = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", str(created))
    taken = http_date(deleted.headers.get("date", ""))
    if not moment or not taken:
        return False
    return datetime.fromisoformat(moment[0]).replace(tzinfo=timezone.utc) > taken + timedelta(seconds=1)


def _is_resource(answer: Answer, arm_id: str) -> bool:
    """Whether the end of an operation is the resource itself, as Location's may be: then it need not be read again."""
    found = path_in(answer.body, "id")
    return (
        isinstance(found, str)
        and found.lower() == arm_id.lower()
        and isinstance(path_in(answer.body, "properties"), dict)
    )
