"""One set of `az ml` files, twice: what azure-ai-ml makes of them, and what a stack written from them asks for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from policy.resource import Resource
from providers import arm_body, schema
from providers.batch_deployment import BatchDeploymentArgs
from providers.batch_endpoint import BatchEndpointArgs
from stacks import from_az_ml
from stacks.az_ml import convert
from tests.components.test_components_clouds import loop  # noqa: F401 - a fixture
from tests.policy.program import registered

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FILES = [ROOT / "examples" / "az-ml" / f"{name}.yml" for name in ("compute", "endpoint", "deployment")]
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"

pytestmark = pytest.mark.usefixtures("loop")


@pytest.fixture(scope="module")
def theirs(installed: Callable[[str, str], Path]) -> dict[str, Any]:
    command = [str(installed("ai-ml", "python")), str(HERE / "ai_ml_files.py"), *map(str, FILES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> dict[str, Resource]:
    """Kind -> what the program asks for."""
    monkeypatch.chdir(ROOT)
    found = convert([from_az_ml.read(each, ROOT) for each in FILES], WORKSPACE)
    assert (found.failures, found.remarks) == ([], [])
    place = {"subscription_id": "s", "resource_group": "g", "workspace": "w", "location": "eastus"}
    resources = registered("lab", {**place, **found.settings}, ROOT)
    return {each.type.rpartition(":")[2]: each for each in resources}


def body(kind: type, resource: Resource) -> dict[str, Any]:
    """The request body that the provider would send."""
    given = {name: resource.at(name) for name in schema.properties(kind)}
    bag, failures = schema.check(kind, given)
    assert failures == []
    return arm_body.upon(kind, {}, {}, bag)[0]


def folded(value: Any) -> Any:
    """The service takes its words in any letter case, and what is empty for what is not there."""
    if isinstance(value, Mapping):
        members = {key: folded(each) for key, each in value.items()}
        return {key: each for key, each in members.items() if each not in (None, {}, "")}
    return value.lower() if isinstance(value, str) else value


def test_the_deployment_is_the_same(theirs: dict[str, Any], ours: dict[str, Resource]) -> None:
    """But for the ids of its assets, which are named by content here."""
    expected = folded(theirs["deployment"]["properties"])
    found = folded(body(BatchDeploymentArgs, ours["BatchDeployment"])["properties"])

    for each in (expected, found):
        del each["environmentId"], each["model"]["assetId"], each["codeConfiguration"]["codeId"]
    assert found.pop("compute").endswith(f"/computes/{expected.pop('compute')}")
    assert found == expected


def test_the_endpoint_is_the_same(theirs: dict[str, Any], ours: dict[str, Resource]) -> None:
    found = folded(body(BatchEndpointArgs, ours["BatchEndpoint"]))

    assert folded(theirs["endpoint"]).items() <= {**found, "tags": {"team": found["tags"]["team"]}}.items()


def test_the_cluster_is_the_same(theirs: dict[str, Any], ours: dict[str, Resource]) -> None:
    assert folded(ours["Compute"].at("properties")) == folded(theirs["compute"]["properties"])
