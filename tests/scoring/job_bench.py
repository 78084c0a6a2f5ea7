"""A scoring job against a folder that plays the blob service, in the interpreter that runs the tests."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.scoring.blobs import BlobExists, BlobItem, BlobNotFound, Cancellation
from lab.scoring.driver import run_job
from lab.scoring.environment import EnvironmentResolver
from lab.scoring.spec import BlobPath, EnvironmentSpec, parse_spec

LESS_THAN_A_SHUTDOWN = 8.0
"""Seconds. An orderly end gives a worker 10; who took less, even on a busy machine, has not waited for the script."""

GOOD_SCRIPT = """
import os

def init():
    global model_dir
    model_dir = os.environ["AZUREML_MODEL_DIR"]

def run(mini_batch):
    return [f"{os.path.basename(path)} {open(path).read()}" for path in mini_batch]
"""


COUNT_TRIES = """
import os, pathlib
MARKS = pathlib.Path(os.environ["MARKS"])

def tries_of(path):
    mark = MARKS / os.path.basename(path)
    with open(mark, "a") as file:
        file.write("x")
    return mark.stat().st_size
"""

MEET = """
import os, pathlib, time
MARKS = pathlib.Path(os.environ["MARKS"])

def meet():
    "Come back when two workers have come here."
    MARKS.joinpath(str(os.getpid())).touch()
    end = time.monotonic() + 120
    while len(list(MARKS.iterdir())) < 2:
        assert time.monotonic() < end, "no second worker came"
        time.sleep(0.005)
"""


class FolderBlobs:
    """The far side: containers are folders, blobs are files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def list(self, container: str, prefix: str) -> Iterator[BlobItem]:
        home = self.root / container
        for path in sorted(home.rglob("*")):
            name = path.relative_to(home).as_posix()
            if path.is_file() and name.startswith(prefix):
                yield BlobItem(name, path.stat().st_size)

    def exists(self, blob: BlobPath) -> bool:
        return self._file(blob).is_file()

    def download(self, blob: BlobPath, to: Path) -> None:
        if not self.exists(blob):
            raise BlobNotFound(f"blob {blob} does not exist")
        shutil.copyfile(self._file(blob), to)

    def upload(self, source: Path, blob: BlobPath, *, overwrite: bool) -> None:
        if self.exists(blob) and not overwrite:
            raise BlobExists(f"blob {blob} exists already")
        self._file(blob).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, self._file(blob))

    def put(self, container: str, name: str, content: str | bytes) -> None:
        file = self.root / container / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def text(self, container: str, name: str) -> str:
        return (self.root / container / name).read_text(encoding="utf-8")

    def _file(self, blob: BlobPath) -> Path:
        return self.root / blob.container / blob.path


def this_interpreter(
    environment: EnvironmentSpec, say: Callable[[str], None], log: Callable[[str], None], cancel: Cancellation
) -> Path:
    """An environment that needs no building: where the tests run."""
    cancel.check()
    say(f"environment {environment}: the tests' own")
    log("nothing built\n")
    return Path(sys.executable)


def base_document(directory: Path) -> dict[str, Any]:
    return {
        "name": "batchjob-1",
        "directory": str(directory),
        "storage": {
            "account": "labstore",
            "endpoint": "https://127.0.0.1:1/labstore",
            "key": "a2V5",
            "ca_file": "ca.pem",
        },
        "code": {"container": "data", "path": "uploads/code", "scoring_script": "score.py"},
        "model": {
            "container": "data",
            "path": "uploads/model",
            "type": "CustomModel",
            "name": "digits",
            "version": "1",
        },
        "environment": {"name": "digits-env", "version": "1", "image": "mcr.example/image", "conda_file": None},
        "input": {"container": "data", "path": "inputs/images", "type": "UriFolder"},
        "output": {"container": "data", "path": "azureml/batchjob-1/score/predictions.csv"},
        "logs": {"container": "azureml", "prefix": "ExperimentRun/dcid.batchjob-1"},
        "settings": {"mini_batch_size": 2, "timeout_seconds": 300, "error_threshold": -1, "output_action": "AppendRow"},
        "limits": {"max_workers": 2},
        "cache": str(directory.parent / "cache"),
    }


@dataclass
class Outcome:
    document: dict[str, Any]
    """status.json as the emulator reads it."""
    blobs: FolderBlobs
    directory: Path

    @property
    def status(self) -> str:
        return str(self.document["status"])

    @property
    def message(self) -> str:
        return str(self.document["error"]["message"])

    def rows(self) -> list[str]:
        (output,) = [blob for blob in self.document["outputs"] if blob["path"].endswith("predictions.csv")]
        return self.blobs.text(output["container"], output["path"]).splitlines()

    def log(self, name: str) -> str:
        blob = self.document["logs"][name]
        return self.blobs.text(blob["container"], blob["path"])


@dataclass
class JobBench:
    """Sets a job up and runs it; what is not said is the good case: three files, a model, a script that works."""

    directory: Path
    blobs: FolderBlobs
    cancellation: Cancellation = field(default_factory=Cancellation)
    log_limit: int = 5 * 1024 * 1024
    clock: Callable[[], float] = time.monotonic
    """What timeouts are measured by, seconds."""
    environments: EnvironmentResolver = this_interpreter

    def run(
        self,
        script: str | None = GOOD_SCRIPT,
        *,
        files: Mapping[str, str] | None = None,
        change: Callable[[dict[str, Any]], None] = lambda document: None,
        **settings: Any,
    ) -> Outcome:
        if script is not None:
            self.blobs.put("data", "uploads/code/score.py", script)
        self.blobs.put("data", "uploads/model/weights.txt", "42")
        for name, content in ({"a.txt": "1", "b.txt": "2", "c.txt": "3"} if files is None else files).items():
            self.blobs.put("data", f"inputs/images/{name}", content)
        document = base_document(self.directory)
        document["settings"].update(settings)
        change(document)
        limit, clock = self.log_limit, self.clock
        run_job(parse_spec(document), self.blobs, self.environments, self.cancellation, log_limit=limit, clock=clock)
        return Outcome(json.loads((self.directory / "status.json").read_text()), self.blobs, self.directory)


def with_marks(bench: JobBench) -> dict[str, str]:
    marks = bench.directory.parent / "marks"
    marks.mkdir()
    return {"MARKS": str(marks)}
