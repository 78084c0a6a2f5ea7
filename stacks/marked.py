"""What in the cloud is a stack's, looked for without its state: by the marker in tags, and by path and description.

Resource Manager's own list by tag knows all that is tracked, in every group of the subscription; a workspace's own
lists know the rest. Role assignments carry no tag, but say in their description whose they are; blobs lie at the
stack's path. What one may not look at is told as such, and the rest is looked at all the same.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from providers import arm
from providers.aml import job
from providers.aml.datastore import find, open_container
from providers.aml.refusal import Refusal
from providers.aml.workspace import Workspace
from providers.amounts import counted
from providers.arm import ArmClient, ArmError, Forbidden, NotFound, Unauthorized
from providers.arm.ids import folded
from providers.blob import BlobMissing, container, list_blobs, read_text
from providers.blob.size import size
from providers.explanations import told
from providers.marker import TAG, tag_of
from stacks.remains import ANYTHING, PATH, Found, Thing, Unread, assigned
from stacks.where import Where

RESOURCES, AUTHORIZATION, VAULTS = "2021-04-01", "2022-04-01", "2024-11-01"
"""api-versions of Microsoft.Resources, Microsoft.Authorization and Microsoft.KeyVault."""
WORKSPACE = "microsoft.machinelearningservices/workspaces"
TYPES = {
    "microsoft.storage/storageaccounts": "2024-01-01",
    "microsoft.keyvault/vaults": VAULTS,
    "microsoft.operationalinsights/workspaces": "2023-09-01",
    "microsoft.insights/components": "2020-02-02",
    "microsoft.containerregistry/registries": "2023-07-01",
    "microsoft.managedidentity/userassignedidentities": "2023-01-31",
}
"""Type of what a workspace stands on -> api-version that it is read and deleted with."""
_BELOW = {f"{WORKSPACE}/batchendpoints": "endpoint", f"{WORKSPACE}/batchendpoints/deployments": "deployment"}
_VERSIONED = {"codes": "code", "models": "model", "environments": "environment", "data": "data"}
_ALL = {"listViewType": "All"}
_AT_ONCE = 8
"""Requests at a time."""
_CURATED = "azureml-"
"""Environments of Microsoft's own begin so; the prefix is reserved."""


