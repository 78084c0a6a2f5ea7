"""What the service writes otherwise than it was sent is no change: not to a preview, a refresh or another `up`.

The list is that of recorded traffic of Microsoft's own end-to-end tests; azure-native's kinds (a cluster's vmSize, an
environment's condaFile) are in tests/azure_native, and all of them at once in the lifecycle of the lab stack.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from providers import schema
from providers.asset_version import CodeVersionKind, DataVersionKind, ModelVersionKind
from providers.batch_deployment import BatchDeploymentKind
from providers.batch_endpoint import BatchEndpointKind
from providers.default_deployment import DefaultDeploymentKind
from providers.kind import Kind
from providers.ownership import TAG
from providers.schema import Bag
from tests.emulator.in_process_lab import InProcessLab, endpoint_body
from tests.providers.far_side import FarSide
from tests.providers.generated_inputs import DATASTORE, ENDPOINT, ENVIRONMENT, MARKER, WORKSPACE
from tests.providers.lab_side import kinds_in

Body = dict[str, Any]
SHARED: Bag = {"owner": MARKER, "deadline": "5m"}
ENDPOINTS: Bag = {**SHARED, "workspace_id": WORKSPACE, "endpoint_name": "ept-2", "location": "East US"}
DEPLOYMENTS: Bag = {
    **SHARED,
    "endpoint_id": ENDPOINT,
    "deployment_name": "dep-2",
    "location": "eastus",
    "compute": f"{WORKSPACE}/computes/cpu",
    "environment_id": ENVIRONMENT,
    "code_configuration": {"code_id": f"{WORKSPACE}/codes/code/versions/1", "scoring_script": "score.py"},
    "model": {"reference_type": "Id", "asset_id": f"{WORKSPACE}/models/model/versions/1"},
}
ASSETS: Bag = {**SHARED, "workspace_id": WORKSPACE, "asset_name": "a", "version": "1", "uri": f"{DATASTORE}/up/a"}


@dataclass(frozen=True)
class Case:
    """One thing that the service writes its own way."""

    what: str
    kind: Kind
    inputs: Bag
    service: Callable[[Body], object]
    """Changes a body in place as the service does."""
    played: Callable[[Body], object] | None
    """Whether the lab's answer shows it; None where the lab has another play."""


def properties(**values: Any) -> Callable[[Body], object]:
    return lambda body: body["properties"].update(copy.deepcopy(values))


def ids_in_another_case(body: Body) -> None:
    for name in ("compute", "environmentId"):
        body["properties"][name] = body["properties"][name].replace("resourceGroups", "resourcegroups").upper()
    body["properties"]["codeConfiguration"]["codeId"] = body["properties"]["codeConfiguration"]["codeId"].lower()


def without_what_is_null(body: Body) -> None:
    body["properties"] = {name: value for name, value in body["properties"].items() if value is not None}


