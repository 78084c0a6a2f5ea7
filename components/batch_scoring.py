"""BatchScoring: compute, uploads, code, model, environment, endpoint, deployments, smoke job, default: one component.

It only builds resources: every id is computed from names, every folder arrives as a value. What waits for what is said
here and nowhere else:

    (foundation ->) uploads -> versions -> endpoint -> deployments -> smoke job -> default

The endpoint waits for compute and assets, so that on destroy they outlive it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import pulumi
import pulumi_azure_native as azure_native
from pulumi import CustomTimeouts, Output, ResourceOptions

from components.assets import Asset, EnvironmentSettings, Shelf, after, is_id
from components.compute import ComputeSettings, build_compute, compute_id
from components.foundation import Foundation, FoundationSettings, build_foundation
from components.placement import Placement
from components.sources import Sources
from providers import checks, schema
from providers.aml.datastore import datastore_uri
from providers.arm.ids import folded
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
from providers.scoring_job import ScoringJob, ScoringJobArgs, tested


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


@dataclass(frozen=True, kw_only=True)
class SmokeJobSettings:
    """A job that must pass on a deployment before it becomes the default."""

    input: str = prop("Local folder or file, datastore uri, https url or data asset id to score.")
    input_type: str = prop("A folder or one file.", default="UriFolder", check=checks.one_of("UriFolder", "UriFile"))
    expected_rows: int | None = prop("Rows that the predictions must have.", default=None, check=checks.at_least(0))
    check_script: str | None = prop(
        "Local Python script; gets the predictions file as its argument, refuses by exiting non-zero.", default=None
    )
    deadline: str = prop("Longest wait for the job.", default="PT2H", check=checks.duration)


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
        data = self._smoke_input(shelf)
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

        deployments = {name: self._deployment(name, assets[name], endpoint) for name in args.deployments}
        self.deployments = {
            name: f"{self.endpoint_id}/deployments/{deployed}" for name, (deployed, _) in deployments.items()
        }
        self.assets = {name: {kind: asset.id for kind, asset in each.items()} for name, each in assets.items()}
        self.default_deployment = None
        self.smoke_job = None
        if args.default:
            deployed, resource = deployments[args.default]
            gates = self._smoke_job(args.default, deployed, resource, data)
            self.default_deployment = deployed
            DefaultDeployment(
                "default",
                DefaultDeploymentArgs(
                    **placement.azure,
                    endpoint_id=self.endpoint_id,
                    deployment_name=deployed,
                    owner=self._owner,
                ),
                after(self._with(endpoint), [resource, *gates]),
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

    def _deployment(
        self, name: str, assets: Mapping[str, Asset], endpoint: BatchEndpoint
    ) -> tuple[str, BatchDeployment]:
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
        args = BatchDeploymentArgs(
            **{**given, **content, "tags": self._tags(settings.tags)},
            **self._placement.azure,
            endpoint_id=self.endpoint_id,
            deployment_name=name,
            location=self._placement.location,
            compute=settings.compute or compute_id(self._placement, self._args.compute),
            owner=self._owner,
        )
        deployed = name if settings.fixed_name else coloured_name(name, schema.bag_of(args))
        needs = [need for asset in assets.values() for need in asset.needs]
        resource = BatchDeployment(
            deployed, schema.replaced(args, deployment_name=deployed), after(self._with(endpoint), needs)
        )
        return deployed, resource

    def _smoke_input(self, shelf: Shelf) -> Asset | None:
        smoke = self._args.smoke_job
        if not smoke:
            return None
        if is_id(smoke.input) or smoke.input.startswith("https://"):
            return Asset(smoke.input, digest=smoke.input)
        uri, upload, _ = shelf.folder("smoke-input", smoke.input)
        return Asset(uri, (upload,), self._sources.folders[smoke.input].digest)

    def _smoke_job(
        self, name: str, deployed: str, deployment: BatchDeployment, data: Asset | None
    ) -> list[pulumi.Resource]:
        """The job, as a list of what the default waits for: empty where the stack has no smoke job."""
        smoke = self._args.smoke_job
        if not smoke or not data:
            return []
        settings = self._args.deployments[name]
        check = self._sources.folders[smoke.check_script].digest if smoke.check_script else ""
        plain = {key: value for key, value in schema.bag_of(settings).items() if key not in _NOT_TESTED}
        key = tested(
            {
                "deployment": f"{folded(self.endpoint_id)}/deployments/{deployed}",
                "settings": {**plain, "environment_variables": _plain_text(settings.environment_variables)},
                "compute": folded(compute_id(self._placement, self._args.compute)),
                "input": data.digest,
                "expected_rows": smoke.expected_rows,
                "check": check,
            }
        )
        job = ScoringJob(
            f"smoke-{key[:8]}",
            ScoringJobArgs(
                cloud=self._placement.cloud,
                api_version=self._placement.api_version,
                workspace_id=self._placement.workspace_id,
                endpoint_id=self.endpoint_id,
                deployment_name=deployed,
                key=key,
                input_uri=data.id,
                input_type=smoke.input_type,
                output_uri=datastore_uri(self._placement.datastore_id, self._placement.path("jobs", key[:16])),
                output_file_name=settings.output_file_name,
                expected_rows=smoke.expected_rows,
                check_script=smoke.check_script,
                deadline=smoke.deadline,
                shared_key=self._args.shared_key,
            ),
            after(self._own, [deployment, *data.needs]),
        )
        self.smoke_job = {
            "id": job.job_id,
            "job_name": job.job_name,
            "status": job.status,
            "rows": job.rows,
            "predictions": job.predictions_uri,
            "sample": job.sample,
            "check": job.check,
        }
        return [job]

    def _with(self, endpoint: BatchEndpoint) -> ResourceOptions:
        """Gone with the endpoint: the service deletes what is below it, and one DELETE is enough."""
        return ResourceOptions.merge(self._own, ResourceOptions(deleted_with=endpoint, depends_on=[endpoint]))

    def _tags(self, own: Any) -> dict[str, str] | None:
        return {**(self._args.tags or {}), **(own or {})} or None


# What does not change a job's outcome, and what is part of the deployment's name already.
_NOT_TESTED = ("description", "tags", "adopt", "code", "model", "environment", "environment_variables", "properties")


def _timeouts(deadlines: Deadlines | None) -> CustomTimeouts | None:
    """The same waits for azure-native's kinds, which have no input for them."""
    given = schema.bag_of(deadlines) if deadlines else {}
    return CustomTimeouts(**{name: f"{checks.seconds(each):.0f}s" for name, each in given.items()}) if given else None


def _plain_text(variables: Any) -> dict[str, str]:
    """Values that are in plain text; a secret one is an Output here, known to nothing but its resource."""
    return {name: value if isinstance(value, str) else "secret" for name, value in (variables or {}).items()}
