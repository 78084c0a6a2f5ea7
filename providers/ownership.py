"""The stack's marker: a random id, created as the stack's first resource, kept in state, and written as a tag.

It tells ours from a stranger's of the same name, in adoption and in deletion. No name can do that: two people may run a
project and stack of the same names against one workspace.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import Input, Output, ResourceOptions
from pulumi.dynamic import CreateResult, ReadResult, UpdateResult
from pulumi.dynamic import Resource as DynamicResource

from providers.kind import AzureArgs, Kind, Refusal, resource_props, without_provider
from providers.schema import LOCAL, prop

TAG = "pulumi-stack-owner"
"""Tag key on whatever can carry one; its value is `<project>/<stack>/<random id>`."""


@dataclass(frozen=True, kw_only=True)
class OwnerArgs(AzureArgs):
    stack: Input[str] = prop("`<project>/<stack>`, for people who read the tag.", change=LOCAL, wire=None)


class OwnerKind(Kind):
    """Talks to nobody: the marker lives in state alone."""

    args = OwnerArgs

    def create(self, props: Mapping[str, Any]) -> CreateResult:
        marker = f"{props['stack']}/{secrets.token_hex(8)}"
        return CreateResult(marker, {**without_provider(props), "marker": marker})

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        return ReadResult(id_, without_provider(props), self.owned(props))

    def update(self, _id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        return UpdateResult({**without_provider(news), "marker": olds["marker"]})

    def delete(self, _id: str, _props: Mapping[str, Any]) -> None:
        """NO-OP: nothing exists outside the state."""


class Owner(DynamicResource, module="azureml", name="Owner"):
    marker: Output[str]

    def __init__(self, name: str, args: OwnerArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__(OwnerKind(), name, resource_props(args, ("marker",)), opts)


def tag_of(body: Mapping[str, Any]) -> str | None:
    """The marker on what ARM returned; tags of tracked resources are on top, those of assets below `properties`."""
    for tags in (body.get("tags"), (body.get("properties") or {}).get("tags")):
        if isinstance(tags, Mapping) and TAG in tags:
            return str(tags[TAG])
    return None


def refuse_stranger(body: Mapping[str, Any], owner: str, adopt: str) -> None:
    """Raise Refusal unless `body` carries our marker; `adopt` says how to take it over on purpose."""
    found = tag_of(body)
    if found != owner:
        who = f"belongs to {found}" if found else f"carries no tag {TAG}, so this stack did not make it"
        raise Refusal(f"{body.get('id')} exists already and {who}; nothing was changed. {adopt}", name="not-ours")


def refuse_to_delete_stranger(body: Mapping[str, Any], owner: str) -> None:
    """Raise Refusal unless `body` carries our marker."""
    found = tag_of(body)
    if found != owner:
        raise Refusal(
            f"{body.get('id')} is not deleted: its tag {TAG} is {found!r}, this stack's is {owner!r}. Delete it by "
            f"hand, or give it the tag and run destroy again; `pulumi state delete <urn>` forgets it without deleting",
            name="not-ours-to-delete",
        )


def owner_property(wire: str) -> Any:
    """The `owner` input of a kind whose tags lie at `wire`."""
    return prop("The stack's marker (providers/ownership.py).", wire=f"{wire}.{TAG}")


__all__ = ["TAG", "Owner", "OwnerArgs", "OwnerKind", "owner_property", "refuse_stranger", "tag_of"]