INJECTED = {"BatchEndpointCreationApiVersion": "2023-10-01", "azureml.onlineendpointid": "x"}
CASES = (
    Case(
        "authMode in the service's letter case",
        BatchEndpointKind(),
        ENDPOINTS,
        properties(authMode="AADToken"),
        lambda live: live["properties"]["authMode"] == "AADToken",
    ),
    Case(
        "defaults with a null, though never set",
        BatchEndpointKind(),
        ENDPOINTS,
        properties(defaults={"deploymentName": None}),
        lambda live: live["properties"]["defaults"] == {"deploymentName": None},
    ),
    Case(
        "properties that the service injects",
        BatchEndpointKind(),
        {**ENDPOINTS, "properties": {"ours": "1"}},
        lambda body: body["properties"]["properties"].update(INJECTED),
        lambda live: INJECTED.keys() < live["properties"]["properties"].keys(),
    ),
    Case(
        "an operation's url among the properties, as until January 2023",
        BatchEndpointKind(),
        {**ENDPOINTS, "api_version": "2022-05-01"},
        properties(properties={"AzureAsyncOperationUri": "https://management.azure.com/x"}),
        None,  # in the answer to the PUT alone
    ),
    Case(
        "urls that nobody sent",
        BatchEndpointKind(),
        ENDPOINTS,
        properties(scoringUri="https://x", swaggerUri=None, provisioningState="Succeeded", keys=None),
        lambda live: (
            live["properties"]["scoringUri"].startswith("https://") and live["properties"]["swaggerUri"] is None
        ),
    ),
    Case(
        "a region as the service spells it",
        BatchEndpointKind(),
        ENDPOINTS,
        lambda body: body.update(location="eastus"),
        lambda live: live["location"] == "eastus",
    ),
    Case(
        "tags of others, an identity's ids, a kind and a sku",
        BatchEndpointKind(),
        {**ENDPOINTS, "identity": {"type": "SystemAssigned"}},
        lambda body: (
            body["tags"].update({"from": "policy"}),
            body.update(identity={"type": "SystemAssigned", "principalId": "p", "tenantId": "t"}, kind=None, sku=None),
        ),
        lambda live: live["identity"].keys() > {"type"},
    ),
    Case(
        "logging level in the service's letter case",
        BatchDeploymentKind(),
        {**DEPLOYMENTS, "logging_level": "warning"},
        properties(loggingLevel="Warning"),
        lambda live: live["properties"]["loggingLevel"] == "Warning",
    ),
    Case(
        "resources with nulls",
        BatchDeploymentKind(),
        {**DEPLOYMENTS, "resources": {"instance_count": 2}},
        properties(resources={"instanceCount": 2, "instanceType": None, "properties": None}),
        lambda live: live["properties"]["resources"] == {"instanceCount": 2, "instanceType": None, "properties": None},
    ),
    Case(
        "empty resource properties that become null",
        BatchDeploymentKind(),
        {**DEPLOYMENTS, "resources": {"instance_count": 1, "properties": {}}},
        properties(resources={"instanceCount": 1, "instanceType": None, "properties": None}),
        lambda live: live["properties"]["resources"]["properties"] is None,
    ),
    Case(
        "defaults filled in",
        BatchDeploymentKind(),
        DEPLOYMENTS,
        properties(retrySettings={"maxRetries": 3, "timeout": "PT30S"}, partitionKeys=None, description=None),
        lambda live: live["properties"]["retrySettings"] == {"maxRetries": 3, "timeout": "PT30S"},
    ),
    Case(
        "durations in the service's form",
        BatchDeploymentKind(),
        {**DEPLOYMENTS, "retry_settings": {"timeout": "90s"}},
        lambda body: body["properties"]["retrySettings"].update(timeout="PT1M30S"),
        lambda live: live["properties"]["retrySettings"]["timeout"] == "PT1M30S",
    ),
    Case(
        "numbers that come back as floats",
        BatchDeploymentKind(),
        {**DEPLOYMENTS, "mini_batch_size": 25, "max_concurrency_per_instance": 2},
        properties(miniBatchSize=25.0, maxConcurrencyPerInstance=2.0),
        lambda live: live["properties"]["miniBatchSize"] == 25,
    ),
    Case(
        "ids in another letter case", BatchDeploymentKind(), DEPLOYMENTS, ids_in_another_case, None
    ),  # the lab keeps what it was sent, as recorded for deployments
    Case(
        "nothing for what is null",
        BatchDeploymentKind(),
        {**DEPLOYMENTS, "environment_variables": {"A": "1"}},
        without_what_is_null,
        None,  # the lab writes nulls, as recorded
    ),
    Case(
        "the port of a url written out, no longer anonymous, a hash's version as text",
        CodeVersionKind(),
        ASSETS,
        lambda body: body["properties"].update(
            codeUri=re.sub(r"^(https://[^/]+)", r"\1:443", body["properties"]["codeUri"]),
            isAnonymous=False,
            isArchived=False,
            properties={"hash_version": "202208"},
        ),
        lambda live: ".net:443/" in live["properties"]["codeUri"],
    ),
    Case(
        "resourceGroups in the service's spelling, and flavors",
        ModelVersionKind(),
        ASSETS,
        lambda body: body["properties"].update(
            modelUri=body["properties"]["modelUri"].replace("/resourcegroups/", "/resourceGroups/"),
            flavors={},
            stage=None,
            jobName=None,
        ),
        lambda live: "/resourceGroups/" in live["properties"]["modelUri"] and live["properties"]["flavors"] == {},
    ),
    Case(
        "what the service adds to data",
        DataVersionKind(),
        {**ASSETS, "description": "d", "tags": {"a": "1"}},
        properties(isArchived=False, isAnonymous=False, provisioningState="Succeeded", properties={}),
        lambda live: live["properties"]["isArchived"] is False,
    ),
    Case(
        "the default deployment in another letter case",
        DefaultDeploymentKind(),
        {**SHARED, "endpoint_id": ENDPOINT, "deployment_name": "dep-1"},
        properties(defaults={"deploymentName": "DEP-1"}),
        None,  # the lab keeps what it was sent
    ),
)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{type(case.kind).__name__} {case.what}")


