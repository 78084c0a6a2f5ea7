"""`python -m lab.scoring` as the emulator starts it: a process of its own, blobs over https, environments by uv."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from uv import find_uv_bin

from lab.scoring.blobs import (
    AzureBlobStore,
    BlobError,
    BlobExists,
    BlobNotFound,
    Cancellation,
    blobs_below,
    download_all,
)
from lab.scoring.environment import CachedEnvironments, EnvironmentFailed, installer_environment, redacted, shortened
from lab.scoring.interpreters import Interpreters
from lab.scoring.spec import BlobPath, EnvironmentSpec, StorageSpec
from tests.scoring.blob_service import BlobService, blob_service
from tests.scoring.job_bench import GOOD_SCRIPT, LESS_THAN_A_SHUTDOWN, base_document

REPOSITORY = Path(__file__).parents[2]
CONDA_WITHOUT_PACKAGES = "dependencies: [python, pip]"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[BlobService]:
    with blob_service(tmp_path) as running:
        yield running


@pytest.fixture
def store(service: BlobService) -> AzureBlobStore:
    return AzureBlobStore(StorageSpec("labstore", service.endpoint, "a2V5", service.ca_file))


def write_job(tmp_path: Path, service: BlobService, script: str, **settings: Any) -> Path:
    document = base_document(tmp_path / "job")
    document["storage"].update(endpoint=service.endpoint, ca_file=service.ca_file)
    document["environment"]["conda_file"] = CONDA_WITHOUT_PACKAGES
    document["settings"].update(settings)
    service.blobs[("data", "uploads/code/score.py")] = script.encode()
    service.blobs[("data", "uploads/model/weights.txt")] = b"42"
    for name in ("a ä.txt", "b#1.txt", "c%20.txt"):
        service.blobs[("data", f"inputs/images/{name}")] = name[0].encode()
    (tmp_path / "spec.json").write_text(json.dumps(document))
    return tmp_path / "spec.json"


def start(spec: Path, environ: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "lab.scoring", str(spec)],
        cwd=REPOSITORY,
        env={**os.environ, **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def status_of(tmp_path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((tmp_path / "job" / "status.json").read_text())
    return document


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def test_a_job_reads_and_writes_blobs_past_any_proxy(tmp_path: Path, service: BlobService) -> None:
    spec = write_job(tmp_path, service, GOOD_SCRIPT)
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}

    process = start(spec, nowhere)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 0, (errors, status_of(tmp_path))
    output = service.blobs[("data", "azureml/batchjob-1/score/predictions.csv")].decode()
    assert output.splitlines() == ["a ä.txt a", "b#1.txt b", "c%20.txt c"]
    assert ("azureml", "ExperimentRun/dcid.batchjob-1/user_logs/std_log_0.txt") in service.blobs
    assert status_of(tmp_path)["pid"] == int((tmp_path / "job" / "pid").read_text()) == process.pid


def test_sigterm_cancels_at_once_and_leaves_no_process(tmp_path: Path, service: BlobService) -> None:
    script = """
import os, subprocess, sys, time
def init(): pass
def run(files):
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.Popen(["sleep", "600"], start_new_session=True, **quiet)
    print("sleeping", flush=True)
    time.sleep(600)
