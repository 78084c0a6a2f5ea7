"""What a rule looks at, and what it finds. Knows neither Pulumi nor how the resource got here.

Resources come from the engine (policy/__main__.py, in `pulumi preview` and `pulumi up`) or out of a preview's digest
(reviews/policies.py, for the comment under a pull request).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OWN = "pulumi-python:dynamic/azureml:"
BATCH_ENDPOINT = f"{OWN}BatchEndpoint"
BATCH_DEPLOYMENT = f"{OWN}BatchDeployment"
DEFAULT_DEPLOYMENT = f"{OWN}DefaultDeployment"
SCORING_JOB = f"{OWN}ScoringJob"
BLOB_FOLDER = f"{OWN}BlobFolder"
CODE_VERSION = f"{OWN}CodeVersion"
MODEL_VERSION = f"{OWN}ModelVersion"
DATA_VERSION = f"{OWN}DataVersion"
COMPUTE = "azure-native:machinelearningservices:Compute"
DATASTORE = "azure-native:machinelearningservices:Datastore"
ENVIRONMENT_VERSION = "azure-native:machinelearningservices:EnvironmentVersion"
WORKSPACE = "azure-native:machinelearningservices:Workspace"
STORAGE_ACCOUNT = "azure-native:storage:StorageAccount"
RESOURCE_GROUP = "azure-native:resources:ResourceGroup"
KEY_VAULT = "azure-native:keyvault:Vault"
APPLICATION_INSIGHTS = "azure-native:applicationinsights:Component"

_API_VERSION = re.compile(r"^(azure-native:\w+)/v\w+:")


class Later:
    """A value that is not known before `up`: a rule that needs it waits for `up`, where it is asked again."""

    def __repr__(self) -> str:
        return "LATER"


LATER = Later()


@dataclass(frozen=True)
class Resource:
    type: str
    """Token, without the API version that azure-native may put into it."""
    name: str
    urn: str
    props: Mapping[str, Any]
    """Inputs, and outputs where there are some already; LATER for what is not known."""
    protect: bool = False
    dependencies: frozenset[str] = field(default_factory=frozenset)
    """URNs of what it waits for."""

    @property
    def stack(self) -> str:
        return self.urn.split("::")[0].rsplit(":", 1)[-1]

    def at(self, path: str) -> Any:
        """The property at a dotted path; None where there is none, LATER where it or what it is in is not known."""
        found: Any = self.props
        for part in path.split("."):
            if found is LATER:
                return LATER
            found = found.get(part) if isinstance(found, Mapping) else None
        return found


@dataclass(frozen=True)
class Violation:
    policy: str
    resource: str
    """Name of the resource."""
    urn: str
    message: str
    """What is wrong, with the value, and what to do."""


def token(type_: str) -> str:
    """`azure-native:storage/v20230101:StorageAccount` -> `azure-native:storage:StorageAccount`."""
    return _API_VERSION.sub(r"\1:", type_)
