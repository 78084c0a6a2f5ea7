"""Every property that the specification has in a body is known to the lab: read, or dropped where it is read-only.

Sent as null, which stands for absent: the answer may be that something is missing, never that a name is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.in_process_lab import InProcessLab

TABLE = Path(__file__).parent / "facts" / "properties_2025-12-01.txt"
DEFINITIONS = (
    Path(__file__).resolve().parents[3] / "shared" / "azureml-rest" / "definitions_2025-12-01.introspected.json"
)
Body = dict[str, Any]


def table() -> Iterator[tuple[str, list[str]]]:
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            kind, *names = line.split()
            yield kind, names


def _whole(inner: Body) -> Body:
    return inner


def _at(*path: str, **beside: str) -> Callable[[Body], Body]:
    """The body that holds the type at this path, with `beside` it its discriminators."""

    def body(inner: Body) -> Body:
        inner = {**inner, **beside}
        for name in reversed(path):
            inner = {name: inner}
        return inner

    return body


def _compute(*path: str) -> Callable[[Body], Body]:
    return lambda inner: {"properties": {"computeType": "AmlCompute", **_at(*path)(inner)}}


def _datastore(inner: Body) -> Body:
    return {"properties": {"datastoreType": "AzureBlob", **inner}}


def _credentials(kind: str, *path: str) -> Callable[[Body], Body]:
    secret = {"secretsType": kind} if path else {}
    return lambda inner: _datastore({"credentials": {"credentialsType": kind, **_at(*path)({**inner, **secret})}})


_ENDPOINT, _DEPLOYMENT, _COMPUTE = (
    "PUT batchEndpoints/e-1",
    "PUT batchEndpoints/ept-1/deployments/d-1",
    "PUT computes/c",
)
_PIPELINE = {"deploymentConfigurationType": "PipelineComponent"}
SENT: dict[str, tuple[str, Callable[[Body], Body]]] = {
    "BatchEndpoint": (_ENDPOINT, _whole),
    "BatchEndpointProperties": (_ENDPOINT, _at("properties")),
    "EndpointAuthKeys": (_ENDPOINT, _at("properties", "keys")),
    "BatchEndpointDefaults": (_ENDPOINT, _at("properties", "defaults")),
    "PartialMinimalTrackedResourceWithIdentity": ("PATCH batchEndpoints/ept-1", _whole),
    "BatchDeployment": (_DEPLOYMENT, _whole),
    "BatchDeploymentProperties": (_DEPLOYMENT, _at("properties")),
    "CodeConfiguration": (_DEPLOYMENT, _at("properties", "codeConfiguration")),
    "BatchRetrySettings": (_DEPLOYMENT, _at("properties", "retrySettings")),
    "DeploymentResourceConfiguration": (_DEPLOYMENT, _at("properties", "resources")),
    "BatchPipelineComponentDeploymentConfiguration": (
        _DEPLOYMENT,
        _at("properties", "deploymentConfiguration", **_PIPELINE),
    ),
    "PartialBatchDeploymentPartialMinimalTrackedResourceWithProperties": (
        "PATCH batchEndpoints/ept-1/deployments/dep-1",
        _whole,
    ),
    "PartialBatchDeployment": ("PATCH batchEndpoints/ept-1/deployments/dep-1", _at("properties")),
    "IdAssetReference": (_DEPLOYMENT, _at("properties", "model", referenceType="Id")),
    "DataPathAssetReference": (_DEPLOYMENT, _at("properties", "model", referenceType="DataPath")),
    "OutputPathAssetReference": (_DEPLOYMENT, _at("properties", "model", referenceType="OutputPath")),
    "Sku": (_ENDPOINT, _at("sku")),
    "ManagedServiceIdentity": (_ENDPOINT, _at("identity")),
    "ComputeResource": (_COMPUTE, _whole),
    "AmlCompute": (_COMPUTE, _compute()),
    "AmlComputeProperties": (_COMPUTE, _compute("properties")),
    "ScaleSettings": (_COMPUTE, _compute("properties", "scaleSettings")),
    "UserAccountCredentials": (_COMPUTE, _compute("properties", "userAccountCredentials")),
    "VirtualMachineImage": (_COMPUTE, _compute("properties", "virtualMachineImage")),
    "ResourceId": (_COMPUTE, _compute("properties", "subnet")),
    "CodeVersionProperties": ("PUT codes/n/versions/1", _at("properties")),
    "CodeContainerProperties": ("PUT codes/n", _at("properties")),
    "ModelVersionProperties": ("PUT models/n/versions/1", _at("properties")),
    "ModelContainerProperties": ("PUT models/n", _at("properties")),
    "EnvironmentVersionProperties": ("PUT environments/n/versions/1", _at("properties")),
    "EnvironmentContainerProperties": ("PUT environments/n", _at("properties")),
    "BuildContext": ("PUT environments/n/versions/1", _at("properties", "build")),
    "UriFileDataVersion": ("PUT data/n/versions/1", _at("properties", dataType="uri_file")),
    "UriFolderDataVersion": ("PUT data/n/versions/1", _at("properties", dataType="uri_folder")),
    "MLTableData": ("PUT data/n/versions/1", _at("properties", dataType="mltable")),
    "DataContainerProperties": ("PUT data/n", _at("properties")),
    "ComponentVersionProperties": ("PUT components/n/versions/1", _at("properties")),
    "AzureBlobDatastore": ("PUT datastores/n", _datastore),
    "AccountKeyDatastoreCredentials": ("PUT datastores/n", _credentials("AccountKey")),
    "AccountKeyDatastoreSecrets": ("PUT datastores/n", _credentials("AccountKey", "secrets")),
    "SasDatastoreCredentials": ("PUT datastores/n", _credentials("Sas")),
    "SasDatastoreSecrets": ("PUT datastores/n", _credentials("Sas", "secrets")),
    "PendingUploadRequestDto": ("POST codes/n/versions/1/startPendingUpload", _whole),
    "PipelineJob": ("PUT jobs/{job}", _at("properties", jobType="Pipeline")),
}


@pytest.mark.skipif(not DEFINITIONS.is_file(), reason="the specification is not beside this checkout")
def test_our_table_has_every_property_of_these_types() -> None:
    definitions = json.loads(DEFINITIONS.read_text(encoding="utf-8"))

    def specified(kind: str) -> Body:
        found: Body = {}
        for base in definitions[kind]["bases"]:
            found |= specified(base) if base in definitions else {}
        return {**found, **definitions[kind]["properties"]}

    for kind, names in table():
        properties = {name: each for name, each in specified(kind).items() if not each.get("discriminator")}
        marked = [f"-{name}" if each.get("visibility") == ["read"] else name for name, each in properties.items()]
        assert sorted(names) == sorted(marked), kind


def test_every_type_is_sent() -> None:
    assert [kind for kind, _ in table()] == list(SENT)


@pytest.mark.parametrize(("kind", "names"), list(table()), ids=[kind for kind, _ in table()])
def test_no_property_of_the_specification_is_unknown(lab: InProcessLab, kind: str, names: list[str]) -> None:
    job = str(lab.deployed().invoke().json()["name"])
    call, body = SENT[kind]
    method, path = call.format(job=job).split()

    answer = lab.arm(method, path, body(dict.fromkeys(name.removeprefix("-") for name in names)))
    other = lab.arm(method, path, body({"banana": 1}))

    assert answer.status_code in {200, 201, 400}
    assert "does not know '" not in answer.text
    assert "banana'" in other.json()["error"]["message"]


@pytest.mark.parametrize("uris", [["azureml://datastores/x/paths/a", "https://example.org/b"], []])
def test_the_uris_of_an_mltable_are_kept(lab: InProcessLab, uris: list[str]) -> None:
    body = {"dataType": "mltable", "dataUri": "azureml://datastores/x/paths/t", "referencedUris": uris}
    lab.arm("PUT", "data/t/versions/1", {"properties": body})

    assert lab.arm("GET", "data/t/versions/1").json()["properties"]["referencedUris"] == uris
