"""The batch endpoint: a stable name and scoring URI in front of deployments.

Every write is GET, merge, PUT: the service's PATCH takes only tags and identity (specification of 2025-12-01),
and a bare PUT would lose the default deployment and whatever tags a policy put there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import Input, Output, ResourceOptions
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from providers import checks, dynamic_host, schema
from providers.kind import (
    GONE,
    UNFINISHED,
    AzureArgs,
    Kind,
    Refusal,
    client,
    deadline,
    merged,
    resource_props,
    standing,
    unfinished,
    without_provider,
)
from providers.ownership import owner_property, refuse_stranger, refuse_to_delete_stranger
from providers.schema import LOCAL, REPLACE, prop

OUTPUTS = ("scoring_uri",)
# What a PUT may carry of what a GET returned; the rest is read-only.
_WRITABLE = ("location", "tags", "kind", "sku")
_WRITABLE_PROPERTIES = ("authMode", "description", "properties", "defaults")


@dataclass(frozen=True, kw_only=True)
class IdentitySettings:
    type: Input[str] = prop(
        "Managed identity of the endpoint; batch endpoints refuse user-assigned ones (azure-rest-api-specs#40149).",
        default="SystemAssigned",
        check=checks.one_of("None", "SystemAssigned"),
    )


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """What a user may set of an endpoint."""

    description: Input[str] | None = prop("Text for people.", default=None)
    auth_mode: Input[str] = prop(
        "How callers authenticate; batch endpoints know Microsoft Entra ID alone.",
        default="AADToken",
        check=checks.one_of("AADToken"),
    )
    properties: Input[Mapping[str, str]] | None = prop(
        "Names and values for programs; the service lets them be added, never changed or removed.", default=None
    )
    tags: Input[Mapping[str, str]] | None = prop("ARM tags.", default=None, wire="tags", check=checks.tags)
    identity: Input[IdentitySettings] | None = prop("Managed identity.", default=None, wire="identity")
    adopt: Input[bool] = prop(
        "Take over an endpoint of this name that this stack did not make.", default=False, wire=None, change=LOCAL
    )


@dataclass(frozen=True, kw_only=True)
class BatchEndpointArgs(EndpointSettings, AzureArgs):
    workspace_id: Input[str] = prop("ARM id of the workspace.", check=checks.arm_id, change=REPLACE, wire=None)
    endpoint_name: Input[str] = prop(
        "Unique in the region, 3-32 characters.", check=checks.endpoint_name, change=REPLACE, wire=None
    )
    location: Input[str] = prop("Azure region.", change=REPLACE, wire="location")
    owner: Input[str] = owner_property("tags")


def endpoint_id(workspace_id: str, name: str) -> str:
    return f"{workspace_id}/batchEndpoints/{name}"


class BatchEndpointKind(Kind):
    args = BatchEndpointArgs

    def create(self, props: Mapping[str, Any]) -> CreateResult:
        id_ = endpoint_id(props["workspace_id"], props["endpoint_name"])
        with client(props).exclusive(id_):
            found = standing(id_, props)
            if found and not props["adopt"]:
                refuse_stranger(
                    found, props["owner"], "Choose another endpoint name, or set `endpoint: {adopt: true}`."
                )
            live = self._put(id_, found or {}, props, {})
        return CreateResult(id_, self._outs(props, live))

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        live = client(props).get(id_, api_version=props["api_version"])
        if live is None:
            return GONE
        inputs = self.live(live, props)
        return ReadResult(id_, {**self._outs(inputs, live), **unfinished(live)}, inputs)

    def update(self, id_: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        if self.only_local(olds, news):
            return UpdateResult({**without_provider(olds), **self.owned(news)})
        with client(news).exclusive(id_):
            found = client(news).get(id_, api_version=news["api_version"])
            if found is None and UNFINISHED not in olds:
                raise Refusal(
                    f"{id_} is gone; `make refresh` notices, the next `make up` creates it", name="endpoint-gone"
                )
            live = self._put(id_, found or {}, news, olds)
        return UpdateResult(self._outs(news, live))

    def delete(self, id_: str, props: Mapping[str, Any]) -> None:
        """Deployments go with it, by the service's own cascade."""
        with client(props).exclusive(id_):
            found = client(props).get(id_, api_version=props["api_version"])
            if found is None:
                return
            refuse_to_delete_stranger(found, props["owner"])
            client(props).delete(
                id_, api_version=props["api_version"], deadline=deadline(props), progress=dynamic_host.progress()
            )

    def _put(
        self, id_: str, live: Mapping[str, Any], news: Mapping[str, Any], olds: Mapping[str, Any]
    ) -> dict[str, Any]:
        body = merged(_without_dropped(writable(live), olds, news), schema.to_body(BatchEndpointArgs, self.owned(news)))
        _refuse_empty_tags(id_, body["tags"])
        with self.recorded(id_, news):
            result = client(news).put(
                id_, body, api_version=news["api_version"], deadline=deadline(news), progress=dynamic_host.progress()
            )
            self.verify(result, news, id_)
        return result

    def _outs(self, inputs: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.owned(inputs), "scoring_uri": live["properties"].get("scoringUri")}


class BatchEndpoint(Resource, module="azureml", name="BatchEndpoint"):
    scoring_uri: Output[str]

    def __init__(self, name: str, args: BatchEndpointArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__(BatchEndpointKind(), name, resource_props(args, OUTPUTS), opts)


def writable(live: Mapping[str, Any]) -> dict[str, Any]:
    """What a PUT must repeat of a GET to leave the rest as it is."""
    body = {key: live[key] for key in _WRITABLE if live.get(key) is not None}
    if live.get("identity"):
        # principalId and tenantId are the service's to say
        body["identity"] = {"type": live["identity"].get("type")}
    properties = live.get("properties") or {}
    body["properties"] = {key: properties[key] for key in _WRITABLE_PROPERTIES if properties.get(key) is not None}
    return body


def _refuse_empty_tags(id_: str, tags: Mapping[str, Any]) -> None:
    """Name the tags that a merge would repeat and the service refuse: it names none (azure-sdk-for-python#41586)."""
    empty = sorted(key for key, value in tags.items() if not value)
    if empty:
        raise Refusal(
            f"{id_}: tags {', '.join(empty)} have no value there, and are not this stack's; the service takes no PUT "
            "with such: give them a value, or remove them",
            name="empty-tags-there",
        )


def _without_dropped(body: dict[str, Any], olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """Take out what we owned and no longer want; what we never owned stays."""
    kept = set(news.get("tags") or {})
    dropped = set(olds.get("tags") or {}) - kept
    if dropped:
        body["tags"] = {key: value for key, value in (body.get("tags") or {}).items() if key not in dropped}
    for name in ("description", "identity"):
        if olds.get(name) is not None and news.get(name) is None:
            body.pop(name, None)
            body["properties"].pop(name, None)
    return body
