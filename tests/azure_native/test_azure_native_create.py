"""Create, update and check: what is refused, what is sent, what the state keeps."""

from typing import Any

import grpc
import httpx
import pytest
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2
from pulumi.runtime.rpc import UNKNOWN

from lab import identity
from lab.azure_native.values import SECRET, SIGNATURE
from tests.azure_native.plugin_bench import GROUP, JSON, WORKSPACE, Plugin, plain, struct, urn

COMPUTE = "machinelearningservices:Compute"
ENVIRONMENT = "machinelearningservices:EnvironmentVersion"
CPU = f"{WORKSPACE}/computes/cpu"


def secret(value: Any) -> JSON:
    return {SIGNATURE: SECRET, "value": value}


def partial_state(plugin: Plugin, inputs: JSON) -> tuple[str, provider_pb2.ErrorResourceInitFailed]:
    """The message and the detail of a create that fails after its PUT was accepted."""
    with pytest.raises(grpc.RpcError) as raised:
        plugin.create(COMPUTE, inputs)
    trailers = {one.key: one.value for one in raised.value.trailing_metadata()}
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    return str(raised.value.details()), detail


def test_create_looks_puts_waits_and_reads_back(plugin: Plugin, compute: JSON) -> None:
    arm_id, state = plugin.create(COMPUTE, compute)

    assert plugin.arm.sent() == ["GET cpu", "PUT cpu", "GET 1", "GET 1", "GET cpu"]
    assert plugin.clock.waits[-1] == 7, "Retry-After is obeyed"
    assert arm_id == CPU
    assert state["properties"]["properties"]["vmSize"] == "STANDARD_DS2_V2", "outputs are the response"
    assert state["azureApiVersion"] == "2025-12-01"
    assert not {"id", "tags", "computeName"} & set(state)


def test_the_body_of_put_holds_only_what_the_wire_knows(plugin: Plugin, compute: JSON) -> None:
    plugin.create(COMPUTE, compute)

    assert plugin.arm.body() == {"location": "eastus", "properties": compute["properties"]}
    assert plugin.arm.requests[1].url.params["api-version"] == "2025-12-01"
    assert plugin.arm.requests[1].headers["authorization"] == "Bearer token for https://management.azure.com/.default"


def test_create_refuses_what_exists_and_changes_nothing(plugin: Plugin, compute: JSON) -> None:
    plugin.arm.resources[CPU] = {"id": CPU, "name": "cpu"}

    said = plugin.refusal(lambda: plugin.create(COMPUTE, compute))

    assert said == f"cannot create already existing resource '{CPU}'"
    assert plugin.arm.sent() == ["GET cpu"]


def test_a_refused_put_gives_code_and_message_in_one_line(plugin: Plugin, compute: JSON) -> None:
    error = {"error": {"code": "UserError", "message": "vmSize is not offered here"}}
    plugin.arm.scripted = [httpx.Response(404), httpx.Response(400, json=error)]

    said = plugin.refusal(lambda: plugin.create(COMPUTE, compute))

    assert said == 'Status=400 Code="UserError" Message="vmSize is not offered here"'


def test_a_failed_operation_keeps_the_resource_with_its_reason(plugin: Plugin, compute: JSON) -> None:
    plugin.arm.outcome = {"status": "Failed", "error": {"code": "Quota", "message": "no cores left"}}

    said, detail = partial_state(plugin, compute)

    assert said == 'Status=200 Code="Quota" Message="no cores left"'
    assert detail.id == CPU
    assert list(detail.reasons) == [said]
    assert plain(detail.inputs) == compute
    assert plain(detail.properties)["name"] == "cpu"


def test_a_failed_operation_whose_resource_cannot_be_read_says_both(plugin: Plugin, compute: JSON) -> None:
    operation = {"Azure-AsyncOperation": "https://management.azure.com/operations/1"}
    plugin.arm.scripted = [
        httpx.Response(404),
        httpx.Response(201, json={}, headers=operation),
        httpx.Response(200, json={"status": "Failed", "error": {"code": "Quota", "message": "no cores left"}}),
        httpx.Response(403, json={"error": {"code": "Forbidden", "message": "not you"}}),
    ]

    said, detail = partial_state(plugin, compute)

    assert "resource created but read failed" in said
    assert "Forbidden" in said and "Quota" in said
    assert detail.id == CPU


def test_cancel_ends_the_wait_and_keeps_what_was_accepted(plugin: Plugin, compute: JSON) -> None:
    plugin.clock.cancelled = True

    said, detail = partial_state(plugin, compute)

    assert said == "cancelled while the operation was running"
    assert detail.id == CPU


@pytest.mark.parametrize("fault", [httpx.Response(429), httpx.Response(503), httpx.ConnectError("refused")])
def test_a_passing_fault_is_tried_again(plugin: Plugin, environment: JSON, fault: httpx.Response | Exception) -> None:
    plugin.arm.scripted = [fault]

    plugin.create(ENVIRONMENT, environment)

    assert plugin.clock.waits == [1.0]
    assert plugin.arm.sent() == ["GET a1", "GET a1", "PUT a1", "GET a1"]


def test_a_lab_that_does_not_answer_is_named(plugin: Plugin, environment: JSON) -> None:
    plugin.arm.scripted = [httpx.ConnectError("refused")] * 4

    said = plugin.refusal(lambda: plugin.create(ENVIRONMENT, environment))

    assert said.endswith("refused; is the lab running (python -m lab status)?")


