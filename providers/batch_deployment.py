"""A batch deployment: model, code, environment and compute below an endpoint, and how they are run.

What the specification lets be set only at creation (code, resources), and what a running model is made of (model,
environment), is the deployment's content: it colours the name, so that a change is a new deployment beside the old
(`coloured_name`). A fixed name opts in to a PUT in place, and then every value is compared with what the service took.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pulumi import Input, ResourceOptions
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from providers import checks, dynamic_host, retiring
from providers.aml.refusal import Refusal
from providers.arm import ArmError, Invalid, NotFound
from providers.arm.ids import folded, same_id
from providers.kind import (
    Kind,
    client,
    deadline,
    gone,
    resource_props,
    standing,
    unfinished,
    without_provider,
)
from providers.ownership import (
    marker_read,
    owner_property,
    refuse_stranger,
    refuse_taken_over,
    refuse_to_delete_stranger,
)
from providers.schema import LOCAL, REPLACE, Bag, Failure, prop

CONTENT = ("code_configuration", "model", "environment_id", "resources", "deployment_configuration")
"""Properties whose change makes a new deployment."""
_MEMBERS = {"Id": ("asset_id",), "DataPath": ("datastore_id", "path"), "OutputPath": ("job_id", "path")}
"""What each kind of model reference must have, and what it may."""


@dataclass(frozen=True, kw_only=True)
class CodeConfiguration:
    code_id: Input[str] | None = prop(
        "ARM id of the code version.", default=None, check=checks.version_of("codes"), equal=same_id
    )
    scoring_script: Input[str] = prop("Path of the script below the code folder.", check=checks.scoring_script)


@dataclass(frozen=True, kw_only=True)
class ModelReference:
    reference_type: Input[str] = prop(
        "Id of a registered model, DataPath in a datastore, or OutputPath of a job.",
        default="Id",
        check=checks.one_of("Id", "DataPath", "OutputPath"),
    )
    asset_id: Input[str] | None = prop(
        "Id: ARM id or azureml://registries/... of the model version.",
        default=None,
        check=checks.version_of("models"),
        equal=same_id,
    )
    datastore_id: Input[str] | None = prop(
        "DataPath: ARM id of the datastore.", default=None, check=checks.id_of("datastores"), equal=same_id
    )
    job_id: Input[str] | None = prop(
        "OutputPath: ARM id of the job.", default=None, check=checks.id_of("jobs"), equal=same_id
    )
    path: Input[str] | None = prop("DataPath, OutputPath: path below the datastore or job.", default=None)


@dataclass(frozen=True, kw_only=True)
class Resources:
    instance_count: Input[int] = prop("Nodes that a job uses.", default=1, check=checks.at_least(1, checks.INT32))
    instance_type: Input[str] | None = prop("VM size, for serverless compute.", default=None)
    properties: Input[Mapping[str, Any]] | None = prop("Further properties of the compute.", default=None)


@dataclass(frozen=True, kw_only=True)
class RetrySettings:
    max_retries: Input[int] = prop("Tries of a mini-batch.", default=3, check=checks.at_least(0, checks.INT32))
    timeout: Input[str] = prop(
        "Longest run() call, ISO 8601 or like 30s.", default="PT30S", check=checks.whole_duration
    )


@dataclass(frozen=True, kw_only=True)
class ComponentReference:
    reference_type: Input[str] = prop("How the component is named.", default="Id", check=checks.one_of("Id"))
    asset_id: Input[str] = prop(
        "ARM id or azureml://registries/... of it.", check=checks.version_of("components"), equal=same_id
    )


@dataclass(frozen=True, kw_only=True)
class PipelineConfiguration:
    """A deployment that runs a pipeline component instead of a model."""

    deployment_configuration_type: Input[str] = prop(
        "The kind of deployment.", default="PipelineComponent", check=checks.one_of("Model", "PipelineComponent")
    )
    component_id: Input[ComponentReference] | None = prop("The component version to run.", default=None)
    description: Input[str] | None = prop("Text for people.", default=None)
    settings: Input[Mapping[str, Any]] | None = prop("Pipeline settings, such as default_compute.", default=None)
    tags: Input[Mapping[str, str]] | None = prop("Tags of its jobs.", default=None)


@dataclass(frozen=True, kw_only=True)
class DeploymentSettings:
    """What a user may set of a deployment besides what it is made of; defaults are the service's own."""

    description: Input[str] | None = prop("Text for people.", default=None)
    tags: Input[Mapping[str, str]] | None = prop("ARM tags.", default=None, wire="tags", check=checks.tags)
    properties: Input[Mapping[str, str]] | None = prop(
        "Names and values for programs; the specification lets them be added, not changed or removed.",
        default=None,
        grows=True,
    )
    environment_variables: Input[Mapping[str, str]] | None = prop(
        "Set for the scoring script's processes; values may be secret.", default=None, quoted=False
    )
    mini_batch_size: Input[int] = prop("Files per run() call.", default=10, check=checks.at_least(1, checks.INT64))
    max_concurrency_per_instance: Input[int] = prop(
        "Worker processes per node.", default=1, check=checks.at_least(1, checks.INT32)
    )
    error_threshold: Input[int] = prop(
        "Failed files after which a job is stopped; -1 for any number.",
        default=-1,
        check=checks.at_least(-1, checks.INT32),
    )
    output_action: Input[str] = prop(
        "append_row: what run() returns is written to output_file_name; summary_only: the script writes by itself.",
        default="AppendRow",
        check=checks.one_of("AppendRow", "SummaryOnly"),
    )
    output_file_name: Input[str] = prop(
        "Name of the predictions file.", default="predictions.csv", check=checks.file_name
    )
    logging_level: Input[str] = prop(
        "How much the driver logs.", default="Info", check=checks.one_of("Info", "Warning", "Debug")
    )
    retry_settings: Input[RetrySettings] = prop("Tries and time of a mini-batch.", default=RetrySettings())
    resources: Input[Resources] = prop("Nodes of a job.", default=Resources())
    deployment_configuration: Input[PipelineConfiguration] | None = prop(
        "For a pipeline component instead of a model.", default=None
    )
    adopt: Input[bool] = prop(
        "Take over a deployment of this name that this stack did not make.", default=False, wire=None, change=LOCAL
    )


