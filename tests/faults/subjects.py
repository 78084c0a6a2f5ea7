"""Each kind as the matrix needs it: new inputs, where it lies, another value for each property, its drift."""

from __future__ import annotations

import itertools
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from lab import identity
from providers import arm_body, schema
from providers.aml.datastore import datastore_uri, locate
from providers.asset_version import CodeVersionKind, DataVersionKind, ModelVersionKind, version_id
from providers.batch_deployment import BatchDeploymentKind
from providers.batch_endpoint import BatchEndpointKind, endpoint_id
from providers.blob import delete_prefix, exists, list_blobs, scan
from providers.blob_folder import BlobFolderKind
from providers.default_deployment import DefaultDeploymentKind
from providers.kind import Kind, client, container_at
from providers.ownership import OwnerKind
from providers.schema import Bag
from providers.scoring_job import ScoringJobKind
from tests.faults.cloud import WORKSPACE, BlobFault, Cloud
from tests.faults.small_checkout import CONDA, ROWS, SCRIPT

OWNER = "faults/matrix/0123456789abcdef"
STRANGER = "somebody/else/fedcba9876543210"
_numbers = itertools.count(1)


class Subject(ABC):
    """One kind, in one lab."""

    kind: Kind
    method: ClassVar[str] = "PUT"
    """Of the request that makes one."""
    operations: ClassVar[bool] = True
    """Whether writes begin operations that end later."""
    talks: ClassVar[bool] = True
    """Whether it talks to anybody."""
    adoptable: ClassVar[str] = ""
    """Why a stranger's cannot be met; empty where it can."""
    by_post: ClassVar[bool] = False
    """Whether a write is a POST that must not be repeated."""
    others: ClassVar[Mapping[str, Any]] = {}
    """Another value for each property whose change is an update in place."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud, self.folder = cloud, folder

    @property
    def name(self) -> str:
        return type(self).__name__

    @abstractmethod
    def new(self) -> Bag:
        """Checked inputs of one that does not exist yet."""

    @abstractmethod
    def id_of(self, bag: Bag) -> str:
        """Where it will lie."""

    def there(self, bag: Bag) -> bool:
        return self.cloud.get(self.id_of(bag)) is not None

    def url(self, bag: Bag) -> str:
        """A regular expression for requests about it and nothing else."""
        return re.escape(self.id_of(bag)) + r"(\?|$)"

    def made(self, bag: Bag) -> int:
        """How often it was created."""
        return len([each for each in self.cloud.requests(self.url(bag), self.method) if _created(each)])

    def strike(self, bag: Bag, **fault: Any) -> None:
        """A fault that meets its next write."""
        self.cloud.faults({"match": {"method": self.method, "path": self.url(bag)}, **fault})

    def spoil(self, bag: Bag) -> str:
        """Change it behind our back; the property that shows it."""
        raise NotImplementedError

    def take(self, bag: Bag) -> None:
        """Delete it behind our back."""
        self.cloud.delete(self.id_of(bag))

    def checked(self, **values: Any) -> Bag:
        bag, failures = schema.check(self.kind.args, {"api_version": "2025-12-01", **values})
        assert failures == [], [str(failure) for failure in failures]
        return bag

    def folder_with(self, name: str, **files: str) -> Path:
        folder = self.folder / f"{name}-{next(_numbers)}" / name
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / file.replace("_", ".")).write_text(text, encoding="utf-8")
        return folder


class Owner(Subject):
    kind = OwnerKind()
    talks = operations = False

    def new(self) -> Bag:
        return self.checked(stack="faults/matrix")

    def id_of(self, bag: Bag) -> str:
        return ""

    def there(self, bag: Bag) -> bool:
        return True


class BlobFolder(Subject):
    kind = BlobFolderKind()
    operations = False
    adoptable = "its place is named by the stack and by the digest of its content"

    def new(self) -> Bag:
        return self.of(self.folder_with("data", a_txt=f"{next(_numbers)}\n", b_txt="b\n"))

    def of(self, folder: Path) -> Bag:
        found = scan(folder)
        return self.checked(
            uri=place(f"{next(_numbers)}/{found.digest}"),
            root=folder.name,
            source=str(folder),
            digest=found.digest,
            files=found.files,
            bytes=found.bytes,
        )

    def id_of(self, bag: Bag) -> str:
        return locate(client(bag), bag["uri"]).url

    def there(self, bag: Bag) -> bool:
        location = locate(client(bag), bag["uri"])
        return bool(exists(container_at(location, bag), f"{location.path}/", bag["digest"]))

    def made(self, bag: Bag) -> int:
        return int(self.there(bag))

    def strike(self, bag: Bag, **fault: Any) -> None:
        action, when = fault["action"], fault.get("when", "before")
        status = {"reply": fault.get("status", 0)}.get(action, 0)
        part = f"{bag['digest']}/"
        when = "after" if action in ("cut", "stall") else when
        self.cloud.blobs.add(BlobFault("PUT", part, when, status, fault.get("text", ""), fault.get("times", 1)))

    def blobs(self, bag: Bag) -> list[str]:
        """What lies at its place, by path."""
        location = locate(client(bag), bag["uri"])
        prefix = f"{location.path}/"
        return [each.name.removeprefix(prefix) for each in list_blobs(container_at(location, bag), prefix)]

    def take(self, bag: Bag) -> None:
        location = locate(client(bag), bag["uri"])
        delete_prefix(container_at(location, bag), f"{location.path}/")


class Asset(Subject):
    operations = False
    collection: ClassVar[str]
    others: ClassVar[Mapping[str, Any]] = {"description": "other", "tags": {"team": "red"}}
    fixed: ClassVar[tuple[str, ...]] = ("owner",)

    def new(self) -> Bag:
        name = f"asset-{next(_numbers)}"
        return self.checked(
            workspace_id=WORKSPACE,
            asset_name=name,
            version="1",
            uri=place(f"{name}/x"),
            owner=OWNER,
            description="first",
            tags={"team": "blue"},
        )

    def id_of(self, bag: Bag) -> str:
        return version_id(WORKSPACE, self.collection, bag["asset_name"], bag["version"])

    def spoil(self, bag: Bag) -> str:
        live = self.cloud.get(self.id_of(bag)) or {}
        tags = {**live["properties"]["tags"], "team": "green"}
        keep = {
            key: live["properties"][key]
            for key in ("codeUri", "modelUri", "modelType", "dataUri", "dataType")
            if key in live["properties"]
        }
        self.cloud.put(self.id_of(bag), {"properties": {**keep, "description": "first", "tags": tags}})
        return "tags"


class CodeVersion(Asset):
    kind = CodeVersionKind()
    collection = "codes"


class ModelVersion(Asset):
    kind = ModelVersionKind()
    collection = "models"


class DataVersion(Asset):
    kind = DataVersionKind()
    collection = "data"


class BatchEndpoint(Subject):
    kind = BatchEndpointKind()
    others: ClassVar[Mapping[str, Any]] = {
        "description": "other",
        "properties": {"added": "1"},
        "tags": {"team": "red"},
        "identity": {"type": "None"},
    }
    fixed: ClassVar[tuple[str, ...]] = ("auth_mode", "owner")

    def new(self) -> Bag:
        return self.checked(
            workspace_id=WORKSPACE,
            endpoint_name=f"faults-{next(_numbers)}",
            location=identity.LOCATION,
            owner=OWNER,
            description="first",
            tags={"team": "blue"},
            identity={"type": "SystemAssigned"},
        )

    def id_of(self, bag: Bag) -> str:
        return endpoint_id(WORKSPACE, bag["endpoint_name"])

    def spoil(self, bag: Bag) -> str:
        live = self.cloud.get(self.id_of(bag)) or {}
        properties = {"authMode": "AADToken", "description": "changed by hand"}
        identity_ = {"type": "SystemAssigned"}
        body = {"location": live["location"], "tags": live["tags"], "identity": identity_, "properties": properties}
        self.cloud.put(self.id_of(bag), body)
        return "description"


class BatchDeployment(Subject):
    kind = BatchDeploymentKind()
    others: ClassVar[Mapping[str, Any]] = {
        "description": "other",
        "tags": {"team": "red"},
        "properties": {"a": "1"},
        "environment_variables": {"LEVEL": "2"},
        "mini_batch_size": 3,
        "max_concurrency_per_instance": 2,
        "error_threshold": 5,
        "output_action": "SummaryOnly",
        "output_file_name": "other.csv",
        "logging_level": "Debug",
        "retry_settings": {"max_retries": 1, "timeout": "PT1M"},
        "resources": {"instance_count": 2},
    }
    fixed: ClassVar[tuple[str, ...]] = ("owner",)

    @cached_property
    def base(self) -> Base:
        return Base(self.cloud, self.folder)

    def new(self) -> Bag:
        return self.base.deployment(f"blue-{next(_numbers)}")

    def id_of(self, bag: Bag) -> str:
        return f"{bag['endpoint_id']}/deployments/{bag['deployment_name']}"

    def spoil(self, bag: Bag) -> str:
        sent = arm_body.upon(self.kind.args, {}, {}, self.kind.owned(bag))[0]
        sent["properties"]["miniBatchSize"] = 77
        self.cloud.put(self.id_of(bag), sent)
        return "mini_batch_size"


class DefaultDeployment(Subject):
    kind = DefaultDeploymentKind()

    @cached_property
    def base(self) -> Base:
        return Base(self.cloud, self.folder)

    @property
    def others(self) -> Mapping[str, Any]:  # type: ignore[override]
        return {"deployment_name": "green"}

    def new(self) -> Bag:
        base = Base(self.cloud, self.folder, self.base)
        for name in ("blue", "green"):
            BatchDeploymentKind().create(base.deployment(name))
        return self.checked(endpoint_id=base.endpoint, deployment_name="blue", owner=OWNER)

    def id_of(self, bag: Bag) -> str:
        return str(bag["endpoint_id"])

    def default(self, bag: Bag) -> str | None:
        live = self.cloud.get(self.id_of(bag)) or {"properties": {}}
        return str((live["properties"].get("defaults") or {}).get("deploymentName") or "") or None

    def there(self, bag: Bag) -> bool:
        return bool(self.default(bag) == bag["deployment_name"])

    def made(self, bag: Bag) -> int:
        return int(self.there(bag))

    def spoil(self, bag: Bag) -> str:
        self.set(bag, "green")
        return "deployment_name"

    def take(self, bag: Bag) -> None:
        self.set(bag, None)

    def set(self, bag: Bag, name: str | None) -> None:
        live = self.cloud.get(self.id_of(bag)) or {}
        properties = {"authMode": "AADToken", "defaults": {"deploymentName": name}}
        self.cloud.put(self.id_of(bag), {"location": live["location"], "tags": live["tags"], "properties": properties})


class ScoringJob(Subject):
    kind = ScoringJobKind()
    method = "POST"
    operations = False
    by_post = True
    fixed: ClassVar[tuple[str, ...]] = ("subjects",)  # taken in with the next change, and no change by itself
    adoptable = "a job is found by the place that it writes to, which is the stack's own"

    @cached_property
    def base(self) -> Base:
        base = Base(self.cloud, self.folder)
        BatchDeploymentKind().create(base.deployment("blue"))
        return base

    @cached_property
    def data(self) -> str:
        folder = BlobFolder(self.cloud, self.folder)
        bag = folder.new()
        folder.kind.create(bag)
        return f"{bag['uri']}/data"

    def new(self) -> Bag:
        number = next(_numbers)
        return self.checked(
            workspace_id=WORKSPACE,
            endpoint_id=self.base.endpoint,
            deployment_name="blue",
            key=f"key-{number}",
            input_uri=self.data,
            output_uri=place(f"jobs/{number}"),
            expected_rows=ROWS,
            deadline="2m",
        )

    def id_of(self, bag: Bag) -> str:
        return f"{WORKSPACE}/jobs/{self.jobs(bag)[0]['name']}"

    def url(self, bag: Bag) -> str:
        return r"/jobs(\?|$)"

    def strike(self, bag: Bag, **fault: Any) -> None:
        host = f"^{bag['endpoint_id'].rpartition('/')[2]}\\."
        self.cloud.faults({"match": {"method": "POST", "host": host}, **fault})

    def jobs(self, bag: Bag) -> list[dict[str, Any]]:
        """Those that write to its place."""
        place = bag["output_uri"].partition("/paths/")[2]
        return [
            each
            for each in self.cloud.jobs(bag["endpoint_id"])
            if f"/paths/{place}/" in str(each["properties"]["outputData"])
        ]

    def there(self, bag: Bag) -> bool:
        return bool(self.jobs(bag))

    def made(self, bag: Bag) -> int:
        return len(self.jobs(bag))


class Base:
    """What a deployment is made of; the endpoint is its own, the rest may be another's."""

    def __init__(self, cloud: Cloud, folder: Path, shared: Base | None = None) -> None:
        endpoints = BatchEndpoint(cloud, folder)
        bag = endpoints.new()
        endpoints.kind.create(bag)
        self.endpoint = endpoints.id_of(bag)
        self.of: dict[str, Any] = shared.of if shared else self._parts(cloud, folder)

    def _parts(self, cloud: Cloud, folder: Path) -> dict[str, Any]:
        number = next(_numbers)
        uploads, codes, models = BlobFolder(cloud, folder), CodeVersion(cloud, folder), ModelVersion(cloud, folder)
        parts = {}
        for subject, name, files in ((codes, "code", {"score_py": SCRIPT}), (models, "model", {"weights_txt": "1\n"})):
            local = subject.folder_with(name, **files)
            upload = uploads.of(local)
            uploads.kind.create(upload)
            bag = {**subject.new(), "uri": f"{upload['uri']}/{name}"}
            subject.kind.create(bag)
            parts[name] = subject.id_of(bag)
        environment = f"{WORKSPACE}/environments/faults-{number}/versions/1"
        cloud.put(environment, {"properties": {"image": "mcr.microsoft.com/azureml/any", "condaFile": CONDA}})
        compute = f"{WORKSPACE}/computes/faults-{number}"
        scale = {"minNodeCount": 0, "maxNodeCount": 1, "nodeIdleTimeBeforeScaleDown": "PT2M"}
        node = {"vmSize": "STANDARD_DS3_V2", "scaleSettings": scale}
        cloud.put(
            compute,
            {"location": identity.LOCATION, "properties": {"computeType": "AmlCompute", "properties": node}},
        )
        return {
            "compute": compute,
            "code_configuration": {"code_id": parts["code"], "scoring_script": "score.py"},
            "model": {"asset_id": parts["model"]},
            "environment_id": environment,
        }

    def deployment(self, name: str) -> Bag:
        bag, failures = schema.check(
            BatchDeploymentKind.args,
            {
                "api_version": "2025-12-01",
                "endpoint_id": self.endpoint,
                "deployment_name": name,
                "location": identity.LOCATION,
                "owner": OWNER,
                "tags": {"team": "blue"},
                **self.of,
            },
        )
        assert failures == [], [str(failure) for failure in failures]
        return bag


SUBJECTS: tuple[type[Subject], ...] = (
    Owner,
    BlobFolder,
    CodeVersion,
    ModelVersion,
    DataVersion,
    BatchEndpoint,
    BatchDeployment,
    DefaultDeployment,
    ScoringJob,
)


def place(path: str) -> str:
    return datastore_uri(f"{WORKSPACE}/datastores/{identity.DEFAULT_DATASTORE}", f"faults/{path}")


def scratch() -> tempfile.TemporaryDirectory[str]:
    """For local folders that are uploaded."""
    return tempfile.TemporaryDirectory(prefix="faults-")


def _created(request: Mapping[str, Any]) -> bool:
    return bool(request["handled"] == 201)
