"""Federated credentials: whose assertions the lab's Entra ID takes, and what it says to the others."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from lab import identity
from lab.emulator.federated import ASSERTION_TYPE
from tests.emulator.in_process_lab import InProcessLab

TOKEN = f"https://login.microsoftonline.com/{identity.TENANT_ID}/oauth2/v2.0/token"
TRUSTED = {"issuer": "https://issuer.example", "subject": "job-1", "audiences": ["api://AzureADTokenExchange"]}
KEY, OTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


def public(kid: str) -> dict[str, Any]:
    return {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())), "kid": kid}


@pytest.fixture
def trusting(lab: InProcessLab) -> InProcessLab:
    lab.control("PUT", "federated_credentials", [{**TRUSTED, "keys": [public("1")]}])
    return lab


def assertion(lab: InProcessLab, key: Any = KEY, kid: str = "1", **changes: Any) -> str:
    now = int(lab.clock.now)
    claims = {
        "iss": TRUSTED["issuer"],
        "sub": "job-1",
        "aud": "api://AzureADTokenExchange",
        "iat": now,
        "exp": now + 300,
    }
    return jwt.encode({**claims, **changes}, key, algorithm="RS256", headers={"kid": kid})


def sign_in(lab: InProcessLab, given: str, **form: str) -> httpx.Response:
    asked = {
        "grant_type": "client_credentials",
        "client_id": identity.CLIENT_ID,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": given,
        "scope": "https://management.azure.com/.default",
    }
    return lab.request("POST", TOKEN, data={**asked, **form})


def test_a_trusted_assertion_signs_in_without_a_secret(trusting: InProcessLab) -> None:
    reply = sign_in(trusting, assertion(trusting))

    claims = jwt.decode(reply.json()["access_token"], options={"verify_signature": False})
    assert (claims["appid"], claims["appidacr"]) == (identity.CLIENT_ID, "2")


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"iss": "https://other.example"}, 700211),
        ({"aud": "api://other"}, 700212),
        ({"sub": "job-2"}, 700213),
        ({"sub": "JOB-1"}, 700213),
        ({"exp": 1}, 700024),
        ({"nbf": 4_000_000_000}, 700024),
        ({"exp": "soon"}, 50027),
        ({"key": OTHER_KEY}, 700027),
        ({"kid": "2"}, 700027),
    ],
)
def test_any_other_is_refused_with_entras_own_number(
    trusting: InProcessLab, changes: dict[str, Any], number: int
) -> None:
    reply = sign_in(trusting, assertion(trusting, **changes))

    assert (reply.status_code, reply.json()["error"], reply.json()["error_codes"]) == (401, "invalid_client", [number])


def test_what_is_no_token_at_all_is_refused(trusting: InProcessLab) -> None:
    assert sign_in(trusting, "nonsense").json()["error_codes"] == [50027]


def test_nobody_is_trusted_unless_told(lab: InProcessLab) -> None:
    assert sign_in(lab, assertion(lab)).json()["error_codes"] == [700211]


def test_a_certificate_of_the_apps_own_is_refused_by_name(trusting: InProcessLab) -> None:
    own = assertion(trusting, iss=identity.CLIENT_ID, sub=identity.CLIENT_ID)

    assert "a certificate of the app's own" in sign_in(trusting, own).json()["error"]["message"]


def test_the_secret_still_opens_and_no_assertion_beside_it_is_overlooked(trusting: InProcessLab) -> None:
    wrong = sign_in(trusting, assertion(trusting, sub="job-2"), client_secret="the-client-secret")

    assert wrong.json()["error_codes"] == [700213]
    assert trusting.token()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "must be a list"),
        ([1], "must be a list of objects"),
        ([TRUSTED], "look at keys"),
        ([{**TRUSTED, "keys": [{"kid": "1"}]}], "must be public JSON Web Keys"),
        ([{**TRUSTED, "keys": [], "audiences": "a"}], "must be a list of texts"),
    ],
)
def test_credentials_that_say_too_little_are_refused(lab: InProcessLab, given: Any, words: str) -> None:
    reply = lab.control("PUT", "federated_credentials", given)

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "UnfitCredential")
    assert words in reply.json()["error"]["message"]
