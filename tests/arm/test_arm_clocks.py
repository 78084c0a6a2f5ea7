"""A clock of this machine that is hours off changes nothing that is decided, and is named where it is the cause."""

from __future__ import annotations

import ssl
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import httpx
import pytest
from azure.core.credentials import AccessToken

from providers.arm import ArmError
from providers.arm.clocks import about_time
from providers.arm.credentials import Tokens
from providers.arm.retries import retry_after
from providers.blob import BlobError, put_if_absent
from providers.explanations import explain, told
from tests.arm.far_side import API, ENDPOINT, Clock, Far, client_of, refusal, reply, resource
from tests.blob.blob_service import BlobService

HOURS = [-26, -2, 2, 26]
SKEWS = pytest.mark.parametrize("hours", HOURS, ids=[f"{abs(h)} h {'ahead' if h > 0 else 'behind'}" for h in HOURS])
TOO_OLD = (
    "<?xml version='1.0' encoding='utf-8'?><Error><Code>AuthenticationFailed</Code><Message>Server failed to "
    "authenticate the request. Make sure the value of Authorization header is formed correctly including the signature."
    "\nRequestId:1\nTime:2019-10-07T19:46:36Z</Message><AuthenticationErrorDetail>Request date header too old: "
    "'Fri, 04 Oct 2019 18:02:12 GMT'</AuthenticationErrorDetail></Error>"
)
"""Of blob storage, as https://github.com/Azure/azure-sdk-for-js/issues/5433 quotes it."""
WRONG_KEY = TOO_OLD.replace("Request date header too old: ", "The MAC signature found in the HTTP request 'qZO7F1' ")


def there(hours: float) -> str:
    """The service's date where this machine's clock is that far ahead."""
    return format_datetime(datetime.now(timezone.utc) - timedelta(hours=hours), usegmt=True)


def later(date: str, seconds: float) -> str:
    return format_datetime(
        datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=timezone.utc) + timedelta(seconds=seconds),
        usegmt=True,
    )


@SKEWS
def test_a_retry_after_that_is_a_date_is_measured_on_the_services_clock(hours: float) -> None:
    now, clock = there(hours), Clock()
    far = Far(refusal(429, "TooManyRequests", date=now, retry_after=later(now, 7)), reply(200, resource()))

    assert client_of(far, clock=clock).get(ENDPOINT, api_version=API) == resource()
    assert clock.sleeps == [7.0]


@SKEWS
def test_an_operation_is_waited_for_by_the_services_clock(hours: float) -> None:
    now, clock = there(hours), Clock()
    operation = "https://management.azure.com/subscriptions/1/operations/o?api-version=1"
    far = Far(
        reply(201, resource("Creating"), date=now, retry_after=later(now, 4), azure_asyncoperation=operation),
        reply(200, {"status": "Updating"}, date=now, retry_after=later(now, 9)),
        reply(200, {"status": "Succeeded"}),
        reply(200, resource()),
    )

    client_of(far, clock=clock).put(ENDPOINT, {}, api_version=API, deadline=60)

    assert clock.sleeps == [4.0, 9.0]


def test_a_date_that_is_over_asks_for_no_wait() -> None:
    assert retry_after({"date": there(0), "retry-after": there(3)}) == 0.0


@pytest.mark.parametrize("status", [401, 403])
@SKEWS
def test_a_refusal_by_a_service_with_another_time_names_the_clock(status: int, hours: float) -> None:
    far = Far(refusal(status, "AuthenticationFailed", "no", date=there(hours)))

    with pytest.raises(ArmError) as raised:
        client_of(far).get(ENDPOINT, api_version=API)

    assert f"this machine's clock is {abs(hours)} h {'ahead of' if hours > 0 else 'behind'} the service's" in str(
        raised.value
    )
    assert told(raised.value).endswith("(docs/errors.md#clock-wrong)")