"""
    spec = write_job(tmp_path, service, script, timeout_seconds=600)
    process = start(spec)
    printed = tmp_path / "job/logs/logs/user/stdout/0/process000.stdout.txt"
    wait_for(printed.exists)
    family = psutil.Process(process.pid).children(recursive=True)

    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert time.monotonic() - began < LESS_THAN_A_SHUTDOWN
    assert process.returncode == 2
    assert status_of(tmp_path)["status"] == "Canceled"
    assert len(family) == 2
    assert [member for member in family if member.is_running() and member.status() != "zombie"] == []


def test_workers_die_with_a_driver_that_was_killed(tmp_path: Path, service: BlobService) -> None:
    script = "import time\ndef init(): pass\ndef run(files):\n    print('here', flush=True)\n    time.sleep(600)\n"
    process = start(write_job(tmp_path, service, script, timeout_seconds=600))
    printed = tmp_path / "job/logs/logs/user/stdout/0/process000.stdout.txt"
    wait_for(printed.exists)
    wait_for(lambda: bool(status_of(tmp_path)["process_groups"]))
    workers = [psutil.Process(pid) for pid in status_of(tmp_path)["process_groups"]]

    process.kill()
    process.communicate(timeout=60)

    if sys.platform != "linux":
        for worker in workers:
            worker.kill()
    wait_for(lambda: not [w for w in workers if w.is_running() and w.status() != "zombie"])


def test_logs_can_be_watched_while_the_job_runs(tmp_path: Path, service: BlobService) -> None:
    script = "import time\ndef init(): pass\ndef run(files):\n    time.sleep(600)\n"
    process = start(write_job(tmp_path, service, script, timeout_seconds=600))
    log = ("azureml", "ExperimentRun/dcid.batchjob-1/user_logs/std_log_0.txt")

    wait_for(
        lambda: b"scoring 3 files" in service.blobs.get(log, b"") or b"mini-batches" in service.blobs.get(log, b"")
    )
    wait_for(lambda: "user_logs/std_log_0.txt" in status_of(tmp_path)["logs"])
    assert status_of(tmp_path)["status"] == "Running"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


def test_a_spec_that_cannot_be_read_is_told_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"name": 3}')

    process = start(tmp_path / "spec.json")
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 3
    assert b"name: must be a string, got 3" in errors


def test_uploads_are_conditional_and_large_blobs_travel_in_blocks(
    tmp_path: Path, service: BlobService, store: AzureBlobStore
) -> None:
    content = os.urandom(9 * 1024 * 1024)
    (tmp_path / "large").write_bytes(content)

    store.upload(tmp_path / "large", BlobPath("data", "x/ü y"), overwrite=False)
    with pytest.raises(BlobExists, match="data/x/ü y exists already"):
        store.upload(tmp_path / "large", BlobPath("data", "x/ü y"), overwrite=False)
    store.download(BlobPath("data", "x/ü y"), tmp_path / "back")

    assert (tmp_path / "back").read_bytes() == content
    assert any("comp=blocklist" in call for call in service.calls)


def test_a_folder_is_listed_over_all_pages_and_downloaded(
    tmp_path: Path, service: BlobService, store: AzureBlobStore
) -> None:
    for number in range(250):
        service.blobs[("data", f"in/{number:03d}")] = str(number).encode()
    service.blobs[("data", "input-of-another")] = b""

    files = blobs_below(store, BlobPath("data", "in"))
    download_all(store, "data", [(b.name, tmp_path / "in" / n) for n, b in files.items()], Cancellation())

    assert len(files) == 250
    assert (tmp_path / "in" / "249").read_text() == "249"


def test_errors_of_the_service_are_told_with_container_and_path(tmp_path: Path, store: AzureBlobStore) -> None:
    with pytest.raises(BlobNotFound, match="blob data/none does not exist"):
        store.download(BlobPath("data", "none"), tmp_path / "none")


def test_names_that_leave_the_folder_are_refused() -> None:
    from lab.scoring.blobs import safe_target

    with pytest.raises(BlobError, match="cannot be kept as a local file"):
        safe_target(Path("x"), "a/../../b")


def build(cache: Path, pip: list[str], environ: Mapping[str, str]) -> tuple[Path, list[str]]:
    said: list[str] = []
    conda = json.dumps({"dependencies": ["python=2.7", "pip", {"pip": pip}]})
    python = CachedEnvironments(cache, environ)(
        EnvironmentSpec("env", "1", None, conda), said.append, lambda _: None, Cancellation()
    )
    return python, said


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where the machine's package index cannot be reached."""
    target = str(tmp_path_factory.mktemp("target"))
    command = [find_uv_bin(), "pip", "install", "--dry-run", "--no-cache", "--no-deps", "--target", target, "iniconfig"]
    environ = installer_environment(os.environ)
    asked = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        pytest.skip(f"the package index cannot be reached: {shortened(redacted(asked.stderr))}")


@pytest.mark.usefixtures("index")
def test_an_environment_is_built_once_and_reused(tmp_path: Path) -> None:
    python, said = build(tmp_path, ["iniconfig==2.0.0"], os.environ)
    again, said_again = build(tmp_path, ["iniconfig == 2.0.0"], os.environ)

    shown = subprocess.run(
        [python, "-c", "import iniconfig; print(iniconfig.__file__)"], capture_output=True, text=True, check=False
    )
    assert shown.stdout.startswith(str(tmp_path)), shown.stderr
    assert any("built in" in line for line in said)
    assert again == python
    assert any("reused from the cache" in line for line in said_again)


@pytest.mark.usefixtures("index")
def test_jobs_that_start_together_build_an_environment_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as jobs:
        outcomes = list(jobs.map(lambda _: build(tmp_path, ["iniconfig==2.0.0"], os.environ), range(3)))

    assert len({python for python, _ in outcomes}) == 1
    assert sum("built in" in line for _, said in outcomes for line in said) == 1


@pytest.mark.usefixtures("index")
def test_a_package_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="env:1: pip requirement 'iniconfig==999' of its conda file"):
        build(tmp_path, ["packaging", "iniconfig==999"], os.environ)

    assert [path for path in (tmp_path / "environments").iterdir() if path.is_dir()] == []


def test_a_python_that_is_not_here_is_replaced_and_the_log_says_so(tmp_path: Path) -> None:
    python, said = build(tmp_path, [], os.environ)

    assert python.exists()
    assert any("python 2.7 is not on this machine: Python" in line for line in said)


def test_an_index_that_cannot_be_reached_is_told_as_no_network(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "UV_DEFAULT_INDEX": "https://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}

    with pytest.raises(EnvironmentFailed, match=r"cannot be reached \(no network\?\)"):
        build(tmp_path, ["surely-not-in-any-cache-0"], {**environ, "UV_CACHE_DIR": str(tmp_path / "uv")})


def test_interpreters_are_looked_for_once_until_something_is_installed(tmp_path: Path) -> None:
    here = tmp_path / "bin"
    here.mkdir()
    environ = {"PATH": str(here), "HOME": str(tmp_path)}
    interpreters = Interpreters(tmp_path / "cache" / "interpreters.json", environ)
    minor = f"3.{sys.version_info.minor}"

    absent = interpreters.find(minor)
    (here / f"python{minor}").symlink_to(getattr(sys, "_base_executable", sys.executable))
    present = interpreters.find(minor)
    (tmp_path / "cache" / "interpreters.json").write_text("{", encoding="utf-8")
    again = interpreters.find(minor)
    (here / f"python{minor}").unlink()

    assert absent is None
    assert present is not None
    assert present[1] == platform.python_version()
    assert again == present
    assert interpreters.find(minor) is None
