"""An hour and more in GitHub Actions: the product's credential, a fake of GitHub's issuer, and the lab's Entra ID."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
import requests
from azure.core.pipeline.transport import RequestsTransport
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from lab import identity
from providers.arm import PUBLIC, ArmClient, Unauthorized
from providers.arm.credentials import SharedCredential, Tokens, make_credential
from tests.emulator.in_process_lab import WS, InProcessLab

ISSUER = "https://token.actions.githubusercontent.com"
SUBJECT = "repo:company/scoring:environment:production"
AUDIENCE = "api://AzureADTokenExchange"
JOB_SECRET = "the-job-s-secret"
API = "2025-12-01"


class GitHubIssuer:
    """Signs an assertion of five minutes for each request that brings the job's secret."""

    def __init__(self, lab: InProcessLab) -> None:
        self._clock = lab.clock
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.subject = SUBJECT
        self.given: list[str] = []
        self.replay = False
        """Whether it gives the first assertion again and again, as one does who keeps it."""

    @property
    def keys(self) -> list[dict[str, Any]]:
        return [{**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key())), "kid": "github-1"}]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") != f"Bearer {JOB_SECRET}":
            return httpx.Response(401)
        (audience,) = parse_qs(urlsplit(str(request.url)).query)["audience"]
        now = int(self._clock.now)
        if not (self.replay and self.given):
            who = {"iss": ISSUER, "sub": self.subject, "aud": audience, "jti": str(len(self.given))}
            claims = {**who, "iat": now, "nbf": now, "exp": now + 300}
            self.given.append(jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": "github-1"}))
        return httpx.Response(200, json={"count": 1, "value": self.given[-1]})


class ToTheLab(BaseAdapter):
    """azure-identity's requests, answered by the lab's Entra ID."""

    def __init__(self, lab: InProcessLab) -> None:
        super().__init__()
        self._lab = lab

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        answer = self._lab.request(
            str(request.method), str(request.url), headers=dict(request.headers), content=request.body
        )
        made = requests.Response()
        made.status_code, made.request, made.url = answer.status_code, request, str(request.url)
        made.headers.update(answer.headers)
        made.raw = HTTPResponse(io.BytesIO(answer.content), preload_content=False, status=answer.status_code)
        return made

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def github(lab: InProcessLab) -> GitHubIssuer:
    issuer = GitHubIssuer(lab)
    trusted = {"issuer": ISSUER, "subject": SUBJECT, "audiences": [AUDIENCE], "keys": issuer.keys}
    assert lab.control("PUT", "federated_credentials", [trusted]).status_code == 200
    return issuer


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[InProcessLab]:
    made = InProcessLab(tmp_path)
    yield made
    made.close()


@pytest.fixture
def arm(lab: InProcessLab, github: GitHubIssuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArmClient]:
    """The product's client in a job of GitHub Actions; its clocks and azure-identity's are the lab's."""
    monkeypatch.setattr(time, "time", lab.clock)
    environment = {
        "AZURE_TENANT_ID": identity.TENANT_ID,
        "AZURE_CLIENT_ID": identity.CLIENT_ID,
        "ACTIONS_ID_TOKEN_REQUEST_URL": "https://run.actions.githubusercontent.com/1//idtoken/2?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": JOB_SECRET,
    }
    session = requests.Session()
    session.mount("https://", ToTheLab(lab))

    def make() -> Any:
        return make_credential(
            PUBLIC,
            environment,
            github=httpx.MockTransport(github),
            transport=RequestsTransport(session=session, session_owner=False),
        )

    def answer(request: httpx.Request) -> httpx.Response:
        got = lab.request(request.method, str(request.url), headers=request.headers, content=request.content)
        return httpx.Response(got.status_code, headers=got.headers, content=got.content)

    client = ArmClient(credential=SharedCredential(make), transport=httpx.MockTransport(answer))
    client._wire._tokens._clock = lab.clock
    yield client
    client.close()


def test_three_hours_of_building_an_environment_do_not_end_in_401(
    arm: ArmClient, lab: InProcessLab, github: GitHubIssuer
) -> None:
    for _ in range(3 * 60):
        assert arm.get(WS, api_version=API) is not None
        lab.clock.now += 60

    assert len(github.given) == 4, "a token of an hour is replaced five minutes before its end"
    assert len(set(github.given)) == 4


def test_a_token_that_is_refused_is_replaced_by_a_fresh_assertion(
    arm: ArmClient, lab: InProcessLab, github: GitHubIssuer
) -> None:
    arm.get(WS, api_version=API)
    lab.control("PUT", "faults", [{"match": {"method": "GET"}, "action": "reply", "status": 401}])

    assert arm.get(WS, api_version=API) is not None
    assert len(github.given) == 2


def test_who_keeps_an_assertion_fails_after_it_ended(arm: ArmClient, lab: InProcessLab, github: GitHubIssuer) -> None:
    """What `azure/login` and the az command line come to: the far side of the tests above really looks."""
    github.replay = True
    arm.get(WS, api_version=API)
    lab.clock.now += 3600

    with pytest.raises(Unauthorized, match="AADSTS700024: Client assertion is not within its valid time range"):
        arm.get(WS, api_version=API)


def test_a_workflow_that_is_not_trusted_is_told_by_its_subject(arm: ArmClient, github: GitHubIssuer) -> None:
    github.subject = "repo:somebody/else:pull_request"

    with pytest.raises(Unauthorized, match=r"AADSTS700213.*subject 'repo:somebody/else:pull_request'") as caught:
        arm.get(WS, api_version=API)

    assert JOB_SECRET not in str(caught.value)
    assert github.given[0] not in str(caught.value)


def test_every_audience_of_the_product_is_signed_in_for(arm: ArmClient, github: GitHubIssuer) -> None:
    tokens: Tokens = arm._wire._tokens

    for audience in (PUBLIC.arm_audience, PUBLIC.ml_audience, PUBLIC.storage_audience):
        claims = jwt.decode(tokens.get(audience), options={"verify_signature": False})
        assert (claims["aud"], claims["appidacr"]) == (audience, "2")
    assert len(github.given) == 3
