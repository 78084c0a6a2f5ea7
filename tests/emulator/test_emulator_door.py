"""What every ARM call meets first: subscription, api-version, the route, the body."""

from __future__ import annotations

import pytest

from lab import identity
from tests.emulator.in_process_lab import WS, InProcessLab


def test_another_subscription_is_not_found(lab: InProcessLab) -> None:
    reply = lab.arm("GET", "/subscriptions/00000000-0000-0000-0000-000000000009/resourceGroups/lab")

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "SubscriptionNotFound")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (WS.replace("/resourceGroups/lab", "/resourceGroups/other"), "ResourceGroupNotFound"),
        (WS.replace("/workspaces/lab", "/workspaces/other"), "ResourceNotFound"),
    ],
)
def test_another_group_or_workspace_is_not_found(lab: InProcessLab, path: str, code: str) -> None:
    reply = lab.arm("GET", path)

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, code)


@pytest.mark.parametrize("version", ["", "2019-01-01", "yesterday"])
def test_an_api_version_that_is_not_listed_is_refused_with_the_list(lab: InProcessLab, version: str) -> None:
    reply = lab.arm("GET", "", version=version)

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "NoRegisteredProviderFound")
    assert "2025-12-01" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    "version", ["2021-10-01", "2022-05-01", "2023-08-01-preview", "2024-01-01-preview", "2026-09-01"]
)
def test_old_and_new_api_versions_are_answered_alike(lab: InProcessLab, version: str) -> None:
    assert lab.arm("GET", "", version=version).status_code == 200


def test_group_and_subscription_are_answered(lab: InProcessLab) -> None:
    group = lab.arm("GET", WS.partition("/providers")[0], version="2021-04-01").json()
    subscription = lab.arm("GET", f"/subscriptions/{identity.SUBSCRIPTION_ID}", version="2022-12-01").json()

    assert (group["name"], subscription["tenantId"]) == (identity.RESOURCE_GROUP, identity.TENANT_ID)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "schedules"),
        ("PUT", "onlineEndpoints/e"),
        ("DELETE", ""),
        ("PATCH", "datastores/d"),
        ("POST", "computes/c/start"),
        ("POST", "models/m/versions/1/startPendingUpload"),
        ("PUT", "jobs/j"),
    ],
)
def test_an_unknown_route_is_refused_by_name(lab: InProcessLab, method: str, path: str) -> None:
    reply = lab.arm(method, path, {} if method == "PUT" else None)

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "UnknownToTheLab")
    assert "The lab does not know" in reply.json()["error"]["message"]


def test_an_unknown_host_is_refused_by_name(lab: InProcessLab) -> None:
    reply = lab.request("GET", "https://graph.microsoft.com/v1.0/me")

    assert "'graph.microsoft.com'" in reply.json()["error"]["message"]


def test_every_unknown_property_is_named_at_once(lab: InProcessLab) -> None:
    body = {
        "location": "eastus",
        "colour": 1,
        "properties": {"authMode": "AADToken", "defaults": {"deployment_name": "d"}},
    }

    reply = lab.arm("PUT", "batchEndpoints/ept-1", body)

    assert reply.status_code == 400
    assert "'colour', 'properties.defaults.deployment_name'" in reply.json()["error"]["message"]


def test_trailing_commas_strings_for_numbers_and_any_letter_case_are_taken(lab: InProcessLab) -> None:
    lab.with_parts().put_endpoint()
    lab.advance()
    text = (
        '{"Location": "eastus", "properties": {"MINIBATCHSIZE": "5", "errorThreshold": "10", "loggingLevel": "info", '
        f'"compute": "{WS}/computes/cpu", "outputFileName": "a,}}.csv",}},}}'
    )

    reply = lab.arm("PUT", "batchEndpoints/ept-1/deployments/dep-1", content=text)

    properties = reply.json()["properties"]
    assert (properties["miniBatchSize"], properties["errorThreshold"], properties["loggingLevel"]) == (5, 10, "Info")
    assert properties["outputFileName"] == "a,}.csv"


def test_a_body_that_is_no_json_is_refused(lab: InProcessLab) -> None:
    reply = lab.arm("PUT", "batchEndpoints/ept-1", content="{nope")

    assert reply.status_code == 400
    assert "could not be read as JSON" in reply.json()["error"]["message"]


def test_collection_names_in_a_path_match_in_any_letter_case(lab: InProcessLab) -> None:
    lab.put_endpoint()

    assert lab.arm("GET", f"{WS.lower()}/BATCHENDPOINTS/EPT-1").json()["name"] == "ept-1"


def test_a_reply_carries_the_callers_ids_and_the_rate_limits(lab: InProcessLab) -> None:
    reply = lab.arm("GET", "", headers={"x-ms-client-request-id": "mine"})

    assert reply.headers["x-ms-client-request-id"] == "mine"
    assert reply.headers["x-ms-ratelimit-remaining-subscription-reads"] == "11999"
    assert reply.headers["x-ms-correlation-request-id"]


def test_an_encoded_slash_does_not_reach_into_another_resource(lab: InProcessLab) -> None:
    reply = lab.arm(
        "PUT",
        "computes/a%2Fb",
        {
            "properties": {
                "computeType": "AmlCompute",
                "properties": {"vmSize": "s", "scaleSettings": {"maxNodeCount": 1}},
            }
        },
    )

    assert (reply.status_code, reply.json()["error"]["message"]) == (400, "The compute name 'a/b' is not valid.")
