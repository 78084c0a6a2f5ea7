"""The scoring host: invocation, what the driver is told, and where the job can be seen."""

from __future__ import annotations

import json
import stat
from typing import Any

import pytest

from lab import identity
from tests.emulator.in_process_lab import API, WS, InProcessLab, blob, datastore


def spec_of(lab: InProcessLab, name: str) -> dict[str, Any]:
    """What the job's driver is started with."""
    lab.advance()
    loaded: dict[str, Any] = json.loads((lab.home / "jobs" / name / "spec.json").read_text())
    return loaded


def test_the_driver_is_told_places_and_settings(lab: InProcessLab) -> None:
    name = lab.deployed().invoke(datastore("in/")).json()["name"]

    spec = spec_of(lab, name)

    container = identity.DEFAULT_CONTAINER
    assert (spec["code"]["container"], spec["code"]["path"], spec["code"]["scoring_script"]) == (
        container,
        "up/code",
        "score.py",
    )
    assert (spec["model"]["path"], spec["model"]["name"], spec["model"]["version"]) == ("up/model", "model", "1")
    assert json.loads(spec["environment"]["conda_file"]) == {"dependencies": ["pip"]}
    assert (spec["input"]["type"], spec["input"]["path"]) == ("UriFolder", "in")
    assert spec["output"]["path"].endswith("/score/predictions.csv")
    assert spec["storage"]["endpoint"] == "https://127.0.0.1:1/labstore"
    assert spec["settings"]["timeout_seconds"] == 30
    assert spec["limits"] == {"max_workers": 4}


def test_a_job_runs_on_what_the_workspace_has_in_place_of_a_registrys_parts(lab: InProcessLab) -> None:
    lab.deployed().put_deployment(
        environmentId="azureml://registries/contoso/environments/env/versions/1",
        model={"referenceType": "Id", "assetId": "azureml://registries/contoso/models/model/versions/1"},
    )
    lab.advance()

    spec = spec_of(lab, lab.invoke().json()["name"])

    assert (spec["model"]["path"], spec["model"]["name"]) == ("up/model", "model")
    assert json.loads(spec["environment"]["conda_file"]) == {"dependencies": ["pip"]}


@pytest.mark.parametrize(
    "part",
    [
        {"environmentId": "azureml://registries/contoso/environments/other/versions/1"},
        {"model": {"referenceType": "Id", "assetId": "azureml://registries/contoso/models/model/versions/2"}},
    ],
    ids=["environment", "model"],
)
def test_a_job_on_a_registrys_part_that_the_workspace_has_not_fails(lab: InProcessLab, part: dict[str, Any]) -> None:
    lab.deployed().put_deployment(**part)
    lab.advance()
    name = lab.invoke().json()["name"]
    lab.advance()

    record = lab.app.cloud.executions.refresh(lab.app.cloud.store.jobs(limit=1, offset=0)[0])

    assert (record["name"], record["status"]) == (name, "Failed")
    assert "lies in a registry, which the lab does not reach, and workspace lab has nothing" in str(record["error"])


