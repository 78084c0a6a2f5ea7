"""Role assignments as values: which role, for whom, on what. docs/foundation.md says for which call.

The name of an assignment is a UUID that follows from its scope, role and principal, as Bicep's `guid()` makes it: known
in preview, the same in every run, and never two for one thing.
"""

import uuid
from dataclasses import dataclass

from pulumi import Input

_NAMES = uuid.UUID("4b1d8a8e-6c1a-4d0f-9a53-0d9c1d2f7c11")
"""Namespace of the names of this project's role assignments: a constant, since names must not change."""


@dataclass(frozen=True)
class Role:
    """A built-in role: its name, and its id, which is the same in every tenant."""

    name: str
    id: str


# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
BLOBS = Role("Storage Blob Data Contributor", "ba92f5b4-2d11-453d-a403-e96b0029c9fe")
QUEUES = Role("Storage Queue Data Contributor", "974c5e8b-45b9-4653-ba55-5f855dd0fb88")
TABLES = Role("Storage Table Data Contributor", "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3")
IMAGES = Role("AcrPull", "7f951dda-4ed3-4680-a7ca-43fe172d538d")
DATA_SCIENTIST = Role("AzureML Data Scientist", "f6c7c914-8db3-469d-8ca1-694a8f32e121")


@dataclass(frozen=True)
class Assignment:
    """One role assignment."""

    role: Role
    scope: str
    """ARM id of what it is on."""
    subject: str
    """What names the principal in advance: its object id, or the ARM id of a managed identity."""
    principal_id: Input[str]
    """Its object id."""
    principal_type: str

    @property
    def name(self) -> str:
        return str(uuid.uuid5(_NAMES, "|".join((self.scope, self.role.id, self.subject)).lower()))

    @property
    def logical_name(self) -> str:
        """For Pulumi: what it is, and that it is this one; the same as long as the assignment is."""
        return f"role-{self.role.name.lower().replace(' ', '-')}-{self.name[:8]}"

    @property
    def id(self) -> str:
        """Its ARM id."""
        return f"{self.scope}/providers/Microsoft.Authorization/roleAssignments/{self.name}"
