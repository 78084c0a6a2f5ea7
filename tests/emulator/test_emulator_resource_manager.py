"""What Azure Resource Manager tells of the subscription: resources of every kind, providers, regions."""

from __future__ import annotations

import pytest

from lab import identity
from lab.emulator.arm import API_VERSIONS
from tests.emulator.in_process_lab import WS, InProcessLab, endpoint_body

SUBSCRIPTION = f"/subscriptions/{identity.SUBSCRIPTION_ID}"
PROVIDER = "Microsoft.MachineLearningServices"


def names(lab: InProcessLab, path: str) -> list[str]:
    return [each["name"] for each in lab.arm("GET", f"{SUBSCRIPTION}/{path}", version="2024-11-01").json()["value"]]


@pytest.mark.parametrize("path", ["resources", "resourceGroups/lab/resources"])
def test_the_list_of_resources_holds_what_is_tracked(lab: InProcessLab, path: str) -> None:
    lab.deployed()

    assert names(lab, path) == ["lab", "lab/ept-1", "lab/ept-1/dep-1"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["lab", "lab/ept-1"]),
        (f"resourceType eq '{PROVIDER}/workspaces/batchEndpoints'", ["lab/ept-1"]),
        (f"resourceGroup eq 'LAB' and resourceType eq '{PROVIDER}/workspaces'", ["lab"]),
        ("location eq 'westus'", []),
        ("name eq 'lab/ept-1'", ["lab/ept-1"]),
        ("tagName eq 'TEAM'", ["lab/ept-1"]),
        ("tagName eq 'team' and tagValue eq 'blue'", ["lab/ept-1"]),
        ("tagName eq 'team' and tagValue eq 'green'", []),
    ],
)
def test_resources_are_filtered(lab: InProcessLab, text: str, found: list[str]) -> None:
    lab.arm("PUT", "batchEndpoints/ept-1", {**endpoint_body(), "tags": {"team": "blue"}})

    assert names(lab, f"resources?$filter={text}") == found


def test_a_filter_that_the_lab_does_not_know_is_refused_by_name(lab: InProcessLab) -> None:
    reply = lab.arm("GET", f"{SUBSCRIPTION}/resources?$filter=kind eq 'x'", version="2024-11-01")

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "UnknownToTheLab")
    assert "kind eq 'x'" in reply.json()["error"]["message"]


def test_a_filter_by_tag_stands_alone(lab: InProcessLab) -> None:
    text = "tagName eq 'x' and location eq 'eastus'"

    reply = lab.arm("GET", f"{SUBSCRIPTION}/resources?$filter={text}", version="2024-11-01")

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "InvalidFilterInQueryString")


def test_what_workspaces_stand_on_is_tracked_and_groups_are_filtered_by_tag(lab: InProcessLab) -> None:
    group, tags = f"{SUBSCRIPTION}/resourceGroups/made", {"team": "blue"}
    identity_of_jobs = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/jobs"
    for arm_id in (group, identity_of_jobs):
        assert lab.arm("PUT", arm_id, {"location": "eastus", "tags": tags}).status_code == 201

    assert names(lab, "resources?$filter=tagName eq 'team'") == ["jobs"]
    assert names(lab, "resourceGroups?$filter=tagName eq 'team'") == ["made"]
    assert names(lab, "resourceGroups") == ["lab", "made"]


def test_the_provider_tells_its_versions_the_newest_first(lab: InProcessLab) -> None:
    told = lab.arm("GET", f"{SUBSCRIPTION}/providers/{PROVIDER}", version="2024-11-01").json()

    versions = {each["resourceType"]: each["apiVersions"] for each in told["resourceTypes"]}
    assert versions["workspaces/batchEndpoints"] == sorted(API_VERSIONS, reverse=True)
    listed = lab.arm("GET", f"{SUBSCRIPTION}/providers", version="2024-11-01").json()["value"]
    assert listed == [told]


def test_another_provider_does_not_exist(lab: InProcessLab) -> None:
    reply = lab.arm("GET", f"{SUBSCRIPTION}/providers/Microsoft.Nothing", version="2024-11-01")

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "InvalidResourceNamespace")


def test_the_lab_lies_in_one_region(lab: InProcessLab) -> None:
    assert names(lab, "locations") == ["eastus"]


def test_an_empty_segment_of_a_path_is_nothing(lab: InProcessLab) -> None:
    doubled = WS.replace("/workspaces", "//workspaces")

    assert lab.arm("GET", doubled).json() == lab.arm("GET", "").json()
