"""What a command's environment is inside the lab, and outside again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import identity
from lab.environment import OUTSIDE, inside, lab_variables, removed_variables, without_lab
from lab.home import Facts, Home

HOME = Home(Path("/home/someone/p/.lab"), Path("/home/someone/p/.lab/cache"))
FACTS = Facts(
    pid=7,
    proxy_port=8001,
    emulator_port=8002,
    azurite_port=8003,
    ca_file="/home/someone/p/.lab/certificates/ca.pem",
    client_secret="client-secret",
    storage_key="storage-key",
    control_token="control-token",
    started="2026-01-01T00:00:00+00:00",
)


def test_every_way_out_leads_to_the_proxy() -> None:
    found = lab_variables(HOME, FACTS, {})
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        assert found[name] == "http://127.0.0.1:8001"
    assert found["NO_PROXY"] == found["no_proxy"] == "localhost,127.0.0.1"


def test_the_clients_trust_the_labs_authority_alone() -> None:
    found = lab_variables(HOME, FACTS, {})
    assert {found[name] for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")} == {FACTS.ca_file}


def test_the_principal_is_the_labs() -> None:
    found = lab_variables(HOME, FACTS, {})
    assert found["AZURE_CLIENT_ID"] == found["ARM_CLIENT_ID"] == identity.CLIENT_ID
    assert found["AZURE_TENANT_ID"] == found["ARM_TENANT_ID"] == identity.TENANT_ID
    assert found["AZURE_CLIENT_SECRET"] == found["ARM_CLIENT_SECRET"] == "client-secret"
    assert found["ARM_SUBSCRIPTION_ID"] == identity.SUBSCRIPTION_ID


def test_neither_the_storage_key_nor_the_control_token_is_given_to_commands() -> None:
    text = json.dumps(inside(HOME, FACTS, {"PATH": "/bin"}))
    assert "storage-key" not in text
    assert "control-token" not in text


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"PATH": "/usr/bin:/bin"}, f"{HOME.bin}:/usr/bin:/bin"),
        ({"PATH": f"/usr/bin:{HOME.bin}:/bin"}, f"{HOME.bin}:/usr/bin:/bin"),
        ({"PATH": f"{HOME.bin}:/bin", "AZURE_NATIVE": "real"}, "/bin"),
    ],
    ids=["in-front", "once", "the-real-plugin"],
)
def test_the_stand_in_is_found_first_unless_the_real_plugin_is_asked_for(
    environ: dict[str, str], expected: str
) -> None:
    assert lab_variables(HOME, FACTS, environ)["PATH"] == expected


def test_what_would_lead_past_the_lab_is_taken_away() -> None:
    environ = {"ALL_PROXY": "http://corp:1", "AZURE_FEDERATED_TOKEN_FILE": "/t", "EDITOR": "vi", "PATH": "/bin"}
    found = inside(HOME, FACTS, environ)
    assert removed_variables(environ) == ["ALL_PROXY", "AZURE_FEDERATED_TOKEN_FILE"]
    assert "ALL_PROXY" not in found
    assert found["EDITOR"] == "vi"


def test_outside_again_everything_is_as_it_was_but_for_the_path() -> None:
    environ = {"https_proxy": "http://corp:1", "ALL_PROXY": "http://corp:2", "AZURE_CLIENT_ID": "me", "PATH": "/bin"}
    back = without_lab(inside(HOME, FACTS, environ))
    assert {name: back[name] for name in environ if name != "PATH"} == {k: environ[k] for k in environ if k != "PATH"}
    assert OUTSIDE not in back
    assert "HTTPS_PROXY" not in back


def test_a_lab_in_a_lab_still_knows_the_outside() -> None:
    environ = {"HTTPS_PROXY": "http://corp:1", "PATH": "/bin"}
    twice = inside(HOME, FACTS, inside(HOME, FACTS, environ))
    assert without_lab(twice)["HTTPS_PROXY"] == "http://corp:1"


def test_an_environment_without_a_lab_is_left_alone() -> None:
    environ = {"HTTPS_PROXY": "http://corp:1"}
    assert without_lab(environ) == environ
