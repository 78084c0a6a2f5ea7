"""Scoring jobs of a lab that is stopped, killed and started again: they go on, or begin anew, and come to an end."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from lab import identity
from lab.testing import LabUnderTest

pytestmark = pytest.mark.xdist_group("slow jobs")  # one lab for all
WS = (
    f"/subscriptions/{identity.SUBSCRIPTION_ID}/resourceGroups/{identity.RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{identity.WORKSPACE}"
)
FILES = 6
SCRIPT = b"""
import os, time
def init(): pass
def run(files):
    while files[0].endswith("05.txt") and os.path.exists(os.environ["HELD"]):
        time.sleep(0.02)
    return [os.path.basename(file) for file in files]
"""


class Client:
    """What one sends by hand, through the proxy of a running lab."""

    def __init__(self, lab: LabUnderTest) -> None:
        facts = lab.facts
        self._way: dict[str, Any] = {
            "proxy": f"http://127.0.0.1:{facts.proxy_port}",
            "verify": ssl.create_default_context(cafile=facts.ca_file),
            "trust_env": False,
            "timeout": 60,
        }
        self._secret = facts.client_secret
        self._tokens: dict[str, str] = {}

    def _send(self, resource: str, method: str, url: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token(resource)}", **options.pop("headers", {})}
        return httpx.request(method, url, headers=headers, **options, **self._way)

    def _token(self, resource: str) -> str:
        if resource not in self._tokens:
            form = {
                "grant_type": "client_credentials",
                "client_id": identity.CLIENT_ID,
                "scope": f"{resource}/.default",
            }
            url = f"https://login.microsoftonline.com/{identity.TENANT_ID}/oauth2/v2.0/token"
            answer = httpx.post(url, data={**form, "client_secret": self._secret}, **self._way)
            self._tokens[resource] = answer.raise_for_status().json()["access_token"]
        return self._tokens[resource]

    def arm(self, method: str, path: str, body: Any = None) -> Any:
        url = f"https://management.azure.com{WS}/{path}?api-version=2025-12-01"
        answer = self._send("https://management.azure.com", method, url, json=body).raise_for_status()
        operation = answer.headers.get("Azure-AsyncOperation")
        wait_for(lambda: operation is None or self._ended(operation), f"{method} {path}")
        return answer.json()

    def _ended(self, operation: str) -> bool:
        state = self._send("https://management.azure.com", "GET", operation).json()["status"]
        assert state != "Failed"
        return bool(state == "Succeeded")

    def blob(self, method: str, path: str, content: bytes | None = None) -> bytes:
        url = f"https://{identity.STORAGE_ACCOUNT}.blob.core.windows.net/{identity.DEFAULT_CONTAINER}/{path}"
        headers = {"x-ms-version": "2021-08-06", "x-ms-blob-type": "BlockBlob"}
        answer = self._send("https://storage.azure.com", method, url, content=content, headers=headers)
        return answer.raise_for_status().content

    def invoke(self, output: str) -> str:
        store = f"azureml://datastores/{identity.DEFAULT_DATASTORE}/paths"
        body = {
            "inputData": {"x": {"jobInputType": "UriFolder", "uri": f"{store}/in"}},
            "outputData": {"y": {"jobOutputType": "UriFile", "uri": f"{store}/{output}"}},
        }
        url = f"https://slow-ept.{identity.LOCATION}.inference.ml.azure.com/jobs"
        header = {"azureml-model-deployment": "slow-dep"}
        answer = self._send("https://ml.azure.com", "POST", url, json={"properties": body}, headers=header)
        return str(answer.raise_for_status().json()["name"])

    def status(self, job: str) -> str:
        return str(self.arm("GET", f"jobs/{job}")["properties"]["status"])


def wait_for(true: Callable[[], bool], what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabUnderTest]:
    """A lab of its own with a deployment whose jobs wait before their last file for as long as they are held."""
    lab = LabUnderTest(tmp_path_factory.mktemp("jobs") / "home")
    lab.start()
    try:
        client = Client(lab)
        client.blob("PUT", "code/score.py", SCRIPT)
        for number in range(FILES):
            client.blob("PUT", f"in/{number:02d}.txt", b"x")
        blob = f"https://{identity.STORAGE_ACCOUNT}.blob.core.windows.net/{identity.DEFAULT_CONTAINER}"
        cluster = {"vmSize": "s", "scaleSettings": {"maxNodeCount": 1}}
        conda = "dependencies: [python=3.10, {pip: []}]"
        client.arm("PUT", "codes/slow/versions/1", {"properties": {"codeUri": f"{blob}/code"}})
        client.arm("PUT", "environments/slow/versions/1", {"properties": {"image": "i", "condaFile": conda}})
        compute = {"location": "eastus", "properties": {"computeType": "AmlCompute", "properties": cluster}}
        client.arm("PUT", "computes/slow", compute)
        client.arm("PUT", "batchEndpoints/slow-ept", {"location": "eastus", "properties": {"authMode": "aadToken"}})
        deployment = {
            "compute": f"{WS}/computes/slow",
            "environmentId": f"{WS}/environments/slow/versions/1",
            "codeConfiguration": {"codeId": f"{WS}/codes/slow/versions/1", "scoringScript": "score.py"},
            "environmentVariables": {"HELD": str(held_by(lab))},
            "retrySettings": {"timeout": "PT10M"},
            "miniBatchSize": 1,
        }
        path = "batchEndpoints/slow-ept/deployments/slow-dep"
        client.arm("PUT", path, {"location": "eastus", "properties": deployment})
        yield lab
    finally:
        lab.stop()


def held_by(lab: LabUnderTest) -> Path:
    """The file that holds jobs while it is there."""
    return lab.home.parent / "held"


@pytest.fixture(autouse=True)
def held(deployed: LabUnderTest) -> Iterator[Path]:
    """Jobs of this test are held until it takes the file away."""
    file = held_by(deployed)
    file.touch()
    yield file
    file.unlink(missing_ok=True)


def begun(lab: LabUnderTest, job: str) -> dict[str, Any]:
    """The status of a job that has scored something and has something left to score."""
    found: dict[str, Any] = {}

    def scoring() -> bool:
        try:
            found.update(json.loads((lab.home / "jobs" / job / "status.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return False
        return bool(found["mini_batches"]["done"])

    wait_for(scoring, f"job {job} scores")
    assert found["status"] == "Running"
    return found


def rows_of(client: Client, job: str, output: str) -> list[str]:
    wait_for(lambda: client.status(job) in {"Completed", "Failed", "Canceled"}, f"job {job} ends")
    assert client.status(job) == "Completed"
    return client.blob("GET", output).decode().split()


ALL = [f"{number:02d}.txt" for number in range(FILES)]


def test_a_running_job_goes_on_when_the_lab_is_killed(deployed: LabUnderTest, held: Path) -> None:
    job = Client(deployed).invoke("out/killed/p.csv")
    driver = begun(deployed, job)["pid"]

    psutil.Process(deployed.facts.pid).kill()
    deployed.start()
    held.unlink()

    assert rows_of(Client(deployed), job, "out/killed/p.csv") == ALL
    assert json.loads((deployed.home / "jobs" / job / "status.json").read_text())["pid"] == driver


def test_jobs_begin_anew_after_a_stop(deployed: LabUnderTest, held: Path) -> None:
    """The driver takes its own spec away, so that a second beginning needs another one."""
    client = Client(deployed)
    jobs = {f"out/stopped-{number}/p.csv": client.invoke(f"out/stopped-{number}/p.csv") for number in range(2)}
    begun(deployed, next(iter(jobs.values())))

    stopped = deployed.command("stop")
    deployed.start()
    held.unlink()

    assert "to begin anew with the next start" in stopped.stdout
    client = Client(deployed)
    assert [rows_of(client, job, output) for output, job in jobs.items()] == [ALL] * 2


def test_a_job_begins_anew_when_the_whole_machine_fell(deployed: LabUnderTest, held: Path) -> None:
    job = Client(deployed).invoke("out/fallen/p.csv")
    everyone = [psutil.Process(begun(deployed, job)["pid"]), psutil.Process(deployed.facts.pid)]
    everyone += [child for process in everyone for child in process.children(recursive=True)]

    for process in everyone:
        try:
            process.kill()
        except psutil.NoSuchProcess:  # it died with its parent
            continue
    deployed.start()
    held.unlink()

    assert rows_of(Client(deployed), job, "out/fallen/p.csv") == ALL


def test_neither_the_jobs_folders_nor_the_store_hold_the_storage_key(deployed: LabUnderTest, held: Path) -> None:
    """A job's script runs as the user who owns them."""
    job = Client(deployed).invoke("out/looked-at/p.csv")
    held.unlink()
    rows_of(Client(deployed), job, "out/looked-at/p.csv")

    key = deployed.facts.storage_key.encode()
    places = [*(deployed.home / "jobs").rglob("*"), *deployed.home.glob("emulator.db*")]

    assert len(places) > 10
    assert [path for path in places if path.is_file() and key in path.read_bytes()] == []
