"""The YAML files of the `az ml` command line, as a stack file.

Pure: what the files say in, settings out. `python -m stacks from-az-ml` (stacks/from_az_ml.py) reads and writes.
Property names and words are those of azure-ai-ml 1.35.2's schemas. Nothing is dropped in silence: what cannot be taken
over is a failure, what is left out since it means nothing here is a remark.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any

from providers.schema import Failure

KINDS = ("amlCompute", "batchEndpoint", "batchDeployment", "environment", "model")
"""What a file may describe, by the last word of its `$schema`, `...BatchDeployment` included."""
_REGISTRY = "azureml://registries/"
_DATASTORES = "azureml://datastores/"
_SILENT = ("$schema", "id", "provisioning_state", "creation_context")
"""What says nothing about what is to be: `az ml ... show` writes them, too."""
_OF_A_DEPLOYMENT = {
    name: name
    for name in (
        "description",
        "tags",
        "properties",
        "environment_variables",
        "mini_batch_size",
        "max_concurrency_per_instance",
        "error_threshold",
        "output_action",
        "output_file_name",
        "logging_level",
    )
}
"""What is called the same here and there; below `settings`, or beside it as older files have it."""
_TIER = {"dedicated": "Dedicated", "low_priority": "LowPriority", "lowpriority": "LowPriority"}


@dataclass(frozen=True)
class Description:
    """One file: where it lies, seen from the project, and what it says."""

    path: str
    says: Mapping[str, Any]

    @property
    def kind(self) -> str | None:
        """By `$schema`, else by what only one kind has."""
        schema = str(self.says.get("$schema", "")).rsplit("/", 1)[-1].partition(".")[0]
        for kind in KINDS:
            if schema.lower().endswith(kind.lower()):
                return kind
        if "endpoint_name" in self.says:
            return "batchDeployment"
        if "size" in self.says or self.says.get("type") == "amlcompute":
            return "amlCompute"
        if "auth_mode" in self.says or "defaults" in self.says:
            return "batchEndpoint"
        return "environment" if "image" in self.says else None


@dataclass
class Conversion:
    """What became of the files."""

    settings: dict[str, Any] = field(default_factory=dict)
    """Name in the stack file -> value."""
    remarks: list[Failure] = field(default_factory=list)
    """What is left out since it means nothing here."""
    failures: list[Failure] = field(default_factory=list)
    """What cannot be taken over, and is missing in the settings."""


def convert(descriptions: Sequence[Description], workspace_id: str) -> Conversion:
    """The settings that the files ask for; ids of registered assets are completed with the workspace's."""
    found = Conversion()
    by_kind: dict[str, list[Description]] = {kind: [] for kind in KINDS}
    for each in descriptions:
        if each.kind is None:
            known = ", ".join(KINDS)
            found.failures.append(Failure(each.path, f"describes none of {known}: add its `$schema`"))
        else:
            by_kind[each.kind].append(each)
    _Converter(found, workspace_id, by_kind).convert()
    return found


