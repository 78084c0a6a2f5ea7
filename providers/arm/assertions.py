"""Who GitHub Actions says we are: one short-lived OpenID Connect token for each sign-in.

A job with `permissions: id-token: write` has an address that gives such tokens, and a secret that opens it. A token
lives for five minutes, so whoever keeps one (`azure/login` does) cannot sign in again after an hour of waiting:
AADSTS700024. Here each sign-in asks for a fresh one.

Source: https://docs.github.com/actions/reference/security/oidc, and what GitHub's own toolkit does
(github.com/actions/toolkit, `packages/core/src/oidc-utils.ts`): GET with the secret as bearer, `audience` added to the
query, the token in `value`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from random import random
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from .redact import redact_logs
from .retries import pause

REQUEST_URL, REQUEST_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
SERVER_URL = "GITHUB_SERVER_URL"
"""A workflow cannot change what GitHub sets by the name GITHUB_*, as it can the two above."""
_GITHUB = "https://github.com"
_GITHUB_SUFFIX = "actions.githubusercontent.com"
_ATTEMPTS = 5
_TIMEOUT = httpx.Timeout(15.0)
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


class GitHubAssertions:
    """Called for a fresh token. Safe between threads, and shows nothing of the secret."""

    def __init__(
        self,
        environment: Mapping[str, str],
        audience: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`audience`: of the tokens, as the app registration's federated credential names it."""
        self._url = environment[REQUEST_URL]
        self._token = environment[REQUEST_TOKEN]
        self._server = environment.get(SERVER_URL) or _GITHUB
        self._audience = audience
        self._transport = transport
        self._sleep = sleep

    def __call__(self) -> str:
        """A token. Raises azure-core's ClientAuthenticationError or ServiceRequestError, in one line."""
        if not is_github(self._url, self._server):
            raise ClientAuthenticationError(
                f"{REQUEST_URL} names {_shown(self._url)}, which is no host of {self._server}: the job's secret is not "
                "sent there"
            )
        redact_logs()
        joint = "&" if urlsplit(self._url).query else "?"
        url = f"{self._url}{joint}audience={quote(self._audience, safe='')}"
        with httpx.Client(transport=self._transport, timeout=_TIMEOUT, follow_redirects=False) as http:
            return self._asked(http, url)

    def _asked(self, http: httpx.Client, url: str) -> str:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = http.get(url, headers={"Authorization": f"Bearer {self._token}", "Accept": "application/json"})
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                said = f"no answer from {_shown(self._url)}: {str(error) or type(error).__name__}"
                trouble: Exception = ServiceRequestError(said)
            else:
                if answer.status_code == 200:
                    return _value(answer, self._url)
                trouble = _refusal(answer.status_code, self._url)
                if answer.status_code not in _TRANSIENT:
                    break
            if attempt < _ATTEMPTS:
                self._sleep(pause(attempt, None, random))
        raise trouble

    def __repr__(self) -> str:
        return f"GitHubAssertions({self._audience!r})"

    def __reduce__(self) -> str:
        raise TypeError("the job's secret is not for state: it cannot be pickled")


def is_given(environment: Mapping[str, str]) -> bool:
    """Whether this is a job of GitHub Actions that may ask for tokens."""
    return bool(environment.get(REQUEST_URL) and environment.get(REQUEST_TOKEN))


def is_github(url: str, server: str) -> bool:
    """Whether the secret may go to `url`: github.com's own hosts, or those of the server that runs the job.

    `server` is that of GITHUB_SERVER_URL: GitHub Enterprise Server answers itself, GitHub Enterprise Cloud with data
    residency below `<company>.ghe.com`.
    """
    host = _https_host(url)
    if host is None:
        return False
    if server.rstrip("/") == _GITHUB:
        return host.endswith(f".{_GITHUB_SUFFIX}")
    own = _https_host(server)
    return own is not None and (host == own or host.endswith(f".{own}"))


def _https_host(url: str) -> str | None:
    if any(character <= " " or character == "\\" for character in url):
        return None
    try:
        parts = urlsplit(url)
        odd = parts.scheme != "https" or parts.username is not None or parts.password is not None
        return None if odd or parts.fragment or parts.port not in (None, 443) else parts.hostname
    except ValueError:
        return None


def _shown(url: str) -> str:
    try:
        return urlsplit(url).hostname or "no host"
    except ValueError:
        return "no host"


def _value(answer: httpx.Response, url: str) -> str:
    """The token. What came instead is not quoted: it may be one after all."""
    try:
        body: Any = answer.json()
    except ValueError:
        body = None
    value = body.get("value") if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise ClientAuthenticationError(f"{_shown(url)} answered without an OpenID Connect token")
    return value


def _refusal(status: int, url: str) -> ClientAuthenticationError:
    return ClientAuthenticationError(
        f"{_shown(url)} gave no OpenID Connect token, status {status}; the job needs `permissions: id-token: write`, "
        "and the secret is good for that job alone"
    )
