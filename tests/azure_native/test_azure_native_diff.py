"""Diff: inputs against inputs, what replaces, and what is deleted first."""

import copy
from collections.abc import Callable

import pytest
from pulumi.runtime.proto import provider_pb2
from pulumi.runtime.rpc import UNKNOWN

from lab.azure_native.values import SECRET, SIGNATURE
from tests.azure_native.plugin_bench import JSON, Plugin

COMPUTE = "machinelearningservices:Compute"
ENVIRONMENT = "machinelearningservices:EnvironmentVersion"
DIFF = provider_pb2.PropertyDiff


def kinds(response: provider_pb2.DiffResponse) -> dict[str, str]:
    return {path: DIFF.Kind.Name(change.kind) for path, change in response.detailedDiff.items()}


def test_equal_inputs_are_the_same_whatever_the_service_made_of_them(plugin: Plugin, compute: JSON) -> None:
    _, state = plugin.create(COMPUTE, compute)

    response = plugin.diff(COMPUTE, compute, compute, state)

    assert response.changes == provider_pb2.DiffResponse.DIFF_NONE
    assert not response.deleteBeforeReplace


def change_size(inputs: JSON) -> None:
    inputs["properties"]["properties"]["vmSize"] = "Standard_F2s_v2"


def change_tags(inputs: JSON) -> None:
    inputs["tags"] = {"team": "a"}


def change_location(inputs: JSON) -> None:
    inputs["location"] = "westeurope"


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (change_size, {"properties.properties.vmSize": "UPDATE"}),
        (change_tags, {"tags": "ADD"}),
        (change_location, {"location": "UPDATE"}),
        (lambda inputs: inputs.pop("properties"), {"properties": "DELETE"}),
    ],
    ids=["size", "tags", "location", "removed"],
)
def test_a_compute_is_updated_in_place(
    plugin: Plugin, compute: JSON, change: Callable[[JSON], None], detail: dict[str, str]
) -> None:
    old = copy.deepcopy(compute)
    change(compute)

    response = plugin.diff(COMPUTE, old, compute)

    assert kinds(response) == detail
    assert all(one.inputDiff for one in response.detailedDiff.values())
    assert list(response.diffs) == [next(iter(detail)).split(".")[0]]
    assert (list(response.replaces), response.deleteBeforeReplace) == ([], False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("computeName", "gpu"), ("workspaceName", "other"), ("resourceGroupName", "other"), ("computeName", UNKNOWN)],
)
def test_a_path_parameter_replaces_and_deletes_first(plugin: Plugin, compute: JSON, name: str, value: str) -> None:
    response = plugin.diff(COMPUTE, compute, {**compute, name: value})

    assert kinds(response) == {name: "UPDATE_REPLACE"}
    assert (list(response.replaces), response.deleteBeforeReplace) == ([name], True)


def test_a_create_only_property_replaces(plugin: Plugin, environment: JSON) -> None:
    new = {**environment, "properties": {**environment["properties"], "condaFile": "name: y\n", "osType": "Linux"}}

    response = plugin.diff(ENVIRONMENT, environment, new)

    assert kinds(response) == {"properties.condaFile": "UPDATE_REPLACE", "properties.osType": "ADD_REPLACE"}
    assert sorted(response.replaces) == ["properties.condaFile", "properties.osType"]
    assert response.deleteBeforeReplace


def test_a_value_below_a_create_only_property_replaces(plugin: Plugin, environment: JSON) -> None:
    environment["properties"]["build"] = {"contextUri": "https://a"}
    new = {**environment, "properties": {**environment["properties"], "build": {"contextUri": "https://b"}}}

    response = plugin.diff(ENVIRONMENT, environment, new)

    assert kinds(response) == {"properties.build.contextUri": "UPDATE_REPLACE"}


def test_other_properties_of_an_environment_are_updated(plugin: Plugin, environment: JSON) -> None:
    new = {**environment, "properties": {**environment["properties"], "description": "d", "tags": {"a": "b"}}}

    response = plugin.diff(ENVIRONMENT, environment, new)

    assert kinds(response) == {"properties.description": "ADD", "properties.tags": "ADD"}
    assert not response.deleteBeforeReplace


@pytest.mark.parametrize(("name", "value"), [("location", "East US"), ("resourceGroupName", "LAB")])
def test_spelling_that_azure_ignores_is_no_change(plugin: Plugin, compute: JSON, name: str, value: str) -> None:
    assert plugin.diff(COMPUTE, compute, {**compute, name: value}).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_lists_are_compared_by_position(plugin: Plugin) -> None:
    old = {"resourceGroupName": "lab", "vaultName": "v", "properties": {"accessPolicies": [{"objectId": "a"}]}}
    new = {**old, "properties": {"accessPolicies": [{"objectId": "b"}, {"objectId": "c"}]}}

    response = plugin.diff("keyvault:Vault", old, new)

    assert kinds(response) == {
        "properties.accessPolicies[0].objectId": "UPDATE",
        "properties.accessPolicies[1]": "ADD",
    }


def test_a_secret_is_compared_by_its_value(plugin: Plugin, environment: JSON) -> None:
    properties = {SIGNATURE: SECRET, "value": environment["properties"]}

    response = plugin.diff(ENVIRONMENT, {**environment, "properties": properties}, environment)

    assert response.changes == provider_pb2.DiffResponse.DIFF_NONE
