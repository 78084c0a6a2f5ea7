"""The gate before a default moves: one smoke job per endpoint, on the deployment that the default moves to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi import ResourceOptions

from components.assets import Asset, Shelf, after, is_id
from components.placement import Placement
from components.sources import Sources
from providers import checks, gating, schema
from providers.aml.datastore import datastore_uri
from providers.arm.ids import folded
from providers.batch_deployment import DeploymentSettings
from providers.schema import prop
from providers.scoring_job import ScoringJob, ScoringJobArgs, tested


@dataclass(frozen=True, kw_only=True)
class SmokeJobSettings:
    """A job that must pass on a deployment before it becomes the default."""

    input: str = prop("Local folder or file, datastore uri, https url or data asset id to score.")
    input_type: str = prop("A folder or one file.", default="UriFolder", check=checks.one_of("UriFolder", "UriFile"))
    max_files: int = prop(
        "Most files that the input may have; 0 for any number.", default=1000, check=checks.at_least(0)
    )
    instance_count: int = prop(
        "Nodes that it takes, however many the deployment has.", default=1, check=checks.at_least(1, checks.INT32)
    )
    allowed_failures: int = prop(
        "Failed files that it may have; -1 for any number.", default=0, check=checks.at_least(-1, checks.INT32)
    )
    expected_rows: int | None = prop(
        "Rows that the predictions must have; as many may be missing as failures are allowed.",
        default=None,
        check=checks.at_least(0),
    )
    expected_columns: Any = prop(
        "Columns of each row: how many, or their names where rows are JSON objects or the file has a header.",
        default=None,
        check=checks.columns,
    )
    check_script: str | None = prop(
        "Local Python script; gets the predictions file (with summary_only the folder of all that was written) as its "
        "argument, refuses by exiting non-zero.",
        default=None,
    )
    on_rollback: str = prop(
        "Whether a deployment that passed another smoke job before is tested again when the default goes back to it.",
        default=gating.RUN,
        check=checks.one_of(gating.RUN, gating.SKIP),
    )
    deadline: str = prop("Longest wait for the job.", default="PT2H", check=checks.duration)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """The deployment that is to be the default."""

    deployed: str
    """Its name in Azure."""
    subject: str
    """That name with its content, also where the name is fixed."""
    settings: DeploymentSettings
    compute: str
    resource: pulumi.Resource


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Builds the smoke job of one endpoint, and what it reads."""

    placement: Placement
    sources: Sources
    settings: SmokeJobSettings
    upload: str
    """Name of the upload of what it reads."""
    shared_key: bool
    opts: ResourceOptions

    def input(self, shelf: Shelf) -> Asset:
        """What the job reads: uploaded, where it is local."""
        source = self.settings.input
        if is_remote(source):
            return Asset(source, digest=source)
        uri, upload, _ = shelf.folder(self.upload, source)
        return Asset(uri, (upload,), self.sources.folders[source].digest)

    def job(
        self, name: str, endpoint_id: str, candidate: Candidate, subjects: Sequence[str], data: Asset
    ) -> ScoringJob:
        """`subjects` are those of all deployments of the endpoint."""
        smoke, deployment = self.settings, candidate.settings
        pipeline = deployment.deployment_configuration is not None
        local = self.sources.folders.get(smoke.input)
        bounds: dict[str, Any] = {
            "instance_count": None if pipeline else smoke.instance_count,
            "allowed_failures": None if pipeline else smoke.allowed_failures,
        }
        input_type = smoke.input_type if local is None else "UriFile" if local.is_file else "UriFolder"
        key = tested(
            {
                "deployment": f"{folded(endpoint_id)}/deployments/{candidate.deployed}",
                "subject": candidate.subject,
                "settings": _tested_settings(deployment),
                "compute": folded(candidate.compute),
                "input": [input_type, data.digest],
                **bounds,
            }
        )
        return ScoringJob(
            name,
            ScoringJobArgs(
                cloud=self.placement.cloud,
                api_version=self.placement.api_version,
                workspace_id=self.placement.workspace_id,
                endpoint_id=endpoint_id,
                deployment_name=candidate.deployed,
                subject=candidate.subject if candidate.subject != candidate.deployed else None,
                subjects=sorted(subjects),
                key=key,
                input_uri=data.id,
                input_type=input_type,
                files=local.files if local else None,
                bytes=local.bytes if local else None,
                max_files=smoke.max_files or None,
                output_uri=smoke_uri(self.placement, endpoint_id.rpartition("/")[2]),
                output_file_name=deployment.output_file_name,
                output_action=deployment.output_action,
                **bounds,
                expected_rows=smoke.expected_rows,
                expected_columns=smoke.expected_columns,
                check_script=smoke.check_script,
                check_digest=self.sources.folders[smoke.check_script].digest if smoke.check_script else None,
                on_rollback=smoke.on_rollback,
                deadline=smoke.deadline,
                shared_key=self.shared_key,
            ),
            after(self.opts, [candidate.resource, *data.needs]),
        )


def smoke_uri(placement: Placement, endpoint_name: str, *deployed: str) -> str:
    """Below which the smoke jobs of an endpoint write, or those of one of its deployments."""
    return datastore_uri(placement.datastore_id, placement.path("smoke", endpoint_name, *deployed))


def said(job: ScoringJob, settings: SmokeJobSettings) -> dict[str, Any]:
    """A stack's output of it."""
    # A preview takes what state has not for unknown yet, and would show a change where there will never be one.
    says_more = settings.check_script or settings.on_rollback == gating.SKIP
    return {
        "id": job.job_id,
        "job_name": job.job_name,
        "status": job.status,
        "rows": job.rows,
        "predictions": job.predictions_uri,
        "sample": job.sample,
        "check": job.check if says_more else None,
    }


def is_remote(source: str) -> bool:
    """Whether an input lies in the cloud already."""
    return is_id(source) or source.startswith("https://")


# What does not change a job's outcome, and what is part of the candidate's subject.
_NOT_TESTED = frozenset(
    {
        "description",
        "tags",
        "properties",
        "adopt",
        "drain",
        "fixed_name",
        "code",
        "model",
        "environment",
        "environment_variables",
    }
)


def _tested_settings(deployment: DeploymentSettings) -> dict[str, Any]:
    plain = {name: value for name, value in schema.bag_of(deployment).items() if name not in _NOT_TESTED}
    if not str(plain.get("compute")).startswith("/"):
        # A name of this stack's own: what it stands for is in the key already, as hashes of earlier releases had it.
        plain.pop("compute", None)
    return {**plain, "environment_variables": _plain_text(deployment.environment_variables)}


def _plain_text(variables: Any) -> Mapping[str, str]:
    """Values that are in plain text; a secret one is an Output here, known to nothing but its resource."""
    return {name: value if isinstance(value, str) else "secret" for name, value in (variables or {}).items()}
