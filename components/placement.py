"""Where everything goes, and the names that follow from it.

All of it is known before anything runs, so every ARM id can be computed, and preview turns nothing unknown needlessly.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from providers.arm.ids import folded
from providers.kind import API_VERSION, Deadlines


@dataclass(frozen=True, kw_only=True)
class Placement:
    project: str
    stack: str
    subscription_id: str
    resource_group: str
    workspace: str
    location: str
    cloud: str
    datastore: str
    api_version: str = API_VERSION
    deadlines: Deadlines | None = None

    @property
    def azure(self) -> dict[str, Any]:
        """The inputs that all kinds share: which cloud is called, by which api-version, and for how long."""
        return {"cloud": self.cloud, "api_version": self.api_version, "deadlines": self.deadlines}

    @property
    def workspace_id(self) -> str:
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.workspace}"
        )

    @property
    def datastore_id(self) -> str:
        return f"{self.workspace_id}/datastores/{self.datastore}"

    def path(self, *parts: str) -> str:
        """A blob path that is this stack's own."""
        return "/".join((self.project, self.stack, *parts))

    def unique(self, name: str, longest: int) -> str:
        """`name` with a suffix that is stable, known in preview, and differs by workspace, project and stack.

        The organisation is no part of it: on file backends it is always "organization".
        """
        suffix = colour(folded(self.workspace_id), self.project, self.stack)
        return f"{name[: longest - len(suffix) - 1].rstrip('-')}-{suffix}"


def colour(*parts: str) -> str:
    """Eight hexadecimal digits that stand for these texts: what is of other content gets another name."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
