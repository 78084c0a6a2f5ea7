"""What an answer says of a long-running operation, and where to ask next. Decisions only: `operations` waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from .answer import Answer
from .errors import BadAnswer


class State(Enum):
    GOING = "going"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


STATUSES: Mapping[str, State] = {
    # ARM's contract: https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations
    "succeeded": State.SUCCEEDED,
    "failed": State.FAILED,
    "canceled": State.CANCELED,
    "inprogress": State.GOING,
    # MachineLearningServices@2023-10-01 says Updating for creation, update and deletion alike (recorded traffic).
    "updating": State.GOING,
    "creating": State.GOING,
    "deleting": State.GOING,
    # MachineLearningServices@2025-12-01, Compute's provisioningState `Unknown` is deliberately not here.
    # Seen at other ARM services, listed by go-azure-sdk's poller; harmless as long as a deadline ends the wait.
    "accepted": State.GOING,
    "running": State.GOING,
    "started": State.GOING,
    "notstarted": State.GOING,
    "pending": State.GOING,
    "queued": State.GOING,
    "provisioning": State.GOING,
    "resolving": State.GOING,
    "canceling": State.GOING,
    "completed": State.SUCCEEDED,
    "cancelled": State.CANCELED,
}


@dataclass(frozen=True)
class Source:
    """Where to ask about an operation."""

    kind: Literal["operation", "location", "resource"]
    url: str


@dataclass(frozen=True)
class Reading:
    """What one answer says about an operation."""

    state: State
    word: str
    """The service's own word, or its HTTP status."""
    percent: float | None = None


def source(first: Answer, resource_url: str) -> Source | None:
    """Where to ask, by the answer that began it; None when that answer already ends it. URLs may be relative."""
    header = first.headers.get("azure-asyncoperation") or first.headers.get("operation-location")
    if header:
        return Source("operation", header)
    location = first.headers.get("location")
    if first.status == 202 and location:
        return Source("location", location)
    reading = read_resource(first)
    if reading.state is State.SUCCEEDED and first.status != 202:
        return None
    in_body = path_in(first.body, "properties", "properties", "AzureAsyncOperationUri")
    if reading.state is State.GOING and isinstance(in_body, str) and in_body:
        return Source("operation", in_body)
    return Source("resource", resource_url)


def read(kind: Literal["operation", "location", "resource"], answer: Answer) -> Reading:
    """What `answer` says. Raises BadAnswer for a status that is not in the table."""
    if kind == "operation":
        return read_operation(answer)
    if kind == "location":
        return Reading(State.GOING, "202 Accepted") if answer.status == 202 else read_resource(answer)
    return read_resource(answer)


def read_operation(answer: Answer) -> Reading:
    """The `status` of an operation's body."""
    if answer.status == 204:
        return Reading(State.SUCCEEDED, "204 No Content")
    word = path_in(answer.body, "status")
    if not isinstance(word, str):
        word = path_in(answer.body, "properties", "provisioningState")
    if not isinstance(word, str):
        if answer.status == 202:
            return Reading(State.GOING, "202 Accepted")
        raise BadAnswer(
            "the operation's body has no status",
            status=answer.status,
            body=str(answer.body),
            code="OperationWithoutStatus",
        )
    percent = path_in(answer.body, "percentComplete")
    numeric = isinstance(percent, int | float) and not isinstance(percent, bool)
    return Reading(_state(word, answer), word, float(percent) if numeric and percent else None)


def read_resource(answer: Answer) -> Reading:
    """The `provisioningState` of a resource; one without is done."""
    word = path_in(answer.body, "properties", "provisioningState")
    if not isinstance(word, str):
        return Reading(State.SUCCEEDED, str(answer.status))
    return Reading(_state(word, answer), word)


def _state(word: str, answer: Answer) -> State:
    state = STATUSES.get(word.lower())
    if state is None:
        raise BadAnswer(
            f"unknown status {word!r}: neither an end nor known to be on the way",
            status=answer.status,
            body=str(answer.body),
            code="UnknownStatus",
        )
    return state


def path_in(body: Any, *keys: str) -> Any:
    """The value at a path of keys, each in any case; None where there is none."""
    for key in keys:
        if not isinstance(body, Mapping):
            return None
        body = next((value for name, value in body.items() if str(name).lower() == key.lower()), None)
    return body
