"""Pipeline deployments: inputs and literals by name, an output of its own for each.

The lab keeps components and runs no pipelines, so the service's answer to the POST is the test's.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.emulator.in_process_lab import WS
from tests.jobs.desk import STORE, Desk

SPEC = {
    "type": "pipeline",
    "inputs": {
        "images": {"type": "uri_folder"},
        "labels": {"type": "uri_file", "optional": True},
        "rounds": {"type": "integer"},
        "fast": {"type": "boolean", "default": "false"},
    },
    "outputs": {"scores": {"type": "uri_folder"}, "report": "uri_file"},
}


@pytest.fixture
def pipeline(desk: Desk) -> Desk:
    desk.lab.arm("PUT", "components/train/versions/1", {"properties": {"componentSpec": SPEC}})
    component = {"referenceType": "Id", "assetId": f"{WS}/components/train/versions/1"}
    configuration = {"deploymentConfigurationType": "PipelineComponent", "componentId": component}
    body = {"location": "eastus", "properties": {"deploymentConfiguration": configuration}}
    assert desk.lab.arm("PUT", "batchEndpoints/ept-1/deployments/pipes", body).status_code < 300
    desk.lab.advance()
    return desk


def sent(desk: Desk) -> list[dict[str, Any]]:
    """The bodies that the scoring host is sent from now on; it says what a service says."""
    bodies: list[dict[str, Any]] = []

    def take(request: httpx.Request) -> httpx.Response | None:
        if (request.method, request.url.path) != ("POST", "/jobs"):
            return None
        bodies.append(json.loads(request.content)["properties"])
        return httpx.Response(201, json={"name": f"pipelinejob-{len(bodies)}"})

    desk.before = take
    return bodies


def test_inputs_literals_and_outputs_go_by_name(pipeline: Desk) -> None:
    pipeline.file("in/a.png")
    bodies = sent(pipeline)

    ran = pipeline.run(
        "submit --deployment pipes --input images=in --literal rounds=3 --literal fast=true "
        "--output scores=azureml://datastores/workspaceblobstore/paths/mine"
    )

    assert ran.code == 0, ran
    (body,) = bodies
    assert body["inputData"]["images"]["jobInputType"] == "UriFolder"
    assert body["inputData"]["rounds"] == {"jobInputType": "Literal", "value": "3"}
    assert body["outputData"]["scores"] == {"jobOutputType": "UriFolder", "uri": f"{STORE}/mine/"}
    assert body["outputData"]["report"]["jobOutputType"] == "UriFile"
    assert body["outputData"]["report"]["uri"].startswith(f"{STORE}/jobs/ept-1/")
    assert "output scores  azureml://datastores/workspaceblobstore/paths/mine/" in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--input images=in", "'rounds' (integer) is missing"),
        ("--literal rounds=3", "'images' (uri_folder) is missing"),
        ("--input images=in --literal rounds=many", "'rounds' must be of type integer, got 'many'"),
        ("--input images=in --literal rounds=3 --literal fast=2", "'fast' must be true or false, got '2'"),
        ("--input images=in --input rounds=in", "'rounds' is a literal: use --literal rounds=..."),
        ("--literal images=in --literal rounds=3", "'images' is uri_folder: use --input images=..."),
        (
            "--input images=in --literal rounds=3 --literal slow=1",
            "'slow' is no input of this deployment, which takes images (uri_folder), labels (uri_file)",
        ),
        (
            "--input images=in --literal rounds=3 --output x=azureml://datastores/d/paths/y",
            "has no output x; it has scores, report",
        ),
        ("--input images", "--input: must be NAME=VALUE"),
        ("--literal rounds=1 --literal rounds=2", "--literal: must be NAME=VALUE, each name once"),
    ],
)
def test_what_the_component_does_not_take_is_told_before_anything_is_sent(
    pipeline: Desk, words: str, said: str
) -> None:
    pipeline.file("in/a.png")
    pipeline.lab.arm(
        "PUT",
        "datastores/d",
        {
            "properties": {
                "datastoreType": "AzureBlob",
                "accountName": "labstore",
                "containerName": "d",
                "credentials": {"credentialsType": "None"},
            }
        },
    )
    bodies = sent(pipeline)

    ran = pipeline.run(f"submit --deployment pipes {words}")

    assert ran.code == 3
    assert said in ran.err
    assert bodies == []


def test_an_interrupted_pipeline_is_found_by_its_mark_where_it_has_no_output_of_ours(pipeline: Desk) -> None:
    pipeline.file("in/a.png")
    bodies: list[dict[str, Any]] = []

    def lose(request: httpx.Request) -> httpx.Response | None:
        if (request.method, request.url.path) == ("POST", "/jobs"):
            bodies.append(json.loads(request.content)["properties"])
            raise httpx.ReadError("connection reset")
        if "mferp" in request.url.path:
            listed = [{"name": f"pipelinejob-{number}", "properties": body} for number, body in enumerate(bodies, 1)]
            return httpx.Response(200, json={"value": listed})
        return None

    pipeline.before = lose

    ran = pipeline.run("submit --deployment pipes --input images=in --literal rounds=3 --json")

    assert ran.events[-1]["job"] == "pipelinejob-1"
    assert len(bodies) == 1
