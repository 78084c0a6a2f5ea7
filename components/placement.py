"""Where everything goes, and the names that follow from it.

All of it is known before anything runs, so every ARM id can be computed, and preview turns nothing unknown needlessly.
"""

import hashlib
from dataclasses import dataclass


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
        suffix = colour(self.workspace_id, self.project, self.stack)
        return f"{name[: longest - len(suffix) - 1].rstrip('-')}-{suffix}"


def colour(*parts: str) -> str:
    """Eight hexadecimal digits that stand for these texts: what is of other content gets another name."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