@dataclass(frozen=True, kw_only=True)
class BatchDeploymentArgs(DeploymentSettings, retiring.JobHostArgs):
    endpoint_id: Input[str] = prop(
        "ARM id of the endpoint.", check=checks.arm_id, change=REPLACE, wire=None, equal=same_id
    )
    deployment_name: Input[str] = prop(
        "Unique in the endpoint, 3-32 characters.", check=checks.endpoint_name, change=REPLACE, wire=None
    )
    location: Input[str] = prop("Azure region.", check=checks.location, change=REPLACE, wire="location")
    compute: Input[str] | None = prop(
        "ARM id of the compute.", default=None, check=checks.id_of("computes"), equal=same_id
    )
    code_configuration: Input[CodeConfiguration] | None = prop("Code and script; none for MLflow.", default=None)
    model: Input[ModelReference] | None = prop("The model.", default=None)
    environment_id: Input[str] | None = prop(
        "ARM id or azureml://registries/... of the environment.",
        default=None,
        check=checks.version_of("environments"),
        equal=same_id,
    )
    owner: Input[str] = owner_property("tags")
    drain: Input[str] | None = prop(
        "Longest wait for jobs that still run on it, before it is deleted; by default none, and it is not asked.",
        default=None,
        check=checks.duration,
        change=LOCAL,
        wire=None,
    )


def coloured_name(name: str, content: Mapping[str, Any]) -> str:
    """`digits` -> `digits-3fa1b2c4`, where the last part changes with the content and with nothing else."""
    made_of = {key: _folded(content.get(key)) for key in CONTENT}
    text = json.dumps(made_of, sort_keys=True, default=_refuse_output)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


