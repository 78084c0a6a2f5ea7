"""The rules by which a request is sent again: the list in `retries`, as a table."""

from __future__ import annotations

import json

import httpx
import pytest

from providers.arm import AnswerLost, ArmError, BadAnswer, Busy, DeadlineExceeded, Unreachable
from providers.arm.retries import ATTEMPTS, pause, retry_after
from tests.arm.far_side import API, ENDPOINT, Clock, Far, client_of, refusal, reply, resource

HTML = httpx.Response(200, content=b"<html>sign in</html>")
HALF = httpx.Response(200, content=b'{"id": "x", "prop')

# What comes back first, whether an idempotent request is sent again, whether one that is not is.
RULES: list[tuple[str, httpx.Response | Exception, bool, bool]] = [
    ("408", refusal(408, "RequestTimeout"), True, False),
    ("429", refusal(429, "TooManyRequests"), True, True),
    ("500", refusal(500, "InternalServerError"), True, False),
    ("502", refusal(502, "BadGateway"), True, False),
    ("503", refusal(503, "ServiceUnavailable"), True, False),
    ("504", refusal(504, "GatewayTimeout"), True, False),
    ("409 busy", refusal(409, "AnotherOperationInProgress"), True, False),
    ("no connection", httpx.ConnectError("refused"), True, True),
    ("no connection in time", httpx.ConnectTimeout("slow"), True, True),
    ("proxy says no", httpx.ProxyError("403 Forbidden"), True, True),
    ("dropped", httpx.RemoteProtocolError("peer closed connection"), True, False),
    ("stalled", httpx.ReadTimeout("slow"), True, False),
    ("write broken", httpx.WriteError("reset"), True, False),
    ("HTML", HTML, True, False),
    ("half a body", HALF, True, False),
    ("400", refusal(400, "InvalidRequest"), False, False),
    ("403", refusal(403, "AuthorizationFailed"), False, False),
    ("404", refusal(404, "ResourceNotFound"), False, False),
    ("409 exists", refusal(409, "AlreadyExists"), False, False),
    ("409 bare", reply(409), False, False),
    ("412", refusal(412, "PreconditionFailed"), False, False),
    ("501", refusal(501, "NotImplemented"), False, False),
    ("302", reply(302, location="https://management.azure.com/elsewhere"), False, False),
]
IDS = [rule[0] for rule in RULES]


@pytest.mark.parametrize(("first", "again"), [rule[1:3] for rule in RULES], ids=IDS)
def test_idempotent_requests_are_sent_again_by_rule(first: httpx.Response | Exception, again: bool) -> None:
    far = Far(first, reply(200, {"ok": True}))
    client = client_of(far)
    if again:
        assert client.post(ENDPOINT, {}, api_version=API, idempotent=True) == {"ok": True}
    else:
        with pytest.raises(ArmError):
            client.post(ENDPOINT, {}, api_version=API, idempotent=True)
    assert len(far.requests) == 1 + again


@pytest.mark.parametrize(("first", "again"), [(rule[1], rule[3]) for rule in RULES], ids=IDS)
def test_a_post_that_starts_a_job_is_never_sent_blindly_again(first: httpx.Response | Exception, again: bool) -> None:
    far = Far(first, reply(201, {"ok": True}))
    client = client_of(far)
    scoring = "https://digits.eastus.inference.ml.azure.com/jobs"
    if again:
        client.call("POST", scoring, audience=client.cloud.ml_audience, json={}, idempotent=False)
    else:
        with pytest.raises(ArmError):
            client.call("POST", scoring, audience=client.cloud.ml_audience, json={}, idempotent=False)
    assert len(far.requests) == 1 + again


@pytest.mark.parametrize("verb", ["get", "put", "patch", "delete"])
def test_the_verbs_of_arm_are_idempotent(verb: str) -> None:
    far = Far(refusal(503, "ServiceUnavailable"), reply(200, resource()), reply(404))
    client = client_of(far)
    if verb == "get":
        client.get(ENDPOINT, api_version=API)
    elif verb == "delete":
        client.delete(ENDPOINT, api_version=API, deadline=60)
    else:
        getattr(client, verb)(ENDPOINT, {}, api_version=API, deadline=60)
    assert far.sent[:2] == [f"{verb.upper()} digits"] * 2


def test_a_lost_answer_says_that_the_request_may_have_been_carried_out() -> None:
    client = client_of(Far(httpx.ReadTimeout("timed out")))
    with pytest.raises(AnswerLost, match="may have been carried out"):
        client.post(ENDPOINT, {}, api_version=API)


