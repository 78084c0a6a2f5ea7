"""Every property is declared with a sentence, and its wire name is one that the 2025-12-01 specification has."""

import json
from pathlib import Path
from typing import Any

import pytest

from providers import batch_deployment, batch_endpoint, default_deployment, schema, scoring_job
from providers.asset_version import CodeVersionArgs, DataVersionArgs, ModelVersionArgs
from providers.blob_folder import BlobFolderArgs
from providers.ownership import OwnerArgs
from providers.purge import PurgeArgs
from stacks.settings import Settings

KINDS = [
    batch_deployment.BatchDeploymentArgs,
    batch_endpoint.BatchEndpointArgs,
    default_deployment.DefaultDeploymentArgs,
    scoring_job.ScoringJobArgs,
    CodeVersionArgs,
    DataVersionArgs,
    ModelVersionArgs,
    BlobFolderArgs,
    OwnerArgs,
    PurgeArgs,
    Settings,
]
SHARED = Path(__file__).resolve().parents[3] / "shared" / "azureml-rest" / "definitions_2025-12-01.introspected.json"
# BatchDeploymentProperties of the 2025-12-01 specification, as the official SDK's generated models have them.
DEPLOYMENT_PROPERTIES = {
    "description",
    "properties",
    "codeConfiguration",
    "environmentId",
    "environmentVariables",
    "compute",
    "errorThreshold",
    "retrySettings",
    "miniBatchSize",
    "loggingLevel",
    "model",
    "maxConcurrencyPerInstance",
    "outputAction",
    "outputFileName",
    "resources",
    "deploymentConfiguration",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_property_says_what_it_is(kind: type) -> None:
    undocumented = [name for name, each in schema.properties(kind).items() if not each.doc.endswith(".")]

    assert undocumented == []


def test_every_property_of_a_deployment_can_be_set() -> None:
    declared = schema.properties(batch_deployment.BatchDeploymentArgs).values()

    ours = {each.wire.removeprefix("properties.") for each in declared if each.wire and each.wire.startswith("prop")}

    assert ours == DEPLOYMENT_PROPERTIES


def test_the_table_of_deployment_properties_is_the_published_one() -> None:
    if not SHARED.is_file():
        pytest.skip("the published definitions are not beside this checkout")
    published = _properties_of(json.loads(SHARED.read_text(encoding="utf-8")), "BatchDeploymentProperties")

    assert published - {"provisioningState"} == DEPLOYMENT_PROPERTIES


def _properties_of(definitions: dict[str, Any], name: str) -> set[str]:
    """A type's own properties and those of what it extends."""
    found = definitions[name]
    inherited = (_properties_of(definitions, each) for each in found["bases"] if each in definitions)
    return set(found["properties"]).union(*inherited)
