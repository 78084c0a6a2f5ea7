"""Every shape of an error body becomes one line; none of them raises something else."""

from __future__ import annotations

import json
import pickle
import re
from typing import Any

import pytest

from providers.arm import errors
from providers.arm.errors import ArmError, error_of
from tests.arm.far_side import ENDPOINT, SECRET

# Recorded by azure-ai-ml's own tests in December 2023 (azure-sdk-assets@008fa3ae, test_batch_endpoint_create).
NOT_FOUND = {
    "error": {
        "code": "UserError",
        "message": "An endpoint with the name 'e' does not exist in the workspace 'w'.",
        "details": [],
        "additionalInfo": [
            {"type": "ComponentName", "info": {"value": "managementfrontend"}},
            {"type": "Correlation", "info": {"value": {"operation": "ff4fa391", "request": "5929b642"}}},
            {
                "type": "InnerError",
                "info": {"value": {"code": "NotFound", "innerError": {"code": "EndpointNotFound", "innerError": None}}},
            },
        ],
    }
}
# The words of azure-sdk-for-python's issue 41586.
VALIDATION = (
    "The Endpoint request provided has the following validation errors. Please resolve them and try again. Errors: "
    '[{"PropertyName": "Tags", "ErrorMessage": "Tag values must not be null or empty", "AttemptedValue": null, '
    '"ErrorCode": "PredicateValidator"}]'
)


def test_the_services_own_404_says_its_inner_code_and_correlation() -> None:
    error = error_of(404, {}, json.dumps(NOT_FOUND), arm_id=ENDPOINT, operation="GET")
    assert isinstance(error, errors.NotFound)
    assert (error.code, error.inner_code, error.correlation_id) == ("UserError", "EndpointNotFound", "ff4fa391")
    assert str(error) == (
        "UserError/EndpointNotFound: An endpoint with the name 'e' does not exist in the workspace 'w'. "
        f"[status 404, operation GET, id {ENDPOINT}, correlation ff4fa391]"
    )


def test_validation_failures_are_told_by_property() -> None:
    error = error_of(400, {}, json.dumps({"error": {"code": "UserError", "message": VALIDATION}}))
    assert isinstance(error, errors.Invalid)
    assert error.failures == (("Tags", "Tag values must not be null or empty"),)


def test_the_header_names_the_correlation_before_the_body() -> None:
    error = error_of(404, {"x-ms-correlation-request-id": "from-header"}, json.dumps(NOT_FOUND))
    assert error.correlation_id == "from-header"


def test_details_join_the_message_once() -> None:
    body = {
        "error": {"code": "A", "message": "top", "details": [{"code": "B", "message": "below"}, {"message": "top"}]}
    }
    assert error_of(400, {}, json.dumps(body)).message == "top; B: below"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (302, "", errors.BadAnswer),
        (400, "InvalidRequest", errors.Invalid),
        (401, "InvalidAuthenticationToken", errors.Unauthorized),
        (403, "AuthorizationFailed", errors.Forbidden),
        (404, "ResourceNotFound", errors.NotFound),
        (405, "", errors.Invalid),
        (408, "", errors.ServerTrouble),
        (409, "AnotherOperationInProgress", errors.Busy),
        (409, "anotheroperationinprogress", errors.Busy),
        (409, "AlreadyExists", errors.Conflict),
        (409, "", errors.Conflict),
        (412, "PreconditionFailed", errors.Conflict),
        (422, "", errors.Invalid),
        (429, "TooManyRequests", errors.Throttled),
        (500, "InternalServerError", errors.ServerTrouble),
        (503, "", errors.ServerTrouble),
        (599, "", errors.ServerTrouble),
    ],
)
def test_the_class_tells_what_the_caller_can_do(status: int, code: str, kind: type[ArmError]) -> None:
    assert type(error_of(status, {}, json.dumps({"error": {"code": code, "message": "m"}}))) is kind


