"""The normal form of a stack's computes and endpoints: several, by name. What builds them knows no other.

A stack file with one compute or one endpoint says so in the short form: `compute`; `endpoint`, `deployments`, `default`
and `smoke_job`. The endpoint of the short form has the project's name, so that
`endpoints: {batch-scoring: {deployments: ...}}` is the same in other words, and a second endpoint leaves it as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.batch_scoring import BatchScoringArgs, StackWide
from components.compute import ComputeSettings
from components.endpoint import EndpointGroup, StackDeployment, StackEndpoint
from providers import schema

if TYPE_CHECKING:
    from stacks.settings import Settings

SHORT_FORM = ("endpoint", "deployments", "default", "smoke_job")
"""Settings of the one endpoint."""


def normal_form(settings: Settings, project: str) -> BatchScoringArgs:
    """What the component builds, of either form."""
    stack_wide = {name: getattr(settings, name) for name in schema.properties(StackWide)}
    return BatchScoringArgs(**stack_wide, computes=computes(settings), endpoints=endpoints(settings, project))


def computes(settings: Settings) -> dict[str, ComputeSettings]:
    """Every compute by name, which is also the cluster's unless it says another."""
    if settings.computes:
        return {
            name: each if each.name or each.id else schema.replaced(each, name=name)
            for name, each in settings.computes.items()
        }
    alone = settings.compute
    return {alone.name or str(alone.id).rpartition("/")[2]: alone} if alone else {}


def endpoints(settings: Settings, project: str) -> dict[str, EndpointGroup]:
    """Every endpoint by name."""
    if settings.endpoints:
        return dict(settings.endpoints)
    alone = EndpointGroup(
        endpoint=settings.endpoint or StackEndpoint(),
        deployments=settings.deployments or {},
        default=settings.default,
        smoke_job=settings.smoke_job,
    )
    return {project: alone}


def endpoint_places(settings: Settings) -> list[tuple[str, EndpointGroup]]:
    """(what the paths of its settings begin with in the stack file, endpoint) of every endpoint."""
    return [
        (f"endpoints.{name}." if settings.endpoints else "", each) for name, each in endpoints(settings, "").items()
    ]


def deployment_places(settings: Settings) -> list[tuple[str, StackDeployment]]:
    """(path of its settings in the stack file, deployment), of every endpoint."""
    return [
        (f"{prefix}deployments.{name}", each)
        for prefix, group in endpoint_places(settings)
        for name, each in group.deployments.items()
    ]


def compute_places(settings: Settings) -> list[tuple[str, ComputeSettings]]:
    """(path of its settings in the stack file, compute) of every compute."""
    return [(f"computes.{name}" if settings.computes else "compute", each) for name, each in computes(settings).items()]
