"""What the query of a list asks for is done, or refused by name; it is never passed over."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.in_process_lab import InProcessLab, datastore


@pytest.fixture
def models(lab: InProcessLab) -> InProcessLab:
    """Three versions of one model, the second changed last, the third archived."""
    for number, stage in ((1, "Development"), (2, "Production"), (3, "Production")):
        properties = {
            "modelUri": datastore(f"m/{number}"),
            "description": f"Number {number}",
            "tags": {"round": str(number), "odd": "yes"} if number % 2 else {"round": str(number)},
            "properties": {"seed": str(number)},
            "stage": stage,
        }
        put_model(lab, number, properties)
        lab.advance()
    put_model(lab, 2, {"modelUri": datastore("m/2"), "description": "changed", "stage": "Production"})
    put_model(lab, 3, {"modelUri": datastore("m/3"), "tags": {"odd": "yes"}, "stage": "Production", "isArchived": True})
    put_model(lab, 2, {"modelUri": datastore("m/2"), "tags": {"round": "2"}, "stage": "Production"})
    return lab


def put_model(lab: InProcessLab, number: int, properties: dict[str, Any]) -> None:
    lab.advance(1)
    assert lab.arm("PUT", f"models/m/versions/{number}", {"properties": properties}).status_code in (200, 201)


def listed(lab: InProcessLab, path: str) -> list[str]:
    answer = lab.arm("GET", path)
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()["value"]]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["2", "1"]),
        ("listViewType=All", ["3", "2", "1"]),
        ("listViewType=archivedonly", ["3"]),
        ("stage=Production", ["2"]),
        ("version=1", ["1"]),
        ("tags=odd&listViewType=All", ["3", "1"]),
        ("tags=round=2", ["2"]),
        ("tags=round,odd", ["1"]),
        ("properties=seed=1", ["1"]),
        ("description=NUMBER 1", ["1"]),
        ("$orderBy=createdtime asc", ["1", "2"]),
        ("$orderBy=createdtime%20desc&$top=1", ["2"]),
        ("$orderBy=name", ["1", "2"]),
        ("$orderBy=lastmodifiedat desc&listViewType=All", ["2", "3", "1"]),
        ("offset=1", ["1"]),
        ("LISTVIEWTYPE=ALL&$SKIP=1", ["2", "1"]),
    ],
)
def test_model_versions_are_filtered_and_ordered(models: InProcessLab, query: str, names: list[str]) -> None:
    assert listed(models, f"models/m/versions?{query}") == names


def test_data_versions_are_found_by_tag(lab: InProcessLab) -> None:
    for number in (1, 2):
        body = {"dataType": "uri_folder", "dataUri": datastore("x"), "tags": {"n": str(number)}}
        lab.arm("PUT", f"data/d/versions/{number}", {"properties": body})

    assert listed(lab, "data/d/versions?$tags=n=2") == ["2"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("orderBy=name", ["workspaceblobstore", "workspaceartifactstore", "aaa"]),
        ("orderBy=name&orderByAsc=true", ["aaa", "workspaceartifactstore", "workspaceblobstore"]),
        ("orderByAsc=false", ["workspaceblobstore", "workspaceartifactstore", "aaa"]),
        ("searchText=A&names=aaa,other", ["aaa"]),
        ("isDefault=true", ["workspaceblobstore"]),
    ],
)
def test_datastores_are_filtered_and_ordered(lab: InProcessLab, query: str, names: list[str]) -> None:
    properties = {"datastoreType": "AzureBlob", "accountName": "labstore", "containerName": "c"}
    lab.arm("PUT", "datastores/aaa", {"properties": {**properties, "credentials": {"credentialsType": "None"}}})

    assert listed(lab, f"datastores?{query}") == names


def test_deployments_are_ordered(lab: InProcessLab) -> None:
    lab.deployed().put_deployment("alpha")

    assert listed(lab, "batchEndpoints/ept-1/deployments") == ["dep-1", "alpha"]
    assert listed(lab, "batchEndpoints/ept-1/deployments?$orderBy=name asc&$top=1") == ["alpha"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 2),
        ("listViewType=ArchivedOnly", 0),
        ("tag=who", 1),
        ("tag=who=me&listViewType=All", 1),
        ("tag=who=you", 0),
        ("properties=azureml.runsource=azureml.PipelineRun,mine", 1),
        ("jobType=Pipeline", 2),
        ("jobType=Command", 0),
        ("$top=1&tag=azureml.batchrun", 1),
    ],
)
def test_jobs_are_filtered(lab: InProcessLab, query: str, found: int) -> None:
    lab.deployed().invoke(tags={"who": "me"}, properties={"mine": "1"})
    lab.invoke()

    assert len(listed(lab, f"jobs?{query}")) == found


@pytest.mark.parametrize(
    "path",
    [
        *("models?stage=Production", "models/m/versions?feed=x", "codes/c/versions?tags=x", "batchEndpoints?tags=x"),
        *("batchEndpoints/ept-1/deployments?stage=x", "computes?computeType=x", "datastores?listViewType=All"),
        *("jobs?assetName=x", "jobs?scheduled=true", "components/c/versions?banana=1"),
    ],
)
def test_a_filter_that_is_not_known_is_refused_by_its_name(lab: InProcessLab, path: str) -> None:
    lab.put_endpoint()

    answer = lab.arm("GET", path)

    name = path.partition("?")[2].partition("=")[0].lower()
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "UnknownToTheLab")
    assert f"the filter '{name}'" in answer.json()["error"]["message"]


def test_an_order_that_is_not_known_is_refused(lab: InProcessLab) -> None:
    answer = lab.arm("GET", "models/m/versions?$orderBy=colour")

    assert answer.json()["error"]["message"] == "The lab does not know the order 'colour' of a list."


def test_a_view_that_there_is_not_is_an_error(lab: InProcessLab) -> None:
    answer = lab.arm("GET", "models?listViewType=Sometimes")

    assert answer.status_code == 400
    assert "listViewType must be ActiveOnly, ArchivedOnly or All, got 'Sometimes'" in answer.json()["error"]["message"]