def test_a_token_never_leaves_for_another_host(plugin: Plugin, compute: JSON) -> None:
    elsewhere = {"Azure-AsyncOperation": "https://example.org/operations/1"}
    plugin.arm.scripted = [httpx.Response(404), httpx.Response(201, json={}, headers=elsewhere)]

    said, _ = partial_state(plugin, compute)

    assert "refusing to send a token to https://example.org" in said
    assert {request.url.host for request in plugin.arm.requests} == {"management.azure.com"}


def test_an_environment_is_put_without_waiting(plugin: Plugin, environment: JSON) -> None:
    arm_id, state = plugin.create(ENVIRONMENT, environment)

    assert arm_id == f"{WORKSPACE}/environments/digits/versions/a1"
    assert plugin.arm.body() == {"properties": environment["properties"]}
    assert state["name"] == "a1", "the service's name of a version"
    assert plugin.clock.waits == []


def test_preview_contacts_nobody_and_knows_only_what_was_given(plugin: Plugin, compute: JSON) -> None:
    compute["properties"]["properties"]["vmSize"] = UNKNOWN

    arm_id, state = plugin.create(COMPUTE, {**compute, "workspaceName": UNKNOWN}, preview=True)

    assert arm_id == ""
    assert plugin.arm.requests == []
    assert state["properties"] == compute["properties"]
    assert state["location"] == "eastus"
    assert "systemData" not in state


def test_secrets_go_out_plain_and_come_back_as_secrets(plugin: Plugin) -> None:
    credentials = {"credentialsType": "AccountKey", "secrets": secret({"key": "hidden"})}
    inputs: JSON = {"resourceGroupName": "lab", "workspaceName": "lab", "name": "blobs", "skipValidation": True}
    inputs |= {"properties": {"datastoreType": "AzureBlob", "credentials": credentials}}

    checked, _ = plugin.check("machinelearningservices:Datastore", inputs)
    _, state = plugin.create("machinelearningservices:Datastore", checked)

    assert checked["properties"]["credentials"]["secrets"] == secret({"key": "hidden"})
    assert plugin.arm.body()["properties"]["credentials"]["secrets"] == {"key": "hidden"}
    assert state["properties"]["credentials"]["secrets"] == secret({"key": "hidden"})
    assert plugin.arm.requests[1].url.params["skipValidation"] == "true"


def test_update_puts_the_whole_and_waits(plugin: Plugin, compute: JSON) -> None:
    arm_id, state = plugin.create(COMPUTE, compute)
    compute["properties"]["properties"]["scaleSettings"]["maxNodeCount"] = 5
    request = provider_pb2.UpdateRequest(urn=urn(COMPUTE), id=arm_id, olds=struct(state), news=struct(compute))

    updated = plain(plugin.stub.Update(request).properties)

    assert updated["properties"]["properties"]["scaleSettings"]["maxNodeCount"] == 5
    assert plugin.arm.sent()[-3:] == ["PUT cpu", "GET 1", "GET cpu"]


def test_flattened_types_are_nested_on_the_wire_and_flat_in_the_state(plugin: Plugin) -> None:
    inputs: JSON = {"resourceGroupName": "lab", "accountName": "store", "kind": "StorageV2", "location": "eastus"}
    inputs |= {"sku": {"name": "Standard_LRS"}, "enableHttpsTrafficOnly": True}

    arm_id, state = plugin.create("storage:StorageAccount", inputs)

    assert arm_id == f"{GROUP}/providers/Microsoft.Storage/storageAccounts/store"
    assert plugin.arm.body()["properties"] == {"supportsHttpsTrafficOnly": True}
    assert (state["enableHttpsTrafficOnly"], state["sku"]) == (True, {"name": "Standard_LRS"})


def test_the_version_in_a_token_is_the_version_on_the_wire(plugin: Plugin, environment: JSON) -> None:
    plugin.create("machinelearningservices/v20260115preview:EnvironmentVersion", environment)

    assert {request.url.params["api-version"] for request in plugin.arm.requests} == {"2026-01-15-preview"}


def test_another_subscription_is_refused_in_one_sentence(plugin: Plugin) -> None:
    scope = "/subscriptions/11111111-2222-3333-4444-555555555555"
    given = {"scope": scope, "principalId": "p", "roleDefinitionId": "r", "roleAssignmentName": "n"}

    said = plugin.refusal(lambda: plugin.create("authorization:RoleAssignment", given))

    assert said.startswith(f"the lab's azure-native stand-in serves the lab's subscription {identity.SUBSCRIPTION_ID}")
    assert f"not '{scope}/" in said
    assert plugin.arm.requests == []


def test_check_adds_the_version_and_names_what_is_missing(plugin: Plugin, compute: JSON) -> None:
    del compute["computeName"], compute["azureApiVersion"]

    checked, failures = plugin.check(COMPUTE, compute)

    assert checked == {**compute, "azureApiVersion": "2025-12-01"}
    assert failures == ["missing required property 'computeName'"]


def test_a_role_assignment_lies_below_its_scope(plugin: Plugin) -> None:
    given = {"scope": WORKSPACE, "principalId": "p", "roleDefinitionId": "r", "roleAssignmentName": "n"}

    arm_id, _ = plugin.create("authorization:RoleAssignment", given)

    assert arm_id == f"{WORKSPACE}/providers/Microsoft.Authorization/roleAssignments/n"
    assert plugin.arm.body() == {"properties": {"principalId": "p", "roleDefinitionId": "r"}}
