"""The batch endpoint: a stable name and scoring URI in front of deployments.

Every write is GET, merge, PUT: the service's PATCH takes only tags and identity (specification of 2025-12-01),
and a bare PUT would lose the default deployment and whatever tags a policy put there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import Input, Output, ResourceOptions
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from providers import checks, dynamic_host, retiring
from providers.arm.ids import same_id
from providers.kind import (
    UNFINISHED,
    Kind,
    Refusal,
    client,
    deadline,
    gone,
    resource_props,
    standing,
    unfinished,
)
from providers.ownership import (
    marker_read,
    owner_property,
    refuse_stranger,
    refuse_taken_over,
    refuse_to_delete_stranger,
)
from providers.schema import LOCAL, REPLACE, prop

OUTPUTS = ("scoring_uri",)


@dataclass(frozen=True, kw_only=True)
class IdentitySettings:
    type: Input[str] = prop(
        "Managed identity of the endpoint; batch endpoints refuse user-assigned ones (azure-rest-api-specs#40149).",
        default="SystemAssigned",
        check=checks.endpoint_identity,
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
        "Names and values for programs; the service lets them be added, never changed or removed.",
        default=None,
        grows=True,
    )
    tags: Input[Mapping[str, str]] | None = prop("ARM tags.", default=None, wire="tags", check=checks.tags)
    identity: Input[IdentitySettings] | None = prop("Managed identity.", default=None, wire="identity")
    adopt: Input[bool] = prop(
        "Take over an endpoint of this name that this stack did not make.", default=False, wire=None, change=LOCAL
    )


@dataclass(frozen=True, kw_only=True)
class BatchEndpointArgs(EndpointSettings, retiring.JobHostArgs):
    workspace_id: Input[str] = prop(
        "ARM id of the workspace.", check=checks.arm_id, change=REPLACE, wire=None, equal=same_id
    )
    endpoint_name: Input[str] = prop(
        "Unique in the region, 3-32 characters.", check=checks.endpoint_name, change=REPLACE, wire=None
    )
    location: Input[str] = prop("Azure region.", check=checks.location, change=REPLACE, wire="location")
    owner: Input[str] = owner_property("tags")


def endpoint_id(workspace_id: str, name: str) -> str:
    return f"{workspace_id}/batchEndpoints/{name}"


class BatchEndpointKind(Kind):
    args = BatchEndpointArgs

    def create(self, props: Mapping[str, Any]) -> CreateResult:
        id_ = endpoint_id(props["workspace_id"], props["endpoint_name"])
        with client(props).exclusive(id_):
            found = standing(id_, props, "create")
            if found and not props["adopt"]:
                refuse_stranger(
                    found, props["owner"], "Choose another endpoint name, or set `endpoint: {adopt: true}`."
                )
            live = self.write(id_, found, props)
        return CreateResult(id_, self._outs(props, live))

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        live = client(props).get(id_, api_version=props["api_version"])
        if live is None:
            return gone()
        inputs = self.live(live, props)
        return ReadResult(id_, {**self._outs(inputs, live), **marker_read(live, props), **unfinished(live)}, inputs)

    def update(self, id_: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        if self.only_local(olds, news):
            return UpdateResult({**self.outputs(olds), **self.owned(news)})
        with client(news).exclusive(id_):
            found = standing(id_, news, "update")
            if found is None and UNFINISHED not in olds:
                raise Refusal(
                    f"{id_} is gone; `make refresh` notices, the next `make up` creates it", name="endpoint-gone"
                )
            refuse_taken_over(found, news, "`endpoint: {adopt: true}`")
            live = self.write(id_, found, news, olds)
        return UpdateResult(self._outs(news, live))

    def delete(self, id_: str, props: Mapping[str, Any]) -> None:
        """Deployments go with it, by the service's own cascade; jobs of ours that an interrupted run left do not."""
        with client(props).exclusive(id_):
            found = client(props).get(id_, api_version=props["api_version"])
            if found is not None:
                refuse_to_delete_stranger(found, props["owner"])
            retiring.end_own_jobs(id_, props)
            if found is not None:
                client(props).delete(
                    id_,
                    api_version=props["api_version"],
                    deadline=deadline(props, "delete"),
                    progress=dynamic_host.progress(),
                )
        retiring.delete_outputs(props)

    def _outs(self, inputs: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.owned(inputs), "scoring_uri": live["properties"].get("scoringUri")}


class BatchEndpoint(Resource, module="azureml", name="BatchEndpoint"):
    scoring_uri: Output[str]

    def __init__(self, name: str, args: BatchEndpointArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__(BatchEndpointKind(), name, resource_props(args, OUTPUTS), opts)
