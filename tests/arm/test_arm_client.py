"""The verbs of the client, and what it must never do."""

from __future__ import annotations

import pickle
import ssl
import threading
from typing import Any

import httpx
import pytest

from providers.arm import (
    US_GOVERNMENT,
    ArmClient,
    ArmError,
    BadAnswer,
    ForeignHost,
    Invalid,
    NotFound,
    Unreachable,
    client,
)
from tests.arm.far_side import (
    API,
    ENDPOINT,
    WORKSPACE,
    Clock,
    Credential,
    Far,
    client_of,
    refusal,
    reply,
    resource,
)

SCORING = "https://digits.eastus.inference.ml.azure.com/jobs"


def test_get_asks_with_api_version_and_token() -> None:
    far = Far(reply(200, resource()))
    assert client_of(far).get(ENDPOINT, api_version=API) == resource()
    request = far.requests[0]
    assert str(request.url) == f"https://management.azure.com{ENDPOINT}?api-version={API}"
    assert request.headers["authorization"].startswith("Bearer ey")
    assert request.headers["x-ms-correlation-request-id"]


def test_get_of_nothing_is_none() -> None:
    assert client_of(Far(refusal(404, "UserError"))).get(ENDPOINT, api_version=API) is None


def test_a_404_shortly_after_our_own_put_is_asked_again() -> None:
    far = Far(reply(201, resource()), reply(404), reply(404), reply(200, resource()))
    arm = client_of(far)
    arm.put(ENDPOINT, {}, api_version=API, deadline=60)
    assert arm.get(ENDPOINT.upper().replace("/SUBSCRIPTIONS", "/subscriptions"), api_version=API) == resource()


def test_a_404_that_stays_after_our_own_put_is_believed_in_the_end() -> None:
    clock = Clock()
    arm = client_of(Far(reply(201, resource()), reply(404)), clock=clock)
    arm.put(ENDPOINT, {}, api_version=API, deadline=60)
    assert arm.get(ENDPOINT, api_version=API) is None
    assert sum(clock.sleeps) == 15


def test_a_404_long_after_our_own_put_is_believed_at_once() -> None:
    clock = Clock()
    arm = client_of(Far(reply(201, resource()), reply(404)), clock=clock)
    arm.put(ENDPOINT, {}, api_version=API, deadline=60)
    clock.now += 16
    assert arm.get(ENDPOINT, api_version=API) is None
    assert clock.sleeps == []


def test_a_404_after_our_own_delete_is_believed_at_once() -> None:
    clock = Clock()
    arm = client_of(Far(reply(201, resource()), reply(204), reply(404)), clock=clock)
    arm.put(ENDPOINT, {}, api_version=API, deadline=60)
    arm.delete(ENDPOINT, api_version=API, deadline=60)
    assert arm.get(ENDPOINT, api_version=API) is None
    assert clock.sleeps == []


def test_a_put_that_answers_nothing_is_read_back() -> None:
    far = Far(reply(200), reply(200, resource()))
    assert client_of(far).put(ENDPOINT, {}, api_version=API, deadline=60) == resource()


def test_a_put_below_a_missing_parent_is_not_found() -> None:
    with pytest.raises(NotFound):
        client_of(Far(refusal(404, "ParentResourceNotFound"))).put(ENDPOINT, {}, api_version=API, deadline=60)


@pytest.mark.parametrize("body", [[], "text", 7, True])
def test_a_resource_that_is_no_object_is_a_bad_answer(body: Any) -> None:
    with pytest.raises(BadAnswer, match="expected a JSON object"):
        client_of(Far(reply(200, body))).get(ENDPOINT, api_version=API)


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": object()}, {"x": {1, 2}}])
def test_a_body_that_is_no_json_is_refused_before_it_is_sent(body: Any) -> None:
    far = Far(reply(200))
    with pytest.raises(Invalid, match="cannot be written as JSON"):
        client_of(far).put(ENDPOINT, body, api_version=API, deadline=60)
    assert far.requests == []


def test_post_gives_the_answer() -> None:
    far = Far(reply(200, {"credentials": 1}))
    assert client_of(far).post(f"{WORKSPACE}/datastores/d/listSecrets", api_version=API) == {"credentials": 1}
    assert far.requests[0].content == b""