class _Converter:
    def __init__(self, found: Conversion, workspace_id: str, files: Mapping[str, Sequence[Description]]) -> None:
        self._found = found
        self._workspace_id = workspace_id
        self._files = files
        self._clusters: dict[str, dict[str, Any]] = {}
        self._assets = {
            (kind, str(each.says.get("name"))): each for kind in ("environment", "model") for each in files[kind]
        }

    def convert(self) -> None:
        """Of one cluster or endpoint the short form, of several the long one (stacks/normal_form.py)."""
        settings = self._found.settings
        for each in self._files["amlCompute"]:
            self._keep(self._clusters, each, self._compute(each))
        groups: dict[str, dict[str, Any]] = {}
        for each in self._files["batchEndpoint"]:
            endpoint = self._endpoint(each)
            group = {"endpoint": endpoint, "default": endpoint.pop("default", None)}
            self._keep(groups, each, group)
        only = next(iter(groups)) if len(groups) == 1 else ""
        for each in self._files["batchDeployment"]:
            named = str(each.says.get("endpoint_name") or only)
            group = groups.setdefault(named, {"endpoint": {"name": named} if named else {}})
            self._keep(group.setdefault("deployments", {}), each, self._deployment(each))
        if not self._files["batchDeployment"]:
            self._fail("files", "", "name no batch deployment: give at least one")
        for name, group in groups.items():
            if self._files["batchDeployment"] and not group.get("deployments"):
                self._fail("files", "", f"name no deployment of endpoint {name}: give at least one")
            if len(group.get("deployments") or ()) == 1:
                group["default"] = group.get("default") or next(iter(group["deployments"]))
        self._found.settings |= self._computes_of(groups.values())
        told = {name: {key: each for key, each in group.items() if each} for name, group in groups.items()}
        settings |= next(iter(told.values())) if len(told) == 1 else {"endpoints": told}

    def _keep(self, kept: dict[str, dict[str, Any]], file: Description, made: dict[str, Any]) -> None:
        """By its name, which no other file may have."""
        name = str(file.says.get("name") or PurePosixPath(file.path).stem)
        if name in kept:
            self._fail(file.path, "name", f"is {name!r}, as another file's of its kind")
        kept[name] = made

    def _computes_of(self, groups: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """`compute` where one is enough: the cluster that was described, or the one that all deployments name."""
        if len(self._clusters) > 1:
            return {"computes": self._clusters}
        if self._clusters:
            return {"compute": next(iter(self._clusters.values()))}
        deployments = [each for group in groups for each in (group.get("deployments") or {}).values()]
        ids = {str(each["compute"]): None for each in deployments if each.get("compute")}
        if not ids:
            return {}
        for each in deployments:
            if each.get("compute") == next(iter(ids)):
                del each["compute"]
        return {"compute": {"id": next(iter(ids))}}

    # Each kind: what is taken as it is, what is turned into something else, and nothing more.

    def _compute(self, file: Description) -> dict[str, Any]:
        return self._taken(
            file,
            {
                "name": "name",
                "description": "description",
                "tags": "tags",
                "size": "vm_size",
                "min_instances": "min_node_count",
                "max_instances": "max_node_count",
                "enable_node_public_ip": "enable_node_public_ip",
            },
            {
                "type": lambda value: {} if value == "amlcompute" else self._no(f"must be amlcompute, got {value!r}"),
                "location": self._location,
                "tier": lambda value: {"vm_priority": _TIER.get(str(value).lower(), value)},
                "idle_time_before_scale_down": lambda value: {"node_idle_time_before_scale_down": f"{value}s"},
                "ssh_public_access_enabled": lambda value: {
                    "remote_login_port_public_access": "Enabled" if value else "Disabled"
                },
                "network_settings": self._subnet,
                "identity": self._cluster_identity,
            },
        )

    def _endpoint(self, file: Description) -> dict[str, Any]:
        return self._taken(
            file,
            {"name": "name", "description": "description", "tags": "tags", "properties": "properties"},
            {
                "location": self._location,
                "auth_mode": lambda value: {} if _word(value) == "aadtoken" else self._no("must be aad_token"),
                "scoring_uri": lambda _: {},
                "openapi_uri": lambda _: {},
                "identity": self._endpoint_identity,
                "defaults": lambda value: {"default": value.get("deployment_name")},
            },
        )

    def _deployment(self, file: Description) -> dict[str, Any]:
        turned: dict[str, _Turn] = {
            "name": lambda _: {},
            "type": lambda value: {} if value == "model" else self._no("must be model: see deployment_configuration"),
            "endpoint_name": lambda _: {},
            "compute": self._cluster,
            "code_configuration": lambda value: {
                "code": self._path(file, value.get("code")),
                "scoring_script": value.get("scoring_script"),
            },
            "model": lambda value: self._model(file, value),
            "environment": lambda value: {"environment": self._environment(file, value)},
            "retry_settings": _retries,
            "resources": lambda value: {"resources": dict(value)},
            "settings": lambda value: self._taken(
                Description(file.path, value), _OF_A_DEPLOYMENT, {"retry_settings": _retries}, "settings."
            ),
        }
        return self._taken(file, _OF_A_DEPLOYMENT, turned)

    def _taken(
        self, file: Description, same: Mapping[str, str], turned: Mapping[str, "_Turn"], within: str = ""
    ) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, value in file.says.items():
            if name in _SILENT or value is None:
                continue
            try:
                if name in same:
                    made[same[name]] = value
                elif name in turned:
                    made.update(turned[name](value))
                else:
                    self._no("has no counterpart here")
            except _CannotBe as why:
                self._fail(file.path, within + name, str(why))
            except (AttributeError, TypeError):
                self._fail(file.path, within + name, "must be a mapping of names to values")
        return {name: value for name, value in made.items() if value is not None}

    def _location(self, value: Any) -> dict[str, Any]:
        self._found.settings["location"] = str(value)
        return {}

    def _subnet(self, value: Mapping[str, Any]) -> dict[str, Any]:
        subnet = str(value.get("subnet", ""))
        if not subnet.startswith("/subscriptions/"):
            self._no("must name `subnet` by its ARM id: a name alone does not say where the network is")
        return {"subnet_id": subnet}

    def _cluster_identity(self, value: Mapping[str, Any]) -> dict[str, Any]:
        words = {"systemassigned": "SystemAssigned", "userassigned": "UserAssigned"}
        given = value.get("user_assigned_identities") or []
        ids = [each.get("resource_id") if isinstance(each, Mapping) else str(each) for each in given]
        kind = words.get(_word(value.get("type")), str(value.get("type")))
        return {"identity_type": kind, "user_assigned_identities": ids or None}

    def _endpoint_identity(self, value: Mapping[str, Any]) -> dict[str, Any]:
        if _word(value.get("type")) != "systemassigned":
            self._no("must be system_assigned: batch endpoints refuse user-assigned identities")
        return {"identity": {"type": "SystemAssigned"}}

    def _cluster(self, value: Any) -> dict[str, Any]:
        """One of the stack's own, by its name where there are several, if its file was given; else one that exists."""
        name = str(value).removeprefix("azureml:")
        if name in self._clusters:
            return {"compute": name} if len(self._clusters) > 1 else {}
        return {"compute": name if name.startswith("/subscriptions/") else f"{self._workspace_id}/computes/{name}"}

    def _model(self, file: Description, value: Any) -> dict[str, Any]:
        described = self._referred("model", file, value)
        if described is None:
            return {"model": self._registered("models", str(value))}
        path = str(described.says.get("path") or "")
        kind = {"model_type": described.says.get("type")}
        for name in ("name", "version", "description", "tags", "properties"):
            if described.says.get(name) is not None:
                self._remark(described.path, f"model.{name}", "a model is named by its content here")
        if path.startswith(_DATASTORES):
            store, _, below = path.removeprefix(_DATASTORES).partition("/paths/")
            reference = {
                "reference_type": "DataPath",
                "datastore_id": f"{self._workspace_id}/datastores/{store}",
                "path": below,
            }
            return {"model_reference": reference}
        if ":" in path:
            self._no(f"lies at {path!r}: register it, and name it by azureml:<name>:<version>")
        return {"model": self._path(described, path), **kind}

    def _environment(self, file: Description, value: Any) -> dict[str, Any]:
        described = self._referred("environment", file, value)
        if described is None:
            return {"id": self._registered("environments", str(value))}
        for name in ("name", "version", "tags"):
            if described.says.get(name) is not None:
                remark = "an environment is named by its deployment, its version by its content"
                self._remark(described.path, f"environment.{name}", remark)
        says = {name: each for name, each in described.says.items() if name not in ("name", "version", "tags")}
        if isinstance(says.get("conda_file"), Mapping):
            self._no("has its conda file inside: move it to a file, and name that")
        return self._taken(
            Description(described.path, says),
            {"image": "image", "description": "description", "os_type": "os_type"},
            {"conda_file": lambda path: {"conda_file": self._path(described, path)}},
            "environment.",
        )

    def _referred(self, kind: str, file: Description, value: Any) -> Description | None:
        """What describes an asset here: a mapping, a file that was given, or None for one that is registered."""
        if isinstance(value, Mapping):
            return Description(file.path, value)
        text = str(value)
        if text.startswith("file:"):
            path = self._path(file, text.removeprefix("file:"))
            for each in self._files[kind]:
                if each.path == path:
                    return each
            self._no(f"is described in {path}: give that file, too")
        name, _, version = text.removeprefix("azureml:").partition(":")
        found = self._assets.get((kind, name))
        return found if found and version in ("", str(found.says.get("version", version))) else None

    def _registered(self, collection: str, text: str) -> str:
        if text.startswith((_REGISTRY, "/subscriptions/")):
            return text
        name, _, version = text.removeprefix("azureml:").removeprefix("/").partition(":")
        if not name or not version:
            self._no(f"must name a version, {name or 'name'}:<version>: what a label means may change, got {text!r}")
        return f"{self._workspace_id}/{collection}/{name}/versions/{version}"

    def _path(self, file: Description, value: Any) -> str | None:
        """A path in a file is relative to that file, in a stack file to the project."""
        if value is None:
            return None
        text = str(value)
        return normpath(text if text.startswith("/") else str(PurePosixPath(file.path).parent / text))

    def _no(self, why: str) -> Any:
        raise _CannotBe(why)

    def _fail(self, path: str, name: str, why: str) -> None:
        self._found.failures.append(Failure(f"{path}: {name}" if name else path, why))

    def _remark(self, path: str, name: str, what: str) -> None:
        self._found.remarks.append(Failure(f"{path}: {name}", what))


_Turn = Callable[[Any], dict[str, Any]]


class _CannotBe(Exception):
    """Why a value cannot be taken over."""


def _retries(value: Mapping[str, Any]) -> dict[str, Any]:
    """`timeout` is in seconds there."""
    made = dict(value)
    if isinstance(made.get("timeout"), int):
        made["timeout"] = f"{made['timeout']}s"
    return {"retry_settings": made}


def _word(value: Any) -> str:
    return str(value).lower().replace("_", "")
