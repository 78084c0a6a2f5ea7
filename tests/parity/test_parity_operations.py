"""Every operation of the specification is served, or refused by name; docs/emulation.md says which of the two."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import identity
from lab.emulator.plays import Plays
from lab.emulator.refused import REFUSED
from lab.emulator.storage_accounts import OWN as STORAGE_ACCOUNT
from tests.emulator.in_process_lab import WS, InProcessLab, datastore, deployment_body, endpoint_body

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).parent / "facts" / "operations_2025-12-01.txt"
SPECIFICATION = ROOT.parent / "shared" / "azureml-rest" / "operations_2025-12-01.json"
DOCUMENT = ROOT / "docs" / "emulation.md"
WORKSPACE = (
    "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
    "/providers/Microsoft.MachineLearningServices/workspaces/{workspaceName}"
)


@dataclass(frozen=True)
class Operation:
    method: str
    statuses: tuple[int, ...]
    url: str

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


def operations() -> Iterator[Operation]:
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            method, statuses, url = line.split()
            yield Operation(method, tuple(int(one) for one in statuses.split(",")), url)


def documented() -> dict[tuple[str, str], str]:
    """(method, URL) -> mark, from the table of the document."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("## Every operation of the specification")[2]
    marks: dict[tuple[str, str], str] = {}
    for path, cell in re.findall(r"^\| `([^`]+)` \| (.+) \|$", text.partition("\n## ")[0], re.MULTILINE):
        url = path.replace("/.../", "/Microsoft.MachineLearningServices/")
        for part in cell.split("; "):
            *methods, mark = part.replace(",", "").split()
            marks |= {(method, url): mark for method in methods}
    return marks


@pytest.mark.skipif(not SPECIFICATION.is_file(), reason="the specification is not beside this checkout")
def test_our_table_has_every_operation_of_the_specification() -> None:
    groups: dict[str, dict[str, Any]] = json.loads(SPECIFICATION.read_text(encoding="utf-8"))

    specified = {
        Operation(each["method"], tuple(each["status"]), each["url"].replace(WORKSPACE, "{WS}"))
        for group in groups.values()
        for each in group.values()
    }

    assert set(operations()) == specified


def test_the_document_marks_every_operation_and_no_other() -> None:
    marks = documented()

    assert set(marks) == {(each.method, each.url) for each in operations()}
    assert set(marks.values()) <= {"recorded", "specified", "assumed", "refused"}


def test_every_refusal_of_the_lab_is_an_operation_that_the_document_calls_refused() -> None:
    refused = {f"{method} {path}" for (method, path), mark in documented().items() if mark == "refused"}

    named = {_shape(f"{method} {{WS}}/{path}".rstrip("/")) for method, path, _ in REFUSED}

    assert named == {_shape(one) for one in refused}


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Plays)])
def test_the_document_names_every_setting(name: str) -> None:
    assert f"`{name}`" in DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("operation", list(operations()), ids=str)
def test_an_operation_is_served_or_refused_by_name(lab: InProcessLab, operation: Operation) -> None:
    job = _arranged(lab)
    names = {**_NAMES, **({"{WS}": MADE} if operation.url == "{WS}" and operation.method != "GET" else {})}
    path = re.sub(r"\{\w+\}", lambda name: names.get(name[0], ""), operation.url.replace("/jobs/{id}", f"/jobs/{job}"))

    answer = lab.arm(operation.method, path + _QUERY.get(str(operation), ""), _body(operation))

    if documented()[operation.method, operation.url] == "refused":
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "UnknownToTheLab")
        assert "The lab does not know" in answer.json()["error"]["message"]
        assert not answer.json()["error"]["message"].startswith(f"The lab does not know {operation.method} ")
    else:
        assert answer.status_code in operation.statuses, answer.text


_NAMES = {
    "{WS}": WS,
    "{subscriptionId}": identity.SUBSCRIPTION_ID,
    "{resourceGroupName}": identity.RESOURCE_GROUP,
    "{endpointName}": "ept-1",
    "{deploymentName}": "dep-1",
    "{computeName}": "cpu",
    "{version}": "1",
    "{name}": "thing",
}
_QUERY = {
    "DELETE {WS}/computes/{computeName}": "?underlyingResourceAction=Delete",
    "PUT {WS}/datastores/{name}": "?skipValidation=true",
}
_DATASTORE = {
    "datastoreType": "AzureBlob",
    "accountName": identity.STORAGE_ACCOUNT,
    "containerName": "azureml",
    "credentials": {"credentialsType": "AccountKey", "secrets": {"secretsType": "AccountKey", "key": "k"}},
}
_CLUSTER = {"vmSize": "Standard_DS2_v2", "scaleSettings": {"maxNodeCount": 2}}
_VERSIONS: dict[str, dict[str, Any]] = {
    "codes": {"codeUri": "https://labstore.blob.core.windows.net/azureml/up"},
    "models": {"modelUri": datastore("up/model")},
    "environments": {"image": "i"},
    "data": {"dataType": "uri_folder", "dataUri": datastore("in")},
    "components": {"componentSpec": {"type": "pipeline", "jobs": {}}},
}
# The workspace that the lab is born with stays as it is.
MADE = f"{WS[:-3]}made"
_VAULT = f"{WS.partition('/providers/')[0]}/providers/Microsoft.KeyVault/vaults/made-vault"
_WORKSPACE = {
    "location": "eastus",
    "properties": {"storageAccount": STORAGE_ACCOUNT, "keyVault": _VAULT},
}
_PUT: dict[str, Any] = {
    "{WS}": _WORKSPACE,
    "{WS}/batchEndpoints/{endpointName}": endpoint_body(),
    "{WS}/batchEndpoints/{endpointName}/deployments/{deploymentName}": deployment_body(),
    "{WS}/computes/{computeName}": {
        "location": "eastus",
        "properties": {"computeType": "AmlCompute", "properties": _CLUSTER},
    },
    "{WS}/datastores/{name}": {"properties": _DATASTORE},
    "{WS}/jobs/{id}": {"properties": {"jobType": "Pipeline", "tags": {"a": "b"}}},
    **{f"{{WS}}/{kind}/{{name}}": {"properties": {}} for kind in _VERSIONS},
    **{f"{{WS}}/{kind}/{{name}}/versions/{{version}}": {"properties": body} for kind, body in _VERSIONS.items()},
}
_PATCH: dict[str, Any] = {
    "{WS}/computes/{computeName}": {"properties": {"properties": {"scaleSettings": {"maxNodeCount": 3}}}},
}


def _body(operation: Operation) -> Any:
    if operation.method == "PUT":
        return _PUT.get(operation.url, {})
    return _PATCH.get(operation.url, {"tags": {"a": "b"}}) if operation.method == "PATCH" else None


def _arranged(lab: InProcessLab) -> str:
    """One of everything; the name of an ended job."""
    lab.deployed()
    for kind, body in _VERSIONS.items():
        assert lab.arm("PUT", f"{kind}/thing/versions/1", {"properties": body}).status_code == 201
    assert lab.arm("PUT", "datastores/thing", {"properties": _DATASTORE}).status_code == 201
    vault = {"tenantId": identity.TENANT_ID, "sku": {"family": "A", "name": "standard"}}
    assert lab.arm("PUT", _VAULT, {"location": "eastus", "properties": vault}).status_code == 201
    job = str(lab.invoke("https://example.org/elsewhere").json()["name"])
    lab.advance()
    return job


def _shape(text: str) -> str:
    return re.sub(r"\{(?!WS)\w+\}", "{}", text)
