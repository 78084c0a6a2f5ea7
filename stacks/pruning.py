"""What a stack with `keep_assets` has left for others, and what of it nobody uses: `python -m stacks prune STACK`.

Run by stacks/__main__.py as `python -m stacks.pruning STACK STATE_FILE`, inside the lab for a lab's stack. A version is
the stack's by its marker; it is used when a deployment of the workspace names it, or the stack itself still has it.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from providers import arm
from providers.aml.datastore import datastore_uri, find, open_container
from providers.arm import ArmClient
from providers.arm.ids import folded
from providers.blob import delete_prefix, list_blobs
from providers.explanations import told
from providers.ownership import tag_of
from stacks import checking
from stacks.engine import PROJECT, CannotRun, stack_file

_COLLECTIONS = ("codes", "models", "environments")
_ALL = {"listViewType": "All"}
_DEADLINE = 600.0
"""Seconds for one deletion."""


@dataclass(frozen=True)
class Workspace:
    """The workspace of a stack, and what of it is the stack's."""

    client: ArmClient
    id: str
    api_version: str
    marker: str
    """What the markers of all lives of the stack begin with."""

    def versions(self) -> Iterator[dict[str, Any]]:
        """Every version of code, models and environments."""
        for collection in _COLLECTIONS:
            for container in list(self._list(f"{self.id}/{collection}")):
                yield from self._list(f"{container['id']}/versions")

    def used(self) -> set[str]:
        """Folded ids of the assets that deployments name."""
        return {
            folded(str(asset))
            for endpoint in list(self._list(f"{self.id}/batchEndpoints", {}))
            for deployment in self._list(f"{endpoint['id']}/deployments", {})
            for asset in _assets(deployment["properties"])
            if asset
        }

    def _list(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        return self.client.list(path, api_version=self.api_version, query=_ALL if query is None else query)


def unused(versions: list[dict[str, Any]], marker: str, kept: set[str]) -> list[dict[str, Any]]:
    """Versions that carry the stack's marker, of whatever life, and whose folded ids are not among `kept`."""
    return [
        each for each in versions if (tag_of(each) or "").startswith(marker) and folded(str(each["id"])) not in kept
    ]


def unused_uploads(manifests: list[str], places: list[str]) -> list[str]:
    """Prefixes of uploads, by the names of their manifests, that no place (uri or url) lies below."""
    prefixes = [
        f"{folder.removesuffix('/manifests')}/{name.removesuffix('.json')}/"
        for folder, _, name in (each.rpartition("/") for each in manifests)
        if folder.endswith("/manifests")
    ]
    return [prefix for prefix in prefixes if not any(f"/{prefix}" in f"{place}/" for place in places)]


def prune(stack: str, state: Mapping[str, Any]) -> Iterator[str]:
    """Delete what nobody uses; a line for each, as it goes."""
    settings = checking.settings_of(stack_file(stack))
    placement = settings.placement(PROJECT, stack)
    workspace = Workspace(
        arm.client(placement.cloud), placement.workspace_id, placement.api_version, f"{PROJECT}/{stack}/"
    )
    resources = (state.get("deployment") or {}).get("resources") or []
    own = {folded(str(each["id"])) for each in resources if each.get("id")}
    versions = list(workspace.versions())
    gone = unused(versions, workspace.marker, own | workspace.used())
    for each in gone:
        workspace.client.delete(each["id"], api_version=workspace.api_version, deadline=_DEADLINE)
        yield str(each["id"])
    left = [each for each in versions if each not in gone]
    places = [
        *(str(each["properties"].get("codeUri") or each["properties"].get("modelUri") or "") for each in left),
        *(str((each.get("outputs") or {}).get("uri") or "") for each in resources),
    ]
    location = find(workspace.client, datastore_uri(placement.datastore_id, workspace.marker))
    if location is None:
        return
    with open_container(workspace.client, location, shared_key=settings.shared_key) as container:
        manifests = [blob.name for blob in list_blobs(container, workspace.marker)]
        for prefix in unused_uploads(manifests, places):
            delete_prefix(container, prefix)
            yield f"{location.account_url}/{location.container}/{prefix}"


def _assets(properties: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return (
        (properties.get("codeConfiguration") or {}).get("codeId"),
        (properties.get("model") or {}).get("assetId"),
        properties.get("environmentId"),
    )


def main(arguments: list[str]) -> int:
    stack, file = arguments
    count = 0
    try:
        for line in prune(stack, json.loads(Path(file).read_text(encoding="utf-8"))):
            print(f"deleted {line}", flush=True)
            count += 1
    except (arm.ArmError, CannotRun) as error:
        print(f"error: {told(error) if isinstance(error, arm.ArmError) else error}", file=sys.stderr)
        return 1
    print(f"{count or 'nothing'} of stack {stack} was kept and is used by nobody")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
