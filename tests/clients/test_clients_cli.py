"""azure-cli from PyPI, unmodified, as the lab's service principal."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lab import identity
from lab.testing import LabUnderTest
from tests.clients.calls import refusals
from tests.clients.conftest import Recorded

GROUP = f"/subscriptions/{identity.SUBSCRIPTION_ID}/resourceGroups/{identity.RESOURCE_GROUP}"
PROVIDER = "Microsoft.MachineLearningServices"
WORKSPACE_ID = f"{GROUP}/providers/{PROVIDER}/workspaces/{identity.WORKSPACE}"
STORAGE = ("--auth-mode", "login", "--account-name", identity.STORAGE_ACCOUNT)
UNASKED = "CONNECT https://azcliprod.blob.core.windows.net:443"
"""Where azure-cli looks for newer versions of itself, unasked; it goes on without."""


class Cli:
    """`az`, with a configuration folder of its own."""

    def __init__(self, program: Path, lab: LabUnderTest, folder: Path) -> None:
        self.requests: list[dict[str, Any]] = []
        self._program = program
        self._lab = lab
        self._folder = folder

    def run(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        environment = {"AZURE_CONFIG_DIR": str(self._folder / "azure"), "AZURE_CORE_COLLECT_TELEMETRY": "no"}
        command = [str(self._program), *arguments, "--only-show-errors", "--output", "json"]
        return self._lab.run(command, env=environment, cwd=self._folder, timeout=120)

    def __call__(self, *arguments: str) -> Any:
        done = self.run(arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.fixture(scope="module")
def az(
    lab: LabUnderTest,
    recorded: Recorded,
    installed: Callable[[str, str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cli]:
    """Signed in; what the whole module asked is recorded."""
    cli = Cli(installed("cli", "az"), lab, tmp_path_factory.mktemp("cli"))
    with ExitStack() as stack:
        cli.requests = stack.enter_context(recorded("azure-cli 2.91.0"))
        secret = lab.facts.client_secret
        cli("login", "--service-principal", "-u", identity.CLIENT_ID, "-p", secret, "--tenant", identity.TENANT_ID)
        yield cli
    assert set(refusals(cli.requests)) <= {UNASKED}


def test_who_is_signed_in(az: Cli) -> None:
    account = az("account", "show")

    assert (account["id"], account["tenantId"]) == (identity.SUBSCRIPTION_ID, identity.TENANT_ID)
    assert account["user"] == {"name": identity.CLIENT_ID, "type": "servicePrincipal"}


def test_a_wrong_secret_does_not_sign_in(
    lab: LabUnderTest, installed: Callable[[str, str], Path], tmp_path: Path
) -> None:
    stranger = Cli(installed("cli", "az"), lab, tmp_path)
    wrong = ["-u", identity.CLIENT_ID, "-p", "wrong", "--tenant", identity.TENANT_ID]

    done = stranger.run(["login", "--service-principal", *wrong])

    assert done.returncode != 0
    assert "AADSTS7000215" in done.stderr


@pytest.mark.parametrize("resource", ["https://management.azure.com", "https://ml.azure.com"])
def test_a_token_is_for_the_resource_that_was_asked_for(az: Cli, resource: str) -> None:
    token = az("account", "get-access-token", "--resource", resource)["accessToken"]

    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert (claims["aud"].rstrip("/"), claims["appid"]) == (resource, identity.CLIENT_ID)


def test_groups_are_listed(az: Cli) -> None:
    assert [group["name"] for group in az("group", "list")] == [identity.RESOURCE_GROUP]


def test_resources_are_listed_and_shown(az: Cli) -> None:
    endpoint = f"{WORKSPACE_ID}/batchEndpoints/cli-shown"
    body = json.dumps({"location": identity.LOCATION, "properties": {"authMode": "AADToken"}})
    az("rest", "--method", "put", "--url", f"{endpoint}?api-version=2023-10-01", "--body", body)

    kind = f"{PROVIDER}/workspaces/batchEndpoints"
    listed = az("resource", "list", "--resource-type", kind, "--resource-group", identity.RESOURCE_GROUP)
    shown = az("resource", "show", "--ids", endpoint)

    assert endpoint in [each["id"] for each in listed]
    assert (shown["id"], shown["properties"]["authMode"]) == (endpoint, "AADToken")


def test_the_workspace_is_shown_by_name(az: Cli) -> None:
    kind = ["--resource-type", f"{PROVIDER}/workspaces", "--api-version", "2023-10-01"]

    shown = az("resource", "show", "-g", identity.RESOURCE_GROUP, "-n", identity.WORKSPACE, *kind)

    assert shown["id"] == WORKSPACE_ID


def test_a_missing_resource_is_an_error_with_the_services_words(az: Cli) -> None:
    done = az.run(["resource", "show", "--ids", f"{WORKSPACE_ID}/batchEndpoints/nothing"])

    assert done.returncode == 3
    assert "does not exist in the workspace" in done.stderr


def test_a_blob_is_uploaded_listed_and_downloaded(az: Cli, tmp_path: Path) -> None:
    (tmp_path / "up.txt").write_text("from azure-cli\n")
    container = ["--container-name", identity.DEFAULT_CONTAINER, *STORAGE]

    az("storage", "blob", "upload", *container, "--name", "cli/up.txt", "--file", str(tmp_path / "up.txt"))
    listed = az("storage", "blob", "list", *container, "--prefix", "cli/")
    az("storage", "blob", "download", *container, "--name", "cli/up.txt", "--file", str(tmp_path / "down.txt"))

    assert [(each["name"], each["properties"]["contentLength"]) for each in listed] == [("cli/up.txt", 15)]
    assert (tmp_path / "down.txt").read_text() == "from azure-cli\n"
