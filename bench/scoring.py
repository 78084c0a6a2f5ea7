"""Scoring jobs: what the lab adds to calling run(), and how long a job takes to begin, to be cancelled, to be done."""

from __future__ import annotations

import csv
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from azure.storage.blob import ContainerClient

from bench.blobs import container
from bench.figure import Figure, Runs
from bench.memory import Peaks
from bench.requests import token
from lab import identity
from lab.home import CHECKOUT
from lab.testing import LabUnderTest
from tests.lifecycle.checkout import Checkout
from tests.scoring.job_bench import FolderBlobs, JobBench

FILES, FILE_BYTES = 10_000, 64
SIZES, WORKERS = (1, 10, 100), (1, 2)
SCRIPT = """
import os

def init():
    pass

def run(files):
    rows = []
    for path in files:
        with open(path, "rb") as file:
            rows.append(f"{os.path.basename(path)} {len(file.read())}")
    return rows
"""
_MILLISECONDS = 1000
_IMPORTS = "an interpreter that imports azure.storage.blob"
_ARM, _LEARNING = "management.azure.com", "ml.azure.com"
_ENDED = ("Completed", "Failed", "Canceled")


def loops(folder: Path, runs: int) -> list[Figure]:
    """Time for each mini-batch of 10,000 small files, from the first one's start to the last one's end, beside run()
    called in a loop. No lab runs: the driver and its worker processes, with files in place of blobs."""
    blobs = FolderBlobs(folder / "blobs")
    for number in range(FILES):
        blobs.put("data", f"inputs/images/{number:05d}.txt", "x" * FILE_BYTES)
    took: dict[tuple[int, int], list[float]] = {(size, workers): [] for size in SIZES for workers in WORKERS}
    plain: dict[int, list[float]] = {size: [] for size in SIZES}
    for number in range(runs):
        for size in SIZES:
            plain[size].append(_plain_loop(blobs, size))
            for workers in WORKERS:
                took[size, workers].append(_scored(folder / f"{number}-{size}-{workers}", blobs, size, workers))
    return [
        Figure(
            f"a mini-batch of {size} small file{'s' if size > 1 else ''}, {workers} worker{'s' if workers > 1 else ''}",
            Runs(tuple(took[size, workers]), "ms"),
            "run() in a plain loop",
            Runs(tuple(plain[size]), "ms"),
        )
        for size in SIZES
        for workers in WORKERS
    ]


def _scored(folder: Path, blobs: FolderBlobs, size: int, workers: int) -> float:
    """Milliseconds for each mini-batch."""

    def own_output(document: dict[str, Any]) -> None:
        document["output"]["path"] = f"{folder.name}/predictions.csv"
        document["logs"]["prefix"] = folder.name

    outcome = JobBench(folder, blobs).run(
        SCRIPT, files={}, change=own_output, mini_batch_size=size, max_concurrency_per_instance=workers
    )
    if outcome.status != "Completed" or outcome.document["rows"] != FILES:
        raise RuntimeError(f"the job that was measured: {outcome.document}")
    report = folder / "logs" / "logs" / "sys" / "job_report" / "processed_mini-batches.csv"
    with report.open(encoding="utf-8", newline="") as file:
        spans = [
            (
                began := datetime.fromisoformat(row["Process Start Time"].removesuffix("Z")).timestamp(),
                began + float(row["Elapsed Seconds"]),
            )
            for row in csv.DictReader(file)
        ]
    shutil.rmtree(folder)
    return (max(end for _, end in spans) - min(begin for begin, _ in spans)) / len(spans) * _MILLISECONDS


def _plain_loop(blobs: FolderBlobs, size: int) -> float:
    names: dict[str, Any] = {}
    exec(SCRIPT, names)  # noqa: S102  # ours, above
    names["init"]()
    files = sorted(str(path) for path in (blobs.root / "data" / "inputs" / "images").iterdir())
    began = time.perf_counter()
    for start in range(0, len(files), size):
        names["run"](files[start : start + size])
    return (time.perf_counter() - began) / (len(files) / size) * _MILLISECONDS


def jobs(folder: Path, runs: int) -> list[Figure]:
    """Jobs of digits in a lab of its own, submitted as anybody would: how soon they run, end when cancelled, are done
    with 10,000 images, and what their processes take meanwhile."""
    folder.mkdir()
    checkout = Checkout(folder, "embedded")
    try:
        checkout.succeed("up")
        return _jobs(checkout.lab, runs)
    finally:
        checkout.lab.stop()


