"""Assets, computes and datastores."""

from __future__ import annotations

import json

import pytest

from lab import identity
from tests.emulator.in_process_lab import InProcessLab, blob, datastore


def test_a_code_version_is_written_back_as_the_service_does(lab: InProcessLab) -> None:
    body = {
        "properties": {
            "codeUri": blob("a"),
            "isAnonymous": True,
            "properties": {"hash_sha256": "x", "hash_version": 202208},
        }
    }

    reply = lab.arm("PUT", "codes/c/versions/1", body)

    properties = reply.json()["properties"]
    assert reply.status_code == 201
    assert reply.headers["Location"].endswith("/codes/c/versions/1?api-version=2025-12-01")
    assert properties["codeUri"] == blob("a").replace(".net/", ".net:443/")
    assert (properties["isAnonymous"], properties["properties"]["hash_version"]) == (False, "202208")


def test_a_models_uri_gets_arms_spelling_and_flavors_are_never_null(lab: InProcessLab) -> None:
    uri = "azureml://subscriptions/s/resourcegroups/lab/workspaces/lab/datastores/d/paths/m"

    properties = lab.arm("PUT", "models/m/versions/1", {"properties": {"modelUri": uri}}).json()["properties"]

    assert "/resourceGroups/lab/" in properties["modelUri"]
    assert properties["flavors"] == {}


@pytest.mark.parametrize(("kind", "again"), [("models", 200), ("codes", 200), ("data", 200), ("environments", 201)])
def test_the_same_content_again_is_taken_and_only_tags_change(lab: InProcessLab, kind: str, again: int) -> None:
    content = {
        "models": {"modelUri": datastore("m")},
        "codes": {"codeUri": blob("c")},
        "data": {"dataType": "uri_folder", "dataUri": datastore("d")},
        "environments": {"image": "i"},
    }[kind]
    first = lab.arm("PUT", f"{kind}/a/versions/1", {"properties": content})
    lab.advance()

    second = lab.arm("PUT", f"{kind}/a/versions/1", {"properties": {**content, "tags": {"t": "1"}}})
    third = lab.arm("PUT", f"{kind}/a/versions/1", {"properties": {**content, "tags": {"t": "1"}}})

    assert (first.status_code, second.status_code) == (201, again)
    assert second.json()["properties"]["tags"] == {"t": "1"}
    assert third.json()["systemData"] == second.json()["systemData"]


@pytest.mark.parametrize(
    ("kind", "other", "words"),
    [
        ("codes/code", {"codeUri": blob("other")}, "Asset paths cannot be updated."),
        (
            "environments/env",
            {"image": "other"},
            "Environment env with version 1 is already registered and cannot be changed.",
        ),
    ],
)
def test_other_content_is_refused_in_the_services_words(
    lab: InProcessLab, kind: str, other: dict[str, str], words: str
) -> None:
    lab.with_parts()

    assert lab.arm("PUT", f"{kind}/versions/1", {"properties": other}).json()["error"]["message"] == words


@pytest.mark.parametrize("version", ["0", "latest", "1.5"])
def test_a_model_version_is_a_positive_whole_number(lab: InProcessLab, version: str) -> None:
    reply = lab.arm("PUT", f"models/m/versions/{version}", {"properties": {"modelUri": datastore("m")}})

    assert (reply.status_code, "positive integer" in reply.json()["error"]["message"]) == (400, True)


def test_a_conda_file_comes_back_as_json_in_the_order_given(lab: InProcessLab) -> None:
    conda = "name: e\nchannels: [b, a]\ndependencies:\n- python=3.10\n- pip:\n  - numpy\n"

    said = lab.arm("PUT", "environments/e/versions/x", {"properties": {"image": "i", "condaFile": conda}}).json()[
        "properties"
    ]["condaFile"]

    expected = {"name": "e", "channels": ["b", "a"], "dependencies": ["python=3.10", {"pip": ["numpy"]}]}
    assert said == json.dumps(expected, indent=2)


def test_putting_back_the_json_form_is_no_change(lab: InProcessLab) -> None:
    lab.with_parts()
    live = lab.arm("GET", "environments/env/versions/1").json()

    assert lab.arm("PUT", "environments/env/versions/1", live).status_code == 201