def test_the_spec_holds_the_key_so_only_its_owner_reads_it(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    lab.advance()

    assert stat.S_IMODE((lab.home / "jobs" / name / "spec.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("uri", "container", "path"),
    [
        ("azureml://datastores/workspaceblobstore/paths/a/b", identity.DEFAULT_CONTAINER, "a/b"),
        (
            f"azureml://subscriptions/{identity.SUBSCRIPTION_ID}/resourcegroups/lab/workspaces/lab/datastores/workspaceblobstore/paths/a",
            identity.DEFAULT_CONTAINER,
            "a",
        ),
        (f"{WS}/datastores/workspaceblobstore/paths/a/", identity.DEFAULT_CONTAINER, "a"),
        ("https://labstore.blob.core.windows.net:443/other/a%20b", "other", "a b"),
        ("wasbs://other@labstore.blob.core.windows.net/a%20b/", "other", "a b"),
        (f"{WS}/data/d/versions/1", identity.DEFAULT_CONTAINER, "up/data"),
        (f"azureml:{WS}/data/d/versions/1", identity.DEFAULT_CONTAINER, "up/data"),
    ],
)
def test_every_form_of_an_input_uri_is_found(lab: InProcessLab, uri: str, container: str, path: str) -> None:
    lab.deployed().arm(
        "PUT", "data/d/versions/1", {"properties": {"dataType": "uri_folder", "dataUri": datastore("up/data")}}
    )

    spec = spec_of(lab, lab.invoke(uri).json()["name"])

    assert (spec["input"]["container"], spec["input"]["path"]) == (container, path)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("https://pipelinedata.blob.core.windows.net/sampledata/mnist", "reaches no host but its own"),
        ("azureml://datastores/other/paths/a", "datastore 'other' does not exist"),
        (f"{WS}/data/gone/versions/1", "does not exist in the lab"),
        (f"{WS}/data/table/versions/1", "Data set node [code] references parameter dataset_param which doesn't have"),
        ("azureml://subscriptions/x/resourcegroups/y/workspaces/z/datastores/d/paths/p", "another workspace"),
    ],
)
def test_an_input_outside_the_lab_is_accepted_and_its_job_fails(lab: InProcessLab, uri: str, words: str) -> None:
    table = {"properties": {"dataType": "mltable", "dataUri": datastore("up/table")}}
    lab.deployed().arm("PUT", "data/table/versions/1", table)
    reply = lab.invoke(uri)
    name = reply.json()["name"]
    lab.advance()

    child = lab.history(f"{name}/children")["value"][0]["runId"]
    assert reply.status_code == 201
    assert lab.arm("GET", f"jobs/{name}").json()["properties"]["status"] == "Failed"
    assert words in lab.history(f"{child}/details")["error"]["error"]["message"]
    assert lab.history(f"{name}/details")["error"]["error"]["message"].startswith("Pipeline has some failed steps")


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        (datastore("out/p.csv"), "out/p.csv"),
        (datastore("out/predictions.csv"), "out/predictions.csv"),
        (datastore("out"), "out/predictions.csv"),
        (datastore("v1.0/"), "v1.0/predictions.csv"),
        (blob("out/x.csv"), "out/x.csv"),
    ],
)
def test_an_output_uri_is_a_file_or_the_folder_of_one(lab: InProcessLab, uri: str, path: str) -> None:
    name = lab.deployed().invoke(outputData={"score": {"jobOutputType": "uriFile", "uri": uri}}).json()["name"]

    assert spec_of(lab, name)["output"]["path"] == path


def test_a_jobs_overrides_beat_the_deployments_settings_and_are_repeated(lab: InProcessLab) -> None:
    reply = lab.deployed().invoke(
        miniBatchSize="20",
        errorThreshold=0,
        compute={"instanceCount": 5},
        retrySettings={"maxRetries": 2, "timeout": "PT1M"},
        outputFileName="z.csv",
        tags={"mine": "1"},
    )
    settings = spec_of(lab, reply.json()["name"])["settings"]

    assert [
        settings[name]
        for name in (
            "mini_batch_size",
            "error_threshold",
            "instance_count",
            "max_retries",
            "timeout_seconds",
            "output_file_name",
        )
    ] == [20, 0, 5, 2, 60, "z.csv"]
    properties = reply.json()["properties"]
    assert (properties["miniBatchSize"], properties["compute"]["instanceCount"], properties["tags"]["mine"]) == (
        20,
        5,
        "1",
    )
    assert json.loads(properties["properties"]["azureml.parameters"])["NodeCount"] == "5"


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({}, "exactly one data input"),
        ({"inputData": {name: {"jobInputType": "UriFolder", "uri": "u"} for name in "ab"}}, "exactly one data input"),
        ({"inputData": {"a": {"jobInputType": "Literal", "value": "1"}}}, "Literal inputs need a pipeline component"),
        ({"inputData": {"a": {"jobInputType": "MLTable", "uri": "u"}}}, "must be 'uri_file' or 'uri_folder'"),
        ({"inputData": {"a": {"jobInputType": "UriFolder", "uri": ""}}}, "'Uri' must not be empty"),
        (
            {
                "inputData": {"a": {"jobInputType": "UriFolder", "uri": "u"}},
                "outputData": {"score": {"jobOutputType": "UriFolder", "uri": "u"}},
            },
            "OutputData.Values[0].JobOutputType",
        ),
    ],
)
def test_a_request_that_no_model_deployment_takes_is_refused(
    lab: InProcessLab, properties: dict[str, Any], words: str
) -> None:
    reply = lab.deployed().score("POST", "jobs", {"properties": properties}, deployment="dep-1")

    assert reply.status_code == 400
    assert words in reply.json()["error"]["message"]


