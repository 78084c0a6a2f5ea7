"""Several endpoints on several computes: what is asked for, of whom, and what of it depends on what."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from policy.resource import Resource, token
from policy.rules import violations
from tests.azure_native.conftest import plugin, unconfigured  # noqa: F401 - fixtures
from tests.azure_native.plugin_bench import WORKSPACE, Plugin
from tests.components.test_components_clouds import loop  # noqa: F401 - a fixture
from tests.emulator.conftest import MakeLab, lab, make_lab, token_key  # noqa: F401 - fixtures
from tests.emulator.in_process_lab import InProcessLab
from tests.policy.program import registered
from tests.stacks.test_stacks_normal_form import long, several, short

ROOT = Path(__file__).resolve().parents[2]
OWN = "pulumi-python:dynamic/azureml:"
SUBNET = f"{WORKSPACE.partition('/providers')[0]}/providers/Microsoft.Network/virtualNetworks/v/subnets/jobs"
IDENTITY = f"{WORKSPACE.partition('/providers')[0]}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/jobs"
REGISTRY = "azureml://registries/contoso"

pytestmark = pytest.mark.usefixtures("loop")


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def resources(given: dict[str, Any], stack: str = "lab") -> dict[str, Resource]:
    """`Kind name` -> the resource."""
    return {f"{_kind(each)} {each.name}": each for each in registered(stack, given, ROOT)}


def _kind(each: Resource) -> str:
    return token(each.type).rpartition(":")[2]


def waited_for(name: str, found: dict[str, Resource]) -> set[str]:
    """All that must be there before it, however far away."""
    by_urn = {each.urn: key for key, each in found.items()}
    seen: set[str] = set()
    left = [name]
    while left:
        needs = {by_urn[urn] for urn in found[left.pop()].dependencies if urn in by_urn}
        left += needs - seen
        seen |= needs
    return seen


def of(endpoint: str, names: Iterable[str]) -> list[str]:
    """Those that belong to an endpoint, by their names: `Kind nightly-...` or `Kind nightly_...`."""
    return sorted(name for name in names if name.split(" ")[1].startswith((f"{endpoint}-", f"{endpoint}_")))


def test_an_endpoint_of_the_projects_name_is_the_one_that_had_none() -> None:
    """Its file may be written the one way or the other: not a property differs, so that a preview is empty."""
    one, other = resources(short()), resources(long())

    assert one == other


def test_a_second_endpoint_changes_nothing_of_the_first() -> None:
    one, both = resources(short()), resources(several())

    assert {name: each for name, each in both.items() if name in one} == one
    added = both.keys() - one.keys()
    assert of("nightly", added) == sorted(added - {"Compute spare"})
    assert {name.split(" ")[0] for name in added} == {name.split(" ")[0] for name in one} - {"Owner"}


def test_each_endpoint_waits_for_its_own_parts_and_compute_and_for_nothing_of_the_others() -> None:
    found = resources(several())
    names = {
        each.at("endpoint_name").rpartition("-")[0]: name for name, each in found.items() if "BatchEndpoint" in name
    }

    for endpoint, other, compute in (("batch-scoring", "nightly", "cpu"), ("nightly", "batch-scoring", "spare")):
        default = names[endpoint].replace("BatchEndpoint", "DefaultDeployment") + "-default"
        waits = waited_for(default, found)

        assert of(other, waits) == []
        assert {name for name in waits if name.startswith("Compute")} == {f"Compute {compute}"}
        assert f"ScoringJob {names[endpoint].split(' ')[1]}-smoke" in waits


def test_a_change_of_one_endpoint_is_a_change_of_nothing_else() -> None:
    given = several()
    given["endpoints"]["nightly"]["deployments"]["digits"]["mini_batch_size"] = 5
    before, after = resources(several()), resources(given)

    assert {name.split(" ")[0] for name in before if before[name] != after.get(name)} == {
        "BatchDeployment",
        "ScoringJob",
    }
    changed = [name for name in before if before[name] != after.get(name)]
    assert of("nightly", changed) == sorted(changed)


def test_endpoints_of_the_same_content_have_assets_of_their_own() -> None:
    found = resources(several())

    for kind in ("CodeVersion", "ModelVersion", "EnvironmentVersion"):
        assert len([each for each in found if each.startswith(f"{kind} digits")]) == 1
        assert len([each for each in found if each.startswith(f"{kind} nightly_digits")]) == 1
    ids = [each.at("code_configuration.code_id") for each in found.values() if each.type == f"{OWN}BatchDeployment"]
    assert len(set(ids)) == 2


def test_deployments_run_on_the_compute_that_they_name() -> None:
    given = several()
    theirs = f"{WORKSPACE}/computes/theirs"
    given["computes"]["theirs"] = {"id": theirs}
    digits = given["endpoints"]["nightly"]["deployments"]["digits"]
    given["endpoints"]["nightly"]["deployments"] |= {
        "by-key": {**copy.deepcopy(digits), "compute": "theirs"},
        "by-id": {**copy.deepcopy(digits), "compute": f"{WORKSPACE}/computes/CPU"},
    }
    found = resources(given)

    runs_on = {
        each.at("deployment_name").rpartition("-")[0]: each.at("compute").rpartition("/")[2]
        for name, each in found.items()
        if name.startswith("BatchDeployment nightly")
    }
    (endpoint,) = [name for name in found if name.startswith("BatchEndpoint nightly")]
    clusters = {name for name in waited_for(endpoint, found) if name.startswith("Compute")}

    assert runs_on == {"digits": "spare", "by-key": "theirs", "by-id": "CPU"}
    assert clusters == {"Compute spare", "Compute cpu"}, "one by its name, one by its id, none that is somebody else's"


def test_policies_look_at_every_endpoint_and_every_compute() -> None:
    given = several()
    given["endpoints"]["batch-scoring"]["endpoint"] = {"protect": True}
    del given["endpoints"]["nightly"]["smoke_job"]
    given["computes"]["spare"]["min_node_count"] = 1

    found = violations(registered("prod", given, ROOT), {})

    assert [(each.policy, re.sub(r"-[0-9a-f]{8}", "", each.resource)) for each in found] == [
        ("scale-to-zero", "spare"),
        ("protected-endpoints", "nightly"),
        ("tested-default", "nightly-default"),
    ]


@pytest.mark.parametrize(
    ("model", "environment"),
    [
        (f"{WORKSPACE}/models/digits/versions/3", f"{WORKSPACE}/environments/digits/versions/a1"),
        (f"{REGISTRY}/models/digits/versions/3", f"{REGISTRY}/environments/digits/versions/a1"),
    ],
    ids=["of the workspace", "of a registry"],
)
def test_registered_parts_are_named_and_neither_uploaded_nor_registered(model: str, environment: str) -> None:
    given = short()
    given["deployments"]["digits"] |= {"model": model, "environment": {"id": environment}}

    found = resources(given)

    (deployment,) = [each for each in found.values() if each.type == f"{OWN}BatchDeployment"]
    assert deployment.at("model.asset_id") == model
    assert deployment.at("environment_id") == environment
    assert not [
        name for name in found if name.startswith(("ModelVersion", "EnvironmentVersion", "BlobFolder digits-model"))
    ]


def test_every_cluster_of_a_workspace_that_the_stack_builds_has_the_identity_with_the_roles() -> None:
    given = several()
    given["computes"]["spare"]["identity_type"] = "SystemAssigned"
    who = "00000000-0000-4000-8000-00000000000a"
    given["foundation"] = {"tenant_id": who, "deployers": {"bot": {"id": who, "type": "ServicePrincipal"}}}

    found = resources(given)

    identities = {name: found[f"Compute {name}"].at("identity.type") for name in given["computes"]}
    assert identities == {"cpu": "UserAssigned", "spare": "SystemAssigned"}, "unless it says another"
    workspace = next(name for name in found if name.startswith("Workspace "))
    for endpoint in (name for name in found if name.startswith("BatchEndpoint ")):
        assert workspace in waited_for(endpoint, found)


CHEAP: dict[str, Any] = {
    "vm_priority": "lowpriority",
    "vm_size": "Standard_D4s_v3",
    "min_node_count": 0,
    "max_node_count": 6,
    "node_idle_time_before_scale_down": "5m",
    "subnet_id": SUBNET,
    "enable_node_public_ip": False,
}


@pytest.mark.parametrize(
    ("given", "identity"),
    [
        ({}, None),
        ({"identity_type": "SystemAssigned"}, {"type": "SystemAssigned"}),
        (
            {"identity_type": "UserAssigned", "user_assigned_identities": [IDENTITY]},
            {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},
        ),
        (
            {"identity_type": "SystemAssigned,UserAssigned", "user_assigned_identities": [IDENTITY]},
            {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},
        ),
    ],
    ids=["none", "system", "user", "both"],
)
def test_what_a_stack_file_says_of_a_compute_is_in_the_request(
    given: dict[str, Any],
    identity: dict[str, Any] | None,
    plugin: Plugin,  # noqa: F811
    lab: InProcessLab,  # noqa: F811
) -> None:
    settings = several()
    settings["computes"]["spare"] = {**CHEAP, **given}
    inputs = dict(resources(settings)["Compute spare"].props)

    plugin.create("machinelearningservices:Compute", inputs)
    body = plugin.arm.body()

    assert body["properties"]["properties"] == {
        "enableNodePublicIp": False,
        "osType": "Linux",
        "remoteLoginPortPublicAccess": "NotSpecified",
        "scaleSettings": {"maxNodeCount": 6, "minNodeCount": 0, "nodeIdleTimeBeforeScaleDown": "PT5M"},
        "subnet": {"id": SUBNET},
        "vmPriority": "LowPriority",
        "vmSize": "Standard_D4s_v3",
    }
    assert body.get("identity") == identity
    if "user_assigned_identities" not in given:  # the lab wants those to exist
        assert lab.arm("PUT", "computes/spare", body).status_code == 201
