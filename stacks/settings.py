"""A stack file as one typed object; the only reader of pulumi.Config.

Every setting is declared once, with its type, default, check and meaning: here the place where things go, in
components/ and providers/ what goes there. docs/configuration.md is written from those declarations.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime.config import get_config_env, get_config_secret_keys_env

from components.assets import is_id
from components.batch_scoring import StackWide
from components.compute import ComputeSettings
from components.endpoint import EndpointGroup, StackDeployment, StackEndpoint
from components.placement import Placement
from components.smoke_job import SmokeJobSettings, is_remote
from components.sources import Sources
from providers import checks, schema
from providers.blob import Folder, FolderError, kept, scan
from providers.dynamic_host import OPERATIONS_AT_ONCE
from providers.kind import API_VERSION, Deadlines
from providers.schema import Failure, InvalidSettings, prop
from stacks import mlflow_model, relations
from stacks.normal_form import deployment_places, endpoint_places


@dataclass(frozen=True, kw_only=True)
class Settings(StackWide):
    """All that `stacks/Pulumi.<stack>.yaml` may set, below `batch-scoring:`.

    A stack with one compute or one endpoint says so without a name for it; stacks/normal_form.py gives it one.
    """

    subscription_id: str = prop("Azure subscription.", check=checks.not_empty)
    resource_group: str = prop("Resource group of the workspace.", check=checks.not_empty)
    workspace: str = prop("Azure Machine Learning workspace.", check=checks.not_empty)
    location: str = prop("Azure region of the workspace.", check=checks.location)
    cloud: str = prop("The Azure cloud.", default="public", check=checks.one_of("public", "usgovernment", "china"))
    datastore: str = prop("Blob datastore for uploads and outputs.", default="workspaceblobstore")
    api_version: str = prop(
        "ARM api-version that this project's own kinds speak; azure-native's is its own.",
        default=API_VERSION,
        check=checks.api_version,
    )
    deadlines: Deadlines | None = prop(
        "Longest waits for an operation of Azure; 30 minutes each by default. A smoke job has its own.", default=None
    )
    operations_at_once: int = prop(
        "Operations of this project's kinds at a time, whatever `--parallel` allows; Pulumi's own server has 4.",
        default=OPERATIONS_AT_ONCE,
        check=checks.at_least(4, 1024),
    )
    allow_local_state: bool = prop(
        "Let this stack keep its state on this machine; only `make` asks, and a lab stack needs no permission.",
        default=False,
    )

    compute: ComputeSettings | None = prop("What jobs run on; `computes` where there are several.", default=None)
    endpoint: StackEndpoint | None = prop("The endpoint; `endpoints` where there are several.", default=None)
    deployments: Mapping[str, StackDeployment] | None = prop(
        "Deployments by name.", default=None, check=checks.not_empty
    )
    default: str | None = prop("Name of the deployment that answers when a caller names none.", default=None)
    smoke_job: SmokeJobSettings | None = prop("Gate before the default moves.", default=None)
    computes: Mapping[str, ComputeSettings] | None = prop(
        "Several computes, by names that deployments choose by; a cluster's own name is the same unless it says "
        "another.",
        default=None,
        check=checks.not_empty,
    )
    endpoints: Mapping[str, EndpointGroup] | None = prop(
        "Several endpoints, by name: each with its `endpoint`, `deployments`, `default` and `smoke_job`.",
        default=None,
        check=checks.not_empty,
    )

    def placement(self, project: str, stack: str) -> Placement:
        return Placement(
            project=project,
            stack=stack,
            **{
                each.name: getattr(self, each.name)
                for each in fields(Placement)
                if each.name not in ("project", "stack")
            },
        )


def read() -> Settings:
    """The settings of the stack that runs now; raises InvalidSettings with every failure."""
    return from_config(pulumi.get_project(), get_config_env(), frozenset(get_config_secret_keys_env()))


def from_config(project: str, config: Mapping[str, str], secret_keys: frozenset[str] = frozenset()) -> Settings:
    """The settings in Pulumi's configuration: full key -> text, which for structures is JSON."""
    prefix = f"{project}:"
    values = {key.removeprefix(prefix): _value(text) for key, text in config.items() if key.startswith(prefix)}
    _text_stays_text(values, {key.removeprefix(prefix): text for key, text in config.items()})
    settings = schema.load(Settings, values)
    failures = relations.failures(settings, project)
    if failures:
        raise InvalidSettings(failures)
    return _with_secrets(settings, frozenset(key.removeprefix(prefix) for key in secret_keys))


def remembered(path: str) -> Folder:
    """As `scan`; files that are as they were in an earlier run are not read again, unless AML_BATCH_VERIFY=1 asks."""
    return scan(path, kept(os.environ))