def test_the_default_deployment_takes_what_names_none(lab: InProcessLab) -> None:
    lab.deployed().put_endpoint(defaults={"deploymentName": "dep-1"})
    lab.advance()
    body = {"Properties": {"InputData": {"x": {"JobInputType": "urifolder", "Uri": datastore("in")}}}}

    reply = lab.score("POST", "jobs", body)

    assert reply.status_code == 201
    assert reply.headers["azureml-model-deployment"] == "dep-1"
    assert "/deployments/dep-1/jobs/batchjob-" in reply.json()["id"]


def test_the_body_of_2021_is_still_taken(lab: InProcessLab) -> None:
    body = {
        "properties": {
            "dataset": {"dataInputType": "DataUrl", "Path": datastore("in/one.csv")},
            "outputDataset": {"datastoreId": f"{WS}/datastores/workspaceblobstore", "path": "out"},
            "outputFileName": "p.csv",
        }
    }

    spec = spec_of(lab, lab.deployed().score("POST", "jobs", body, deployment="dep-1").json()["name"])

    assert (spec["input"]["type"], spec["input"]["path"], spec["output"]["path"]) == (
        "UriFile",
        "in/one.csv",
        "out/p.csv",
    )


def test_a_deployment_that_is_being_created_takes_no_job(lab: InProcessLab) -> None:
    lab.with_parts().put_endpoint()
    lab.advance()
    lab.put_deployment()

    assert lab.invoke().status_code == 409


def test_an_unknown_deployment_or_endpoint_is_not_found(lab: InProcessLab) -> None:
    lab.deployed()

    assert lab.score("POST", "jobs", {"properties": {}}, deployment="other").status_code == 404
    assert lab.score("POST", "jobs", {"properties": {}}, endpoint="other").status_code == 404


def test_one_job_is_the_same_on_every_host(lab: InProcessLab) -> None:
    invoked = (
        lab.deployed().invoke(outputData={"score": {"jobOutputType": "UriFile", "uri": datastore("o/p.csv")}}).json()
    )
    name = invoked["name"]
    ml = {"Authorization": f"Bearer {lab.token('https://ml.azure.com/.default')}"}
    listing = f"{API}/mferp/managementfrontend{WS}/batchEndpoints/ept-1"
    version = "api-version=2020-09-01-dataplanepreview"

    of_endpoint = lab.request("GET", f"{listing}/jobs?{version}", headers=ml).json()["value"]
    of_deployment = lab.request("GET", f"{listing}/deployments/dep-1/jobs?{version}", headers=ml).json()["value"]

    assert lab.score("GET", f"jobs/{name}").json() == invoked
    assert lab.score("GET", "jobs").json()["value"] == of_endpoint == of_deployment == [invoked]
    assert of_endpoint[0]["properties"]["outputData"]["score"]["uri"] == datastore("o/p.csv")
    arm = lab.arm("GET", f"jobs/{name}").json()["properties"]
    assert (arm["jobType"], arm["experimentName"]) == ("Pipeline", "ept-1")


def test_job_lists_come_in_pages_the_newest_first(lab: InProcessLab) -> None:
    lab.deployed()
    names = [lab.invoke().json()["name"] for _ in range(3)]
    ml = {"Authorization": f"Bearer {lab.token('https://ml.azure.com/.default')}"}

    first = lab.request(
        "GET", f"{API}/mferp/managementfrontend{WS}/batchEndpoints/ept-1/jobs?count=2&api-version=x", headers=ml
    ).json()
    second = lab.request("GET", first["nextLink"], headers=ml).json()

    assert [each["name"] for each in first["value"] + second["value"]] == names[::-1]
    assert second["nextLink"] is None


def test_the_child_job_carries_the_output(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    child = lab.history(f"{name}/children")["value"][0]

    job = lab.arm("GET", f"jobs/{child['runId']}").json()

    assert (child["name"], job["properties"]["displayName"]) == ("batchscoring", "batchscoring")
    uri = f"azureml://datastores/workspaceblobstore/paths/azureml/{child['runId']}/score/predictions.csv"
    assert job["properties"]["outputs"]["score"]["uri"] == uri
    assert lab.history(f"{child['runId']}/children")["value"] == []


def test_discovery_needs_no_token(lab: InProcessLab) -> None:
    found = lab.request("GET", lab.arm("GET", "").json()["properties"]["discoveryUrl"]).json()

    assert (found["api"], found["history"]) == (API, API)


def test_azure_ai_mls_question_before_a_download_is_answered(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    headers = {"Authorization": f"Bearer {lab.token()}"}

    reply = lab.request("POST", f"{API}/history/v1.0{WS}/rundata", json={"runId": name}, headers=headers)

    assert reply.json()["runMetadata"]["runId"] == name
