"""Batch endpoints: their life, their names, their errors."""

from __future__ import annotations

import pytest

from tests.emulator.conftest import MakeLab
from tests.emulator.in_process_lab import ARM, WS, InProcessLab, endpoint_body


def test_creation_answers_201_and_succeeds_when_its_operation_ends(lab: InProcessLab) -> None:
    made = lab.put_endpoint()
    operation = made.headers["Azure-AsyncOperation"].removeprefix(ARM).partition("?")[0]

    before = lab.arm("GET", operation).json()["status"]
    lab.advance()
    after = lab.arm("GET", operation).json()["status"]

    assert (made.status_code, made.json()["properties"]["provisioningState"]) == (201, "Creating")
    assert (before, after) == ("Updating", "Succeeded")
    properties = lab.arm("GET", "batchEndpoints/ept-1").json()["properties"]
    assert properties["provisioningState"] == "Succeeded"
    assert properties["scoringUri"] == "https://ept-1.eastus.inference.ml.azure.com/jobs"


def test_no_retry_after_is_said_unless_set(lab: InProcessLab) -> None:
    first = lab.put_endpoint()
    lab.control("PUT", "settings", {"retry_after": 3})
    second = lab.put_endpoint("ept-2")

    assert "Retry-After" not in first.headers
    assert second.headers["Retry-After"] == "3"


def test_an_update_answers_200_and_keeps_the_injected_properties(lab: InProcessLab) -> None:
    injected = lab.put_endpoint().json()["properties"]["properties"]
    lab.advance()

    reply = lab.put_endpoint(description="new", properties={"mine": "1"})

    assert reply.status_code == 200
    assert reply.json()["properties"]["properties"] == {"mine": "1", **injected}


def test_a_put_without_defaults_loses_them(lab: InProcessLab) -> None:
    lab.deployed().put_endpoint(defaults={"deploymentName": "dep-1"})
    lab.advance()

    reply = lab.put_endpoint()

    assert reply.json()["properties"]["defaults"] == {"deploymentName": None}


def test_creating_a_deployment_sets_no_default(lab: InProcessLab) -> None:
    lab.deployed()

    assert lab.arm("GET", "batchEndpoints/ept-1").json()["properties"]["defaults"] == {"deploymentName": None}


def test_patch_changes_tags_and_nothing_else(lab: InProcessLab) -> None:
    lab.put_endpoint(description="d")
    lab.advance()

    patched = lab.arm("PATCH", "batchEndpoints/ept-1", {"tags": {"a": "b"}})
    refused = lab.arm("PATCH", "batchEndpoints/ept-1", {"properties": {"description": "x"}})

    assert (patched.json()["tags"], patched.json()["properties"]["description"]) == ({"a": "b"}, "d")
    assert (refused.status_code, "'properties'" in refused.json()["error"]["message"]) == (400, True)


def test_deletion_answers_null_and_takes_deployments_along(lab: InProcessLab) -> None:
    lab.deployed()

    reply = lab.arm("DELETE", "batchEndpoints/ept-1")
    state = lab.arm("GET", "batchEndpoints/ept-1").json()["properties"]["provisioningState"]
    lab.advance()

    assert (reply.status_code, reply.text, state) == (202, "null", "Deleting")
    assert lab.arm("GET", "batchEndpoints/ept-1").status_code == 404
    assert lab.control("GET", "status").json()["deployments"] == []


@pytest.mark.parametrize(
    "path",
    [
        "batchEndpoints/gone",
        "batchEndpoints/gone/deployments/d",
        "computes/gone?underlyingResourceAction=Delete",
        "models/gone/versions/1",
        "codes/gone",
        "jobs/gone",
    ],
)
def test_deleting_what_is_absent_answers_204(lab: InProcessLab, path: str) -> None:
    assert lab.arm("DELETE", path).status_code == 204


def test_the_result_of_a_deletion_is_202_then_200(lab: InProcessLab) -> None:
    lab.put_endpoint()
    lab.advance()
    location = lab.arm("DELETE", "batchEndpoints/ept-1").headers["Location"].removeprefix(ARM).partition("?")[0]

    before = lab.arm("GET", location).status_code
    lab.advance()

    assert (before, lab.arm("GET", location).status_code) == (202, 200)


@pytest.mark.parametrize("name", ["ab", "1abc", "abc-", "a--bc", "a_bc", "a" * 33])
def test_a_bad_name_is_refused(lab: InProcessLab, name: str) -> None:
    reply = lab.put_endpoint(name)

    assert reply.status_code == 400
    assert f"'{name}' is not valid" in reply.json()["error"]["message"]


@pytest.mark.parametrize("name", ["abc", "a-b-c", "A1b", "a" * 32])
def test_a_good_name_is_taken(lab: InProcessLab, name: str) -> None:
    assert lab.put_endpoint(name).status_code == 201


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_tag_value_is_a_validation_error(lab: InProcessLab, value: str | None) -> None:
    reply = lab.arm("PUT", "batchEndpoints/ept-1", {**endpoint_body(), "tags": {"a": value}})

    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "UserError"
    assert "Tag values must not be null or empty" in reply.json()["error"]["message"]


def test_a_user_assigned_identity_is_refused(lab: InProcessLab) -> None:
    identity = {"type": "UserAssigned", "userAssignedIdentities": {"/subscriptions/x": {}}}

    reply = lab.arm("PUT", "batchEndpoints/ept-1", {**endpoint_body(), "identity": identity})

    assert reply.status_code == 400
    assert "user-assigned identities are not supported" in reply.json()["error"]["message"]


def test_a_get_can_be_put_back_as_it_came(lab: InProcessLab) -> None:
    lab.put_endpoint(description="d")
    lab.advance()
    live = lab.arm("GET", "batchEndpoints/ept-1").json()

    assert lab.arm("PUT", "batchEndpoints/ept-1", live).status_code == 200


def test_lists_come_in_pages(make_lab: MakeLab) -> None:
    lab = make_lab()
    for number in range(5):
        lab.put_endpoint(f"ept-{number}")

    first = lab.arm("GET", "batchEndpoints?count=3").json()
    second = lab.request("GET", first["nextLink"], headers={"Authorization": f"Bearer {lab.token()}"}).json()

    assert [each["name"] for each in first["value"] + second["value"]] == [f"ept-{number}" for number in range(5)]
    assert second["nextLink"] is None


def test_the_number_of_endpoints_is_limited(make_lab: MakeLab) -> None:
    lab = make_lab({"endpoints_per_region": 1})
    lab.put_endpoint()

    assert "limit of 1 endpoints" in lab.put_endpoint("ept-2").json()["error"]["message"]


def test_keys_stay_the_same(lab: InProcessLab) -> None:
    lab.put_endpoint()

    first, second = (lab.arm("POST", "batchEndpoints/ept-1/listkeys").json() for _ in range(2))

    assert first == second
    assert first["primaryKey"] != first["secondaryKey"]


def test_everything_outlives_a_restart_and_operations_go_on(lab: InProcessLab) -> None:
    lab.put_endpoint()
    lab.restart()
    lab.advance()

    assert lab.arm("GET", f"{WS}/batchEndpoints/ept-1").json()["properties"]["provisioningState"] == "Succeeded"
