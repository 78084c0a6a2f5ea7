"""A write that was accepted and did not end well: the resource is recorded, and the next `up` writes again."""

from typing import Any

import httpx
import pytest

from providers import schema
from providers.arm.errors import ArmError
from providers.batch_deployment import BatchDeploymentKind
from providers.batch_endpoint import BatchEndpointKind
from providers.default_deployment import DefaultDeploymentKind
from providers.dynamic_host import InitFailed
from providers.kind import UNFINISHED, Kind
from providers.ownership import TAG
from tests.providers.far_side import OWNER, SHARED, WORKSPACE, FarSide

ENDPOINT = f"{WORKSPACE}/batchEndpoints/digits-1"
DEPLOYMENT = f"{ENDPOINT}/deployments/blue"
KINDS = [(BatchEndpointKind(), ENDPOINT), (BatchDeploymentKind(), DEPLOYMENT)]


def inputs(kind: Kind, **values: Any) -> dict[str, Any]:
    names = {
        "BatchEndpointKind": {"workspace_id": WORKSPACE, "endpoint_name": "digits-1"},
        "BatchDeploymentKind": {"endpoint_id": ENDPOINT, "deployment_name": "blue"},
    }[type(kind).__name__]
    bag, failures = schema.check(kind.args, {**SHARED, **names, "location": "eastus", "owner": OWNER, **values})
    assert failures == []
    return bag


def fails(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "properties": {**body["properties"], "provisioningState": "Failed"}}


@pytest.mark.parametrize(("kind", "id_"), KINDS)
def test_a_create_whose_operation_failed_is_recorded_with_its_id(far_side: FarSide, kind: Kind, id_: str) -> None:
    far_side.normalise = fails

    with pytest.raises(InitFailed, match="ended in Failed") as failed:
        kind.create(inputs(kind))

    assert failed.value.resource_id == id_
    assert failed.value.outs == {**inputs(kind), UNFINISHED: "operation-failed"}


@pytest.mark.parametrize(("kind", "id_"), KINDS)
def test_the_next_up_writes_what_is_unfinished_again(far_side: FarSide, kind: Kind, id_: str) -> None:
    news = inputs(kind)
    olds = {**news, UNFINISHED: "operation-failed"}

    planned = kind.diff(id_, olds, news)
    updated = kind.update(id_, olds, news)

    assert (planned.changes, planned.replaces) == (True, [])
    assert len(far_side.puts()) == 1
    assert UNFINISHED not in (updated.outs or {})


@pytest.mark.parametrize(("kind", "id_"), KINDS)
def test_a_refresh_finds_what_the_service_calls_failed(far_side: FarSide, kind: Kind, id_: str) -> None:
    kind.create(inputs(kind))
    far_side.resources[id_.lower()]["properties"]["provisioningState"] = "Failed"

    read = kind.read(id_, inputs(kind))

    assert kind.diff(id_, read.outs or {}, inputs(kind)).changes is True
    assert read.inputs == inputs(kind)


def test_a_request_that_was_never_taken_records_nothing(far_side: FarSide, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = BatchEndpointKind()
    monkeypatch.setattr(
        far_side, "normalise", lambda body: (_ for _ in ()).throw(httpx.ConnectError("connection refused"))
    )

    with pytest.raises(ArmError):
        kind.create(inputs(kind))


def test_a_value_that_did_not_take_leaves_the_resource_recorded(far_side: FarSide) -> None:
    far_side.normalise = lambda body: {**body, "properties": {**body["properties"], "miniBatchSize": 10}}

    with pytest.raises(InitFailed, match="did not take mini_batch_size") as failed:
        BatchDeploymentKind().create(inputs(BatchDeploymentKind(), mini_batch_size=25))

    assert failed.value.resource_id == DEPLOYMENT


def test_a_default_on_an_endpoint_that_failed_is_set_again(far_side: FarSide) -> None:
    failed = {"authMode": "AADToken", "defaults": {"deploymentName": "blue"}, "provisioningState": "Failed"}
    far_side.has(ENDPOINT, {"location": "eastus", "tags": {TAG: OWNER}, "properties": failed})
    bag, _ = schema.check(
        DefaultDeploymentKind.args, {**SHARED, "endpoint_id": ENDPOINT, "deployment_name": "blue", "owner": OWNER}
    )

    DefaultDeploymentKind().create(bag)

    assert len(far_side.puts()) == 1