@pytest.mark.parametrize("minutes", [-4, 0, 4])
def test_a_clock_that_is_nearly_right_is_not_blamed(minutes: float) -> None:
    far = Far(refusal(403, "AuthorizationFailed", "no", date=there(minutes / 60)))

    with pytest.raises(ArmError) as raised:
        client_of(far).get(ENDPOINT, api_version=API)

    assert "clock" not in str(raised.value)
    assert explain(raised.value).name == "workspace-role-missing"


def test_a_request_that_was_signed_by_a_wrong_clock_is_explained() -> None:
    """With a shared key the SDK signs `x-ms-date`; blob storage refuses one that is 15 minutes off."""
    service = BlobService(
        fault=lambda *_: (403, {"content-type": "application/xml", "date": there(2)}, TOO_OLD.encode())
    )

    with pytest.raises(BlobError) as raised:
        put_if_absent(service.open(key="a2V5"), "a", b"1")

    said = told(raised.value)
    assert "Request date header too old: 'Fri, 04 Oct 2019 18:02:12 GMT'" in said
    assert "this machine's clock is 2 h ahead of the service's" in said
    assert said.endswith("(docs/errors.md#clock-wrong)")


def test_what_was_signed_is_not_quoted() -> None:
    service = BlobService(
        fault=lambda *_: (403, {"content-type": "application/xml", "date": there(0)}, WRONG_KEY.encode())
    )

    with pytest.raises(BlobError) as raised:
        put_if_absent(service.open(key="a2V5"), "a", b"1")

    assert "qZO7F1" not in told(raised.value)
    assert explain(raised.value).name == "storage-sign-in"


@pytest.mark.parametrize(
    ("detail", "kept"),
    [
        ("Request date header too old: 'x'", "Request date header too old: 'x'"),
        (
            "Signature not valid in the specified time frame: Start [a] - Expiry [b] - Current [c]</X>",
            "Signature not valid in the specified time frame: Start [a] - Expiry [b] - Current [c]",
        ),
        ("Signature did not match. String to sign used was rl", ""),
        ("", ""),
    ],
)
def test_of_the_details_what_is_about_time_is_kept(detail: str, kept: str) -> None:
    assert about_time(detail) == kept


def test_a_link_whose_time_is_over_is_explained() -> None:
    text = TOO_OLD.replace("Request date header too old: '", "Signature not valid in the specified time frame: '")
    far = Far(httpx.Response(403, headers={"date": there(0)}, text=text))

    with pytest.raises(ArmError) as raised:
        client_of(far).fetch_text("https://labstore.blob.core.windows.net/azureml/log.txt?sig=abc")

    assert explain(raised.value).name == "clock-wrong"
    assert "sig=" not in str(raised.value)


def test_a_certificate_that_is_not_valid_yet_names_the_clock() -> None:
    error = ssl.SSLCertVerificationError("certificate verify failed: certificate is not yet valid")
    far = Far(httpx.ConnectError(str(error)))

    with pytest.raises(ArmError) as raised:
        client_of(far).get(ENDPOINT, api_version=API)

    assert explain(raised.value).name == "clock-wrong"


class ByAnotherClock:
    """As a managed identity: it tells a token's end by its own clock."""

    def __init__(self, expires_on: float) -> None:
        self.expires_on = int(expires_on)
        self.asked = 0

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        self.asked += 1
        return AccessToken(f"token{self.asked}", self.expires_on)


def test_a_clock_that_is_ahead_of_a_tokens_end_does_not_ask_for_one_at_each_request() -> None:
    credential = ByAnotherClock(time.time() - 7200)
    far = Far(reply(200, resource()))
    tokens = Tokens(credential)

    assert {tokens.get("https://management.azure.com") for _ in range(20)} == {"token1"}
    assert credential.asked == 1
    assert far.requests == []


def test_a_clock_that_is_behind_uses_a_token_until_it_is_refused() -> None:
    credential = ByAnotherClock(time.time() + 7200)
    tokens = Tokens(credential)
    refused = tokens.get("a")

    assert tokens.after_refusal("a", refused) == "token2"
    assert tokens.get("a") == "token2"
