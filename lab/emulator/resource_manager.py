"""What Azure Resource Manager itself tells of a subscription: its resources of every kind, its providers, its regions.

azure-cli asks for the first two before it shows a resource; the shapes are those of Microsoft.Resources' specification.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import deployments, endpoints, ids, tracked, workspaces
from lab.emulator.call import Call, Reply
from lab.emulator.errors import arm_error, unknown
from lab.emulator.paging import bounds, paged

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

Resource = dict[str, Any]

_CLAUSE = re.compile(
    r"\s*(resourceType|resourceGroup|name|location|tagName|tagValue)\s+eq\s+'([^']*)'\s*", re.IGNORECASE
)
_TYPES = (
    *("workspaces", "workspaces/batchEndpoints", "workspaces/batchEndpoints/deployments", "workspaces/computes"),
    *("workspaces/codes", "workspaces/codes/versions", "workspaces/models", "workspaces/models/versions"),
    *("workspaces/environments", "workspaces/environments/versions", "workspaces/data", "workspaces/data/versions"),
    *("workspaces/datastores", "workspaces/jobs"),
)
_REGION = "East US"


def list_resources(cloud: Cloud, call: Call) -> Reply:
    """Tracked resources: workspaces, what they stand on, batch endpoints, their deployments.

    `$filter`: clauses with `eq`, and `and`; by tag, `tagName eq` alone or with `tagValue eq`.
    """
    group = call.params.get("group")
    found = [
        each
        for each in filtered(call, list(map(_generic, [*workspaces.known(cloud), *_stored(cloud)])))
        if group is None or ids.group_of(each["id"]).lower() == group.lower()
    ]
    size, skip = bounds(call)
    return paged(call, found[skip : skip + size], more=len(found) > skip + size, size=size, skip=skip)


def get_provider(api_versions: tuple[str, ...]) -> Callable[[Cloud, Call], Reply]:
    """The handler that tells which versions each type of the provider takes, the newest first."""

    def get(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
        name = call.params["provider"]
        if name.lower() != ids.PROVIDER.lower():
            raise arm_error(404, "InvalidResourceNamespace", f"The resource namespace '{name}' is invalid.")
        return Reply(200, _provider(api_versions))

    return get


def list_providers(api_versions: tuple[str, ...]) -> Callable[[Cloud, Call], Reply]:
    """The handler of the list of providers: there is one."""

    def get(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
        return Reply(200, {"value": [_provider(api_versions)], "nextLink": None})

    return get


def list_locations(cloud: Cloud, call: Call) -> Reply:  # noqa: ARG001
    """The lab's one region."""
    region = {
        "id": f"{ids.SUBSCRIPTION}/locations/{identity.LOCATION}",
        "name": identity.LOCATION,
        "type": "Region",
        "displayName": _REGION,
        "regionalDisplayName": f"(US) {_REGION}",
        "metadata": {"regionType": "Physical", "regionCategory": "Recommended", "geography": "United States"},
    }
    return Reply(200, {"value": [region]})


def _provider(api_versions: tuple[str, ...]) -> dict[str, Any]:
    newest_first = sorted(api_versions, reverse=True)
    return {
        "id": f"{ids.SUBSCRIPTION}/providers/{ids.PROVIDER}",
        "namespace": ids.PROVIDER,
        "registrationState": "Registered",
        "registrationPolicy": "RegistrationRequired",
        "resourceTypes": [
            {"resourceType": kind, "locations": [_REGION], "apiVersions": newest_first, "capabilities": "None"}
            for kind in _TYPES
        ],
    }


def _stored(cloud: Cloud) -> list[Resource]:
    below = [arm_id for kind in (endpoints.KIND, deployments.KIND) for arm_id in cloud.store.ids(kind)]
    bodies = map(cloud.store.get, [*tracked.known(cloud), *below])
    return [body for body in bodies if body is not None]


def _generic(body: Mapping[str, Any]) -> Resource:
    """The resource as lists of every kind show it; a nested one's name holds those above it."""
    names = body["id"].rpartition("/providers/")[2].split("/")[2::2]
    told = body.get("systemData") or {}
    return {
        "id": body["id"],
        "name": "/".join(names),
        "type": body["type"],
        "location": body["location"],
        "tags": body["tags"],
        **{name: body[name] for name in ("kind", "sku", "identity") if body.get(name) is not None},
        **({"createdTime": told["createdAt"], "changedTime": told["lastModifiedAt"]} if told else {}),
        "provisioningState": body["properties"].get("provisioningState"),
    }


def _wanted(text: str) -> list[Callable[[Resource], bool]]:
    """The filter's clauses. Raises the lab's refusal of any other than `eq`."""
    parts = [part for part in re.split(r"\s+and\s+", text, flags=re.IGNORECASE) if part.strip()]
    by_tag = [part for part in parts if part.strip().lower().startswith("tag")]
    if by_tag and len(by_tag) < len(parts):
        raise arm_error(400, "InvalidFilterInQueryString", "Filters by tag cannot be combined with others.")
    return [_clause(part) for part in parts]


def filtered(call: Call, found: list[Resource]) -> list[Resource]:
    """Of a list, what its `$filter` lets pass."""
    wanted = _wanted(call.query.get("$filter", ""))
    return [each for each in found if all(clause(each) for clause in wanted)]


def _clause(text: str) -> Callable[[Resource], bool]:
    match = _CLAUSE.fullmatch(text)
    if match is None:
        raise unknown(f"the filter {text.strip()!r} of a resource list")
    name, value = match[1].lower(), match[2].lower()
    if name == "tagname":
        return lambda resource: value in map(str.lower, resource["tags"] or {})
    if name == "tagvalue":
        return lambda resource: match[2] in (resource["tags"] or {}).values()
    if name == "resourcegroup":
        return lambda resource: ids.group_of(resource["id"]).lower() == value
    key = "type" if name == "resourcetype" else name
    return lambda resource: str(resource[key]).lower() == value
