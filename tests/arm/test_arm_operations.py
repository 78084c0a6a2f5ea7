"""Long-running operations are followed by header, Location, body, then provisioningState, and always end."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from providers.arm import (
    ArmError,
    BadAnswer,
    DeadlineExceeded,
    ForeignHost,
    OperationCanceled,
    OperationFailed,
    Throttled,
    Unreachable,
)
from providers.arm.answer import Answer
from providers.arm.operation_status import STATUSES, Source, State, read_operation, read_resource, source
from providers.arm.operations import next_wait
from tests.arm.far_side import API, ENDPOINT, OPERATION, Clock, Far, client_of, refusal, reply, resource, statuses

ASYNC = f"{OPERATION}/mfeOperationsStatus/be:ws:op?api-version=2025-12-01&t=signed"
RESULT = f"{OPERATION}/mfeOperationResults/be:ws:op?api-version=2025-12-01"
RELATIVE = ASYNC.removeprefix("https://management.azure.com")
OLD_BODY = {
    "id": ENDPOINT,
    "properties": {"provisioningState": "Creating", "properties": {"AzureAsyncOperationUri": ASYNC}},
}
CREATED = reply(
    201, resource("Creating"), azure_asyncoperation=ASYNC, location=f"https://management.azure.com{ENDPOINT}"
)
GOING = reply(200, {"status": "Updating"})


def put(*replies: httpx.Response | Exception, clock: Clock | None = None, deadline: float = 1800) -> dict[str, Any]:
    return client_of(Far(*replies), clock=clock).put(ENDPOINT, {}, api_version=API, deadline=deadline)


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (201, {"azure-asyncoperation": "A", "location": "L"}, resource("Creating"), Source("operation", "A")),
        (202, {"azure-asyncoperation": "A", "location": "L"}, None, Source("operation", "A")),
        (200, {"operation-location": "A"}, resource(), Source("operation", "A")),
        (202, {"location": "L"}, None, Source("location", "L")),
        (202, {"location": "L"}, OLD_BODY, Source("location", "L")),
        (201, {}, OLD_BODY, Source("operation", ASYNC)),
        (201, {"location": "L"}, resource("Creating"), Source("resource", "R")),
        (202, {}, None, Source("resource", "R")),
        (202, {}, OLD_BODY, Source("operation", ASYNC)),
        (202, {}, resource(), Source("resource", "R")),
        (200, {}, resource("Updating"), Source("resource", "R")),
        (200, {}, resource("Failed"), Source("resource", "R")),
        (201, {"location": "L"}, resource(), None),
        (200, {}, resource(None), None),
        (200, {}, None, None),
    ],
)
def test_where_to_ask_has_one_order(status: int, headers: dict[str, str], body: Any, expected: Source | None) -> None:
    assert source(Answer(status, headers, body), "R") == expected


def test_an_old_operation_in_the_body_of_a_finished_resource_is_not_asked() -> None:
    body = {"properties": {"provisioningState": "Succeeded", "properties": {"AzureAsyncOperationUri": ASYNC}}}
    assert source(Answer(200, {}, body), "R") is None


@pytest.mark.parametrize(("word", "state"), STATUSES.items())
def test_every_known_status_is_read_in_any_case(word: str, state: State) -> None:
    assert read_operation(Answer(200, {}, {"status": word.upper()})).state is state
    assert read_resource(Answer(200, {}, resource(word.title()))).state is state


@pytest.mark.parametrize("body", [{"status": "Pondering"}, {"status": ""}, {}, None, [], {"status": None}])
def test_an_operation_with_an_unknown_status_is_an_error(body: Any) -> None:
    with pytest.raises(BadAnswer):
        read_operation(Answer(200, {}, body))


def test_a_create_is_followed_to_its_end_and_read_back() -> None:
    far = Far(CREATED, *statuses("Updating", "Updating", "Succeeded"), reply(200, resource()))
    phrases: list[str] = []
    got = client_of(far).put(ENDPOINT, {}, api_version=API, deadline=1800, progress=phrases.append)
    assert got == resource()
    assert far.sent == ["PUT digits", *["GET be:ws:op"] * 3, "GET digits"]
    assert phrases == ["updating, 0 s", "updating, 1 s", "succeeded, 2 s", "succeeded, 2 s"]


def test_percentages_are_told() -> None:
    far = Far(
        CREATED,
        reply(200, {"status": "Running", "percentComplete": 40.0}),
        *statuses("Succeeded"),
        reply(200, resource()),
    )
    phrases: list[str] = []
    client_of(far).put(ENDPOINT, {}, api_version=API, deadline=1800, progress=phrases.append)
    assert phrases[0] == "running 40 %, 0 s"


def test_an_operation_url_may_be_relative() -> None:
    far = Far(
        reply(201, resource("Creating"), azure_asyncoperation=RELATIVE), *statuses("Succeeded"), reply(200, resource())
    )
    client_of(far).put(ENDPOINT, {}, api_version=API, deadline=60)
    assert str(far.requests[1].url) == ASYNC


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/op",
        "http://management.azure.com/op",
        "//evil.example/op",
        "https://management.azure.com@evil.example/op",
        "ftp://management.azure.com/op",
    ],
)
@pytest.mark.parametrize("header", ["azure_asyncoperation", "location"])
def test_an_operation_url_on_a_foreign_host_gets_no_request(url: str, header: str) -> None:
    far = Far(reply(202, None, **{header: url}))
    with pytest.raises(ForeignHost) as caught:
        client_of(far).put(ENDPOINT, {}, api_version=API, deadline=60)
    assert len(far.requests) == 1
    assert caught.value.arm_id == ENDPOINT


def test_location_is_asked_until_it_is_not_202() -> None:
    far = Far(reply(202, None, location=RESULT), reply(202), reply(204), reply(200, resource()))
    assert client_of(far).put(ENDPOINT, {}, api_version=API, deadline=60) == resource()
    assert far.sent == ["PUT digits", "GET be:ws:op", "GET be:ws:op", "GET digits"]


def test_a_location_that_ends_in_the_resource_spares_the_last_read() -> None:
    far = Far(reply(202, None, location=RESULT), reply(200, resource()))
    assert client_of(far).put(ENDPOINT, {}, api_version=API, deadline=60) == resource()
    assert len(far.requests) == 2


def test_without_any_url_the_resource_itself_is_asked() -> None:
    far = Far(reply(201, resource("Creating")), reply(200, resource("Creating")), reply(200, resource()))
    assert client_of(far).put(ENDPOINT, {}, api_version=API, deadline=60) == resource()
    assert far.sent == ["PUT digits", "GET digits", "GET digits"]


def test_a_synchronous_put_is_not_asked_about() -> None:
    far = Far(reply(201, resource(None), location="https://management.azure.com/x"))
    assert client_of(far).put(ENDPOINT, {}, api_version=API, deadline=60) == resource(None)
    assert far.sent == ["PUT digits"]


def test_an_operation_that_succeeded_too_early_is_not_believed() -> None:
    far = Far(CREATED, *statuses("Succeeded"), reply(200, resource("Updating")), reply(200, resource()))
    assert client_of(far).put(ENDPOINT, {}, api_version=API, deadline=60) == resource()


def test_a_resource_that_reads_failed_after_a_good_operation_has_failed() -> None:
    with pytest.raises(OperationFailed, match="PUT ended in Failed"):
        put(CREATED, *statuses("Succeeded"), reply(200, resource("Failed")))


def test_a_failed_operation_gives_the_services_reason() -> None:
    failed = reply(
        200, {"status": "Failed", "error": {"code": "UserError", "message": "Quota exceeded", "details": []}}
    )
    with pytest.raises(OperationFailed, match="PUT ended in Failed: Quota exceeded") as caught:
        put(CREATED, failed)
    error = caught.value
    assert (error.code, error.arm_id, error.operation) == ("UserError", ENDPOINT, "be:ws:op")


@pytest.mark.parametrize(
    "body", [{"status": "Failed"}, {"status": "Failed", "error": None}, {"status": "Failed", "error": 3}]
)
def test_a_failure_without_a_reason_says_so(body: dict[str, Any]) -> None:
    with pytest.raises(OperationFailed, match="the service gave no reason"):
        put(CREATED, reply(200, body))


@pytest.mark.parametrize("word", ["Canceled", "Cancelled", "canceled"])
def test_a_canceled_operation_is_told_apart(word: str) -> None:
    with pytest.raises(OperationCanceled):
        put(CREATED, *statuses(word))


def test_an_unknown_status_is_an_error_not_patience() -> None:
    with pytest.raises(BadAnswer, match="unknown status 'Pondering'") as caught:
        put(CREATED, *statuses("Pondering"))
    assert caught.value.arm_id == ENDPOINT


@pytest.mark.parametrize(("elapsed", "wait"), [(0, 0.5), (2, 0.5), (4, 1), (30, 7.5), (40, 10), (3600, 10)], ids=str)
def test_the_longer_it_takes_the_longer_are_the_waits(elapsed: float, wait: float) -> None:
    assert next_wait(elapsed) == wait


def test_waits_begin_at_half_a_second_and_end_at_ten() -> None:
    clock = Clock()
    put(CREATED, *[GOING] * 40, *statuses("Succeeded"), reply(200, resource()), clock=clock)
    assert clock.sleeps[:5] == [0.5] * 5
    assert sorted(clock.sleeps) == clock.sleeps
    assert clock.sleeps[-3:] == [10, 10, 10]


def noticed_after(takes: float, **headers: str) -> float:
    """Seconds from the end of an operation that takes so long to its being noticed."""
    clock = Clock()
    began = clock()

    def azure(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            return reply(201, resource("Creating"), azure_asyncoperation=ASYNC, **headers)
        if request.url.path == ENDPOINT:
            return reply(200, resource())
        return reply(200, {"status": "Succeeded" if clock() - began >= takes else "Updating"}, **headers)

    client_of(azure, clock=clock).put(ENDPOINT, {}, api_version=API, deadline=1800)
    return clock() - began - takes


@pytest.mark.parametrize("takes", [0.3, 1, 2, 3.9, 30, 60, 600])
def test_an_end_is_noticed_soon_for_what_it_took(takes: float) -> None:
    """Within half a second, or a quarter of the time, or ten seconds."""
    assert noticed_after(takes) <= min(max(0.5, takes / 4), 10)


@pytest.mark.parametrize("seconds", [1, 2, 7, 60])
def test_an_end_is_noticed_at_the_first_moment_that_retry_after_allows(seconds: int) -> None:
    assert noticed_after(20.5, retry_after=str(seconds)) == pytest.approx(-20.5 % seconds)


def test_a_retry_after_of_zero_does_not_make_us_ask_without_a_pause() -> None:
    clock = Clock()
    hasty = reply(200, {"status": "Updating"}, retry_after="0")
    put(CREATED, hasty, hasty, *statuses("Succeeded"), reply(200, resource()), clock=clock)
    assert clock.sleeps == [0.5, 0.5, 0.5]


def test_retry_after_sets_the_pace_while_it_is_given() -> None:
    clock = Clock()
    paced = reply(200, {"status": "Updating"}, retry_after="3")
    put(CREATED, paced, paced, GOING, *statuses("Succeeded"), reply(200, resource()), clock=clock)
    assert clock.sleeps == [0.5, 3, 3, 6.5 / 4]


def test_the_first_wait_obeys_the_answer_that_began_it() -> None:
    clock = Clock()
    created = reply(201, resource("Creating"), azure_asyncoperation=ASYNC, retry_after="2")
    put(created, *statuses("Succeeded"), reply(200, resource()), clock=clock)
    assert clock.sleeps == [2]


def test_a_deadline_ends_it_and_says_what_still_runs_where() -> None:
    clock = Clock()
    with pytest.raises(DeadlineExceeded) as caught:
        put(CREATED, GOING, clock=clock, deadline=30)
    text = str(caught.value)
    assert "stopped waiting after 30 s" in text
    assert "the PUT was still running in Azure, last seen Updating, at operation be:ws:op" in text
    assert ENDPOINT in text
    assert "signed" not in text
    assert sum(clock.sleeps) == 30


def test_an_operation_that_ends_during_the_last_wait_is_noticed() -> None:
    clock = Clock()
    far = Far(CREATED, *[GOING] * 5, *statuses("Succeeded"), reply(200, resource()))
    client_of(far, clock=clock).put(ENDPOINT, {}, api_version=API, deadline=2.8)
    assert sum(clock.sleeps) == pytest.approx(2.8)


@pytest.mark.parametrize(
    "trouble",
    [
        refusal(503, "ServiceUnavailable"),
        refusal(429, "TooManyRequests", retry_after="1"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        reply(404),
    ],
    ids=["503", "429", "no connection", "stalled", "404"],
)
def test_a_question_that_fails_is_asked_again(trouble: httpx.Response | Exception) -> None:
    assert put(CREATED, trouble, trouble, GOING, *statuses("Succeeded"), reply(200, resource())) == resource()


def test_a_throttled_question_waits_as_long_as_it_is_told() -> None:
    clock = Clock()
    throttled = refusal(429, "TooManyRequests", retry_after="17")
    put(CREATED, throttled, *statuses("Succeeded"), reply(200, resource()), clock=clock)
    assert clock.sleeps == [0.5, 17]


@pytest.mark.parametrize(
    ("trouble", "kind"), [(httpx.ConnectError("refused"), Unreachable), (refusal(429, "TooManyRequests"), Throttled)]
)
def test_questions_that_fail_for_minutes_end_the_wait(
    trouble: httpx.Response | Exception, kind: type[ArmError]
) -> None:
    clock = Clock()
    with pytest.raises(kind):
        put(CREATED, trouble, clock=clock)
    assert 300 <= sum(clock.sleeps) <= 311


def test_a_deadline_during_trouble_says_both() -> None:
    with pytest.raises(DeadlineExceeded, match=r"last seen Updating \(then Unreachable: no connection"):
        put(CREATED, GOING, httpx.ConnectError("refused"), deadline=30)


def test_an_operation_whose_record_is_gone_leaves_the_word_to_the_resource() -> None:
    far = Far(CREATED, *[reply(404)] * 4, reply(200, resource()))
    assert client_of(far).put(ENDPOINT, {}, api_version=API, deadline=60) == resource()


def test_a_resource_that_is_not_readable_yet_after_its_put_is_asked_again() -> None:
    assert put(CREATED, *statuses("Succeeded"), reply(404), reply(404), reply(200, resource())) == resource()


def test_a_resource_that_never_appears_after_its_put_is_an_error() -> None:
    with pytest.raises(OperationFailed, match="404 Not Found"):
        put(CREATED, *statuses("Succeeded"), reply(404))


def test_a_401_between_questions_is_answered_with_a_new_token() -> None:
    assert put(CREATED, GOING, reply(401), GOING, *statuses("Succeeded"), reply(200, resource())) == resource()