def test_versions_list_the_newest_first_and_hide_archived_ones(lab: InProcessLab) -> None:
    for version in "123":
        lab.arm("PUT", f"models/m/versions/{version}", {"properties": {"modelUri": datastore(version)}})
    lab.arm("PUT", "models/m/versions/2", {"properties": {"modelUri": datastore("2"), "isArchived": True}})

    def versions(query: str) -> list[str]:
        return [each["name"] for each in lab.arm("GET", f"models/m/versions?{query}").json()["value"]]

    assert versions("$orderBy=createdtime desc&$top=1") == ["3"]
    assert versions("") == ["3", "1"]
    assert versions("listViewType=All") == ["3", "2", "1"]
    assert versions("listViewType=ArchivedOnly") == ["2"]


def test_code_versions_are_found_by_hash(lab: InProcessLab) -> None:
    body = {"properties": {"codeUri": blob("a"), "properties": {"hash_sha256": "abc", "hash_version": "202208"}}}
    lab.arm("PUT", "codes/c/versions/1", body)

    found, other = (
        lab.arm("GET", f"codes/c/versions?hash={digest}&hashVersion=202208").json() for digest in ("abc", "x")
    )

    assert (len(found["value"]), other["value"]) == (1, [])


def test_a_container_lives_as_long_as_its_versions(lab: InProcessLab) -> None:
    lab.arm("PUT", "models/m/versions/4", {"properties": {"modelUri": datastore("m")}})
    container = lab.arm("GET", "models/m").json()["properties"]

    lab.arm("DELETE", "models/m/versions/4")

    assert (container["latestVersion"], container["nextVersion"]) == ("4", "5")
    assert lab.arm("GET", "models/m").status_code == 404
    assert lab.arm("GET", "models").json()["value"] == []


def test_a_pending_upload_gets_a_fresh_container_and_a_signed_url(lab: InProcessLab) -> None:
    reply = lab.arm("POST", "codes/c/versions/1/startPendingUpload", {"pendingUploadType": "TemporaryBlobReference"})

    reference = reply.json()["blobReferenceForConsumption"]
    assert lab.blobs.containers == [reference["blobUri"].rpartition("/")[2]]
    assert reference["blobUri"].startswith(f"https://labstore.blob.core.windows.net/{identity.WORKSPACE_ID}-")
    assert reference["credential"]["sasUri"].startswith(f"{reference['blobUri']}?sr=c")


def test_the_default_datastore_is_found_by_filter_and_tells_its_key(lab: InProcessLab) -> None:
    found = lab.arm("GET", "datastores?isDefault=true&count=30&orderByAsc=false").json()["value"]
    secret = lab.arm("POST", f"datastores/{found[0]['name']}/listSecrets", {"expirableSecret": True}).json()

    assert [each["name"] for each in found] == [identity.DEFAULT_DATASTORE]
    assert secret == {"secretsType": "AccountKey", "key": "a2V5"}
    assert lab.arm("GET", "datastores/other").status_code == 404


def test_a_compute_is_provisioned_scaled_and_deleted(lab: InProcessLab) -> None:
    lab.with_parts()
    lab.advance()
    scaled = lab.arm("PATCH", "computes/cpu", {"properties": {"properties": {"scaleSettings": {"maxNodeCount": 7}}}})
    deleted = lab.arm("DELETE", "computes/cpu?underlyingResourceAction=Delete")
    lab.advance()

    assert scaled.json()["properties"]["properties"]["scaleSettings"]["maxNodeCount"] == 7
    assert (deleted.status_code, deleted.content) == (202, b"")
    assert lab.arm("GET", "computes/cpu").status_code == 404


def test_deleting_a_compute_needs_to_know_what_becomes_of_the_machines(lab: InProcessLab) -> None:
    lab.with_parts()
    lab.advance()

    assert "underlyingResourceAction" in lab.arm("DELETE", "computes/cpu").json()["error"]["message"]


def test_another_kind_of_compute_is_refused(lab: InProcessLab) -> None:
    reply = lab.arm("PUT", "computes/k", {"properties": {"computeType": "Kubernetes", "properties": {}}})

    assert reply.status_code == 400
    assert "Must be one of AmlCompute" in reply.json()["error"]["message"]


def test_an_administrators_password_is_not_written_back(lab: InProcessLab) -> None:
    cluster = {
        "vmSize": "s",
        "scaleSettings": {"maxNodeCount": 1},
        "userAccountCredentials": {"adminUserName": "a", "adminUserPassword": "secret"},
    }

    reply = lab.arm("PUT", "computes/c", {"properties": {"computeType": "amlcompute", "properties": cluster}})

    assert "secret" not in reply.text
    assert b"secret" not in (lab.home / "emulator.db").read_bytes()
