"""Deployments: what they need, how they are written back, how many there may be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.conftest import MakeLab
from tests.emulator.in_process_lab import WS, InProcessLab


def test_defaults_are_filled_in_and_the_first_answer_says_updating(lab: InProcessLab) -> None:
    lab.with_parts().put_endpoint()
    lab.advance()

    reply = lab.put_deployment()

    properties = reply.json()["properties"]
    assert (reply.status_code, properties["provisioningState"]) == (201, "Updating")
    assert properties["retrySettings"] == {"maxRetries": 3, "timeout": "PT30S"}
    assert properties["resources"] == {"instanceCount": 1, "instanceType": None, "properties": None}
    names = ("miniBatchSize", "maxConcurrencyPerInstance", "errorThreshold", "outputAction", "outputFileName")
    assert [properties[name] for name in names] == [10, 1, -1, "AppendRow", "predictions.csv"]


def test_a_duration_comes_back_in_its_shortest_form(lab: InProcessLab) -> None:
    lab.deployed()

    reply = lab.put_deployment(retrySettings={"timeout": "PT90S"})

    assert reply.json()["properties"]["retrySettings"] == {"maxRetries": 3, "timeout": "PT1M30S"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"compute": f"{WS}/computes/gone"}, "computes/gone' was not found"),
        ({"compute": "azureml:cpu"}, "Must be an ARM id in this workspace"),
        (
            {"model": {"referenceType": "Id", "assetId": f"{WS}/models/gone/versions/1"}},
            "models/gone/versions/1' was not",
        ),
        ({"model": {"referenceType": "Id", "assetId": "azureml:model:1"}}, "Must be an ARM id in this workspace"),
        ({"environmentId": f"{WS}/environments/gone/versions/1"}, "environments/gone/versions/1' was not found"),
        ({"environmentId": None}, "'Environment Id' must not be empty."),
        ({"codeConfiguration": {"codeId": f"{WS}/codes/gone/versions/1", "scoringScript": "s.py"}}, "codes/gone"),
        ({"codeConfiguration": {"codeId": f"{WS}/codes/code/versions/1"}}, "'Scoring Script' must not be empty."),
        ({"miniBatchSize": 0}, "'Mini Batch Size' must be between 1 and"),
        ({"errorThreshold": -2}, "'Error Threshold' must be between -1 and"),
        ({"outputAction": "Print"}, "'Output Action' must be one of SummaryOnly, AppendRow."),
        ({"retrySettings": {"timeout": "30"}}, "'Timeout' must be an ISO 8601 duration"),
    ],
)
def test_a_bad_property_is_refused_by_name(lab: InProcessLab, change: dict[str, Any], words: str) -> None:
    lab.with_parts().put_endpoint()
    lab.advance()

    reply = lab.put_deployment(**change)

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "UserError")
    assert words in reply.json()["error"]["message"]


def test_all_missing_parts_are_named_at_once(lab: InProcessLab) -> None:
    lab.put_endpoint()
    lab.advance()

    message = lab.put_deployment().json()["error"]["message"]

    assert all(part in message for part in ("computes/cpu", "codes/code", "models/model", "environments/env"))


def test_parts_of_a_registry_are_taken(lab: InProcessLab) -> None:
    lab.with_parts().put_endpoint()
    lab.advance()
    registry = "azureml://registries/azureml"

    reply = lab.put_deployment(
        environmentId=f"{registry}/environments/e/versions/1",
        model={"referenceType": "id", "assetId": f"{registry}/models/m/versions/1"},
    )

    assert reply.status_code == 201
    assert reply.json()["properties"]["model"]["referenceType"] == "Id"


def pipeline(component: str) -> dict[str, Any]:
    """A deployment as azure-ai-ml sends it for a pipeline component."""
    configuration = {
        "deploymentConfigurationType": "PipelineComponent",
        "componentId": {"referenceType": "Id", "assetId": component},
        "settings": {"default_compute": "batch-cluster", "continue_on_step_failure": False},
    }
    properties = {"deploymentConfiguration": configuration, "errorThreshold": -1, "miniBatchSize": 10}
    return {"location": "eastus", "tags": {}, "properties": properties}


def test_a_pipeline_component_deployment_is_kept_and_its_jobs_are_refused_by_name(lab: InProcessLab) -> None:
    lab.put_endpoint()
    lab.advance()
    lab.arm("PUT", "components/steps/versions/1", {"properties": {"componentSpec": {"type": "pipeline"}}})

    put = lab.arm("PUT", "batchEndpoints/ept-1/deployments/dep-1", pipeline(f"{WS}/components/steps/versions/1"))
    lab.advance()
    kept = lab.arm("GET", "batchEndpoints/ept-1/deployments/dep-1").json()["properties"]
    refused = lab.invoke()

    assert (put.status_code, kept["provisioningState"]) == (201, "Succeeded")
    assert kept["deploymentConfiguration"]["settings"] == {
        "default_compute": "batch-cluster",
        "continue_on_step_failure": False,
    }
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "UnknownToTheLab")
    assert "jobs of pipeline component deployments, such as 'dep-1'" in refused.json()["error"]["message"]


def test_a_pipeline_component_that_is_not_there_is_named(lab: InProcessLab) -> None:
    lab.put_endpoint()
    lab.advance()

    reply = lab.arm("PUT", "batchEndpoints/ept-1/deployments/dep-1", pipeline(f"{WS}/components/no/versions/1"))

    assert reply.status_code == 400
    assert "DeploymentConfiguration.ComponentId" in reply.json()["error"]["message"]


def test_an_endpoint_has_at_most_so_many_deployments(make_lab: MakeLab) -> None:
    lab = make_lab({"deployments_per_endpoint": 1}).deployed()

    assert "limit of 1 deployments per endpoint" in lab.put_deployment("dep-2").json()["error"]["message"]


def test_an_endpoint_that_is_being_created_takes_none(lab: InProcessLab) -> None:
    lab.with_parts().put_endpoint()

    assert lab.put_deployment().status_code == 409


def test_the_404_names_the_endpoint_where_that_is_missing(lab: InProcessLab) -> None:
    assert (
        "endpoint with the name 'ept-1'"
        in lab.arm("GET", "batchEndpoints/ept-1/deployments/d").json()["error"]["message"]
    )


def test_patch_changes_tags_and_description(lab: InProcessLab) -> None:
    lab.deployed()

    reply = lab.arm(
        "PATCH", "batchEndpoints/ept-1/deployments/dep-1", {"tags": {"a": "b"}, "properties": {"description": "d"}}
    )

    assert (reply.status_code, reply.json()["tags"], reply.json()["properties"]["description"]) == (
        200,
        {"a": "b"},
        "d",
    )


def test_system_data_of_a_deployment_lacks_types(lab: InProcessLab) -> None:
    lab.deployed()

    data = lab.arm("GET", "batchEndpoints/ept-1/deployments/dep-1").json()["systemData"]

    assert sorted(data) == ["createdAt", "createdBy", "lastModifiedAt"]
