"""BatchScoring: compute, uploads, code, model, environment, endpoint, deployments, smoke job, default: one component.

It only builds resources: every id is computed from names, every folder arrives as a value. What waits for what is said
here and nowhere else:

    (foundation ->) uploads -> versions -> endpoint -> deployments -> smoke job -> default

The endpoint waits for compute and assets, so that on destroy they outlive it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pulumi
import pulumi_azure_native as azure_native
from pulumi import CustomTimeouts, Output, ResourceOptions

from components import smoke_job
from components.assets import Asset, EnvironmentSettings, Shelf, after
from components.compute import ComputeSettings, build_compute, compute_id
from components.foundation import Foundation, FoundationSettings, build_foundation
from components.placement import Placement
from components.smoke_job import Candidate, Gate, SmokeJobSettings, smoke_uri
from components.sources import Sources
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
from providers.kind import Deadlines
from providers.ownership import Owner, OwnerArgs
from providers.schema import prop


@dataclass(frozen=True, kw_only=True)
class StackEndpoint(EndpointSettings):
    name: str | None = prop(
        "Name, unique in the region; by default the project's with a suffix of its own.",
        default=None,
        check=checks.endpoint_name,
    )
    protect: bool = prop(
        "Let no run delete the endpoint; to delete it, set this to false, and `up` once before.", default=False
    )


@dataclass(frozen=True, kw_only=True)
class StackDeployment(DeploymentSettings):
    """A deployment in a stack file: what it is made of, and the settings of the API."""

    code: str | None = prop("Local code folder, or ARM id of a code version.", default=None)
    scoring_script: str | None = prop("Script in the code folder.", default=None, check=checks.scoring_script)
    model: str | None = prop("Local model folder or file, or id of a registered model version.", default=None)
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
        "ARM id of another compute than the stack's.", default=None, check=checks.id_of("computes")
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
class BatchScoringArgs:
    """What a stack deploys."""

    compute: ComputeSettings = prop("What jobs run on.")
    foundation: FoundationSettings | None = prop(
        "Build the workspace with all that it stands on; otherwise it exists already.", default=None
    )
    endpoint: StackEndpoint = prop("The endpoint.", default=StackEndpoint())
    deployments: Mapping[str, StackDeployment] = prop("Deployments by name.", check=checks.not_empty)
    default: str | None = prop("Name of the deployment that answers when a caller names none.", default=None)
    smoke_job: SmokeJobSettings | None = prop("Gate before the default moves.", default=None)
    tags: Mapping[str, str] | None = prop(
        "ARM tags of everything that can carry tags.", default=None, check=checks.tags
    )
    keep_assets: bool = prop(
        "Leave code, model and environment versions and their uploads in the workspace when this stack has newer ones "
        "or is destroyed: other stacks may use them.",
        default=False,
    )
    shared_key: bool = prop("Upload with the storage account's key instead of Entra ID.", default=False)


class BatchScoring(pulumi.ComponentResource):
    """A model deployed for batch scoring; outputs are plain values for people and pipelines."""

    endpoint_name: str
    endpoint_id: str
    scoring_uri: Output[str]
    default_deployment: str | None
    deployments: dict[str, str]
    assets: dict[str, dict[str, str]]
    smoke_job: dict[str, Any] | None

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
        self._build()
        self.register_outputs(self.outputs)

    @property
    def outputs(self) -> dict[str, Any]:
        return {
            "endpoint_name": self.endpoint_name,
            "endpoint_id": self.endpoint_id,
            "scoring_uri": self.scoring_uri,
            "default_deployment": self.default_deployment,
            "deployments": self.deployments,
            "assets": self.assets,
            "smoke_job": self.smoke_job,
        }

    def _build(self) -> None:
        placement, args = self._placement, self._args
        foundation = self._foundation()
        cluster = schema.replaced(args.compute, tags=self._tags(args.compute.tags))
        if foundation and not cluster.identity_type:
            cluster = schema.replaced(
                cluster, identity_type="UserAssigned", user_assigned_identities=[foundation.jobs_identity]
            )
        compute = build_compute(placement, cluster, self._owner, self._azure)
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
        assets = {name: self._assets(shelf, name, each) for name, each in args.deployments.items()}
        gate = self._gate()
        data = gate.input(shelf) if gate else None
        needed = [*compute, *(need for each in assets.values() for asset in each.values() for need in asset.needs)]

        self.endpoint_name = args.endpoint.name or placement.unique(placement.project, longest=32)
        self.endpoint_id = endpoint_id(placement.workspace_id, self.endpoint_name)
        endpoint = BatchEndpoint(
            self.endpoint_name,
            self._endpoint_args(),
            ResourceOptions.merge(
                after(self._own, [*needed, *(data.needs if data else ())]),
                ResourceOptions(protect=args.endpoint.protect),
            ),
        )
        self.scoring_uri = endpoint.scoring_uri

        candidates = {name: self._deployment(name, assets[name], endpoint) for name in args.deployments}
        self.deployments = {
            name: f"{self.endpoint_id}/deployments/{each.deployed}" for name, each in candidates.items()
        }
        self.assets = {name: {kind: asset.id for kind, asset in each.items()} for name, each in assets.items()}
        self.default_deployment = None
        self.smoke_job = None
        if args.default:
            chosen = candidates[args.default]
            waits: list[pulumi.Resource] = [chosen.resource]
            if gate and data:
                subjects = [each.subject for each in candidates.values()]
                job = gate.job(f"{self.endpoint_name}-smoke", self.endpoint_id, chosen, subjects, data)
                self.smoke_job = smoke_job.said(job)
                waits.append(job)
            self.default_deployment = chosen.deployed
            DefaultDeployment(
                f"{self.endpoint_name}-default",
                DefaultDeploymentArgs(
                    **placement.azure,
                    endpoint_id=self.endpoint_id,
                    deployment_name=chosen.deployed,
                    owner=self._owner,
                ),
                self._below(endpoint, waits, former="default"),
            )

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

    def _endpoint_args(self) -> BatchEndpointArgs:
        given = {each.name: getattr(self._args.endpoint, each.name) for each in fields(EndpointSettings)}
        return BatchEndpointArgs(
            **{**given, "tags": self._tags(self._args.endpoint.tags)},
            **self._placement.azure,
            workspace_id=self._placement.workspace_id,
            endpoint_name=self.endpoint_name,
            location=self._placement.location,
            owner=self._owner,
            **self._jobs(),
        )

    def _assets(self, shelf: Shelf, name: str, deployment: StackDeployment) -> dict[str, Asset]:
        tags = self._tags(None)
        found: dict[str, Asset] = {}
        if deployment.code:
            found["code"] = shelf.code(name, deployment.code, tags, adopt=bool(deployment.adopt))
        if deployment.model:
            found["model"] = shelf.model(
                name, deployment.model, deployment.model_type, tags, adopt=bool(deployment.adopt)
            )
        if deployment.environment:
            found["environment"] = shelf.environment(name, deployment.environment, tags)
        return found

    def _deployment(self, name: str, assets: Mapping[str, Asset], endpoint: BatchEndpoint) -> Candidate:
        settings = self._args.deployments[name]
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
        compute = settings.compute or compute_id(self._placement, self._args.compute)
        args = BatchDeploymentArgs(
            **{**given, **content, "tags": self._tags(settings.tags)},
            **self._placement.azure,
            endpoint_id=self.endpoint_id,
            deployment_name=name,
            location=self._placement.location,
            compute=compute,
            owner=self._owner,
            drain=settings.drain,
        )
        coloured = coloured_name(name, schema.bag_of(args))
        deployed = name if settings.fixed_name else coloured
        resource = BatchDeployment(
            f"{self.endpoint_name}-{deployed}",
            schema.replaced(args, deployment_name=deployed, **self._jobs(deployed)),
            self._below(endpoint, [need for asset in assets.values() for need in asset.needs], former=deployed),
        )
        return Candidate(deployed=deployed, subject=coloured, settings=settings, compute=compute, resource=resource)

    def _gate(self) -> Gate | None:
        smoke = self._args.smoke_job
        if not smoke:
            return None
        return Gate(
            placement=self._placement,
            sources=self._sources,
            settings=smoke,
            shared_key=self._args.shared_key,
            opts=self._own,
        )

    def _jobs(self, *deployed: str) -> dict[str, Any]:
        """Where the stack's own jobs write, for what they run on: nowhere, where it has none."""
        if not self._args.smoke_job:
            return {}
        return {
            "jobs_uri": smoke_uri(self._placement, self.endpoint_name, *deployed),
            "shared_key": self._args.shared_key or None,
        }

    def _below(self, endpoint: BatchEndpoint, needs: Sequence[pulumi.Resource], former: str) -> ResourceOptions:
        """Gone with the endpoint: the service deletes what is below it, and one DELETE is enough.

        `former` is the logical name in states of 0.1, where the endpoint's was no part of it: under another endpoint
        the resource was then replaced, and what served was deleted first.
        """
        below = ResourceOptions(deleted_with=endpoint, depends_on=[endpoint], aliases=[pulumi.Alias(name=former)])
        return after(ResourceOptions.merge(self._own, below), needs)

    def _tags(self, own: Any) -> dict[str, str] | None:
        return {**(self._args.tags or {}), **(own or {})} or None


def _timeouts(deadlines: Deadlines | None) -> CustomTimeouts | None:
    """The same waits for azure-native's kinds, which have no input for them."""
    given = schema.bag_of(deadlines) if deadlines else {}
    return CustomTimeouts(**{name: f"{checks.seconds(each):.0f}s" for name, each in given.items()}) if given else None