def checked(case: Case) -> Bag:
    bag, failures = schema.check(case.kind.args, case.inputs)
    assert failures == []
    return bag


def stays(kind: Kind, inputs: Bag, asked: Callable[[], list[str]]) -> None:
    """Created; then a preview, a refresh, a preview after that and another creation (state was lost) change nothing."""
    made = kind.create(inputs)
    outs = dict(made.outs or {})
    assert kind.diff(made.id, outs, inputs).changes is False, "preview"
    read = kind.read(made.id, outs)
    found = dict(read.outs or {})
    assert kind.diff(made.id, found, inputs).changes is False, "preview after a refresh"
    assert kind.diff(made.id, outs, dict(read.inputs or {})).changes is False, "refresh"
    assert "unfinished" not in found
    before = asked()
    kind.create(inputs)
    if not isinstance(kind, CodeVersionKind | ModelVersionKind | DataVersionKind):  # theirs is one harmless PUT
        assert asked() == before, "written again"


@each_case
def test_what_the_service_writes_its_own_way_is_no_change(far_side: FarSide, case: Case) -> None:
    def normalised(body: Body) -> Body:
        case.service(body)
        return body

    far_side.has(ENDPOINT, {"location": "eastus", "tags": {TAG: MARKER}, "properties": {}})
    store = {"datastoreType": "AzureBlob", "accountName": "s", "containerName": "c", "endpoint": "core.windows.net"}
    far_side.has(f"{WORKSPACE}/datastores/workspaceblobstore", {"properties": {**store, "protocol": "https"}})
    far_side.normalise = normalised

    stays(case.kind, checked(case), lambda: [method for method, _, _ in far_side.requests if method == "PUT"])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessLab]:
    emulator = InProcessLab(tmp_path_factory.mktemp("lab"), {"operation_seconds": 0.0})
    emulator.with_parts()
    emulator.arm("PUT", "batchEndpoints/ept-1", {**endpoint_body(), "tags": {TAG: MARKER}})
    emulator.put_deployment()
    emulator.advance()
    yield emulator
    emulator.close()


@each_case
def test_the_lab_writes_it_so_too_and_it_is_no_change_there(lab: InProcessLab, case: Case) -> None:
    inputs = checked(case)
    with kinds_in(lab) as asked:
        stays(case.kind, inputs, lambda: [method for method, _ in asked if method == "PUT"])
        made = case.kind.create(inputs)
        live: Mapping[str, Any] = lab.arm("GET", made.id.removesuffix("/defaults")).json()
        case.kind.delete(made.id, dict(made.outs or {}))

    assert case.played is None or case.played(dict(live)), live