def gather(settings: Settings, look: Callable[[str], Folder] = scan) -> Sources:
    """Look once at every local file and folder that the settings name; raises InvalidSettings with every failure."""
    folders, texts, failures = {}, {}, []
    for name, path in _folders(settings):
        try:
            folders[path] = look(path)
        except FolderError as error:
            failures.append(Failure(name, str(error)))
    for name, path in _texts(settings):
        try:
            texts[path] = _conda(Path(path))
        except (OSError, ValueError, yaml.YAMLError) as error:
            failures.append(Failure(name, f"{path}: {_one_line(error)}"))
    failures += _missing_scripts(settings, folders)
    failures += _models(settings, folders)
    for prefix, group in endpoint_places(settings):
        if group.smoke_job and group.smoke_job.input in folders:
            failures += _smoke_input_checks(prefix, group.smoke_job, folders[group.smoke_job.input])
    if failures:
        raise InvalidSettings(failures)
    return Sources(folders, texts)


def _value(text: str) -> Any:
    """Pulumi hands every value over as text: numbers, booleans and structures as JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text_stays_text(values: dict[str, Any], texts: Mapping[str, str]) -> None:
    """`workspace: 42` is a name, not a number."""
    for name, declaration in schema.properties(Settings).items():
        if declaration.type is str and name in values:
            values[name] = texts[name]


def _smoke_input_checks(prefix: str, smoke: SmokeJobSettings, found: Folder) -> list[Failure]:
    """What a local input must be like, once it was looked at."""
    where = f"{prefix}smoke_job.input"
    if smoke.max_files and found.files > smoke.max_files:
        return [
            Failure(
                where,
                f"{smoke.input} has {found.files} files, more than `smoke_job.max_files` ({smoke.max_files}) allows: "
                "a smoke job is a small one",
            )
        ]
    if smoke.input_type == "UriFile" and not found.is_file:
        return [Failure(f"{prefix}smoke_job.input_type", f"must be UriFolder: {smoke.input} is a folder")]
    return []


def _folders(settings: Settings) -> list[tuple[str, str]]:
    """(setting, path) of every local folder or file that is uploaded or whose content counts."""
    found = []
    for where, deployment in deployment_places(settings):
        for kind in ("code", "model"):
            path = getattr(deployment, kind)
            if path and not is_id(path):
                found.append((f"{where}.{kind}", path))
    for prefix, group in endpoint_places(settings):
        smoke = group.smoke_job
        if smoke and not is_remote(smoke.input):
            found.append((f"{prefix}smoke_job.input", smoke.input))
        if smoke and smoke.check_script:
            found.append((f"{prefix}smoke_job.check_script", smoke.check_script))
    return found


def _texts(settings: Settings) -> list[tuple[str, str]]:
    return [
        (f"{where}.environment.conda_file", deployment.environment.conda_file)
        for where, deployment in deployment_places(settings)
        if deployment.environment and deployment.environment.conda_file
    ]


def _conda(path: Path) -> str:
    """A conda file's text, once it is known to be one."""
    text = path.read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    if not isinstance(document, dict) or not isinstance(document.get("dependencies"), list):
        raise ValueError("must be a conda file: a mapping with a list of `dependencies`")
    return text


def _missing_scripts(settings: Settings, folders: Mapping[str, Any]) -> list[Failure]:
    return [
        Failure(f"{where}.scoring_script", f"{deployment.scoring_script!r} is not in {deployment.code}")
        for where, deployment in deployment_places(settings)
        if deployment.code in folders
        and deployment.scoring_script
        and not Path(str(deployment.code), deployment.scoring_script).is_file()
    ]


def _models(settings: Settings, folders: Mapping[str, Folder]) -> Iterator[Failure]:
    """Local models that cannot be scored as their deployment is set."""
    for where, deployment in deployment_places(settings):
        path = deployment.model
        if path is None or path not in folders:
            continue
        if deployment.model_type == "mlflow_model":
            for fault in mlflow_model.faults(path, scripted=bool(deployment.code)):
                yield Failure(f"{where}.model", fault)
        elif not deployment.code and deployment.deployment_configuration is None:
            hint = f"; {path} has an MLmodel file: set `model_type: mlflow_model`"
            yield Failure(
                f"{where}.code",
                f"is required: a {deployment.model_type} needs a scoring script, only an MLflow model goes without"
                + (hint if mlflow_model.is_mlflow_model(path) else ""),
            )


def _with_secrets(settings: Settings, secret_keys: frozenset[str]) -> Settings:
    """Something in `deployments` or `endpoints` is encrypted in the stack file: the environment variables of all that
    is in there stay secret in state."""

    def kept(deployment: StackDeployment) -> StackDeployment:
        variables: Any = deployment.environment_variables or {}
        secret = {key: pulumi.Output.secret(value) for key, value in variables.items()}
        return schema.replaced(deployment, environment_variables=secret or None)

    def all_kept(deployments: Mapping[str, StackDeployment]) -> dict[str, StackDeployment]:
        return {name: kept(deployment) for name, deployment in deployments.items()}

    if "deployments" in secret_keys and settings.deployments:
        settings = schema.replaced(settings, deployments=all_kept(settings.deployments))
    if "endpoints" in secret_keys and settings.endpoints:
        groups = {
            key: schema.replaced(group, deployments=all_kept(group.deployments))
            for key, group in settings.endpoints.items()
        }
        settings = schema.replaced(settings, endpoints=groups)
    return settings


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else str(error)
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"is no YAML, line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())
