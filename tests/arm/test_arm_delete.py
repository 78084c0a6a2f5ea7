"""Deleting waits until it is gone; absence is success."""

from __future__ import annotations

import httpx
import pytest

from providers.arm import Conflict, DeadlineExceeded, OperationFailed
from tests.arm.far_side import API, ENDPOINT, OPERATION, Clock, Far, client_of, refusal, reply, resource, statuses

ASYNC = f"{OPERATION}/mfeOperationsStatus/be:ws:op?api-version=2025-12-01"
RESULT = f"{OPERATION}/mfeOperationResults/be:ws:op?api-version=2025-12-01"
# As recorded: both headers, and a body of the four bytes `null`.
ACCEPTED = httpx.Response(
    202,
    headers={"Azure-AsyncOperation": ASYNC, "Location": RESULT, "content-type": "application/json"},
    content=b"null",
)
GONE = refusal(404, "UserError")


def delete(far: Far, *, clock: Clock | None = None, deadline: float = 600) -> None:
    client_of(far, clock=clock).delete(ENDPOINT, api_version=API, deadline=deadline)


def test_a_deletion_is_followed_until_the_resource_is_gone() -> None:
    far = Far(ACCEPTED, *statuses("Updating", "Succeeded"), GONE)
    delete(far)
    assert far.sent == ["DELETE digits", "GET be:ws:op", "GET be:ws:op", "GET digits"]


@pytest.mark.parametrize("answer", [GONE, reply(204)], ids=["404", "204"])
def test_what_is_absent_is_deleted(answer: httpx.Response) -> None:
    far = Far(answer)
    delete(far)
    assert far.sent == ["DELETE digits"]


@pytest.mark.parametrize("status", [200, 202])
def test_a_deletion_without_urls_is_watched_at_the_resource(status: int) -> None:
    far = Far(reply(status), reply(200, resource("Deleting")), GONE)
    delete(far)
    assert far.sent == ["DELETE digits", "GET digits", "GET digits"]


def test_a_deletion_that_says_succeeded_while_the_resource_stays_goes_on_waiting() -> None:
    far = Far(
        ACCEPTED, *statuses("Succeeded"), reply(200, resource("Deleting")), reply(200, resource("Deleting")), GONE
    )
    delete(far)
    assert far.sent[-3:] == ["GET digits"] * 3


def test_a_failed_deletion_is_an_error() -> None:
    failed = reply(200, {"status": "Failed", "error": {"code": "X", "message": "a job still runs"}})
    with pytest.raises(OperationFailed, match="DELETE ended in Failed: a job still runs"):
        delete(Far(ACCEPTED, failed))


def test_a_resource_that_comes_back_failed_from_its_deletion_is_an_error() -> None:
    with pytest.raises(OperationFailed):
        delete(Far(reply(202), reply(200, resource("Deleting")), reply(200, resource("Failed"))))


def test_a_resource_that_had_failed_before_can_be_deleted() -> None:
    delete(Far(reply(202), reply(200, resource("Failed")), GONE))


def test_a_deletion_that_never_ends_says_what_it_last_saw() -> None:
    with pytest.raises(DeadlineExceeded, match="the DELETE was still running in Azure, last seen Deleting"):
        delete(Far(reply(202), reply(200, resource("Deleting"))), deadline=60)


def created(at: str, state: str = "Succeeded") -> httpx.Response:
    return reply(200, {**resource(state), "systemData": {"createdAt": at}})


def test_another_resource_of_the_name_that_somebody_made_meanwhile_is_not_waited_for() -> None:
    """Its creation lies after our DELETE, by the service's own clock; `Date` is in whole seconds."""
    taken = reply(202, None, date="Mon, 23 Nov 2026 10:00:05 GMT")
    old, other = created("2026-11-23T10:00:05.9000000+00:00", "Deleting"), created("2026-11-23T10:00:08.1000000+00:00")
    far = Far(taken, old, old, other)

    delete(far)

    assert far.sent == ["DELETE digits", *["GET digits"] * 3]


def test_another_resource_in_place_of_one_that_is_being_deleted_is_not_waited_for() -> None:
    old, other = created("2026-11-23T09:00:00.0000000+00:00", "Deleting"), created("2026-11-23T10:00:08.1000000+00:00")

    found = client_of(Far(old, old, other)).settled(ENDPOINT, api_version=API, deadline=60)

    assert found == other.json()


@pytest.mark.parametrize("end", ["Succeeded", "Failed", "Canceled"])
def test_what_somebody_else_began_is_waited_for_however_it_ends(end: str) -> None:
    far = Far(reply(200, resource("Updating")), reply(200, resource("Updating")), reply(200, resource(end)))

    assert client_of(far).settled(ENDPOINT, api_version=API, deadline=60) == resource(end)


def test_what_rests_or_is_not_there_is_not_waited_for() -> None:
    assert client_of(Far(GONE)).settled(ENDPOINT, api_version=API, deadline=60) is None
    far = Far(reply(200, resource("Failed")))
    assert client_of(far).settled(ENDPOINT, api_version=API, deadline=60) == resource("Failed")
    assert len(far.requests) == 1


def test_waiting_for_what_somebody_else_began_has_a_deadline_that_says_so() -> None:
    with pytest.raises(DeadlineExceeded, match="the earlier write was still running in Azure, last seen Updating"):
        client_of(Far(reply(200, resource("Updating")))).settled(ENDPOINT, api_version=API, deadline=60)


def test_a_deletion_whose_answer_was_lost_is_sent_again() -> None:
    far = Far(httpx.RemoteProtocolError("dropped"), GONE)
    delete(far)
    assert far.sent == ["DELETE digits", "DELETE digits"]


def test_a_deletion_that_is_refused_says_so() -> None:
    with pytest.raises(Conflict, match="is the default deployment"):
        delete(Far(refusal(409, "UserError", "it is the default deployment")))


def test_required_query_parameters_are_sent() -> None:
    far = Far(reply(204))
    client_of(far).delete(ENDPOINT, api_version=API, query={"underlyingResourceAction": "Delete"}, deadline=60)
    assert dict(far.requests[0].url.params) == {"api-version": API, "underlyingResourceAction": "Delete"}