def test_post_waits_only_when_asked() -> None:
    location = "https://management.azure.com/operations/1"
    far = Far(reply(202, None, location=location), reply(200))
    arm = client_of(far)
    assert arm.post(f"{WORKSPACE}/jobs/j/cancel", api_version=API) is None
    assert far.sent == ["POST cancel"]


def test_post_that_waits_follows_location_to_its_end() -> None:
    far = Far(
        reply(202, None, location="https://management.azure.com/operations/1"),
        reply(202),
        reply(200),
        reply(200, resource(None)),
    )
    client_of(far).post(f"{WORKSPACE}/jobs/j/cancel", api_version=API, wait=True, deadline=60)
    assert far.sent == ["POST cancel", "GET 1", "GET 1", "GET j"]


def test_lists_are_read_page_by_page() -> None:
    following = f"https://management.azure.com{WORKSPACE}/batchEndpoints?api-version={API}&$skip=2"
    far = Far(reply(200, {"value": [{"n": 1}, {"n": 2}], "nextLink": following}), reply(200, {"value": [{"n": 3}]}))
    items = client_of(far).list(f"{WORKSPACE}/batchEndpoints", api_version=API, query={"$top": "2"})
    assert next(items) == {"n": 1}
    assert len(far.requests) == 1
    assert [item["n"] for item in items] == [2, 3]
    assert "$top=2" in str(far.requests[0].url)


def test_a_next_page_on_a_foreign_host_gets_no_token() -> None:
    far = Far(reply(200, {"value": [], "nextLink": "https://evil.example/next"}))
    with pytest.raises(ForeignHost):
        list(client_of(far).list(f"{WORKSPACE}/jobs", api_version=API))
    assert len(far.requests) == 1


def test_a_list_that_links_to_itself_ends() -> None:
    far = Far(reply(200, {"value": [], "nextLink": f"https://management.azure.com{WORKSPACE}/jobs?api-version={API}"}))
    with pytest.raises(BadAnswer, match="links to a page that was read already"):
        list(client_of(far).list(f"{WORKSPACE}/jobs", api_version=API))


def test_a_call_of_the_data_plane_carries_its_own_audience_and_headers() -> None:
    far, credential = Far(reply(201, {"id": "j"}, azureml_model_deployment="blue")), Credential()
    arm = client_of(far, credential=credential)
    answer = arm.call(
        "POST",
        SCORING,
        audience=arm.cloud.ml_audience,
        json={"properties": {}},
        headers={"azureml-model-deployment": "blue"},
        idempotent=False,
    )
    assert (answer.status, answer.body, answer.headers["Azureml-Model-Deployment"]) == (201, {"id": "j"}, "blue")
    assert credential.asked == ["https://ml.azure.com/.default"]
    assert far.requests[0].headers["azureml-model-deployment"] == "blue"


def test_headers_of_one_call_do_not_reach_the_next() -> None:
    far = Far(reply(201, {}))
    arm = client_of(far)
    arm.call("POST", SCORING, audience=arm.cloud.ml_audience, json={}, headers={"x-once": "1"}, idempotent=False)
    arm.call("POST", SCORING, audience=arm.cloud.ml_audience, json={}, idempotent=False)
    assert "x-once" not in far.requests[1].headers


