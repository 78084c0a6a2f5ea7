"""What the service took and said in 2021 and 2022, and scripts of that time still send and look for."""

from __future__ import annotations

import json

import pytest

from tests.emulator.in_process_lab import WS, InProcessLab

FOLDER = "https://labstore.blob.core.windows.net/c/images"


@pytest.mark.parametrize(("version", "said"), [("2021-10-01", True), ("2022-05-01", True), ("2022-10-01", False)])
def test_the_body_of_a_put_names_its_operation_in_old_versions(lab: InProcessLab, version: str, said: bool) -> None:
    reply = lab.arm(
        "PUT", "batchEndpoints/ept-1", {"location": "eastus", "properties": {"authMode": "aadToken"}}, version=version
    )

    uri = reply.json()["properties"]["properties"].get("AzureAsyncOperationUri")
    assert uri == (reply.headers["Azure-AsyncOperation"] if said else None)
    assert "AzureAsyncOperationUri" not in lab.arm("GET", "batchEndpoints/ept-1").json()["properties"]["properties"]


def test_the_body_of_a_deployment_names_its_operation_too(lab: InProcessLab) -> None:
    body = lab.deployed().arm("GET", "batchEndpoints/ept-1/deployments/dep-1").json()

    reply = lab.arm("PUT", "batchEndpoints/ept-1/deployments/dep-1", body, version="2022-05-01")

    assert reply.json()["properties"]["properties"]["AzureAsyncOperationUri"] == reply.headers["Azure-AsyncOperation"]


def test_a_dataset_is_written_and_read_in_2021_only(lab: InProcessLab) -> None:
    written = lab.arm(
        "PUT", "datasets/d/versions/1", {"properties": {"paths": [{"Folder": FOLDER}]}}, version="2021-10-01"
    )

    assert (written.status_code, written.json()["properties"]["paths"]) == (201, [{"file": None, "folder": FOLDER}])
    assert lab.arm("GET", "datasets/d/versions/1", version="2021-10-01").json() == written.json()
    assert lab.arm("GET", "datasets/d/versions/1").json()["error"]["code"] == "UnknownToTheLab"


def test_a_dataset_needs_a_path(lab: InProcessLab) -> None:
    reply = lab.arm("PUT", "datasets/d/versions/1", {"properties": {"paths": []}}, version="2021-10-01")

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "UserError")


@pytest.mark.parametrize(
    ("path", "kind"), [({"folder": FOLDER}, "UriFolder"), ({"file": f"{FOLDER}/1.png"}, "UriFile")]
)
def test_a_job_reads_what_its_dataset_names(lab: InProcessLab, path: dict[str, str], kind: str) -> None:
    lab.deployed().arm("PUT", "datasets/d/versions/1", {"properties": {"paths": [path]}}, version="2021-10-01")

    spec = _spec(lab, {"dataInputType": "DatasetVersion", "datasetName": "d", "datasetVersion": "1"})

    assert (spec["type"], spec["container"]) == (kind, "c")


def test_a_data_asset_of_today_may_be_named_as_a_dataset(lab: InProcessLab) -> None:
    lab.deployed().arm("PUT", "data/d/versions/1", {"properties": {"dataType": "uri_folder", "dataUri": FOLDER}})

    spec = _spec(lab, {"dataInputType": "DatasetId", "datasetId": f"{WS}/datasets/d/versions/1"})

    assert (spec["type"], spec["path"]) == ("UriFolder", "images")


def test_a_dataset_of_several_paths_fails_its_job_by_name(lab: InProcessLab) -> None:
    paths = [{"folder": FOLDER}, {"folder": f"{FOLDER}2"}]
    lab.deployed().arm("PUT", "datasets/d/versions/1", {"properties": {"paths": paths}}, version="2021-10-01")
    job = _invoked(lab, {"dataInputType": "DatasetVersion", "datasetName": "d", "datasetVersion": "1"})

    lab.advance()

    error = lab.history(f"{_step(lab, job)}/details")["error"]["error"]["message"]
    assert "has 2 paths, and the lab reads one" in error


def test_a_models_format_is_its_type(lab: InProcessLab) -> None:
    body = {"properties": {"modelUri": "azureml://datastores/workspaceblobstore/paths/m", "modelFormat": "mlflow"}}

    written = lab.arm("PUT", "models/m/versions/1", body, version="2021-10-01").json()["properties"]

    assert (written["modelFormat"], written["modelType"]) == ("MLFlow", "mlflow_model")


def _invoked(lab: InProcessLab, dataset: dict[str, str]) -> str:
    name: str = lab.invoke(inputData=None, dataset=dataset).json()["name"]
    return name


def _step(lab: InProcessLab, job: str) -> str:
    name: str = lab.history(f"{job}/children")["value"][0]["runId"]
    return name


def _spec(lab: InProcessLab, dataset: dict[str, str]) -> dict[str, str]:
    """What the driver of a job on this dataset is told of its input."""
    job = _invoked(lab, dataset)
    lab.advance()
    spec = json.loads((lab.app.cloud.executions.directory(job) / "spec.json").read_text())
    found: dict[str, str] = spec["input"]
    return found
