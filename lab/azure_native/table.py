"""The types that the stand-in serves, one row each; whatever a row says is azure-native 3.29.0's own.

Sources: paths, api-versions and input names from the SDK pulumi_azure_native 3.29.0; create-only inputs from
azure-native's `provider/pkg/gen/replacement.go` and from `x-ms-mutability` of the service's specification, which
azure-native does not follow into unions: nothing below `properties` of a Compute or a Datastore replaces.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lab import identity
from lab.azure_native.values import JSON, RefusedError, plain

PARAMETER = re.compile(r"\{(\w+)\}")
BODY = frozenset({"identity", "kind", "location", "managedBy", "placement", "properties", "sku", "tags", "zones"})
"""Inputs that are members of the body itself, of most types."""
GROUP = f"/subscriptions/{identity.SUBSCRIPTION_ID}/resourceGroups/{{resourceGroupName}}"
WORKSPACE = GROUP + "/providers/Microsoft.MachineLearningServices/workspaces/{workspaceName}"
ENVIRONMENT = ("autoRebuild", "build", "condaFile", "image", "inferenceConfig", "isAnonymous", "osType")


@dataclass(frozen=True)
class Kind:
    """One resource type. Its other inputs go to the body's `properties` if it is flat, else to the query of PUT."""

    path: str
    """ARM path; names in braces are inputs that the program must give, and a change of one replaces."""
    api_version: str
    create_only: tuple[str, ...] = ()
    """Dotted inputs whose change replaces."""
    delete_query: Mapping[str, str] = field(default_factory=dict)
    flat: Mapping[str, str] | None = None
    """Not None if the SDK shows the body's `properties` at its top: names of the SDK -> other names on the wire."""

    top: frozenset[str] = BODY
    """Inputs that are members of the body itself."""

    @property
    def parameters(self) -> list[str]:
        return PARAMETER.findall(self.path)

    def arm_id(self, inputs: JSON) -> str:
        return PARAMETER.sub(lambda found: str(inputs[found[1]]).strip("/"), self.path)

    def imported(self, arm_id: str, response: JSON) -> JSON:
        """The inputs that an import makes of a response: names from the id, and all members of the body.

        There is no schema here that says which are read-only, so the first `up` after an import updates the resource.
        """
        parts = re.split(r"\{(\w+)\}", self.path)
        pattern = "".join(re.escape(part) if index % 2 == 0 else "(.+)" for index, part in enumerate(parts))
        found = re.fullmatch(pattern, arm_id, re.IGNORECASE)
        if found is None:
            raise RefusedError(f"'{arm_id}' is not an id of this type; they read {self.path}")
        body = {name: value for name, value in self.outputs(response).items() if name in BODY or self.flat is not None}
        return body | dict(zip(parts[1::2], found.groups(), strict=True)) | {"azureApiVersion": self.api_version}

    def request(self, inputs: JSON) -> tuple[JSON, JSON]:
        """Query and body of PUT."""
        others = {name: inputs[name] for name in inputs.keys() - self.top - {*self.parameters, "azureApiVersion"}}
        body = {name: _on_the_wire(name, value) for name, value in inputs.items() if name in self.top}
        query = {"api-version": self.api_version}
        if self.flat is None:
            return query | others, body
        return query, body | {"properties": {self.flat.get(name, name): value for name, value in others.items()}}

    def outputs(self, response: JSON) -> JSON:
        """A response in the SDK's shape: without id and nulls, with the api-version."""
        shown: JSON = plain({name: value for name, value in response.items() if name != "id"})
        if self.flat is not None:
            names = {there: here for here, there in self.flat.items()}
            shown |= {names.get(name, name): value for name, value in shown.pop("properties", {}).items()}
        return shown | {"azureApiVersion": self.api_version}


def _on_the_wire(name: str, value: Any) -> Any:
    """The SDK lists user-assigned identities; the API has them as names of a mapping."""
    listed = value.get("userAssignedIdentities") if name == "identity" else None
    return value | {"userAssignedIdentities": {each: {} for each in listed}} if isinstance(listed, list) else value


TABLE: dict[str, Kind] = {
    "machinelearningservices:Compute": Kind(
        WORKSPACE + "/computes/{computeName}", "2025-12-01", delete_query={"underlyingResourceAction": "Delete"}
    ),
    "machinelearningservices:EnvironmentVersion": Kind(
        WORKSPACE + "/environments/{name}/versions/{version}",
        "2025-12-01",
        tuple(f"properties.{name}" for name in ENVIRONMENT),
    ),
    "machinelearningservices:Datastore": Kind(WORKSPACE + "/datastores/{name}", "2025-12-01"),
    "machinelearningservices:Workspace": Kind(WORKSPACE, "2025-12-01", flat={}),
    "managedidentity:UserAssignedIdentity": Kind(
        GROUP + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}",
        "2023-01-31",
        ("location",),
        flat={},
    ),
    "operationalinsights:Workspace": Kind(
        GROUP + "/providers/Microsoft.OperationalInsights/workspaces/{workspaceName}",
        "2023-09-01",
        ("location",),
        flat={},
        top=BODY - {"sku"},
    ),
    "applicationinsights:Component": Kind(
        GROUP + "/providers/Microsoft.Insights/components/{resourceName}",
        "2020-02-02",
        flat={
            "applicationType": "Application_Type",
            "disableLocalAuth": "DisableLocalAuth",
            "flowType": "Flow_Type",
            "ingestionMode": "IngestionMode",
            "requestSource": "Request_Source",
            "retentionInDays": "RetentionInDays",
            "workspaceResourceId": "WorkspaceResourceId",
        },
    ),
    "containerregistry:Registry": Kind(
        GROUP + "/providers/Microsoft.ContainerRegistry/registries/{registryName}",
        "2023-01-01-preview",
        ("location",),
        flat={},
    ),
    "resources:ResourceGroup": Kind(GROUP, "2024-03-01", ("location",)),
    "storage:StorageAccount": Kind(
        GROUP + "/providers/Microsoft.Storage/storageAccounts/{accountName}",
        "2024-01-01",
        ("isHnsEnabled", "location"),
        flat={
            "enableHttpsTrafficOnly": "supportsHttpsTrafficOnly",
            "enableNfsV3": "isNfsV3Enabled",
            "networkRuleSet": "networkAcls",
        },
    ),
    "authorization:RoleAssignment": Kind(
        "/{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
        "2022-04-01",
        ("principalId",),
        flat={},
    ),
    "keyvault:Vault": Kind(GROUP + "/providers/Microsoft.KeyVault/vaults/{vaultName}", "2024-11-01"),
}


def kind_of(token: str) -> Kind:
    """The row of `azure-native:<module>[/v<version>]:<Name>`, at that api-version if the token has one."""
    match = re.fullmatch(r"azure-native:(\w+)(?:/v(\d{4})(\d\d)(\d\d)(preview)?)?:(\w+)", token)
    kind = TABLE.get(f"{match[1]}:{match[6]}") if match else None
    if match is None or kind is None:
        raise RefusedError(f"the lab's azure-native stand-in does not serve {token}; it serves {', '.join(TABLE)}")
    versions: Any = match.groups()[1:5]
    return replace(kind, api_version="-".join(filter(None, versions))) if match[2] else kind