def test_a_foreign_scoring_uri_is_refused_before_anyone_signs_in() -> None:
    far, credential = Far(reply(200)), Credential()
    arm = client_of(far, credential=credential)
    with pytest.raises(ForeignHost):
        arm.call("POST", "https://evil.example/jobs", audience=arm.cloud.ml_audience, json={}, idempotent=False)
    assert (far.requests, credential.asked) == ([], [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["https://evil.example/", "https://management.azure.com/elsewhere"])
def test_redirects_are_not_followed(status: int, target: str) -> None:
    far = Far(reply(status, None, location=target))
    with pytest.raises(BadAnswer, match="which is not followed"):
        client_of(far).get(ENDPOINT, api_version=API)
    assert len(far.requests) == 1


def test_a_header_that_http_cannot_carry_is_an_error_of_ours() -> None:
    arm = client_of(Far(reply(200)))
    with pytest.raises(Invalid, match="characters that HTTP cannot carry"):
        arm.call("POST", SCORING, audience=arm.cloud.ml_audience, headers={"x": "ö"}, idempotent=False)


def test_another_cloud_has_its_own_hosts_and_audience() -> None:
    far, credential = Far(reply(200, resource())), Credential()
    client_of(far, credential=credential, cloud=US_GOVERNMENT).get(ENDPOINT, api_version=API)
    assert far.requests[0].url.host == "management.usgovcloudapi.net"
    assert credential.asked == ["https://management.usgovcloudapi.net/.default"]


LOG = "https://labstore.blob.core.windows.net/azureml/ExperimentRun/dcid.j/user_logs/log.txt?sv=1&sig=c2VjcmV0"


def test_a_log_is_fetched_without_a_token() -> None:
    far, credential = Far(httpx.Response(200, content="grüße\n".encode())), Credential()
    assert client_of(far, credential=credential).fetch_text(LOG) == "grüße\n"
    assert "authorization" not in far.requests[0].headers
    assert credential.asked == []


def test_of_a_long_log_the_end_is_kept() -> None:
    text = client_of(Far(httpx.Response(200, content=b"a" * 100 + b"end"))).fetch_text(LOG, limit=10)
    assert text == "[the first 93 bytes are left out]\naaaaaaaend"


@pytest.mark.parametrize("url", ["http://labstore.blob.core.windows.net/x", "https://evil.example/x?sig=abc"])
def test_nothing_is_fetched_from_foreign_hosts(url: str) -> None:
    far = Far(reply(200))
    with pytest.raises(ForeignHost):
        client_of(far).fetch_text(url)
    assert far.requests == []


def test_a_log_that_is_refused_is_told_without_its_signature() -> None:
    xml = "<Error><Code>AuthenticationFailed</Code><Message>Signature did not match sig=c2VjcmV0</Message></Error>"
    with pytest.raises(ArmError, match="AuthenticationFailed") as caught:
        client_of(Far(httpx.Response(403, content=xml.encode()))).fetch_text(LOG)
    assert "c2VjcmV0" not in str(caught.value)


def test_writes_to_one_resource_can_be_put_in_a_row() -> None:
    arm = client_of(Far(reply(200)))
    with arm.exclusive(ENDPOINT):
        free: list[bool] = []
        thread = threading.Thread(target=lambda: free.append(arm._locks[ENDPOINT.lower()].acquire(blocking=False)))
        thread.start()
        thread.join()
    assert free == [False]


def test_there_is_one_client_per_cloud_and_process() -> None:
    assert client() is client("public")
    assert client("china") is not client()


def test_an_unknown_cloud_is_refused() -> None:
    with pytest.raises(ValueError, match="cloud: must be one of"):
        client("moon")


def test_a_client_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(client_of(Far(reply(200))))


def _every_httpx_error() -> list[Exception]:
    kinds = [kind for kind in vars(httpx).values() if isinstance(kind, type) and issubclass(kind, httpx.HTTPError)]
    concrete = [kind for kind in kinds if kind not in (httpx.HTTPError, httpx.HTTPStatusError)]
    return [kind("x") for kind in concrete] + [httpx.InvalidURL("x"), httpx.StreamError("x")]


@pytest.mark.parametrize("error", _every_httpx_error(), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("verb", ["get", "post", "fetch"])
def test_no_error_of_httpx_escapes(error: Exception, verb: str) -> None:
    arm = client_of(Far(error))
    with pytest.raises(Unreachable) as caught:
        if verb == "get":
            arm.get(ENDPOINT, api_version=API)
        elif verb == "post":
            arm.post(ENDPOINT, {}, api_version=API)
        else:
            arm.fetch_text(LOG)
    assert "c2VjcmV0" not in str(caught.value)


def test_a_missing_certificate_file_is_told_by_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "no/such/file.pem")
    with pytest.raises(Unreachable, match="SSL_CERT_FILE"):
        ArmClient(credential=Credential())


def test_certificates_are_checked() -> None:
    arm = ArmClient(credential=Credential())
    context = arm._wire._http._transport._pool._ssl_context  # type: ignore[attr-defined]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    arm.close()


def test_a_file_that_grows_is_read_on_from_where_it_was_left() -> None:
    far = Far(httpx.Response(206, content=b"more"), httpx.Response(416), httpx.Response(200, content=b"all of it"))
    arm = client_of(far)

    found = [arm.fetch_bytes(LOG, start=7) for _ in range(2)]

    assert found == [b"more", b""]
    assert far.requests[0].headers["range"] == "bytes=7-"
    assert arm.fetch_bytes(LOG, limit=3) == b"all"