@dataclass
class Search:
    """One look. `places` are urls of the stack's blobs, or of their containers, for where the datastore is gone."""

    where: Where
    client: ArmClient
    places: Iterable[str] = ()
    things: dict[str, Thing] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)
    _used: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Folded id of an asset or compute -> deployments that need it."""
    _made: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Id of a version -> place of its content, and its marker, empty for somebody else's."""
    _endpoints: dict[str, str] = field(default_factory=dict)
    _stranger: bool = False

    def run(self) -> Found:
        where = self.where
        self._looking(f"resources of subscription {where.subscription_id} by tag", self._tracked)
        workspace: list[Mapping[str, Any]] = []
        self._looking(f"workspace {where.workspace_id}", lambda: workspace.extend(self._workspace()))
        if workspace:
            self._looking(f"endpoints of {where.workspace}", self._endpoints_of_workspace)
            self._looking(f"asset versions of {where.workspace}", self._versions)
            self._looking(f"computes of {where.workspace}", self._computes)
        self._looking(f"blobs below {where.prefix}", self._blobs)
        if where.foundation or any(each.kind.lower() in (*TYPES, WORKSPACE) for each in self.things.values()):
            self._looking(f"role assignments in {where.resource_group}", self._roles)
            self._looking("deleted key vaults", self._deleted_vaults)
        return Found([self._in_use(each) for each in self.things.values()], self.unread)

    def _looking(self, what: str, look: Callable[[], None]) -> None:
        """Look, or note why not. Who is not signed in is not asked again for each place."""
        if self._stranger:
            return
        try:
            look()
        except (ArmError, Refusal) as error:
            self._stranger = isinstance(error, Unauthorized)
            self.unread.append(Unread(ANYTHING if self._stranger else what, told(error)))

    def _add(self, thing: Thing) -> None:
        self.things.setdefault(thing.id.rstrip("/").lower(), thing)

    def _ours(self, tag: str | None) -> str:
        """The marker, where it is one of the stack's lives; else nothing."""
        return tag if tag and tag.startswith(self.where.prefix) else ""

    # Resource Manager's own lists

    def _tracked(self) -> None:
        """Lists by tag lag behind: what they name is looked at before it is believed."""
        subscription = f"/subscriptions/{self.where.subscription_id}"
        try:
            found = list(self._by_tag(f"{subscription}/resources"))
            groups = list(self._by_tag(f"{subscription}/resourceGroups"))
        except Forbidden:  # a role on the group alone; in it lies all but what other files of this stack once named
            found = list(self._by_tag(f"{self.where.group_id}/resources"))
            group = self.client.get(self.where.group_id, api_version=RESOURCES)
            groups = [group] if group and self._ours(tag_of(group)) else []
        for each in found:
            kind = str(each["type"])
            version = TYPES.get(kind.lower()) or (
                self.where.api_version if kind.lower().startswith(WORKSPACE) else None
            )
            live = self.client.get(each["id"], api_version=version) if version else each
            marker = self._ours(tag_of(live or {}))
            if live and marker:
                kind = _BELOW.get(kind.lower(), kind)
                parent = str(each["id"]).rpartition("/deployments/")[0] if kind == "deployment" else ""
                self._add(Thing(id=live["id"], kind=kind, marker=marker, within=parent, location=_region(live)))
        for each in groups:
            live = self.client.get(each["id"], api_version=RESOURCES)
            if live and (marker := self._ours(tag_of(live))):
                self._add(Thing(id=live["id"], kind="resource group", marker=marker))

    def _by_tag(self, path: str) -> Iterator[dict[str, Any]]:
        named = self.client.list(path, api_version=RESOURCES, query={"$filter": f"tagName eq '{TAG}'"})
        yield from (each for each in named if self._ours(tag_of(each)))

    def _roles(self) -> None:
        path = f"{self.where.group_id}/providers/Microsoft.Authorization/roleAssignments"
        try:
            assignments = list(self.client.list(path, api_version=AUTHORIZATION))
        except NotFound:  # the group is gone, and with it all that roles were given on
            return
        for each in assignments:
            text = str(each["properties"].get("description") or "")
            if text.endswith(f", for stack {self.where.prefix.rstrip('/')}"):
                scope = self.things.get(str(each["properties"].get("scope")).rstrip("/").lower())
                self._add(
                    Thing(
                        id=each["id"],
                        kind="role assignment",
                        marker=scope.marker if scope else PATH,
                        facts=text.partition(",")[0],
                    )
                )

    def _deleted_vaults(self) -> None:
        path = f"/subscriptions/{self.where.subscription_id}/providers/Microsoft.KeyVault/deletedVaults"
        for each in self.client.list(path, api_version=VAULTS):
            about = each.get("properties") or {}
            if marker := self._ours(tag_of({"tags": about.get("tags")})):
                self._add(
                    Thing(
                        id=str(about.get("vaultId")),
                        kind="deleted key vault",
                        marker=marker,
                        facts=f"holds its name until {about.get('scheduledPurgeDate')}",
                        location=str(about.get("location") or ""),
                    )
                )

    # The workspace

    def _workspace(self) -> list[Mapping[str, Any]]:
        found = self.client.get(self.where.workspace_id, api_version=self.where.api_version)
        return [found] if found else []

    def _list(self, path: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        try:
            return list(self.client.list(path, api_version=self.where.api_version, query=query))
        except NotFound:  # deleted since it was listed, or the workspace has no such collection
            return []

    def _endpoints_of_workspace(self) -> None:
        endpoints = self._list(f"{self.where.workspace_id}/batchEndpoints")
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            below = list(pool.map(lambda each: self._list(f"{each['id']}/deployments"), endpoints))
        for endpoint, deployments in zip(endpoints, below, strict=True):
            marker = self._ours(tag_of(endpoint))
            default = ((endpoint.get("properties") or {}).get("defaults") or {}).get("deploymentName")
            if marker:
                self._endpoints[str(endpoint["name"])] = marker
                facts = f"{default} answers its callers" if default else "no default"
                self.things.pop(str(endpoint["id"]).lower(), None)
                self._add(Thing(id=endpoint["id"], kind="endpoint", marker=marker, facts=facts))
                self._running(str(endpoint["id"]), marker)
            for each in deployments:
                self._deployment(each, str(endpoint["id"]), endpoint_marker=marker)

    def _deployment(self, body: Mapping[str, Any], endpoint: str, endpoint_marker: str) -> None:
        properties = body["properties"]
        needed = (
            (properties.get("codeConfiguration") or {}).get("codeId"),
            (properties.get("model") or {}).get("assetId"),
            properties.get("environmentId"),
            properties.get("compute"),
        )
        for asset in filter(None, needed):
            self._used[folded(str(asset)).lower()].append(str(body["id"]))
        if marker := self._ours(tag_of(body)):
            self._add(
                Thing(id=str(body["id"]), kind="deployment", marker=marker, within=endpoint if endpoint_marker else "")
            )

    def _running(self, endpoint: str, marker: str) -> None:
        """Jobs that run on an endpoint of the stack."""
        workspace = Workspace(self.client, self.where.workspace_id, self.where.api_version)
        for each in workspace.jobs_of(endpoint):
            if job.status_of(each) not in job.ENDED:
                self._job(str(each["name"]), job.status_of(each), marker, endpoint)

    def _job(self, name: str, status: str, marker: str, within: str) -> None:
        id_ = job.job_id(self.where.workspace_id, name)
        self._add(Thing(id=id_, kind="job", marker=marker, facts=status, within=within))

    def _versions(self) -> None:
        containers = [
            (each["id"], kind)
            for collection, kind in _VERSIONED.items()
            for each in self._list(f"{self.where.workspace_id}/{collection}", _ALL)
            if not str(each.get("name")).lower().startswith(_CURATED)
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            below = list(pool.map(lambda each: self._list(f"{each[0]}/versions", _ALL), containers))
        for (_, kind), versions in zip(containers, below, strict=True):
            for each in versions:
                if marker := self._ours(tag_of(each)):
                    self._add(Thing(id=str(each["id"]), kind=kind, marker=marker))
                properties = each["properties"]
                place = properties.get("codeUri") or properties.get("modelUri") or properties.get("dataUri")
                if place:
                    self._made[str(each["id"])] = (str(place), marker)

    def _computes(self) -> None:
        for each in self._list(f"{self.where.workspace_id}/computes"):
            if marker := self._ours(tag_of(each)):
                self._add(Thing(id=str(each["id"]), kind="compute", marker=marker))

    def _in_use(self, thing: Thing) -> Thing:
        """With the deployments that need it."""
        return replace(thing, used_by=(*thing.used_by, *self._used.get(folded(thing.id).lower(), ())))

    # Blobs

    def _blobs(self) -> None:
        """In the datastore's container; and, where the datastore is gone with its workspace, where the state says."""
        found = find(self.client, self.where.blobs)
        opened = {}
        if found is not None:
            opened[f"{found.account_url}/{found.container}"] = open_container(
                self.client, found, shared_key=self.where.shared_key
            )
        else:
            for place in self.places:
                account, name = container_of(place)
                opened.setdefault(f"{account}/{name}", container(account, name, self.client.cloud))
        for url, each in opened.items():
            with each:
                try:
                    blobs = [(blob.name, blob.size) for blob in list_blobs(each, self.where.prefix)]
                except BlobMissing:  # the container is gone
                    continue
                folders = list(_folders(url, self.where.prefix, blobs))
                for thing in assigned(folders, self._made, self._endpoints):
                    self._add(thing if found is not None else replace(thing, container=url))
                if found is not None:
                    self._begun(each, [name for name, _ in blobs])

    def _begun(self, opened: Any, names: Iterable[str]) -> None:
        """Jobs that notes beside outputs name, and that still run."""
        workspace = Workspace(self.client, self.where.workspace_id, self.where.api_version)
        for note in (name for name in names if name.endswith("/notes/job")):
            try:
                name = read_text(opened, note, limit=16_384).strip()
            except BlobMissing:
                continue
            status = job.status(workspace, name)
            if status not in (*job.ENDED, "NotStarted"):
                endpoint = note.split("/")[3]
                within = f"{self.where.workspace_id}/batchEndpoints/{endpoint}"
                self._job(name, status, self._endpoints.get(endpoint, PATH), within)


def search(where: Where, places: Iterable[str] = ()) -> Found:
    """Look for everything that is the stack's. `places`: urls of blobs or containers, where the datastore is gone."""
    return Search(where, arm.client(where.cloud), places).run()


def container_of(url: str) -> tuple[str, str]:
    """Account url and container of a blob's url."""
    scheme, _, rest = url.partition("://")
    host, name, *_ = rest.split("/")
    return f"{scheme}://{host}", name


def _folders(container_url: str, prefix: str, blobs: Iterable[tuple[str, int]]) -> Iterator[Thing]:
    """One thing for each upload, its manifest with it, and for the outputs of each endpoint's jobs."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for name, length in blobs:
        key = _folder(name.removeprefix(prefix).split("/"))
        sums[key][0] += 1
        sums[key][1] += length
    for (kind, folder), (number, length) in sorted(sums.items()):
        facts = f"{counted(number, 'blob')}, {size(length)}"
        yield Thing(id=f"{container_url}/{prefix}{folder}", kind=kind, marker=PATH, facts=facts)


def _folder(parts: list[str]) -> tuple[str, str]:
    """(kind, folder) of a blob by the parts of its path below the stack's."""
    if parts[0] == "smoke" and len(parts) > 2:
        return "outputs", "/".join(parts[:2])
    if len(parts) == 3 and parts[1] == "manifests":
        return "upload", f"{parts[0]}/{parts[2].removesuffix('.json')}"
    return "upload", "/".join(parts[:2] if len(parts) > 2 else parts)


def _region(body: Mapping[str, Any]) -> str:
    return str(body.get("location") or "")
