"""GitHub's OpenID Connect tokens: asked for where they may be asked for, each time anew, and seen by nobody."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable

import httpx
import pytest
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError

from providers.arm.assertions import GitHubAssertions, is_github

URL = "https://run-actions-1-azure-eastus.actions.githubusercontent.com/12//idtoken/a/b?api-version=2.0"
JOB_SECRET = "the-job-s-secret"
ID_TOKEN = "the-id-token"


class GitHub:
    """Answers with what it is given, the last of it for good."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers) or [httpx.Response(200, json={"count": 1, "value": ID_TOKEN})]
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def assertions(github: Callable[[httpx.Request], httpx.Response], url: str = URL, server: str = "") -> GitHubAssertions:
    environment = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": url,
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": JOB_SECRET,
        "GITHUB_SERVER_URL": server,
    }
    transport = httpx.MockTransport(github)
    return GitHubAssertions(environment, "api://AzureADTokenExchange", transport=transport, sleep=lambda _: None)


def test_each_call_asks_for_a_token_of_its_own() -> None:
    github = GitHub()
    ask = assertions(github)

    assert [ask(), ask()] == [ID_TOKEN, ID_TOKEN]

    first, second = github.requests
    assert str(first.url) == f"{URL}&audience=api%3A%2F%2FAzureADTokenExchange" == str(second.url)
    assert first.headers["authorization"] == f"Bearer {JOB_SECRET}"


def test_an_address_without_a_query_gets_one() -> None:
    github = GitHub()

    assertions(github, URL.partition("?")[0])()

    assert str(github.requests[0].url).endswith("/b?audience=api%3A%2F%2FAzureADTokenExchange")


@pytest.mark.parametrize(
    ("url", "server", "trusted"),
    [
        (URL, "https://github.com", True),
        ("https://pipelines.actions.githubusercontent.com/x", "https://github.com", True),
        ("https://actions.githubusercontent.com/x", "https://github.com", False),
        ("https://raw.githubusercontent.com/x", "https://github.com", False),
        ("https://evilactions.githubusercontent.com/x", "https://github.com", False),
        ("https://x.actions.githubusercontent.com.evil.example/x", "https://github.com", False),
        ("https://github.com/x", "https://github.com", False),
        ("http://x.actions.githubusercontent.com/x", "https://github.com", False),
        ("https://x.actions.githubusercontent.com:8443/x", "https://github.com", False),
        ("https://evil.example/@x.actions.githubusercontent.com", "https://github.com", False),
        ("https://x.actions.githubusercontent.com@evil.example/x", "https://github.com", False),
        ("https://evil.example\\.actions.githubusercontent.com/x", "https://github.com", False),
        ("https://x.actions.githubusercontent.com:port/", "https://github.com", False),
        ("https://github.example.com/_services/pipelines/x", "https://github.example.com", True),
        ("https://actions.github.example.com/x", "https://github.example.com", True),
        ("https://run.actions.company.ghe.com/x", "https://company.ghe.com", True),
        ("https://run.actions.other.ghe.com/x", "https://company.ghe.com", False),
        (URL, "https://github.example.com", False),
    ],
)
def test_the_jobs_secret_goes_to_the_server_that_runs_the_job(url: str, server: str, trusted: bool) -> None:
    assert is_github(url, server) is trusted


def test_another_host_gets_nothing_and_is_named() -> None:
    github = GitHub()

    with pytest.raises(
        ClientAuthenticationError, match=r"names evil\.example, which is no host of https://github\.com"
    ):
        assertions(github, "https://evil.example/idtoken")()

    assert github.requests == []


def test_a_redirect_is_not_followed() -> None:
    github = GitHub(httpx.Response(302, headers={"Location": "https://evil.example/"}))

    with pytest.raises(ClientAuthenticationError, match="status 302"):
        assertions(github)()

    assert len(github.requests) == 1


def test_trouble_that_passes_is_waited_out() -> None:
    github = GitHub(
        httpx.Response(503), httpx.ConnectError("refused"), httpx.Response(200, json={"count": 1, "value": ID_TOKEN})
    )

    assert assertions(github)() == ID_TOKEN


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (httpx.Response(403, json={"message": JOB_SECRET}), ClientAuthenticationError, "status 403.*id-token: write"),
        (httpx.Response(500), ClientAuthenticationError, "status 500"),
        (httpx.ConnectTimeout("slow"), ServiceRequestError, "no answer from run-actions-1.*: slow"),
        (httpx.Response(200, text="<html>"), ClientAuthenticationError, "answered without"),
        (httpx.Response(200, json={"value": ""}), ClientAuthenticationError, "answered without"),
        (httpx.Response(200, json=[ID_TOKEN]), ClientAuthenticationError, "answered without"),
    ],
)
def test_a_refusal_is_one_line_without_a_secret(
    answer: httpx.Response | Exception, kind: type[AzureError], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ask = assertions(GitHub(answer))

    with pytest.raises(kind, match=words) as caught:
        ask()

    assert "\n" not in str(caught.value)
    for text in (repr(ask), caplog.text, *traceback.format_exception(caught.value)):
        assert JOB_SECRET not in text
        assert ID_TOKEN not in text


def test_it_is_not_for_state() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(assertions(GitHub()))
