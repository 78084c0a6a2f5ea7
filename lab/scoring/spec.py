"""What one scoring job is asked to do: the JSON file that the emulator writes, read into frozen values.

A spec that cannot be read is refused whole, with every failure named by its property.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

RetryCount = Literal["tries", "retries"]
RowOrder = Literal["input", "arrival"]
_RETRIES: dict[str, RetryCount] = {"tries": "tries", "retries": "retries"}
_ORDERS: dict[str, RowOrder] = {"input": "input", "arrival": "arrival"}
OutputAction = Literal["AppendRow", "SummaryOnly"]
InputType = Literal["UriFolder", "UriFile"]


class SpecError(ValueError):
    """The spec cannot be used; `failures` holds one sentence per wrong property."""

    def __init__(self, failures: list[str]) -> None:
        super().__init__("; ".join(failures))
        self.failures = failures


@dataclass(frozen=True)
class StorageSpec:
    account: str
    endpoint: str
    """`https://127.0.0.1:<port>/<account>`: reached directly, never through a proxy."""
    key: str = field(repr=False)
    ca_file: str
    """PEM file of the authority that signed the endpoint's certificate."""


@dataclass(frozen=True)
class BlobPath:
    container: str
    path: str
    """Without leading or trailing slash; empty means the whole container."""

    def __str__(self) -> str:
        return f"{self.container}/{self.path}"

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def folder(self) -> BlobPath:
        parent = str(PurePosixPath(self.path).parent)
        return BlobPath(self.container, "" if parent == "." else parent)

    def child(self, relative: str) -> BlobPath:
        return BlobPath(self.container, f"{self.path}/{relative}" if self.path else relative)


@dataclass(frozen=True)
class CodeSpec:
    blobs: BlobPath
    scoring_script: str
    """Path of the script inside the code folder, with forward slashes."""


@dataclass(frozen=True)
class ModelSpec:
    blobs: BlobPath
    type: str
    """`CustomModel`, `MLFlowModel` or `TritonModel`; compared without regard to case or underscores."""
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"

    @property
    def is_mlflow(self) -> bool:
        return self.type.replace("_", "").lower() == "mlflowmodel"


@dataclass(frozen=True)
class EnvironmentSpec:
    name: str
    version: str
    image: str | None
    conda_file: str | None
    """Text of the conda file, YAML or JSON (which YAML contains)."""

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(frozen=True)
class InputSpec:
    blobs: BlobPath
    type: InputType


@dataclass(frozen=True)
class LogsSpec:
    container: str
    prefix: str


@dataclass(frozen=True)
class Settings:
    """The deployment's settings with the job's overrides applied (SDK and REST names in snake case)."""

    mini_batch_size: int = 10
    """Files per run() call."""
    max_concurrency_per_instance: int = 1
    """Worker processes per node."""
    instance_count: int = 1
    max_retries: int = 3
    timeout_seconds: float = 30
    """Seconds for one run() call."""
    error_threshold: int = -1
    """Failed items over the whole input above which the job stops; -1 never stops it."""
    logging_level: str = "info"
    output_action: OutputAction = "AppendRow"
    output_file_name: str = "predictions.csv"
    environment_variables: Mapping[str, str] = field(default_factory=dict)

    # What documentation leaves open, as the lab is set to play it (docs/emulation.md).
    needs_azureml_core: bool = False
    """Whether the environment of a scoring script must have azureml-core."""
    max_retries_counts: RetryCount = "tries"
    """Whether `max_retries` has the first try in it."""
    task_overhead_seconds: float = 0
    """Granted to each run() beyond its timeout."""
    row_order: RowOrder = "input"
    gpus_per_node: int = 0

    @property
    def tries(self) -> int:
        """Of one mini-batch in total."""
        return self.max_retries + 1 if self.max_retries_counts == "retries" else max(1, self.max_retries)

    @property
    def run_seconds(self) -> float:
        """After which a run() is stopped."""
        return self.timeout_seconds + self.task_overhead_seconds


@dataclass(frozen=True)
class JobSpec:
    name: str
    directory: Path
    storage: StorageSpec
    code: CodeSpec | None
    model: ModelSpec | None
    environment: EnvironmentSpec | None
    input: InputSpec
    output: BlobPath
    """Full path of the output file; with SummaryOnly its parent is the output folder."""
    logs: LogsSpec
    settings: Settings
    max_workers: int
    """Worker processes that this machine grants, over all nodes."""
    cache: Path
    """Folder of built environments and other expensive things, shared by jobs."""
    step: str
    """Run name of the pipeline's one step, the scoring; the job's own name where none is given."""


