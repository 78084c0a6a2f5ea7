"""Read, delete, invoke, configuration, and the RPCs that are not served."""

import copy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from lab import identity
from tests.azure_native.plugin_bench import GROUP, JSON, OPERATION, WORKSPACE, Plugin, plain, struct, urn

COMPUTE = "machinelearningservices:Compute"
ENVIRONMENT = "machinelearningservices:EnvironmentVersion"
CPU = f"{WORKSPACE}/computes/cpu"


def drifted(plugin: Plugin, inputs: JSON, change: Callable[[JSON], Any]) -> JSON:
    """The inputs that a refresh reports after `change` was made to the live compute."""
    arm_id, state = plugin.create(COMPUTE, inputs)
    change(plugin.arm.resources[CPU])
    _, live, _ = plugin.read(COMPUTE, arm_id, inputs, state)
    return live


@pytest.mark.parametrize("kind", [COMPUTE, ENVIRONMENT])
def test_a_refresh_after_create_changes_nothing(plugin: Plugin, kind: str, request: pytest.FixtureRequest) -> None:
    inputs = request.getfixturevalue("compute" if kind == COMPUTE else "environment")
    arm_id, state = plugin.create(kind, inputs)

    found, live, outputs = plugin.read(kind, arm_id, inputs, state)

    assert (found, live, outputs) == (arm_id, inputs, state)


def test_a_refresh_reports_what_the_program_owns(plugin: Plugin, compute: JSON) -> None:
    expected = copy.deepcopy(compute)
    expected["properties"]["properties"]["scaleSettings"]["maxNodeCount"] = 9

    def change(live: JSON) -> None:
        live["properties"]["properties"]["scaleSettings"]["maxNodeCount"] = 9
        live["properties"]["properties"]["currentNodeCount"] = 3
        live["properties"]["modifiedOn"] = "later"

    assert drifted(plugin, compute, change) == expected


def test_a_refresh_reports_tags_changed_and_removed(plugin: Plugin, compute: JSON) -> None:
    compute["tags"] = {"team": "a", "cost": "1"}

    live = drifted(plugin, compute, lambda live: live.update(tags={"team": "b"}))

    assert live["tags"] == {"team": "b"}


def test_a_refresh_reports_an_owned_property_that_went(plugin: Plugin, compute: JSON) -> None:
    live = drifted(plugin, compute, lambda live: live["properties"]["properties"].pop("scaleSettings"))

    assert "scaleSettings" not in live["properties"]["properties"]


def test_read_says_gone_by_an_empty_id(plugin: Plugin, compute: JSON) -> None:
    assert plugin.read(COMPUTE, CPU, compute, {"name": "cpu"}) == ("", {}, {})


def test_read_without_inputs_imports(plugin: Plugin, compute: JSON) -> None:
    arm_id, _ = plugin.create(COMPUTE, compute)

    _, inputs, _ = plugin.read(COMPUTE, arm_id, {}, {})

    names = ("resourceGroupName", "workspaceName", "computeName", "location", "tags")
    assert {name: inputs.get(name) for name in names} == {name: compute.get(name) for name in names}
    assert "id" not in inputs


def test_an_id_of_another_type_is_not_imported(plugin: Plugin, compute: JSON) -> None:
    arm_id, _ = plugin.create(COMPUTE, compute)

    assert "is not an id of this type" in plugin.refusal(
        lambda: plugin.read("machinelearningservices:EnvironmentVersion", arm_id, {}, {})
    )


def test_delete_waits_until_the_compute_is_gone(plugin: Plugin, compute: JSON) -> None:
    arm_id, _ = plugin.create(COMPUTE, compute)
    plugin.arm.polls, plugin.arm.requests = 2, []

    plugin.delete(COMPUTE, arm_id)

    assert plugin.arm.sent() == ["DELETE cpu", "GET 1", "GET 1", "GET 1"]
    assert plugin.arm.requests[0].url.params["underlyingResourceAction"] == "Delete"
    assert plugin.arm.resources == {}


def test_delete_follows_location_where_that_is_all_there_is(plugin: Plugin) -> None:
    location = {"Location": OPERATION}
    plugin.arm.scripted = [httpx.Response(202, headers=location), httpx.Response(202), httpx.Response(204)]

    plugin.delete(COMPUTE, CPU)

    assert plugin.arm.sent() == ["DELETE cpu", "GET 1", "GET 1"]


@pytest.mark.parametrize("status", [204, 404])
def test_deleting_what_is_not_there_is_done(plugin: Plugin, status: int) -> None:
    plugin.arm.scripted = [httpx.Response(status)]

    plugin.delete(COMPUTE, CPU)

    assert plugin.arm.sent() == ["DELETE cpu"]