@pytest.mark.parametrize(
    ("first", "maybe"),
    [
        (httpx.ReadTimeout("slow"), True),
        (httpx.RemoteProtocolError("dropped"), True),
        (refusal(500, "InternalServerError"), True),
        (HTML, True),
        (HALF, True),
        (httpx.ConnectError("refused"), False),
        (refusal(400, "InvalidRequest"), False),
        (refusal(409, "AlreadyExists"), False),
        (reply(302, location="https://management.azure.com/x"), False),
    ],
)
def test_an_error_tells_whether_a_job_may_have_been_started(first: httpx.Response | Exception, maybe: bool) -> None:
    with pytest.raises(ArmError) as caught:
        client_of(Far(first)).post(ENDPOINT, {}, api_version=API)
    assert caught.value.maybe_carried_out is maybe


def test_a_connection_that_was_never_made_is_told_apart_and_names_the_host() -> None:
    client = client_of(Far(httpx.ConnectError("[Errno -2] Name or service not known")))
    with pytest.raises(Unreachable, match=r"no connection to management\.azure\.com.*HTTPS_PROXY") as caught:
        client.get(ENDPOINT, api_version=API)
    assert not isinstance(caught.value, AnswerLost)


def test_attempts_are_bounded() -> None:
    clock, far = Clock(), Far(refusal(500, "InternalServerError"))
    with pytest.raises(ArmError):
        client_of(far, clock=clock).get(ENDPOINT, api_version=API)
    assert len(far.requests) == ATTEMPTS
    assert clock.sleeps == [0.5, 1, 2, 4, 8, 16]


def test_retry_after_is_obeyed() -> None:
    clock = Clock()
    far = Far(refusal(429, "TooManyRequests", retry_after="7"), reply(200, resource()))
    client_of(far, clock=clock).get(ENDPOINT, api_version=API)
    assert clock.sleeps == [7]


def test_a_retry_after_beyond_the_deadline_ends_at_once() -> None:
    clock = Clock()
    far = Far(refusal(429, "TooManyRequests", "slow down", retry_after="3600"))
    with pytest.raises(
        DeadlineExceeded, match="slow down; tried 1 times in 0 s, and the next try, in 3600 s"
    ) as caught:
        client_of(far, clock=clock).put(ENDPOINT, {}, api_version=API, deadline=60)
    assert (caught.value.status, clock.sleeps) == (429, [])


def test_busy_is_waited_for_until_the_deadline_however_often() -> None:
    clock = Clock()
    far = Far(*[refusal(409, "AnotherOperationInProgress")] * 20, reply(200, resource()))
    client_of(far, clock=clock).put(ENDPOINT, {}, api_version=API, deadline=600)
    assert len(far.requests) == 21
    assert max(clock.sleeps) == 20


def test_busy_beyond_the_deadline_is_told() -> None:
    far = Far(refusal(409, "AnotherOperationInProgress", "busy"))
    with pytest.raises(DeadlineExceeded, match="busy; tried") as caught:
        client_of(far).put(ENDPOINT, {}, api_version=API, deadline=60)
    assert isinstance(caught.value.__cause__, Busy)


def test_html_to_the_end_is_a_bad_answer_that_shows_its_beginning() -> None:
    with pytest.raises(BadAnswer, match="an HTML page came with status 200: '<html>sign in</html>'"):
        client_of(Far(HTML)).get(ENDPOINT, api_version=API)


def test_the_body_is_the_same_at_every_attempt() -> None:
    far = Far(refusal(503, "x"), reply(200, resource()))
    client_of(far).put(ENDPOINT, {"tags": {"é": "1"}}, api_version=API, deadline=60)
    assert [json.loads(request.content) for request in far.requests] == [{"tags": {"é": "1"}}] * 2


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "5"}, 5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "5"}, 0.25),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.5), (2, 1), (5, 8), (7, 20), (1000, 20)])
def test_pauses_double_and_lose_up_to_a_half_at_random(attempt: int, longest: float) -> None:
    assert pause(attempt, None, lambda: 0.0) == longest
    assert pause(attempt, None, lambda: 1.0) == longest / 2


def test_a_pause_is_never_shorter_than_retry_after() -> None:
    assert [pause(1, 3.0, lambda: 0.0), pause(1, 3.0, lambda: 1.0)] == [3.0, 3.5]
