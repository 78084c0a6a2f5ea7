"""BatchScoring: the foundation, computes and endpoints of a stack: one component.

It only builds resources: every id is computed from names, every folder arrives as a value. What waits for what is said
here and in components/endpoint.py, and nowhere else:

    (foundation ->) computes -> endpoints

An endpoint waits for the computes that its deployments run on, and for no other endpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_azure_native as azure_native
from pulumi import CustomTimeouts, Output, ResourceOptions

from components.assets import Shelf, after
from components.compute import Computes, ComputeSettings, build_compute, compute_id
from components.endpoint import EndpointBuilder, EndpointGroup
from components.foundation import Foundation, FoundationSettings, build_foundation
from components.placement import Placement
from components.sources import Sources
from providers import checks, schema
from providers.kind import Deadlines
from providers.ownership import Owner, OwnerArgs
from providers.schema import prop


@dataclass(frozen=True, kw_only=True)
class StackWide:
    """What is said once for all that a stack deploys."""

    foundation: FoundationSettings | None = prop(
        "Build the workspace with all that it stands on; otherwise it exists already.", default=None
    )
    tags: Mapping[str, str] | None = prop(
        "ARM tags of everything that can carry tags.", default=None, check=checks.tags
    )
    keep_assets: bool = prop(
        "Leave code, model and environment versions and their uploads in the workspace when this stack has newer ones "
        "or is destroyed: other stacks may use them.",
        default=False,
    )
    shared_key: bool = prop("Upload with the storage account's key instead of Entra ID.", default=False)


@dataclass(frozen=True, kw_only=True)
class BatchScoringArgs(StackWide):
    """What a stack deploys."""

    computes: Mapping[str, ComputeSettings] = prop("What jobs run on, by name.", check=checks.not_empty)
    endpoints: Mapping[str, EndpointGroup] = prop("Endpoints with their deployments, by name.", check=checks.not_empty)


class BatchScoring(pulumi.ComponentResource):
    """Models deployed for batch scoring.

    Every resource is a child of this one component, whichever endpoint it belongs to. A component of its own for each
    endpoint would stand in the URN of all that is below it: states of a stack with one endpoint, which had none, would
    need an alias for each resource, and a URN's name tells the endpoint already.
    """

    outputs: dict[str, Any]
    """Plain values for people and pipelines.

    Of the endpoint that has the project's name as they are; of all endpoints below `endpoints`, by name, where there
    are others. So a second endpoint takes nothing from those who read the first one's.
    """

    def __init__(
        self,
        name: str,
        placement: Placement,
        args: BatchScoringArgs,
        sources: Sources,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__("azureml:index:BatchScoring", name, None, opts)
        self._placement = placement
        self._args = args
        self._sources = sources
        self._own = ResourceOptions(parent=self)
        owner = Owner(
            "owner",
            OwnerArgs(
                **placement.azure,
                stack=f"{placement.project}/{placement.stack}",
                # What the stack itself builds need not be there before.
                workspace_id=None if args.foundation else placement.workspace_id,
            ),
            self._own,
        )
        self._own = after(self._own, [owner])
        # The marker is the id, too, which stays known in previews where the owner itself is updated.
        self._owner: Output[str] = owner.id
        azure = azure_native.Provider(
            "azure", subscription_id=placement.subscription_id, environment=placement.cloud, opts=self._own
        )
        self._azure = ResourceOptions.merge(
            self._own, ResourceOptions(provider=azure, custom_timeouts=_timeouts(placement.deadlines))
        )
        self.outputs = self._build()
        self.register_outputs(self.outputs)

    def _build(self) -> dict[str, Any]:
        placement, args = self._placement, self._args
        foundation = self._foundation()
        computes = self._computes(foundation)
        shelf = Shelf(
            placement,
            self._sources,
            self._owner,
            args.shared_key,
            self._own,
            self._azure,
            foundation.upload_roles if foundation else (),
            foundation.role_wait if foundation else None,
            keep=args.keep_assets,
        )
        told = {
            name: EndpointBuilder(key=name, group=group, shelf=shelf, computes=computes, tags=args.tags).build()
            for name, group in args.endpoints.items()
        }
        others = told.keys() - {placement.project}
        return {**told.get(placement.project, {}), **({"endpoints": told} if others else {})}

    def _computes(self, foundation: Foundation | None) -> Computes:
        ids, clusters = {}, {}
        for name, given in self._args.computes.items():
            each = schema.replaced(given, tags={**(self._args.tags or {}), **(given.tags or {})} or None)
            if foundation and not each.identity_type:
                each = schema.replaced(
                    each, identity_type="UserAssigned", user_assigned_identities=[foundation.jobs_identity]
                )
            ids[name] = compute_id(self._placement, each)
            clusters[ids[name].lower()] = build_compute(self._placement, each, self._owner, self._azure)
        return Computes(ids, clusters)

    def _foundation(self) -> Foundation | None:
        """The workspace, where the stack builds it: whatever is made after this waits for it, and goes before it."""
        if not self._args.foundation:
            return None
        foundation = build_foundation(
            self._placement,
            self._args.foundation,
            owner=self._owner,
            tags=self._args.tags,
            own=self._own,
            azure=self._azure,
        )
        self._own = after(self._own, foundation.needs)
        self._azure = after(self._azure, foundation.needs)
        return foundation


def _timeouts(deadlines: Deadlines | None) -> CustomTimeouts | None:
    """The same waits for azure-native's kinds, which have no input for them."""
    given = schema.bag_of(deadlines) if deadlines else {}
    return CustomTimeouts(**{name: f"{checks.seconds(each):.0f}s" for name, each in given.items()}) if given else None