def test_a_delete_that_fails_says_why(plugin: Plugin, compute: JSON) -> None:
    arm_id, _ = plugin.create(COMPUTE, compute)
    plugin.arm.outcome = {"status": "Failed", "error": {"code": "InUse", "message": "a job runs on it"}}

    said = plugin.refusal(lambda: plugin.delete(COMPUTE, arm_id))

    assert said == 'Status=200 Code="InUse" Message="a job runs on it"'
    assert CPU in plugin.arm.resources


def test_a_custom_timeout_ends_the_wait(plugin: Plugin, compute: JSON) -> None:
    arm_id, _ = plugin.create(COMPUTE, compute)
    plugin.arm.polls = 1000
    request = provider_pb2.DeleteRequest(urn=urn(COMPUTE), id=arm_id, timeout=0.01)

    assert plugin.refusal(lambda: plugin.stub.Delete(request)) == "operation timed out"


def test_an_environment_is_deleted_at_once(plugin: Plugin, environment: JSON) -> None:
    arm_id, _ = plugin.create(ENVIRONMENT, environment)

    plugin.delete(ENVIRONMENT, arm_id)

    assert plugin.arm.resources == {}
    assert plugin.clock.waits == []


def test_an_unknown_type_is_refused_by_name(plugin: Plugin) -> None:
    said = plugin.refusal(lambda: plugin.check("sql:Server", {}))

    assert said.startswith("the lab's azure-native stand-in does not serve azure-native:sql:Server; it serves")


def test_another_subscription_in_the_configuration_is_refused(unconfigured: Plugin) -> None:
    said = unconfigured.refusal(lambda: unconfigured.configure(subscriptionId="11111111-0000-0000-0000-000000000000"))

    assert said.startswith("the lab's azure-native stand-in serves the lab's subscription")
    assert "not '/subscriptions/11111111-0000-0000-0000-000000000000'" in said


@pytest.mark.parametrize("call", ["read", "delete"])
def test_another_subscription_in_an_id_is_refused(plugin: Plugin, compute: JSON, call: str) -> None:
    arm_id = CPU.replace(identity.SUBSCRIPTION_ID, "11111111-0000-0000-0000-000000000000")

    said = plugin.refusal(
        lambda: plugin.read(COMPUTE, arm_id, compute, {}) if call == "read" else plugin.delete(COMPUTE, arm_id)
    )

    assert "serves the lab's subscription" in said
    assert plugin.arm.requests == []


def test_the_plugin_introduces_itself(unconfigured: Plugin) -> None:
    handshake = unconfigured.stub.Handshake(provider_pb2.ProviderHandshakeRequest())
    information = unconfigured.stub.GetPluginInfo(empty_pb2.Empty())
    config = unconfigured.stub.CheckConfig(provider_pb2.CheckRequest(news=struct({"location": "eastus"})))
    unconfigured.stub.Cancel(empty_pb2.Empty())

    assert handshake.accept_secrets and information.version == "3.29.0"
    assert plain(config.inputs) == {"location": "eastus"}


def test_the_resource_group_of_the_id_may_be_spelled_otherwise(plugin: Plugin) -> None:
    plugin.arm.resources[GROUP.upper()] = {"id": GROUP, "name": "lab", "location": "eastus"}

    found, _, _ = plugin.read("resources:ResourceGroup", GROUP.upper(), {"resourceGroupName": "lab"}, {"name": "lab"})

    assert found == GROUP.upper()


def test_the_process_prints_its_port_first_and_serves() -> None:
    command = [sys.executable, "-m", "lab.azure_native", "127.0.0.1:1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            information = stub.GetPluginInfo(empty_pb2.Empty(), wait_for_ready=True, timeout=120)
        assert information.version == "3.29.0"
    finally:
        process.kill()
        process.communicate()


def test_a_function_is_refused_by_name(plugin: Plugin) -> None:
    request = provider_pb2.InvokeRequest(tok="azure-native:storage:listStorageAccountKeys")

    said = plugin.refusal(lambda: plugin.stub.Invoke(request))

    assert said.endswith("serves no functions, so not azure-native:storage:listStorageAccountKeys")


def test_the_process_ends_with_its_parent() -> None:
    plugin = "subprocess.Popen([sys.executable, '-m', 'lab.azure_native'], stdout=subprocess.PIPE).stdout.readline()"

    ended = subprocess.run(
        [sys.executable, "-c", f"import subprocess, sys; {plugin}"], stderr=subprocess.PIPE, timeout=120, check=True
    )

    assert ended.returncode == 0, "it returned: both have closed the pipe that they share"
