"""Tokens are asked for once, replaced in time and after a refusal, and seen by nobody."""

from __future__ import annotations

import base64
import logging
import pickle
import re
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import DefaultAzureCredential

from providers.arm import PUBLIC, US_GOVERNMENT, ArmError, Unauthorized, Unreachable
from providers.arm.credentials import (
    SharedCredential,
    Tokens,
    advice,
    credential,
    has_service_principal,
    make_credential,
)
from tests.arm.far_side import API, ENDPOINT, SECRET, Credential, Far, client_of, refusal, reply, resource

SERVICE_PRINCIPAL = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s"}


class Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        raise self.error


class Expiring:
    """Gives tokens that live for an hour of `now`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        self.asked += 1
        return AccessToken(f"token{self.asked}", int(self.now) + 3600)


def test_one_token_serves_many_calls() -> None:
    far, credential = Far(reply(200, resource())), Credential()
    arm = client_of(far, credential=credential)
    for _ in range(3):
        arm.get(ENDPOINT, api_version=API)
    assert credential.asked == ["https://management.azure.com/.default"]


def test_many_threads_ask_for_one_token() -> None:
    credential, gate = Credential(), threading.Barrier(8)
    tokens = Tokens(credential)

    def ask(_: int) -> str:
        gate.wait(60)
        return tokens.get("https://ml.azure.com")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert len(credential.asked) == 1


def test_a_token_is_replaced_five_minutes_before_its_end() -> None:
    credential = Expiring()
    tokens = Tokens(credential, clock=lambda: credential.now)
    tokens.get("a")
    credential.now = 3299
    assert tokens.get("a") == "token1"
    credential.now = 3300
    assert tokens.get("a") == "token2"


def test_a_401_is_answered_once_with_a_fresh_token() -> None:
    far, credential = Far(refusal(401, "ExpiredAuthenticationToken"), reply(200, resource())), Credential()
    assert client_of(far, credential=credential).get(ENDPOINT, api_version=API) == resource()
    first, second = (request.headers["authorization"] for request in far.requests)
    assert first != second
    assert credential.renewed == 1


def test_a_second_401_is_the_answer() -> None:
    far = Far(refusal(401, "InvalidAuthenticationToken", "wrong audience"))
    with pytest.raises(Unauthorized, match="wrong audience"):
        client_of(far).get(ENDPOINT, api_version=API)
    assert len(far.requests) == 2


def test_a_post_too_is_sent_again_after_a_401_since_nothing_was_carried_out() -> None:
    far = Far(reply(401), reply(201, {}))
    client_of(far).post(ENDPOINT, {}, api_version=API)
    assert len(far.requests) == 2


def test_a_token_that_another_thread_replaced_already_is_used() -> None:
    credential = Credential()
    tokens = Tokens(credential)
    refused = tokens.get("a")
    replaced = tokens.after_refusal("a", refused)
    assert tokens.after_refusal("a", refused) == replaced
    assert len(credential.asked) == 2


def test_what_the_challenge_demands_is_asked_for() -> None:
    claims = '{"access_token":{"nbf":{"value":"1"}}}'
    challenge = f'Bearer error="insufficient_claims", claims="{base64.b64encode(claims.encode()).decode()}"'
    far, credential = Far(reply(401, None, www_authenticate=challenge), reply(200, resource())), Credential()
    client_of(far, credential=credential).get(ENDPOINT, api_version=API)
    assert credential.options == [{}, {"claims": claims}]


@pytest.mark.parametrize("challenge", ['Bearer claims="%%%"', 'Bearer claims="/w=="', "Basic", ""])
def test_an_odd_challenge_asks_for_a_plain_token(challenge: str) -> None:
    far, credential = Far(reply(401, None, www_authenticate=challenge), reply(200, resource())), Credential()
    client_of(far, credential=credential).get(ENDPOINT, api_version=API)
    assert credential.options == [{}, {}]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ClientAuthenticationError("AADSTS7000215: Invalid client secret provided"), Unauthorized, "AADSTS7000215"),
        (ValueError("Invalid tenant ID provided"), Unauthorized, "Invalid tenant ID"),
        (ServiceRequestError("Name or service not known"), Unreachable, "no connection"),
    ],
)
def test_a_failed_sign_in_is_one_line_that_says_what_to_do(error: Exception, kind: type[ArmError], words: str) -> None:
    tokens = Tokens(Failing(error))
    with pytest.raises(kind, match=words) as caught:
        tokens.get("https://management.azure.com")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "complete"),
    [
        ({}, True),
        ({"AZURE_CLIENT_SECRET": "", "AZURE_CLIENT_CERTIFICATE_PATH": "c.pem"}, True),
        ({"AZURE_CLIENT_SECRET": ""}, False),
        ({"AZURE_TENANT_ID": ""}, False),
        ({"AZURE_CLIENT_ID": ""}, False),
    ],
)
def test_a_service_principal_is_complete_or_not_there(changes: dict[str, str], complete: bool) -> None:
    assert has_service_principal({**SERVICE_PRINCIPAL, **changes}) is complete


def test_with_a_service_principal_nothing_else_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICE_PRINCIPAL.items():
        monkeypatch.setenv(name, value)
    made = make_credential(PUBLIC, SERVICE_PRINCIPAL)
    assert isinstance(made, DefaultAzureCredential)
    assert [type(each).__name__ for each in made.credentials] == ["EnvironmentCredential"]


def test_without_one_nothing_interactive_is_tried() -> None:
    made = make_credential(PUBLIC, {})
    assert isinstance(made, DefaultAzureCredential)
    names = {type(each).__name__ for each in made.credentials}
    assert {"EnvironmentCredential", "AzureCliCredential"} <= names
    assert not names & {"InteractiveBrowserCredential", "VisualStudioCodeCredential", "AzurePowerShellCredential"}


GITHUB = {
    "AZURE_TENANT_ID": "11111111-0000-0000-0000-000000000001",
    "AZURE_CLIENT_ID": "c",
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://run.actions.githubusercontent.com/1/idtoken/2?api-version=2.0",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job-secret",
    "GITHUB_ACTIONS": "true",
}
AZURE_PIPELINES = {
    "AZURESUBSCRIPTION_TENANT_ID": "11111111-0000-0000-0000-000000000001",
    "AZURESUBSCRIPTION_CLIENT_ID": "c",
    "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "s",
    "SYSTEM_ACCESSTOKEN": "job-secret",
    "SYSTEM_OIDCREQUESTURI": "https://dev.azure.com/o/p/_apis/x",
}
KUBERNETES = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": "token.txt"}


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        (GITHUB, "ClientAssertionCredential"),
        ({**GITHUB, "AZURE_CLIENT_SECRET": "s"}, "DefaultAzureCredential"),
        ({**GITHUB, "AZURE_CLIENT_ID": ""}, "DefaultAzureCredential"),
        ({**GITHUB, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": ""}, "DefaultAzureCredential"),
        (AZURE_PIPELINES, "AzurePipelinesCredential"),
        ({**AZURE_PIPELINES, "SYSTEM_ACCESSTOKEN": ""}, "DefaultAzureCredential"),
        (KUBERNETES, "WorkloadIdentityCredential"),
    ],
)
def test_where_this_runs_says_which_credential_it_is(environment: dict[str, str], kind: str) -> None:
    assert type(make_credential(PUBLIC, environment)).__name__ == kind


@pytest.mark.parametrize("environment", [GITHUB, KUBERNETES])
def test_an_assertion_goes_to_the_clouds_own_authority(environment: dict[str, str]) -> None:
    made: Any = make_credential(US_GOVERNMENT, environment)

    assert made._client._authority == "https://login.microsoftonline.us"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "az login"),
        ({"GITHUB_ACTIONS": "true"}, "id-token: write.*AZURE_TENANT_ID is not set"),
        ({**GITHUB, "ACTIONS_ID_TOKEN_REQUEST_URL": ""}, "`permissions: id-token: write`"),
        (GITHUB, "needs a federated credential for this workflow"),
        ({"TF_BUILD": "True"}, "hand on SYSTEM_ACCESSTOKEN"),
    ],
)
def test_who_is_not_signed_in_is_told_what_to_do_where_it_runs(environment: dict[str, str], words: str) -> None:
    assert re.search(words, advice(environment))


def test_the_process_has_one_credential_per_cloud() -> None:
    assert credential(PUBLIC) is credential(PUBLIC)


def test_a_renewed_credential_is_made_anew() -> None:
    made: list[Credential] = []

    def make() -> Credential:
        made.append(Credential())
        return made[-1]

    shared = SharedCredential(make)
    shared.get_token("a")
    shared.get_token("a")
    shared.renew()
    shared.get_token("a")
    assert [len(each.asked) for each in made] == [2, 1]


@pytest.mark.parametrize("thing", [Tokens(Credential()), SharedCredential(Credential)])
def test_neither_tokens_nor_credentials_can_be_pickled(thing: object) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(thing)


def test_no_token_is_in_logs_errors_or_representations(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    log = "https://labstore.blob.core.windows.net/azureml/log.txt?sig=c2VjcmV0"
    echo = {"error": {"code": "InvalidAuthenticationToken", "message": f"token {SECRET}1 is wrong, Bearer {SECRET}1"}}
    arm = client_of(Far(reply(401, echo), reply(401, echo), httpx.Response(200, content=b"text")))
    with pytest.raises(Unauthorized) as caught:
        arm.get(ENDPOINT, api_version=API)
    arm.fetch_text(log)
    seen = [
        caplog.text,
        repr(arm),
        repr(arm._wire._tokens),
        *traceback.format_exception(caught.value),
        caught.value.body,
    ]
    assert "HTTP Request: GET" in caplog.text
    for text in seen:
        assert SECRET not in text
        assert "c2VjcmV0" not in text