def _jobs(lab: LabUnderTest, runs: int) -> list[Figure]:
    client = _Client(lab)
    begun, cancelled, imported = [], [], []
    with container(lab.facts, None, identity.DEFAULT_CONTAINER) as blobs:
        _upload(blobs, "bench-few", 100)
        for _ in range(runs):
            began = time.perf_counter()
            job = client.submit("bench-few")
            client.wait(job, ("Running", *_ENDED))
            begun.append(time.perf_counter() - began)
            cancelled.append(_seconds(partial(client.cancelled, job)))
            imported.append(_seconds(lambda: _python(sys.executable, "import azure.storage.blob")))
        _upload(blobs, "bench-many", FILES)
        with Peaks(lab.facts.pid) as peaks:
            began = time.perf_counter()
            job = client.submit("bench-many")
            client.wait(job, _ENDED)
            whole = time.perf_counter() - began
        read = _seconds(lambda: _read_one_by_one(blobs, "bench-many"))
    status, log = client.status(job), (lab.home / "jobs" / job / "logs" / "user_logs" / "std_log_0.txt").read_text()
    if status != "Completed":
        raise RuntimeError(f"the job of {FILES} images ended as {status}: {log}")
    environment = re.search(r"reused from the cache \((\w+)\)", log)
    assert environment  # noqa: S101  # it was built for the smoke job
    interpreter = str(lab.paths.cache / "environments" / environment[1] / "bin" / "python")
    start = Runs(tuple(imported), "s")
    return [
        Figure("a job, from submitting it until it runs", Runs(tuple(begun), "s"), _IMPORTS, start),
        Figure("a running job, from cancelling it until it has ended", Runs(tuple(cancelled), "s"), _IMPORTS, start),
        Figure(
            f"a job of {FILES} images, from submitting it until it is completed",
            Runs((whole,), "s"),
            "azure-storage-blob reads them one by one",
            Runs((read,), "s"),
        ),
        Figure(
            "memory: scoring driver, in that job",
            Runs((peaks.mib["scoring driver"],), "MiB"),
            _IMPORTS,
            Runs((_mib(sys.executable, "import azure.storage.blob"),), "MiB"),
        ),
        Figure(
            "memory: scoring process, in that job",
            Runs((peaks.mib["scoring process"],), "MiB"),
            "an interpreter that imports what its script does",
            Runs((_mib(interpreter, "import numpy, pandas, PIL.Image"),), "MiB"),
        ),
    ]


class _Client:
    """The scoring endpoint and ARM, asked at the emulator's own port."""

    def __init__(self, lab: LabUnderTest) -> None:
        facts = lab.facts
        trusting = ssl.create_default_context(cafile=facts.ca_file)
        self._http = httpx.Client(
            base_url=f"https://127.0.0.1:{facts.emulator_port}", verify=trusting, trust_env=False, timeout=60
        )
        self._tokens = {name: token(lab, trusting, f"https://{name}") for name in (_ARM, _LEARNING)}
        self._endpoint = lab.status()["endpoints"][0]
        self._workspace = self._endpoint.rpartition("/batchEndpoints/")[0]

    def submit(self, folder: str) -> str:
        """A job of the default deployment, on the images of a folder in the default datastore."""
        uri = f"azureml://datastores/{identity.DEFAULT_DATASTORE}/paths/{folder}"
        body = {"properties": {"inputData": {"images": {"jobInputType": "UriFolder", "uri": uri}}}}
        host = f"{self._endpoint.rpartition('/')[2]}.{identity.LOCATION}.inference.ml.azure.com"
        return str(self._ask("POST", host, "/jobs", _LEARNING, body)["name"])

    def status(self, job: str) -> str:
        return str(self._ask("GET", _ARM, f"{self._workspace}/jobs/{job}", _ARM)["properties"]["status"])

    def wait(self, job: str, statuses: Sequence[str]) -> None:
        while self.status(job) not in statuses:
            time.sleep(0.02)

    def cancelled(self, job: str) -> None:
        self._ask("POST", _ARM, f"{self._workspace}/jobs/{job}/cancel", _ARM)
        self.wait(job, _ENDED)
        if self.status(job) != "Canceled":
            raise RuntimeError(f"{job} ended as {self.status(job)} before it was cancelled")

    def _ask(self, method: str, host: str, path: str, audience: str, body: Any = None) -> Any:
        answer = self._http.request(
            method,
            f"{path}?api-version=2025-12-01",
            headers={"Host": host, "Authorization": f"Bearer {self._tokens[audience]}"},
            json=body,
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None


def _upload(blobs: ContainerClient, folder: str, count: int) -> None:
    images = sorted((CHECKOUT / "examples" / "digits" / "images").iterdir())
    contents = [image.read_bytes() for image in images]
    with ThreadPoolExecutor(8) as pool:
        sent = [
            pool.submit(blobs.upload_blob, f"{folder}/{number:05d}.png", contents[number % len(contents)])
            for number in range(count)
        ]
    for each in sent:
        each.result()


def _read_one_by_one(blobs: ContainerClient, folder: str) -> None:
    for name in blobs.list_blob_names(name_starts_with=f"{folder}/"):
        blobs.download_blob(name).readall()


def _python(interpreter: str, code: str) -> str:
    command = [interpreter, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # code of ours


_PRINT_PEAK = """
import pathlib, re, resource
status = pathlib.Path("/proc/self/status")
# Linux's ru_maxrss is also of the process that started this one.
print(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1] if status.exists() else
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def _mib(interpreter: str, code: str) -> float:
    """The most memory that an interpreter took to run this."""
    return int(_python(interpreter, f"{code}\n{_PRINT_PEAK}")) / 1024


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
