"""State of every release works with the code of this one: module paths and class names are a public interface."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import dill
import pytest

from tests.lifecycle.checkout import Checkout

GOLDEN = sorted((Path(__file__).resolve().parents[1] / "golden").glob("state-*.json"))
OWN = "pulumi-python:dynamic/azureml:"
# As they are pickled in state; a class that moves must stay importable here.
RECORDED = {
    "Owner": ("providers.ownership", "OwnerKind"),
    "BlobFolder": ("providers.blob_folder", "BlobFolderKind"),
    "CodeVersion": ("providers.asset_version", "CodeVersionKind"),
    "ModelVersion": ("providers.asset_version", "ModelVersionKind"),
    "DataVersion": ("providers.asset_version", "DataVersionKind"),
    "BatchEndpoint": ("providers.batch_endpoint", "BatchEndpointKind"),
    "BatchDeployment": ("providers.batch_deployment", "BatchDeploymentKind"),
    "DefaultDeployment": ("providers.default_deployment", "DefaultDeploymentKind"),
    "ScoringJob": ("providers.scoring_job", "ScoringJobKind"),
}


def own_resources(golden: Path) -> list[dict[str, Any]]:
    deployment = json.loads(golden.read_text(encoding="utf-8"))["deployment"]
    return [each for each in deployment["resources"] if each["type"].startswith(OWN)]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_each_provider_in_state_is_the_class_of_its_kind(golden: Path) -> None:
    resources = own_resources(golden)

    assert len(resources) >= 10
    for each in resources:
        for bag in ("inputs", "outputs"):
            pickled = base64.b64decode(each[bag]["__provider"])
            kind = type(dill.loads(pickled))
            module, name = RECORDED[each["type"].removeprefix(OWN)]
            assert (kind.__module__, kind.__name__) == (module, name)
            assert module.encode() in pickled
            assert name.encode() in pickled


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_check_and_diff_of_recorded_inputs_want_nothing(golden: Path) -> None:
    """Inputs of that release, checked by this one's code, are no change against its outputs."""
    for each in own_resources(golden):
        kind = dill.loads(base64.b64decode(each["inputs"]["__provider"]))
        checked = kind.check({}, each["inputs"])

        assert [str(failure.reason) for failure in checked.failures] == []
        assert kind.diff(each["id"], each["outputs"], checked.inputs).changes is False, each["urn"]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_a_recorded_state_is_without_secrets_and_paths_of_a_machine(golden: Path) -> None:
    text = golden.read_text(encoding="utf-8")

    assert not re.search(r"eyJ[\w-]{10,}|[?&]sig=|AccountKey|4dabf18193072939515e22adb298388d", text)
    assert not re.search(r'": "/(?!subscriptions/)', text)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_preview_refresh_and_destroy_of_a_recorded_state_work(checkout: Checkout, golden: Path) -> None:
    """In a lab where nothing of it is left: preview reads it, destroy ends it, refresh notices; of the newest one `up`
    makes all anew."""
    checkout.succeed("import", "--file", str(golden))
    before = checkout.preview()
    said = checkout.succeed("destroy")
    checkout.succeed("import", "--file", str(golden))
    checkout.succeed("refresh")
    noticed = checkout.preview()

    assert [name for name, operation in before.items() if "replace" in operation] == []
    assert "deleted" in said
    assert sum(operation == "create" for operation in noticed.values()) >= 8
    if golden != newest():
        return
    checkout.succeed("up")
    assert checkout.preview() == {}
    checkout.succeed("destroy")
    left = checkout.status()
    assert (left["endpoints"], left["deployments"], left["codes"], left["models"]) == ([], [], [], [])


def newest() -> Path:
    """The state that was recorded last."""
    return max(GOLDEN, key=lambda each: str(json.loads(each.read_text("utf-8"))["deployment"]["manifest"]["time"]))