class BatchDeploymentKind(Kind):
    args = BatchDeploymentArgs

    def relations(self, inputs: Mapping[str, Any]) -> Iterator[Failure]:
        """What the service says only after a PUT, and for one property after the other."""
        configuration = _known(inputs.get("deployment_configuration"))
        unclear = inputs.get("deployment_configuration") is not None and not configuration
        pipeline = configuration.get("deployment_configuration_type") == "PipelineComponent"
        if pipeline and configuration.get("component_id") is None:
            yield Failure("deployment_configuration.component_id", "is required for a PipelineComponent")
        if isinstance(configuration.get("deployment_configuration_type"), str) and not pipeline:
            for name in sorted(configuration.keys() - {"deployment_configuration_type"}):
                yield Failure(f"deployment_configuration.{name}", "goes with PipelineComponent alone")
        if not pipeline and not unclear and inputs.get("compute") is None:
            yield Failure("compute", "is required: ARM id of the compute")
        if _known(inputs.get("code_configuration")) and inputs.get("environment_id") is None:
            yield Failure("environment_id", "is required with code_configuration")
        yield from _model_reference(_known(inputs.get("model")))

    def arrival(self, inputs: Mapping[str, Any]) -> str:
        content = [name for name in CONTENT if inputs.get(name) is not None]
        return f"a new deployment: {', '.join(content)} are settled at creation"

    def create(self, props: Mapping[str, Any]) -> CreateResult:
        id_ = f"{props['endpoint_id']}/deployments/{props['deployment_name']}"
        with client(props).exclusive(props["endpoint_id"]):
            found = standing(id_, props, "create")
            if found and not props["adopt"]:
                refuse_stranger(found, props["owner"], "Rename the deployment, or set `adopt: true` on it.")
            with _naming_what_is_missing(id_, props):
                self.write(id_, found, props)
        return CreateResult(id_, self.owned(props))

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        live = client(props).get(id_, api_version=props["api_version"])
        if live is None:
            return gone()
        inputs = self.live(live, props)
        return ReadResult(id_, {**inputs, **marker_read(live, props), **unfinished(live)}, inputs)

    def update(self, id_: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        if not self.only_local(olds, news):
            with client(news).exclusive(news["endpoint_id"]):
                found = standing(id_, news, "update")
                refuse_taken_over(found, news, "`adopt: true` on the deployment")
                with _naming_what_is_missing(id_, news):
                    self.write(id_, found, news, olds)
        return UpdateResult(without_provider(news))

    def delete(self, id_: str, props: Mapping[str, Any]) -> None:
        """Delete it when nothing runs on it any more; what is the default is never deleted."""
        found = client(props).get(id_, api_version=props["api_version"])
        if found is not None:
            refuse_to_delete_stranger(found, props["owner"])
            retiring.refuse_default(props)
        retiring.end_own_jobs(id_, props)
        if found is not None:
            retiring.wait_for_jobs(id_, props)
            with client(props).exclusive(props["endpoint_id"]):
                retiring.refuse_default(props)
                client(props).delete(
                    id_,
                    api_version=props["api_version"],
                    deadline=deadline(props, "delete"),
                    progress=dynamic_host.progress(),
                )
        retiring.delete_outputs(props)


class BatchDeployment(Resource, module="azureml", name="BatchDeployment"):
    def __init__(self, name: str, args: BatchDeploymentArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__(BatchDeploymentKind(), name, resource_props(args, ()), opts)


@contextmanager
def _naming_what_is_missing(id_: str, props: Mapping[str, Any]) -> Iterator[None]:
    """Around a PUT: one that is refused because a part is not there says which, and what to do.

    An interrupted destroy may have deleted parts that the state still has; the service's words are about the PUT alone.
    """
    try:
        yield
    except (Invalid, NotFound) as error:
        missing = [each for each in _parts(props) if not _is_there(each, props)]
        if not missing:
            raise
        raise Refusal(
            f"{id_}: the service refused it ({error.code or error.status}: {error.message}), since "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there. What this stack makes was "
            "deleted by hand or by a destroy that was cut short: run `make refresh` and `make up`. What it does not "
            "make is to be corrected in the stack file",
            name="part-missing",
        ) from error


def _parts(props: Mapping[str, Any]) -> list[str]:
    """ARM ids of what a deployment is made of."""
    configuration = props.get("deployment_configuration") or {}
    named = (
        props["endpoint_id"],
        props.get("compute"),
        props.get("environment_id"),
        (props.get("code_configuration") or {}).get("code_id"),
        (props.get("model") or {}).get("asset_id"),
        configuration.get("component_id"),
    )
    return [str(each) for each in named if str(each or "").startswith("/subscriptions/")]


def _is_there(id_: str, props: Mapping[str, Any]) -> bool:
    """What cannot be looked at counts as there: the service's own words are told then."""
    try:
        return client(props).get(id_, api_version=str(props["api_version"])) is not None
    except ArmError:
        return True


def _known(value: Any) -> Mapping[str, Any]:
    """A nested bag; empty where there is none, or it is not known yet."""
    return value if isinstance(value, Mapping) else {}


def _model_reference(model: Mapping[str, Any]) -> Iterator[Failure]:
    kind = model.get("reference_type")
    if not isinstance(kind, str):  # there is none, or it is not known yet
        return
    needed, *others = _MEMBERS[kind]
    if model.get(needed) is None:
        yield Failure(f"model.{needed}", f"is required for reference_type {kind}")
    for name in sorted(model.keys() - {"reference_type", needed, *others}):
        yield Failure(f"model.{name}", f"does not go with reference_type {kind}")


def _folded(value: Any) -> Any:
    """The same, with ids in one spelling: another letter case in a stack file is no other content."""
    if isinstance(value, Mapping):
        return {key: _folded(each) for key, each in value.items()}
    return folded(value) if isinstance(value, str) else value


def _refuse_output(value: Any) -> Sequence[Bag]:
    raise TypeError(f"a deployment's content must be known before anything runs, got {type(value).__name__}")
