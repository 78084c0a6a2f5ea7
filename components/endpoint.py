"""One endpoint of a stack, with its deployments, its gate and its default; what waits for what is said here.

    uploads -> versions -> endpoint -> deployments -> smoke job -> default

The endpoint waits for compute and assets, so that on destroy they outlive it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pulumi
from pulumi import ResourceOptions

from components import smoke_job
from components.assets import Asset, EnvironmentSettings, Shelf, after
from components.compute import Computes
from components.smoke_job import Candidate, Gate, SmokeJobSettings, smoke_uri
from providers import checks, schema
from providers.batch_deployment import (
    BatchDeployment,
    BatchDeploymentArgs,
    CodeConfiguration,
    DeploymentSettings,
    ModelReference,
    coloured_name,
)
from providers.batch_endpoint import BatchEndpoint, BatchEndpointArgs, EndpointSettings, endpoint_id
from providers.default_deployment import DefaultDeployment, DefaultDeploymentArgs
from providers.schema import prop


@dataclass(frozen=True, kw_only=True)
class StackEndpoint(EndpointSettings):
    name: str | None = prop(
        "Name, unique in the region; by default that in `endpoints`, or the project's, with a suffix of its own.",
        default=None,
        check=checks.endpoint_name,
    )
    protect: bool = prop(
        "Let no run delete the endpoint; to delete it, set this to false, and `up` once before.", default=False
    )


@dataclass(frozen=True, kw_only=True)
class StackDeployment(DeploymentSettings):
    """A deployment in a stack file: what it is made of, and the settings of the API."""

    code: str | None = prop(
        "Local code folder, or ARM id of a code version.", default=None, check=checks.path_or_version_of("codes")
    )
    scoring_script: str | None = prop("Script in the code folder.", default=None, check=checks.scoring_script)
    model: str | None = prop(
        "Local model folder or file, or ARM id or azureml://registries/... of a registered version.",
        default=None,
        check=checks.path_or_version_of("models"),
    )
    model_type: str = prop(
        "What a local model is.",
        default="custom_model",
        check=checks.one_of("custom_model", "mlflow_model", "triton_model"),
    )
    model_reference: ModelReference | None = prop(
        "Instead of `model`: a path in a datastore, or an output of a job.", default=None
    )
    environment: EnvironmentSettings | None = prop("Image and conda file, or id of a registered version.", default=None)
    compute: str | None = prop(
        "Name of one of `computes`, or ARM id of another one; by default the stack's, where it has but one.",
        default=None,
        check=checks.compute_reference,
    )
    fixed_name: bool = prop(
        "Keep the name when content changes: the deployment is then changed in place, without a way back.",
        default=False,
    )
    drain: str = prop(
        "When it is retired: longest wait for jobs that still run on it, before it and its model are deleted; "
        "0s deletes them at once.",
        default="PT30M",
        check=checks.duration,
    )


@dataclass(frozen=True, kw_only=True)
class EndpointGroup:
    """One endpoint with all that belongs to it."""

    endpoint: StackEndpoint = prop("The endpoint.", default=StackEndpoint())
    deployments: Mapping[str, StackDeployment] = prop("Deployments by name.", check=checks.not_empty)
    default: str | None = prop("Name of the deployment that answers when a caller names none.", default=None)
    smoke_job: SmokeJobSettings | None = prop("Gate before the default moves.", default=None)


@dataclass(frozen=True, kw_only=True)
class EndpointBuilder:
    """Builds the resources of one endpoint."""

    key: str
    """Its name among the stack's `endpoints`; the project's where the stack file has one endpoint without a name."""
    group: EndpointGroup
    shelf: Shelf
    computes: Computes
    tags: Mapping[str, str] | None

    @property
    def name(self) -> str:
        """Its name in Azure."""
        placement = self.shelf.placement
        return self.group.endpoint.name or placement.unique(self.key, longest=32)

    @property
    def id(self) -> str:
        return endpoint_id(self.shelf.placement.workspace_id, self.name)

    def build(self) -> dict[str, Any]:
        """All resources of it; what the stack tells of it."""
        assets = {name: self._assets(name, each) for name, each in self.group.deployments.items()}
        gate = self._gate()
        data = gate.input(self.shelf) if gate else None
        runs_on = [self.computes.id_of(each.compute) for each in self.group.deployments.values()]
        needed = [
            *self.computes.needs(runs_on),
            *(need for each in assets.values() for asset in each.values() for need in asset.needs),
            *(data.needs if data else ()),
        ]
        endpoint = BatchEndpoint(
            self.name,
            self._endpoint_args(),
            ResourceOptions.merge(after(self.shelf.opts, needed), ResourceOptions(protect=self.group.endpoint.protect)),
        )
        candidates = {name: self._deployment(name, assets[name], endpoint) for name in self.group.deployments}
        default, job = self._default(endpoint, candidates, gate, data)
        return {
            "endpoint_name": self.name,
            "endpoint_id": self.id,
            "scoring_uri": endpoint.scoring_uri,
            "default_deployment": default,
            "deployments": {name: f"{self.id}/deployments/{each.deployed}" for name, each in candidates.items()},
            "assets": {name: {kind: asset.id for kind, asset in each.items()} for name, each in assets.items()},
            "smoke_job": job,
        }

    def _default(
        self, endpoint: BatchEndpoint, candidates: Mapping[str, Candidate], gate: Gate | None, data: Asset | None
    ) -> tuple[str | None, dict[str, Any] | None]:
        """The gate and the default behind it: the deployment's name in Azure, and what the stack tells of the job."""
        if not self.group.default:
            return None, None
        chosen = candidates[self.group.default]
        waits: list[pulumi.Resource] = [chosen.resource]
        said = None
        if gate and data:
            subjects = [each.subject for each in candidates.values()]
            job = gate.job(f"{self.name}-smoke", self.id, chosen, subjects, data)
            said = smoke_job.said(job, gate.settings)
            waits.append(job)
        DefaultDeployment(
            f"{self.name}-default",
            DefaultDeploymentArgs(
                **self.shelf.placement.azure,
                endpoint_id=self.id,
                deployment_name=chosen.deployed,
                owner=self.shelf.owner,
            ),
            self._below(endpoint, waits, former="default"),
        )
        return chosen.deployed, said

    def _endpoint_args(self) -> BatchEndpointArgs:
        given = {each.name: getattr(self.group.endpoint, each.name) for each in fields(EndpointSettings)}
        return BatchEndpointArgs(
            **{**given, "tags": self._tags(self.group.endpoint.tags)},
            **self.shelf.placement.azure,
            workspace_id=self.shelf.placement.workspace_id,
            endpoint_name=self.name,
            location=self.shelf.placement.location,
            owner=self.shelf.owner,
            **self._jobs(),
        )

    def _assets(self, name: str, deployment: StackDeployment) -> dict[str, Asset]:
        tags, named = self._tags(None), self._named(name)
        found: dict[str, Asset] = {}
        if deployment.code:
            found["code"] = self.shelf.code(named, deployment.code, tags, adopt=bool(deployment.adopt))
        if deployment.model:
            found["model"] = self.shelf.model(
                named, deployment.model, deployment.model_type, tags, adopt=bool(deployment.adopt)
            )
        if deployment.environment:
            found["environment"] = self.shelf.environment(named, deployment.environment, tags)
        return found

    def _deployment(self, name: str, assets: Mapping[str, Asset], endpoint: BatchEndpoint) -> Candidate:
        settings = self.group.deployments[name]
        given = {each.name: getattr(settings, each.name) for each in fields(DeploymentSettings)}
        content = {
            "code_configuration": CodeConfiguration(
                code_id=assets["code"].id if "code" in assets else None, scoring_script=settings.scoring_script
            )
            if settings.scoring_script
            else None,
            "model": ModelReference(asset_id=assets["model"].id) if "model" in assets else settings.model_reference,
            "environment_id": assets["environment"].id if "environment" in assets else None,
        }
        compute = self.computes.id_of(settings.compute)
        args = BatchDeploymentArgs(
            **{**given, **content, "tags": self._tags(settings.tags)},
            **self.shelf.placement.azure,
            endpoint_id=self.id,
            deployment_name=name,
            location=self.shelf.placement.location,
            compute=compute,
            owner=self.shelf.owner,
            drain=settings.drain,
        )
        coloured = coloured_name(name, schema.bag_of(args))
        deployed = name if settings.fixed_name else coloured
        resource = BatchDeployment(
            f"{self.name}-{deployed}",
            schema.replaced(args, deployment_name=deployed, **self._jobs(deployed)),
            self._below(endpoint, [need for asset in assets.values() for need in asset.needs], former=deployed),
        )
        return Candidate(deployed=deployed, subject=coloured, settings=settings, compute=compute, resource=resource)

    def _gate(self) -> Gate | None:
        smoke = self.group.smoke_job
        if not smoke:
            return None
        return Gate(
            placement=self.shelf.placement,
            sources=self.shelf.sources,
            settings=smoke,
            upload=self._named("smoke-input"),
            shared_key=self.shelf.shared_key,
            opts=self.shelf.opts,
        )

    def _jobs(self, *deployed: str) -> dict[str, Any]:
        """Where the stack's own jobs write, for what they run on: nowhere, where it has none."""
        if not self.group.smoke_job:
            return {}
        return {
            "jobs_uri": smoke_uri(self.shelf.placement, self.name, *deployed),
            "shared_key": self.shelf.shared_key or None,
        }

    def _below(self, endpoint: BatchEndpoint, needs: Sequence[pulumi.Resource], former: str) -> ResourceOptions:
        """Gone with the endpoint: the service deletes what is below it, and one DELETE is enough.

        `former` is the logical name in states of 0.1, where the endpoint's was no part of it: under another endpoint
        the resource was then replaced, and what served was deleted first. Those states have one endpoint.
        """
        below = ResourceOptions(
            deleted_with=endpoint,
            depends_on=[endpoint],
            aliases=[pulumi.Alias(name=former)] if self._first else None,
        )
        return after(ResourceOptions.merge(self.shelf.opts, below), needs)

    def _tags(self, own: Any) -> dict[str, str] | None:
        return {**(self.tags or {}), **(own or {})} or None

    def _named(self, name: str) -> str:
        """A name of its assets, which no other endpoint of the stack has: names of deployments have no underscore."""
        return name if self._first else f"{self.key}_{name}"

    @property
    def _first(self) -> bool:
        """Whether it is the one that the stack had before it had several: it keeps all its names."""
        return self.key == self.shelf.placement.project
