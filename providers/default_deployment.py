"""Which deployment answers when a caller names none.

A resource of its own: endpoint and deployment each need the other to exist, and this breaks the cycle. It is a field of
the endpoint on the wire, so a write is GET, set, PUT, and look whether it took.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from pulumi import Input, ResourceOptions
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from providers import checks, dynamic_host
from providers.arm.ids import same_id
from providers.kind import (
    AzureArgs,
    Kind,
    Operation,
    Refusal,
    client,
    deadline,
    gone,
    resource_props,
    standing,
    without_provider,
    writable,
)
from providers.ownership import TAG, tag_of
from providers.retiring import default_of
from providers.schema import LOCAL, REPLACE, prop


@dataclass(frozen=True, kw_only=True)
class DefaultDeploymentArgs(AzureArgs):
    endpoint_id: Input[str] = prop(
        "ARM id of the endpoint.", check=checks.arm_id, change=REPLACE, wire=None, equal=same_id
    )
    deployment_name: Input[str] = prop(
        "The deployment that becomes the default.",
        check=checks.endpoint_name,
        wire="properties.defaults.deploymentName",
        equal=same_id,
    )
    owner: Input[str] = prop(
        "The stack's marker, which the endpoint must carry: two stacks do not share one.", change=LOCAL, wire=None
    )


class DefaultDeploymentKind(Kind):
    args = DefaultDeploymentArgs

    def create(self, props: Mapping[str, Any]) -> CreateResult:
        self._set(props, props["deployment_name"], "create")
        return CreateResult(default_id(props["endpoint_id"]), self.owned(props))

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        live = client(props).get(props["endpoint_id"], api_version=props["api_version"])
        if live is None or not default_of(live):
            return gone()
        inputs = self.live(live, props)
        return ReadResult(id_, inputs, inputs)

    def update(self, _id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        if not self.only_local(olds, news):
            self._set(news, news["deployment_name"], "update")
        return UpdateResult(without_provider(news))

    def delete(self, _id: str, props: Mapping[str, Any]) -> None:
        """Name no default any more, unless somebody has switched it to another deployment since."""
        self._set(props, None, "delete", only_from=props["deployment_name"])

    def _set(
        self, props: Mapping[str, Any], name: str | None, operation: Operation, only_from: str | None = None
    ) -> None:
        id_, version = props["endpoint_id"], props["api_version"]
        with client(props).exclusive(id_):
            live = standing(id_, props, operation)
            if live is None or (only_from and not _same(default_of(live), only_from)):
                if name is None:
                    return
                raise Refusal(
                    f"{id_} is gone; `make refresh` notices, the next `make up` creates it", name="endpoint-gone"
                )
            if tag_of(live) != props["owner"]:
                if name is None:
                    return
                raise Refusal(
                    f"{id_} belongs to {tag_of(live) or 'nobody'} by its tag {TAG}, not to {props['owner']}: "
                    "two stacks do not write to one endpoint, nothing was changed. Give this stack's endpoint a name "
                    "of its own, or set `endpoint: {adopt: true}`",
                    name="endpoint-of-another-stack",
                )
            state = (live.get("properties") or {}).get("provisioningState") or "Succeeded"
            if _same(default_of(live), name) and state == "Succeeded":
                return
            body = writable(live)
            body["properties"]["defaults"] = {"deploymentName": name}
            progress = dynamic_host.progress()
            with self.recorded(default_id(id_), props) if name else nullcontext():
                result = client(props).put(
                    id_, body, api_version=version, deadline=deadline(props, operation), progress=progress
                )
        if not _same(default_of(result), name):
            raise Refusal(
                f"{id_}: the default deployment is {default_of(result)!r} after it was set to {name!r}; run again",
                name="default-not-taken",
            )


def _same(one: str | None, other: str | None) -> bool:
    """Names in any letter case, as ARM's are."""
    return same_id(one or "", other or "")


class DefaultDeployment(Resource, module="azureml", name="DefaultDeployment"):
    def __init__(self, name: str, args: DefaultDeploymentArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__(DefaultDeploymentKind(), name, resource_props(args, ()), opts)


def default_id(endpoint_id: str) -> str:
    """The Pulumi id of an endpoint's default: it is part of the endpoint, and has no id of its own in ARM."""
    return f"{endpoint_id}/defaults"