def read_spec(path: Path) -> JobSpec:
    """The spec in a JSON file; raises SpecError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpecError([f"{path}: cannot be read as JSON: {error}"]) from error
    return parse_spec(document)


def parse_spec(document: object) -> JobSpec:
    """The spec in a JSON document; raises SpecError with every failure."""
    if not isinstance(document, Mapping):
        raise SpecError([f"spec: must be an object, got {type(document).__name__}"])
    reader = _Reader(document, [])
    storage = reader.section("storage")
    code = reader.optional_section("code")
    model = reader.optional_section("model")
    environment = reader.optional_section("environment")
    source = reader.section("input")
    logs = reader.section("logs")
    limits = reader.section("limits")
    spec = JobSpec(
        name=reader.text("name"),
        directory=Path(reader.text("directory")),
        storage=StorageSpec(
            storage.text("account"), storage.text("endpoint"), storage.text("key"), storage.text("ca_file")
        ),
        code=None if code is None else CodeSpec(code.blobs(), code.text("scoring_script")),
        model=None
        if model is None
        else ModelSpec(model.blobs(), model.text("type"), model.text("name"), model.text("version")),
        environment=None
        if environment is None
        else EnvironmentSpec(
            environment.text("name"),
            environment.text("version"),
            environment.optional_text("image"),
            environment.optional_text("conda_file"),
        ),
        input=InputSpec(source.blobs(), source.input_type()),
        output=reader.section("output").blobs(),
        logs=LogsSpec(logs.text("container"), logs.text("prefix").strip("/")),
        settings=_settings(reader.section("settings")),
        max_workers=limits.integer("max_workers", 1, at_least=1),
        cache=Path(reader.text("cache")),
        step=reader.optional_text("step") or str(document.get("name")),
    )
    if not spec.output.path:
        reader.failures.append("output.path: must be the full path of the output file, got an empty one")
    if reader.failures:
        raise SpecError(reader.failures)
    return spec


def _settings(reader: _Reader) -> Settings:
    default = Settings()
    action = str(reader.values.get("output_action", default.output_action)).replace("_", "").lower()
    if action not in ("appendrow", "summaryonly"):
        reader.fail("output_action", f"must be AppendRow or SummaryOnly, got {reader.values['output_action']!r}")
    return Settings(
        mini_batch_size=reader.integer("mini_batch_size", default.mini_batch_size, at_least=1),
        max_concurrency_per_instance=reader.integer("max_concurrency_per_instance", 1, at_least=1),
        instance_count=reader.integer("instance_count", 1, at_least=1),
        max_retries=reader.integer("max_retries", default.max_retries, at_least=0),
        timeout_seconds=reader.seconds("timeout_seconds", default.timeout_seconds),
        error_threshold=reader.integer("error_threshold", default.error_threshold, at_least=-1),
        logging_level=str(reader.values.get("logging_level") or default.logging_level).lower(),
        output_action="SummaryOnly" if action == "summaryonly" else "AppendRow",
        output_file_name=str(reader.values.get("output_file_name") or default.output_file_name),
        environment_variables=reader.text_mapping("environment_variables"),
        needs_azureml_core=reader.one_of("azureml_core", "not_needed", "needed") == "needed",
        max_retries_counts=_RETRIES[reader.one_of("max_retries_counts", *_RETRIES)],
        task_overhead_seconds=reader.seconds("task_overhead_seconds", default.task_overhead_seconds, or_none=True),
        row_order=_ORDERS[reader.one_of("row_order", *_ORDERS)],
        gpus_per_node=reader.integer("gpus_per_node", default.gpus_per_node, at_least=0),
    )


@dataclass
class _Reader:
    """Takes typed values out of a JSON object and notes what is wrong instead of stopping at the first failure."""

    values: Mapping[str, Any]
    failures: list[str]
    prefix: str = ""

    def fail(self, name: str, sentence: str) -> None:
        self.failures.append(f"{self.prefix}{name}: {sentence}")

    def section(self, name: str) -> _Reader:
        value = self.values.get(name)
        if not isinstance(value, Mapping):
            self.fail(name, f"must be an object, got {value!r}")
            value = {}
        return _Reader(value, self.failures, f"{self.prefix}{name}.")

    def optional_section(self, name: str) -> _Reader | None:
        return None if self.values.get(name) is None else self.section(name)

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if not isinstance(value, str):
            self.fail(name, f"must be a string, got {value!r}")
            return ""
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self.values.get(name) is None else self.text(name)

    def blobs(self) -> BlobPath:
        return BlobPath(self.text("container"), self.text("path").strip("/"))

    def input_type(self) -> InputType:
        value = str(self.values.get("type", "")).replace("_", "").lower()
        if value not in ("urifolder", "urifile"):
            self.fail("type", f"must be UriFolder or UriFile, got {self.values.get('type')!r}")
        return "UriFile" if value == "urifile" else "UriFolder"

    def integer(self, name: str, default: int, *, at_least: int) -> int:
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or value < at_least:
            self.fail(name, f"must be a whole number, at least {at_least}, got {value!r}")
            return default
        return int(value)

    def seconds(self, name: str, default: float, *, or_none: bool = False) -> float:
        """Seconds above 0; with `or_none` 0 is taken too."""
        value = self.values.get(name)
        if value is None or (or_none and value == 0):
            return default if value is None else 0.0
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            self.fail(name, f"must be a number of seconds above 0, got {value!r}")
            return default
        return float(value)

    def one_of(self, name: str, *words: str) -> str:
        """One of these words, the first of them where none is given."""
        value = self.values.get(name)
        if value is not None and value not in words:
            self.fail(name, f"must be one of {', '.join(words)}, got {value!r}")
            return words[0]
        return str(value or words[0])

    def text_mapping(self, name: str) -> dict[str, str]:
        value = self.values.get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.fail(name, f"must be an object of strings, got {value!r}")
            return {}
        return {str(key): str(item) for key, item in value.items()}
