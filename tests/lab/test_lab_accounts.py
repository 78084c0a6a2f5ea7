"""Storage accounts that are made while the lab runs: Azurite serves them at once, and a restarted one still does."""

from __future__ import annotations

import os
import signal
import ssl
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobServiceClient

from lab import identity
from lab.testing import LabUnderTest

SUB = f"/subscriptions/{identity.SUBSCRIPTION_ID}"
GROUP = f"{SUB}/resourceGroups/accounts"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/madestore"
ROLE = f"{ACCOUNT}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000001"
CONTRIBUTOR = f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe"


class Cloud:
    """The lab as its principal sees it."""

    def __init__(self, lab: LabUnderTest) -> None:
        self.facts, self._proxy = lab.facts, lab.env["HTTPS_PROXY"]
        self.credential = ClientSecretCredential(
            identity.TENANT_ID,
            identity.CLIENT_ID,
            self.facts.client_secret,
            proxies={"https": self._proxy},
            connection_verify=self.facts.ca_file,
        )

    def arm(self, method: str, arm_id: str, body: object = None) -> httpx.Response:
        token = self.credential.get_token("https://management.azure.com/.default").token
        with httpx.Client(proxy=self._proxy, verify=_trusting(self.facts.ca_file), trust_env=False) as client:
            answer = client.request(
                method,
                f"https://management.azure.com{arm_id}?api-version=2024-03-01",
                json=body,
                headers={"Authorization": f"Bearer {token}"},
                timeout=60,
            )
        assert answer.is_success, answer.text
        return answer

    def blobs(self, key: str | None = None) -> BlobServiceClient:
        return BlobServiceClient(
            "https://madestore.blob.core.windows.net",
            credential=key or self.credential,
            proxies={"https": self._proxy},
            connection_verify=self.facts.ca_file,
            retry_total=0,
        )

    def put(self, name: str) -> None:
        with self.blobs() as service:
            service.get_container_client("data").upload_blob(name, b"content", overwrite=True)


def _trusting(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


@pytest.fixture
def cloud(lab: LabUnderTest) -> Iterator[Cloud]:
    """With an account `madestore`, without shared keys, that the lab's principal may write to."""
    cloud = Cloud(lab)
    cloud.arm("PUT", GROUP, {"location": "eastus"})
    body = {
        "location": "eastus",
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS"},
        "properties": {"allowSharedKeyAccess": False},
    }
    cloud.arm("PUT", ACCOUNT, body)
    role = {"roleDefinitionId": CONTRIBUTOR, "principalId": identity.PRINCIPAL_ID, "principalType": "ServicePrincipal"}
    cloud.arm("PUT", ROLE, {"properties": role})
    with cloud.blobs() as service:
        service.create_container("data")
    yield cloud
    cloud.arm("DELETE", GROUP)


def test_a_new_account_is_served_at_once_and_is_gone_with_its_blobs(lab: LabUnderTest, cloud: Cloud) -> None:
    cloud.put("a")
    key = cloud.arm("POST", f"{ACCOUNT}/listKeys").json()["keys"][0]["value"]
    with cloud.blobs(key) as by_key, pytest.raises(HttpResponseError, match=r"AuthenticationFailed|InvalidAuth"):
        by_key.get_container_client("data").get_container_properties()
    assert lab.status()["blobs"]["uploads"] == 1

    cloud.arm("DELETE", ACCOUNT)

    assert lab.status()["blobs"]["uploads"] == 0
    with cloud.blobs() as service, pytest.raises(Exception, match=r"the lab refuses madestore\.blob"):
        service.get_container_client("data").get_container_properties()


def test_an_azurite_that_is_started_again_still_has_the_account(lab: LabUnderTest, cloud: Cloud) -> None:
    daemon = psutil.Process(lab.facts.pid)
    azurite = next(each for each in daemon.children() if "azurite" in " ".join(each.cmdline()))

    os.kill(azurite.pid, signal.SIGTERM)
    azurite.wait(30)

    deadline = time.monotonic() + 60
    while not _works(cloud):
        assert time.monotonic() < deadline, "the account did not come back"
        time.sleep(0.2)


def _works(cloud: Cloud) -> bool:
    """Whether a blob can be written; while Azurite is away, the proxy cannot reach it."""
    try:
        cloud.put("b")
    except ServiceRequestError:
        return False
    return True
