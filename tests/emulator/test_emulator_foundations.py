"""Workspaces beside the lab's own, what they stand on, and who may do what in them.

Rests on: the specifications of the providers' api-versions that azure-native 3.29.0 uses; the texts of refusals are
quoted from issue reports where lab/emulator says so, and assumed otherwise.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from lab import identity
from tests.emulator.in_process_lab import InProcessLab, datastore

SUB = f"/subscriptions/{identity.SUBSCRIPTION_ID}"
GROUP = f"{SUB}/resourceGroups/made"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/madestore"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/made-vault"
DELETED_VAULT = f"{SUB}/providers/Microsoft.KeyVault/locations/eastus/deletedVaults/made-vault"
WHO = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/made-jobs"
MADE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/made"
BLOBS, QUEUES, TABLES = (
    f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{guid}"
    for guid in (
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
        "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    )
)
PLACE = {"location": "eastus"}


def put(lab: InProcessLab, arm_id: str, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    answer = lab.arm("PUT", arm_id, {**PLACE, **body})
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def stands(lab: InProcessLab, *, keys: bool = False) -> dict[str, Any]:
    """A resource group with all that a workspace needs, and the workspace; its body."""
    put(lab, GROUP, {})
    put(
        lab,
        ACCOUNT,
        {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {"allowSharedKeyAccess": keys}},
    )
    put(lab, VAULT, {"properties": {"tenantId": identity.TENANT_ID, "sku": {"family": "A", "name": "standard"}}})
    put(lab, WHO, {"properties": {}})
    return put(lab, MADE, workspace(mode="accesskey" if keys else "identity"), 202)


def workspace(mode: str = "identity", **properties: Any) -> dict[str, Any]:
    return {
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "storageAccount": ACCOUNT,
            "keyVault": VAULT,
            "systemDatastoresAuthMode": mode,
            **properties,
        },
    }


def assign(lab: InProcessLab, number: int, role: str, principal: str, scope: str = ACCOUNT) -> httpx.Response:
    name = f"00000000-0000-4000-8000-{number:012d}"
    body = {"properties": {"roleDefinitionId": role, "principalId": principal, "principalType": "ServicePrincipal"}}
    return lab.arm("PUT", f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}", body)


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


def foundations(lab: InProcessLab) -> list[str]:
    found: list[str] = lab.control("GET", "status").json()["foundations"]
    return found


def test_a_workspace_is_made_on_what_it_stands_on(lab: InProcessLab) -> None:
    body = stands(lab)
    assert body["properties"]["provisioningState"] == "Creating"

    lab.advance()

    made = lab.arm("GET", MADE).json()
    assert made["properties"]["provisioningState"] == "Succeeded"
    assert made["identity"]["principalId"] != identity.PRINCIPAL_ID
    guid = made["properties"]["workspaceId"]
    assert lab.blobs.served == [identity.STORAGE_ACCOUNT, "madestore"]
    assert lab.blobs.containers[-2:] == [f"madestore/azureml-blobstore-{guid}", "madestore/azureml"]
    default = lab.arm("GET", f"{MADE}/datastores/workspaceblobstore").json()["properties"]
    assert (default["accountName"], default["credentials"]) == ("madestore", {"credentialsType": "None"})
    assert default["containerName"] == f"azureml-blobstore-{guid}"


def test_a_workspace_needs_what_it_names(lab: InProcessLab) -> None:
    put(lab, GROUP, {})

    answer = lab.arm("PUT", MADE, {**PLACE, **workspace()})

    assert answer.status_code == 400
    assert f"storageAccount: {ACCOUNT} is not there" in answer.text


def test_workspaces_know_nothing_of_each_other(lab: InProcessLab) -> None:
    stands(lab)
    lab.deployed()

    put(lab, f"{MADE}/computes/cpu", {"properties": cluster()})
    own = [each["name"] for each in lab.arm("GET", "batchEndpoints").json()["value"]]
    made = lab.arm("GET", f"{MADE}/batchEndpoints").json()["value"]
    taken = lab.arm("PUT", f"{MADE}/batchEndpoints/ept-1", {**PLACE, "properties": {"authMode": "AADToken"}})

    assert (own, made) == (["ept-1"], [])
    assert taken.status_code == 409
    assert "unique in the region" in taken.text
    assert lab.arm("GET", f"{MADE}/models/model/versions/1").status_code == 404


def cluster(**more: Any) -> dict[str, Any]:
    return {
        "computeType": "AmlCompute",
        "properties": {"vmSize": "Standard_DS2_v2", "scaleSettings": {"maxNodeCount": 1}},
        **more,
    }


def deployed_in_made(lab: InProcessLab) -> None:
    """An endpoint `made-1` with a deployment `dep-1` in the made workspace, on a cluster that has an identity."""
    uri = datastore("up/model").replace("resourcegroups/lab/workspaces/lab", "resourcegroups/made/workspaces/made")
    who = {"type": "UserAssigned", "userAssignedIdentities": {WHO: {}}}
    put(lab, f"{MADE}/computes/cpu", {"identity": who, "properties": cluster()})
    assert lab.arm("PUT", f"{MADE}/models/model/versions/1", {"properties": {"modelUri": uri}}).status_code == 201
    put(lab, f"{MADE}/batchEndpoints/made-1", {"properties": {"authMode": "AADToken"}})
    lab.advance()
    put(
        lab,
        f"{MADE}/batchEndpoints/made-1/deployments/dep-1",
        {
            "properties": {
                "compute": f"{MADE}/computes/cpu",
                "model": {"referenceType": "Id", "assetId": f"{MADE}/models/model/versions/1"},
            }
        },
    )
    lab.advance()


def invoked(lab: InProcessLab) -> dict[str, Any]:
    uri = datastore("in").replace("resourcegroups/lab/workspaces/lab", "resourcegroups/made/workspaces/made")
    body = {"properties": {"inputData": {"x": {"jobInputType": "UriFolder", "uri": uri}}}}
    answer = lab.score("POST", "jobs", body, endpoint="made-1", deployment="dep-1")
    assert answer.status_code == 201, answer.text
    lab.advance()
    record = lab.app.cloud.store.job(answer.json()["name"])
    assert record is not None
    return record


def test_a_job_reads_and_writes_in_its_workspaces_own_account(lab: InProcessLab) -> None:
    stands(lab, keys=True)
    deployed_in_made(lab)

    record = invoked(lab)

    assert record["impossible"] is None
    spec = json.loads(lab.scripted.started[-1].spec.read_text(encoding="utf-8"))
    assert spec["storage"]["account"] == "madestore"
    listed = lab.arm("GET", f"{MADE}/jobs").json()["value"]
    assert [each["id"] for each in listed] == [f"{MADE}/jobs/{record['name']}"]
    assert lab.arm("GET", "jobs").json()["value"] == []
    assert lab.arm("GET", f"jobs/{record['name']}").status_code == 404


def test_a_job_needs_blobs_queues_and_tables_where_there_are_no_keys(lab: InProcessLab) -> None:
    stands(lab)
    deployed_in_made(lab)
    principal = lab.arm("GET", WHO).json()["properties"]["principalId"]
    assign(lab, 1, BLOBS, identity.PRINCIPAL_ID)

    without = invoked(lab)["impossible"]
    for number, role in enumerate((BLOBS, QUEUES, TABLES), start=2):
        assign(lab, number, role, principal)
    with_all = invoked(lab)["impossible"]

    assert without == (
        f"AuthorizationPermissionMismatch: identity {principal} of compute cpu has no role for blobs read, "
        f"blobs written, queues, tables in {ACCOUNT}"
    )
    assert with_all is None


def test_a_new_role_opens_blobs_after_a_while(lab: InProcessLab) -> None:
    stands(lab)
    lab.control("PUT", "settings", {"role_assignment_seconds": 300})
    host = "https://madestore.blob.core.windows.net"
    nobody = blob(lab, f"{host}/azureml/x")

    made = assign(lab, 1, BLOBS, identity.PRINCIPAL_ID, scope=GROUP)
    early = blob(lab, f"{host}/azureml/x")
    lab.advance(300)

    assert made.status_code == 201
    assert made.json()["properties"]["scope"] == GROUP
    for answer in (nobody, early):
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (403, "AuthorizationPermissionMismatch")
    assert opened(lab, "madestore") is True
    assert opened(lab, "nosuchstore") is None


def blob(lab: InProcessLab, url: str) -> httpx.Response:
    return lab.request("GET", url, headers={"Authorization": "Bearer some"})


def opened(lab: InProcessLab, account: str) -> bool | None:
    from lab.emulator.blob_door import is_open

    return is_open(lab.app.cloud, f"{account}.blob.core.windows.net", lab.clock.now)


@pytest.mark.parametrize(
    ("number", "role", "principal", "status", "said"),
    [
        (1, BLOBS, identity.PRINCIPAL_ID, 200, ""),
        (2, BLOBS, identity.PRINCIPAL_ID, 409, "RoleAssignmentExists"),
        (1, QUEUES, identity.PRINCIPAL_ID, 400, "RoleAssignmentUpdateNotPermitted"),
        (1, BLOBS, identity.CLIENT_ID, 400, "RoleAssignmentUpdateNotPermitted"),
        (3, BLOBS.replace("ba92", "0000"), identity.PRINCIPAL_ID, 400, "UnknownToTheLab"),
    ],
    ids=["again", "another name for the same", "another role", "another principal", "a role that nobody knows"],
)
def test_what_a_role_assignment_says_cannot_change(
    lab: InProcessLab, number: int, role: str, principal: str, status: int, said: str
) -> None:
    stands(lab)
    assign(lab, 1, BLOBS, identity.PRINCIPAL_ID)

    answer = assign(lab, number, role, principal)

    assert answer.status_code == status, answer.text
    assert (code(answer) if said else "") == said


def test_the_key_of_an_account_without_shared_keys_is_told_and_is_not_the_one_that_opens_it(lab: InProcessLab) -> None:
    stands(lab)

    told = lab.arm("POST", f"{ACCOUNT}/listKeys").json()["keys"][0]["value"]

    assert told != lab.app.cloud.config.storage_key
    secrets = lab.arm("POST", f"{MADE}/datastores/workspaceblobstore/listSecrets", {})
    assert secrets.status_code == 400
    assert "it is accessed by identity" in secrets.text


def test_a_deleted_vault_holds_its_name_until_it_is_purged(lab: InProcessLab) -> None:
    stands(lab)
    body = {"properties": {"tenantId": identity.TENANT_ID, "sku": {"family": "A", "name": "standard"}}}

    assert lab.arm("DELETE", VAULT).status_code == 200
    again = lab.arm("PUT", VAULT, {**PLACE, **body})
    told = lab.arm("GET", DELETED_VAULT).json()
    purged = lab.arm("POST", f"{DELETED_VAULT}/purge")

    assert (again.status_code, code(again)) == (409, "ConflictError")
    assert told["properties"]["vaultId"] == VAULT
    assert purged.status_code == 200
    put(lab, VAULT, body)


@pytest.mark.parametrize(("query", "status"), [("", 400), ("?forceToPurge=true", 202)])
def test_a_deleted_workspace_holds_its_name_unless_it_was_purged(lab: InProcessLab, query: str, status: int) -> None:
    stands(lab)
    lab.advance()

    assert lab.arm("DELETE", f"{MADE}{query}").status_code == 202
    lab.advance()
    gone = lab.arm("GET", MADE).status_code
    again = lab.arm("PUT", MADE, {**PLACE, **workspace()})

    assert gone == 404
    assert again.status_code == status
    assert ("Soft-deleted workspace exists" in again.text) == (status == 400)


def test_a_resource_group_takes_everything_with_it(lab: InProcessLab) -> None:
    stands(lab)
    assign(lab, 1, BLOBS, identity.PRINCIPAL_ID)
    lab.advance()

    assert lab.arm("DELETE", GROUP).status_code == 200

    assert set(foundations(lab)) == {DELETED_VAULT, f"{SUB}/soft-deleted/{MADE}"}
    assert lab.blobs.emptied == ["madestore"]
    assert lab.blobs.served == [identity.STORAGE_ACCOUNT]
    assert lab.arm("GET", MADE).json()["error"]["code"] == "ResourceGroupNotFound"


def test_what_the_lab_was_born_with_stays_as_it_is(lab: InProcessLab) -> None:
    own = f"{SUB}/resourceGroups/lab"
    answers = [
        lab.arm("PUT", own, PLACE),
        lab.arm("DELETE", own),
        lab.arm("PUT", f"{own}/providers/Microsoft.MachineLearningServices/workspaces/lab", {**PLACE, **workspace()}),
        lab.arm("DELETE", f"{own}/providers/Microsoft.MachineLearningServices/workspaces/lab"),
    ]

    assert [(answer.status_code, code(answer)) for answer in answers] == [(400, "UnknownToTheLab")] * 4
    assert all("which the lab was born with" in answer.text for answer in answers)
    assert foundations(lab) == []


def test_names_are_unique_where_azures_are(lab: InProcessLab) -> None:
    stands(lab)
    put(lab, f"{SUB}/resourceGroups/other", {})

    answers = [
        lab.arm("PUT", arm_id.replace("/made/", "/other/"), {**PLACE, **body})
        for arm_id, body in (
            (ACCOUNT, {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}}),
            (VAULT, {"properties": {"tenantId": identity.TENANT_ID, "sku": {"family": "A", "name": "standard"}}}),
        )
    ]

    assert [(answer.status_code, code(answer)) for answer in answers] == [
        (409, "StorageAccountAlreadyTaken"),
        (409, "VaultAlreadyExists"),
    ]
