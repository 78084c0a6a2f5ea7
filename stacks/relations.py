"""What settings of a stack file say together: all that is wrong in it and no setting shows by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

from components.endpoint import EndpointGroup, StackDeployment
from components.smoke_job import SmokeJobSettings
from providers import checks
from providers.schema import Failure
from stacks import normal_form
from stacks.normal_form import SHORT_FORM

if TYPE_CHECKING:
    from stacks.settings import Settings

_LONGEST, _LONGEST_WITH_HASH = 32, 32 - len("-12345678")


def failures(settings: Settings, project: str) -> list[Failure]:
    """Every one, by the full path of its setting."""
    found = [_forms(settings, project), _computes(settings), _foundation(settings), _endpoint_names(settings)]
    found += [_endpoint(settings, prefix, group) for prefix, group in normal_form.endpoint_places(settings)]
    return list(chain.from_iterable(found))


def _forms(settings: Settings, project: str) -> Iterator[Failure]:
    """The short form or the long one, of computes and of endpoints."""
    if settings.compute and settings.computes:
        yield Failure("compute", "is one compute, and there are `computes`: move it there, to a name of its own")
    if not settings.compute and not settings.computes:
        yield Failure("compute", "is required: what jobs run on; or `computes`, where there are several")
    if settings.endpoints:
        for name in SHORT_FORM:
            if getattr(settings, name) is not None:
                yield Failure(
                    name,
                    f"is one endpoint's, and there are `endpoints`: move it to endpoints.{project}.{name}, "
                    "where it changes nothing",
                )
    elif not settings.deployments:
        yield Failure("deployments", "is required: deployments by name; or `endpoints` with theirs")


def _computes(settings: Settings) -> Iterator[Failure]:
    for where, compute in normal_form.compute_places(settings):
        if not compute.id and not compute.name:
            yield Failure(where, "must have `id` (an existing compute) or `name` (a cluster of this stack)")
        if compute.min_node_count > compute.max_node_count:
            yield Failure(f"{where}.min_node_count", "must not be above `max_node_count`")
        if settings.foundation and compute.id:
            yield Failure(f"{where}.id", "cannot exist in a workspace that this stack builds; set `name`")
        if bool(compute.user_assigned_identities) != (compute.identity_type in _ASSIGNED):
            yield Failure(
                f"{where}.user_assigned_identities",
                f"goes with an `identity_type` of {' or '.join(_ASSIGNED)}: set both or neither",
            )
    for name in settings.computes or ():
        yield from _unfit(f"computes.{name}", name, checks.compute_name)
    clusters = ((where, each.name) for where, each in normal_form.compute_places(settings) if each.name and not each.id)
    for where, name, earlier in _again(clusters):
        yield Failure(where, f"is the cluster {name}, as {earlier} is: give one of them another `name`")


_ASSIGNED = ("UserAssigned", "SystemAssigned,UserAssigned")


def _foundation(settings: Settings) -> Iterator[Failure]:
    if settings.foundation and settings.keep_assets:
        yield Failure("keep_assets", "keeps nothing in a workspace that goes with the stack; leave it out")
    if settings.foundation and settings.shared_key:
        yield Failure("shared_key", "opens nothing in the storage account of `foundation`; leave it out")


def _endpoint_names(settings: Settings) -> Iterator[Failure]:
    named: Mapping[str, EndpointGroup] = settings.endpoints or {}
    for name, group in named.items():
        if not group.endpoint.name:
            yield from _unfit(f"endpoints.{name}", name, checks.endpoint_name, _LONGEST_WITH_HASH)
    again = list(_again((f"endpoints.{key}", each.endpoint.name or key) for key, each in named.items()))
    for where, name, earlier in again:
        yield Failure(where, f"is the endpoint {name}, as {earlier} is: give one of them another name")
    if again:
        return
    # `abc-def` with `ghi`, `abc` with `def-ghi`: to Pulumi one resource.
    joined = (
        (f"endpoints.{key}.deployments.{deployment}", f"{group.endpoint.name or key}-{deployment}")
        for key, group in named.items()
        for deployment in group.deployments
    )
    for where, _, earlier in _again(joined):
        yield Failure(where, f"cannot be told from {earlier}: endpoint and deployment give one name together")


def _endpoint(settings: Settings, prefix: str, group: EndpointGroup) -> Iterator[Failure]:
    """What the settings of one endpoint say together."""
    if not prefix:
        for where, name, earlier in _again((f"deployments.{each}", each) for each in group.deployments):
            yield Failure(where, f"cannot be told from {earlier}: to Azure {name} is the same in any letter case")
    if group.default and group.deployments and group.default not in group.deployments:
        known = ", ".join(group.deployments)
        yield Failure(f"{prefix}default", f"must name one of the deployments ({known}), got {group.default!r}")
    if group.smoke_job:
        yield from _smoke_job(prefix, group, group.smoke_job)
    for name, deployment in group.deployments.items():
        where = f"{prefix}deployments.{name}"
        longest = _LONGEST if deployment.fixed_name else _LONGEST_WITH_HASH
        yield from _unfit(where, name, checks.endpoint_name, longest)
        yield from _deployment(where, deployment)
        yield from _compute_of(settings, where, deployment)


def _smoke_job(prefix: str, group: EndpointGroup, smoke: SmokeJobSettings) -> Iterator[Failure]:
    if not group.default:
        yield Failure(f"{prefix}smoke_job", "gates the default deployment, so `default` must be set")
    if smoke.input.startswith("https://") and smoke.input.partition("?")[2]:
        # Not quoted: it may be a signature.
        yield Failure(
            f"{prefix}smoke_job.input", "must have no query: a signature would stand in the stack's state; give a uri"
        )
    if smoke.input.startswith("azureml:") and not smoke.input.startswith("azureml://"):
        yield Failure(
            f"{prefix}smoke_job.input",
            "must be the ARM id of a data asset's version, /subscriptions/.../data/<name>/versions/<version>: "
            f"azureml:<name>:<version> is shorthand of the az command line alone, got {smoke.input!r}",
        )


def _deployment(where: str, deployment: StackDeployment) -> Iterator[Failure]:
    pipeline = deployment.deployment_configuration is not None
    if bool(deployment.code) != bool(deployment.scoring_script):
        yield Failure(f"{where}.scoring_script", "goes with `code`: set both or neither")
    if deployment.model and deployment.model_reference:
        yield Failure(f"{where}.model_reference", "is instead of `model`: set one of them")
    if not pipeline and not deployment.model and not deployment.model_reference:
        yield Failure(f"{where}.model", "is required: a folder, a file, or the id of a registered model")
    if deployment.code and not deployment.environment:
        yield Failure(f"{where}.environment", "is required with `code`: an image and a conda file, or an id")
    if deployment.environment and not deployment.environment.id and not deployment.environment.image:
        yield Failure(f"{where}.environment", "must have `id` or `image`")


def _compute_of(settings: Settings, where: str, deployment: StackDeployment) -> Iterator[Failure]:
    computes, chosen = normal_form.computes(settings), deployment.compute
    known = ", ".join(computes)
    if chosen and not chosen.startswith("/") and chosen not in computes:
        yield Failure(f"{where}.compute", f"must be one of the stack's ({known}) or an ARM id, got {chosen!r}")
    if not chosen and len(computes) > 1:
        yield Failure(f"{where}.compute", f"is required: the stack has several ({known})")


def _unfit(where: str, name: str, check: checks.Check, longest: int = _LONGEST) -> Iterator[Failure]:
    """Whether what the stack file calls something can be its name in Azure, with a hash behind it where one follows."""
    try:
        check(name)
    except ValueError as error:
        yield Failure(where, f"its name {error}, got {name!r}")
        return
    if len(name) > longest:
        yield Failure(where, f"its name must have at most {longest} characters (its hash follows)")


def _again(named: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """(path, name, path of the earlier one) of each name that was there before, in whatever letter case."""
    first: dict[str, str] = {}
    for where, name in named:
        earlier = first.setdefault(name.lower(), where)
        if earlier != where:
            yield where, name, earlier
