"""Datastores that somebody puts beside the two of the workspace."""

from __future__ import annotations

from typing import Any

import pytest

from lab import identity
from tests.emulator.in_process_lab import InProcessLab

SECRETS = {"secretsType": "AccountKey", "key": "very-secret"}


def body(account: str = identity.STORAGE_ACCOUNT, **properties: object) -> dict[str, Any]:
    return {
        "properties": {
            "datastoreType": "AzureBlob",
            "accountName": account,
            "containerName": "pictures",
            "credentials": {"credentialsType": "AccountKey", "secrets": SECRETS},
            **properties,
        }
    }


def test_a_datastore_is_kept_without_its_secret_which_list_secrets_tells(lab: InProcessLab) -> None:
    made = lab.arm("PUT", "datastores/pictures", body())
    kept = lab.arm("GET", "datastores/pictures")

    assert (made.status_code, made.json()["properties"]["isDefault"]) == (201, False)
    assert "very-secret" not in made.text + kept.text
    assert lab.arm("POST", "datastores/pictures/listSecrets").json() == SECRETS


def test_a_change_answers_200_and_keeps_the_secret_that_it_does_not_give(lab: InProcessLab) -> None:
    lab.arm("PUT", "datastores/pictures", body())

    again = lab.arm("PUT", "datastores/pictures", body(credentials={"credentialsType": "AccountKey"}, description="d"))

    assert (again.status_code, again.json()["properties"]["description"]) == (200, "d")
    assert lab.arm("POST", "datastores/pictures/listSecrets").json() == SECRETS


def test_a_list_has_the_workspaces_own_first_and_then_those_that_were_put(lab: InProcessLab) -> None:
    lab.arm("PUT", "datastores/pictures", body())

    listed = [each["name"] for each in lab.arm("GET", "datastores").json()["value"]]

    assert listed == ["workspaceblobstore", "workspaceartifactstore", "pictures"]


def test_a_deleted_datastore_is_gone_with_its_secret(lab: InProcessLab) -> None:
    lab.arm("PUT", "datastores/pictures", body())

    assert [lab.arm("DELETE", "datastores/pictures").status_code for _ in range(2)] == [200, 204]
    assert lab.arm("POST", "datastores/pictures/listSecrets").status_code == 404


def test_a_job_reads_and_writes_by_way_of_it(lab: InProcessLab) -> None:
    lab.deployed()
    lab.arm("PUT", "datastores/pictures", body())
    out = {"o": {"jobOutputType": "UriFile", "uri": "azureml://datastores/pictures/paths/out/p.csv"}}

    name = lab.invoke("azureml://datastores/pictures/paths/in", outputData=out).json()["name"]
    lab.advance()

    spec = (lab.home / "jobs" / name / "spec.json").read_text(encoding="utf-8")
    assert '"container": "pictures", "path": "in"' in spec
    assert '"container": "pictures", "path": "out/p.csv"' in spec


def test_a_job_on_a_datastore_of_another_account_fails_by_name(lab: InProcessLab) -> None:
    lab.deployed()
    lab.arm("PUT", "datastores/far", body("another"))

    name = lab.invoke("azureml://datastores/far/paths/in").json()["name"]
    lab.advance()

    said = lab.history(f"{name}/children")["value"][0]["error"]["error"]["message"]
    assert said == "datastore 'far' lies in another storage account than the workspace's"


@pytest.mark.parametrize(
    ("name", "given", "code"),
    [
        ("workspaceblobstore", body(), "UnknownToTheLab"),
        ("lake", body(datastoreType="AzureDataLakeGen2"), "UnknownToTheLab"),
        ("a-dash", body(), "UserError"),
        ("pictures", body(credentials={"credentialsType": "Certificate"}), "UserError"),
    ],
)
def test_what_cannot_be_put_is_refused(lab: InProcessLab, name: str, given: dict[str, Any], code: str) -> None:
    reply = lab.arm("PUT", f"datastores/{name}", given)

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, code)


def test_the_workspaces_own_datastores_are_not_deleted(lab: InProcessLab) -> None:
    assert lab.arm("DELETE", "datastores/workspaceblobstore").status_code == 409