def test_a_busy_code_on_another_status_is_not_busy() -> None:
    assert type(error_of(400, {}, '{"error": {"code": "AnotherOperationInProgress"}}')) is errors.Invalid


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"code": "C", "message": "m"}, "C", "m"),
        ({"Code": "C", "Message": "m"}, "C", "m"),
        ({"Message": "m"}, "", "m"),
        ({"error": {"message": "m"}}, "", "m"),
        ({"odata.error": {"code": "C", "message": {"lang": "en", "value": "m"}}}, "C", "m"),
        ({"error": "invalid_client", "error_description": "m"}, "invalid_client", "m"),
        ({"error": {"code": 7, "message": "m"}}, "7", "m"),
    ],
)
def test_other_envelopes_are_read_too(body: Any, code: str, message: str) -> None:
    error = error_of(400, {}, json.dumps(body))
    assert (error.code, error.message) == (code, message)


def test_blob_storages_xml_is_read_too() -> None:
    xml = "<?xml?><Error><Code>AuthenticationFailed</Code><Message>Server failed.\nTime: 1</Message></Error>"
    error = error_of(403, {}, xml)
    assert (error.code, error.message) == ("AuthenticationFailed", "Server failed. Time: 1")


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        "",
        "   ",
        "null",
        "[]",
        "[1]",
        '"text"',
        "7",
        "{",
        DEEP,
        "\x00\ufffd",
        '{"error": null}',
        '{"error": []}',
        '{"error": {"code": {}, "message": []}}',
        '{"error": {"message": {"value": {}}}}',
        '{"error": {"details": "x", "additionalInfo": [1, null, {"type": 3}, {"type": "InnerError", "info": 4}]}}',
        '{"error": {"innererror": {"innererror": []}}}',
        '{"error": {"message": "Errors: [{"}}',
        '{"error": {"message": "Errors: [1, null]"}}',
        "<html><title>Sign  in</title></html>",
        "<Error>",
    ],
    ids=lambda body: repr(body[:30]),
)
@pytest.mark.parametrize("status", [302, 400, 404, 409, 500])
def test_odd_bodies_never_raise_and_give_one_line(status: int, body: str) -> None:
    text = str(error_of(status, {}, body, arm_id=ENDPOINT))
    assert f"status {status}" in text
    assert ENDPOINT in text
    assert "\n" not in text
    assert len(text) < 2000


def test_an_html_page_is_named_by_its_title() -> None:
    error = error_of(502, {}, "<html><head><title>Bad\n Gateway</title></head></html>")
    assert error.message == "status 502 with an HTML page that says 'Bad Gateway' where ARM's JSON error was expected"


def test_a_redirect_names_where_it_led_without_its_query() -> None:
    error = error_of(302, {"location": "https://evil.example/x?sig=abc"}, "")
    assert "https://evil.example/x" in error.message
    assert "abc" not in str(error)


@pytest.mark.parametrize(
    "secret",
    [
        SECRET,
        f"Bearer {SECRET}",
        "Bearer opaque-token-123",
        "https://s.blob.core.windows.net/c/b?sv=1&sig=c2VjcmV0",
        "https%3a%2f%2fs?sig%3Dc2VjcmV0",
        "AccountKey=c2VjcmV0==;EndpointSuffix=x",
        '"client_secret": "c2VjcmV0"',
        json.dumps({"password": 'with"quotes, c2VjcmV0'}),
        json.dumps({"text": json.dumps({"password": 'with"quotes, c2VjcmV0'})}),
        "client_secret=c2VjcmV0&x=1",
    ],
)
def test_secrets_that_a_service_echoes_are_hidden(secret: str) -> None:
    error = error_of(400, {}, json.dumps({"error": {"code": "C", "message": f"bad: {secret}"}}))
    for text in (str(error), repr(error), error.body, repr(error.__dict__)):
        assert "c2VjcmV0" not in text
        assert SECRET not in text
        assert "opaque-token-123" not in text


def test_a_long_body_is_cut() -> None:
    error = error_of(400, {}, json.dumps({"error": {"code": "C", "message": "x" * 100_000}}))
    assert len(str(error)) < 2000
    assert len(error.body) <= 2000


def test_errors_survive_pickling() -> None:
    error = error_of(404, {}, json.dumps(NOT_FOUND), arm_id=ENDPOINT)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.codes) == (type(error), str(error), error.codes)


def test_the_drawn_tree_is_the_real_one() -> None:
    drawn = re.findall(r"^ *([A-Z]\w+)  ", errors.__doc__ or "", re.MULTILINE)
    real = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, ArmError)]
    assert sorted(drawn) == sorted(real)
