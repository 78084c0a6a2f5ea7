"""The stack's marker: a random id, created as the stack's first resource, kept in state, and written as a tag.

It tells ours from a stranger's of the same name, in adoption and in deletion. No name can do that: two people may run a
project and stack of the same names against one workspace.

As all others wait for it, it is also where a run ends whose workspace is not there: before anything is made, and above
all before anything is deleted that a change of workspace replaces.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import Input, Output, ResourceOptions
from pulumi.dynamic import CreateResult, ReadResult, UpdateResult
from pulumi.dynamic import Resource as DynamicResource

from providers import checks, schema
from providers.arm.ids import same_id
from providers.kind import UNFINISHED, AzureArgs, Kind, Refusal, client, resource_props, without_provider
from providers.marker import TAG, tag_of
from providers.schema import LOCAL, Bag, prop


@dataclass(frozen=True, kw_only=True)
class OwnerArgs(AzureArgs):
    stack: Input[str] = prop("`<project>/<stack>`, for people who read the tag.", change=LOCAL, wire=None)
    workspace_id: Input[str] | None = prop(
        "ARM id of the workspace, where it must be there already.",
        default=None,
        check=checks.arm_id,
        change=LOCAL,
        wire=None,
        equal=same_id,
    )


class OwnerKind(Kind):
    """The marker lives in state alone; the workspace is looked for, and left alone."""

    args = OwnerArgs

    def create(self, props: Mapping[str, Any]) -> CreateResult:
        _require_workspace(props)
        marker = f"{props['stack']}/{secrets.token_hex(8)}"
        return CreateResult(marker, {**without_provider(props), "marker": marker})

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        return ReadResult(id_, without_provider(props), self.owned(props))

    def update(self, _id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        if "workspace_id" in schema.changes(self.args, olds, news):
            _require_workspace(news)
        return UpdateResult({**without_provider(news), "marker": olds["marker"]})

    def delete(self, _id: str, _props: Mapping[str, Any]) -> None:
        """NO-OP: nothing exists outside the state."""


class Owner(DynamicResource, module="azureml", name="Owner"):
    marker: Output[str]

    def __init__(self, name: str, args: OwnerArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__(OwnerKind(), name, resource_props(args, ("marker",)), opts)


def _require_workspace(props: Mapping[str, Any]) -> None:
    """Raise Refusal where a workspace is named that is not there."""
    workspace = props.get("workspace_id")
    if workspace and client(props).get(str(workspace), api_version=str(props["api_version"])) is None:
        raise Refusal(
            f"there is no workspace {workspace}; nothing was changed. Correct subscription_id, resource_group or "
            "workspace in the stack file",
            name="workspace-missing",
        )


def marker_read(body: Mapping[str, Any], props: Mapping[str, Any]) -> Bag:
    """What state keeps of the marker after a read: ours, whatever the service says.

    A deletion after that refresh must still know whose it is. Where the service has another marker, or none, the
    resource counts as unfinished, so that the next `up` puts the marker back, or says who has taken the resource over.
    """
    found = tag_of(body)
    if found == props["owner"]:
        return {}
    return {"owner": props["owner"], UNFINISHED: "taken-over" if found else "marker-removed"}


def refuse_stranger(body: Mapping[str, Any], owner: str, adopt: str) -> None:
    """Raise Refusal unless `body` carries our marker; `adopt` says how to take it over on purpose."""
    found = tag_of(body)
    if found != owner:
        who = f"belongs to {found}" if found else f"carries no tag {TAG}, so this stack did not make it"
        raise Refusal(f"{body.get('id')} exists already and {who}; nothing was changed. {adopt}", name="not-ours")


def refuse_taken_over(body: Mapping[str, Any] | None, news: Mapping[str, Any], adopt: str) -> None:
    """Raise Refusal when another stack has taken over what an update is about; `adopt` says how to take it back.

    A marker that somebody removed is no other stack's: the update puts it back.
    """
    found = tag_of(body or {})
    if found and found != news["owner"] and not news.get("adopt"):
        raise Refusal(
            f"{(body or {}).get('id')} belongs to {found} now, by its tag {TAG}, and not to {news['owner']} any more: "
            f"two stacks do not write to one resource, nothing was changed. Set {adopt} to take it back, or take it "
            "out of this stack",
            name="taken-over",
        )


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


__all__ = [
    "TAG",
    "Owner",
    "OwnerArgs",
    "OwnerKind",
    "marker_read",
    "owner_property",
    "refuse_stranger",
    "refuse_taken_over",
    "refuse_to_delete_stranger",
    "tag_of",
]
