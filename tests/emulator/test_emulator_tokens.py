"""Entra ID: who gets a token, and what a token opens."""

from __future__ import annotations

import stat
from pathlib import Path

import jwt
import pytest

from lab import identity
from lab.emulator.entra import TokenKeys
from tests.emulator.in_process_lab import ARM, SECRET, WS, InProcessLab

TOKEN = f"https://login.microsoftonline.com/{identity.TENANT_ID}/oauth2/v2.0/token"
FORM = {
    "grant_type": "client_credentials",
    "client_id": identity.CLIENT_ID,
    "client_secret": SECRET,
    "scope": "https://management.azure.com/.default",
}


def test_a_token_says_who_for_what_and_until_when(lab: InProcessLab) -> None:
    claims = jwt.decode(lab.token("https://ml.azure.com/.default"), options={"verify_signature": False})

    assert claims["iss"] == f"https://sts.windows.net/{identity.TENANT_ID}/"
    assert claims["aud"] == "https://ml.azure.com"
    assert (claims["oid"], claims["tid"], claims["appid"]) == (
        identity.PRINCIPAL_ID,
        identity.TENANT_ID,
        identity.CLIENT_ID,
    )
    assert claims["exp"] - claims["nbf"] == 3600


def test_the_published_key_verifies_a_token(lab: InProcessLab) -> None:
    metadata = lab.request(
        "GET", f"https://login.microsoftonline.com/{identity.TENANT_ID}/v2.0/.well-known/openid-configuration"
    ).json()
    keys = lab.request("GET", metadata["jwks_uri"]).json()["keys"]

    key = jwt.PyJWK(keys[0]).key
    assert jwt.decode(
        lab.token(),
        key,
        ["RS256"],
        options={"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )


def test_the_v1_endpoint_takes_a_resource_and_writes_numbers_as_strings(lab: InProcessLab) -> None:
    form = {**FORM, "resource": "https://management.core.windows.net/"}
    del form["scope"]

    reply = lab.request("POST", TOKEN.replace("/v2.0", ""), data=form).json()

    assert reply["expires_in"] == "3600"
    assert reply["resource"] == "https://management.core.windows.net/"


@pytest.mark.parametrize(
    ("change", "status", "error", "text"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", "AADSTS7000215"),
        ({"client_id": "somebody"}, 400, "unauthorized_client", "AADSTS700016"),
        ({"scope": "https://graph.microsoft.com/.default"}, 400, "invalid_resource", "AADSTS500011"),
    ],
)
def test_a_wrong_request_gets_entras_own_error(
    lab: InProcessLab, change: dict[str, str], status: int, error: str, text: str
) -> None:
    reply = lab.request("POST", TOKEN, data={**FORM, **change})

    assert (reply.status_code, reply.json()["error"]) == (status, error)
    assert reply.json()["error_description"].startswith(text)


def test_another_tenant_is_not_found(lab: InProcessLab) -> None:
    reply = lab.request("POST", TOKEN.replace(identity.TENANT_ID, "someone-elses"), data=FORM)

    assert reply.status_code == 400
    assert reply.json()["error_description"].startswith("AADSTS90002")


@pytest.mark.parametrize("change", [{"client_assertion": "x"}, {"grant_type": "password"}])
def test_what_the_lab_does_not_know_is_refused_by_name(lab: InProcessLab, change: dict[str, str]) -> None:
    reply = lab.request("POST", TOKEN, data={**FORM, **change})

    assert reply.json()["error"]["code"] == "UnknownToTheLab"
    assert next(iter(change)) in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({}, "AuthenticationFailed"),
        ({"Authorization": "Bearer not-a-token"}, "InvalidAuthenticationToken"),
    ],
)
def test_arm_refuses_a_call_without_a_good_token(lab: InProcessLab, header: dict[str, str], code: str) -> None:
    reply = lab.request("GET", f"{ARM}{WS}?api-version=2025-12-01", headers=header)

    assert (reply.status_code, reply.json()["error"]["code"]) == (401, code)
    assert reply.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_token_of_another_key_is_refused(lab: InProcessLab, tmp_path: Path) -> None:
    claims = jwt.decode(lab.token(), options={"verify_signature": False})
    forged = TokenKeys(tmp_path / "other.pem").sign(claims)

    reply = lab.request("GET", f"{ARM}{WS}?api-version=2025-12-01", headers={"Authorization": f"Bearer {forged}"})

    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")


def test_a_token_for_ml_does_not_open_arm_nor_the_other_way_round(lab: InProcessLab) -> None:
    ml, arm = lab.token("https://ml.azure.com/.default"), lab.token()

    at_arm = lab.request("GET", f"{ARM}{WS}?api-version=2025-12-01", headers={"Authorization": f"Bearer {ml}"})
    at_scoring = lab.request(
        "GET", "https://e.eastus.inference.ml.azure.com/jobs", headers={"Authorization": f"Bearer {arm}"}
    )

    assert {at_arm.status_code, at_scoring.status_code} == {401}
    assert at_arm.json()["error"]["code"] == "InvalidAuthenticationTokenAudience"


def test_a_token_expires(lab: InProcessLab) -> None:
    lab.arm("GET", "")
    lab.clock.now += 3601

    assert lab.arm("GET", "").json()["error"]["code"] == "ExpiredAuthenticationToken"


def test_tokens_outlive_a_restart(lab: InProcessLab) -> None:
    lab.token()
    lab.restart()

    assert lab.arm("GET", "").status_code == 200


def test_the_signing_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    TokenKeys(tmp_path / "entra.pem")

    assert stat.S_IMODE((tmp_path / "entra.pem").stat().st_mode) == 0o600
