"""ARM ids are read, written and compared."""

from __future__ import annotations

import pytest

from providers.arm import ArmId, same_id, workspace_id
from providers.arm.ids import folded
from tests.arm.far_side import ENDPOINT, WORKSPACE


def test_an_id_survives_being_read_and_written() -> None:
    assert str(ArmId.parse(ENDPOINT)) == ENDPOINT


def test_an_id_knows_its_parts() -> None:
    endpoint = ArmId.parse(ENDPOINT)
    assert (endpoint.name, endpoint.group, endpoint.part("workspaces")) == ("digits", "rg", "ws")
    assert endpoint.type == "Microsoft.MachineLearningServices/workspaces/batchEndpoints"
    assert str(endpoint.parent) == WORKSPACE


def test_a_workspace_lies_directly_in_its_group() -> None:
    assert ArmId.parse(WORKSPACE).parent is None


def test_children_are_named_below_their_parent() -> None:
    workspace = workspace_id("11111111-0000-0000-0000-000000000000", "rg", "ws")
    assert str(workspace.child("batchEndpoints", "digits")) == ENDPOINT


@pytest.mark.parametrize("name", ["", "a/b", "a b", "..", "a?b", "a#b", "a%2fb", "a\\b", "a\nb"])
def test_a_name_that_would_leave_its_place_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be part of an ARM id"):
        ArmId.parse(WORKSPACE).child("batchEndpoints", name)


@pytest.mark.parametrize("group", ["a/b", "", "a b"])
def test_a_group_that_would_leave_its_place_is_refused(group: str) -> None:
    with pytest.raises(ValueError, match="resource group cannot be part"):
        workspace_id("1", group, "ws")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "digits",
        "/subscriptions/1",
        "/subscriptions/1/resourceGroups/rg",
        ENDPOINT + "/",
        ENDPOINT + "/deployments",
        ENDPOINT.removeprefix("/"),
        ENDPOINT.replace("/rg/", "//"),
        ENDPOINT + "?x=1",
        "https://management.azure.com" + ENDPOINT,
        ENDPOINT.replace("/ws/", "/../"),
    ],
)
def test_what_is_no_full_id_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="not a full ARM id") as caught:
        ArmId.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ENDPOINT, ENDPOINT.replace("resourceGroups", "resourcegroups"), True),
        (ENDPOINT, ENDPOINT.upper(), True),
        (ENDPOINT, ENDPOINT + "/", True),
        (ENDPOINT, ENDPOINT + "2", False),
        (ENDPOINT, WORKSPACE, False),
    ],
)
def test_ids_are_compared_without_case(one: str, other: str, same: bool) -> None:
    assert same_id(one, other) is same
    assert same_id(ArmId.parse(one), other) is same


@pytest.mark.parametrize(
    ("spelled", "one"),
    [
        (
            "/SUBSCRIPTIONS/S/resourcegroups/G/providers/microsoft.machinelearningservices/Workspaces/W/models/M/",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/models/M",
        ),
        ("azureml://registries/R/models/M/versions/1", "azureml://registries/R/models/M/versions/1"),
    ],
)
def test_an_id_has_one_spelling_for_hashes_which_is_arms_own(spelled: str, one: str) -> None:
    assert folded(spelled) == one
    assert folded(one) == one
