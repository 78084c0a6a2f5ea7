"""An emulator without sockets, with a clock that tests turn, drivers that tests speak for, and no Azurite."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from lab import identity
from lab.emulator.app import Emulator, create_app
from lab.emulator.config import EmulatorConfig
from lab.emulator.drivers import Drivers

WS = (
    f"/subscriptions/{identity.SUBSCRIPTION_ID}/resourceGroups/{identity.RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{identity.WORKSPACE}"
)
ARM = "https://management.azure.com"
API = f"https://{identity.LOCATION}.api.azureml.ms"
SECRET = "the-client-secret"
CONTROL = "the-control-token"


class Clock:
    """Seconds since the epoch, from a fixed day on."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class CountedBlobs:
    """Blob storage that remembers what was asked and counts what it is told."""

    counts: dict[str, int] = field(default_factory=lambda: {"uploads": 0, "outputs": 0, "logs": 0})
    containers: list[str] = field(default_factory=list)
    asked_outputs: set[tuple[str, str]] = field(default_factory=set)
    contents: dict[str, bytes] = field(default_factory=dict)
    """By container/path."""

    served: list[str] = field(default_factory=list)
    """The accounts that there are by now."""
    emptied: list[str] = field(default_factory=list)

    def serve(self, accounts: Sequence[str]) -> None:
        self.served = list(accounts)

    def empty(self, account: str) -> None:
        self.emptied.append(account)

    def ensure_container(self, account: str, name: str) -> None:
        self.containers.append(name if account == identity.STORAGE_ACCOUNT else f"{account}/{name}")

    def container_sas(self, account: str, name: str, now: float) -> str:
        return f"sr=c&sp=rcwl&sig={name}-{now:.0f}"

    def blob_url(self, account: str, container: str, path: str, now: float) -> str:
        return f"https://{account}.blob.core.windows.net/{container}/{path}?sig={now:.0f}"

    def head(self, account: str, container: str, path: str, length: int) -> bytes:
        return self.contents[f"{container}/{path}"][:length]

    def census(self, accounts: Iterable[str], outputs: Collection[tuple[str, str]]) -> dict[str, int]:
        self.asked_outputs = set(outputs)
        return self.counts


@dataclass
class ScriptedDriver:
    """A driver process that does what the test says."""

    spec: Path
    pid: int
    running: bool = True
    signals: list[signal.Signals] = field(default_factory=list)

    def alive(self) -> bool:
        return self.running

    def ended(self) -> str:
        return "exit code 7"

    def signal(self, number: signal.Signals) -> None:
        if self.running:
            self.signals.append(number)
        if number == signal.SIGKILL:
            self.running = False

    def say(self, status: str, **facts: object) -> None:
        """Replace status.json, as the driver does."""
        path = self.spec.parent / "status.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"status": status, "pid": self.pid, **facts}))
        new.replace(path)

    def finish(self, status: str = "Completed", **facts: object) -> None:
        self.say(status, **facts)
        self.running = False


class ScriptedDrivers:
    """All drivers of a lab, those of an earlier emulator too."""

    def __init__(self) -> None:
        self.started: list[ScriptedDriver] = []

    def start(self, spec: Path) -> ScriptedDriver:
        self.started.append(ScriptedDriver(spec, 4_000_000 + len(self.started)))
        return self.started[-1]

    def find(self, pid: int, spec: Path) -> ScriptedDriver | None:
        return next((each for each in self.started if each.pid == pid and each.spec == spec and each.running), None)


class InProcessLab:
    """One emulator; `advance` is the only thing that lets time pass and jobs move."""

    def __init__(
        self, home: Path, settings: Mapping[str, object] | None = None, drivers: Drivers | None = None
    ) -> None:
        self.home = home
        self.clock = Clock()
        self.blobs = CountedBlobs()
        self.scripted = ScriptedDrivers()
        self._drivers = drivers or self.scripted
        self._settings = {"operation_seconds": 10.0, "compute_seconds": 10.0, **(settings or {})}
        self._tokens: dict[str, str] = {}
        self._loop = asyncio.new_event_loop()
        self._open()

    def _open(self) -> None:
        config = EmulatorConfig(
            home=self.home,
            cache=self.home / "cache",
            client_secret=SECRET,
            storage_key="a2V5",
            control_token=CONTROL,
            blob_endpoint="https://127.0.0.1:1",
            ca_file=self.home / "ca.pem",
            proxy_port=2,
            settings=self._settings,
        )
        self.app: Emulator = create_app(config, clock=self.clock, blobs=self.blobs, drivers=self._drivers)
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app))

    def close(self) -> None:
        self._loop.run_until_complete(self._client.aclose())
        self.app.cloud.executions.stop(seconds=0.0)
        self.app.cloud.store.close()
        self._loop.close()

    def restart(self) -> None:
        """As after a kill: nothing is said to anybody, the home is opened again."""
        self._loop.run_until_complete(self._client.aclose())
        self.app.cloud.store.close()
        self._open()

    def advance(self, seconds: float = 11.0) -> None:
        """By default long enough for any operation to end."""
        self.clock.now += seconds
        self.app.cloud.executions.step()

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        return self._loop.run_until_complete(self._client.request(method, url, **options))

    def token(self, scope: str = "https://management.azure.com/.default") -> str:
        """An access token, asked for once."""
        if scope not in self._tokens:
            reply = self.request(
                "POST",
                f"https://login.microsoftonline.com/{identity.TENANT_ID}/oauth2/v2.0/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": identity.CLIENT_ID,
                    "client_secret": SECRET,
                    "scope": scope,
                },
            )
            self._tokens[scope] = str(reply.json()["access_token"])
        return self._tokens[scope]

    def forget_tokens(self) -> None:
        self._tokens.clear()

    def arm(
        self, method: str, path: str, json: Any = None, *, version: str = "2025-12-01", **options: Any
    ) -> httpx.Response:
        """A call to ARM; `path` is below the workspace unless it begins with `/subscriptions`."""
        if not path.startswith("/subscriptions"):
            path = f"{WS}/{path}" if path else WS
        url = f"{ARM}{path}{'&' if '?' in path else '?'}api-version={version}"
        headers = {"Authorization": f"Bearer {self.token()}", **options.pop("headers", {})}
        return self.request(method, url, json=json, headers=headers, **options)

    def score(
        self, method: str, path: str, json: Any = None, *, endpoint: str = "ept-1", deployment: str = ""
    ) -> httpx.Response:
        """A call to an endpoint's scoring host."""
        headers = {"Authorization": f"Bearer {self.token('https://ml.azure.com/.default')}"}
        if deployment:
            headers["azureml-model-deployment"] = deployment
        url = f"https://{endpoint}.{identity.LOCATION}.inference.ml.azure.com/{path}"
        return self.request(method, url, json=json, headers=headers)

    def history(self, path: str) -> Any:
        """Run history below the workspace's runs."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        return self.request("GET", f"{API}/history/v1.0{WS}/runs/{path}?api-version=v1.0", headers=headers).json()

    def control(self, method: str, path: str, json: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {CONTROL}"}
        return self.request(method, f"https://127.0.0.1:8443/_lab/{path}", json=json, headers=headers)

    # What most tests arrange

    def put_endpoint(self, name: str = "ept-1", **properties: object) -> httpx.Response:
        return self.arm("PUT", f"batchEndpoints/{name}", endpoint_body(**properties))

    def put_deployment(self, name: str = "dep-1", endpoint: str = "ept-1", **properties: object) -> httpx.Response:
        return self.arm("PUT", f"batchEndpoints/{endpoint}/deployments/{name}", deployment_body(**properties))

    def with_parts(self) -> InProcessLab:
        """Compute, code, model and environment, as `deployment_body` names them."""
        cluster = {"vmSize": "Standard_DS2_v2", "scaleSettings": {"maxNodeCount": 2}}
        self.arm(
            "PUT",
            "computes/cpu",
            {"location": "eastus", "properties": {"computeType": "AmlCompute", "properties": cluster}},
        )
        self.arm("PUT", "codes/code/versions/1", {"properties": {"codeUri": blob("up/code")}})
        self.arm("PUT", "models/model/versions/1", {"properties": {"modelUri": datastore("up/model")}})
        self.arm(
            "PUT", "environments/env/versions/1", {"properties": {"image": "i", "condaFile": "dependencies: [pip]"}}
        )
        return self

    def deployed(self) -> InProcessLab:
        """Parts, endpoint `ept-1`, deployment `dep-1`, all succeeded; no default."""
        self.with_parts().put_endpoint()
        self.advance()
        self.put_deployment()
        self.advance()
        return self

    def invoke(
        self, uri: str = "azureml://datastores/workspaceblobstore/paths/in", **properties: object
    ) -> httpx.Response:
        body = {"properties": {"inputData": {"x": {"jobInputType": "UriFolder", "uri": uri}}, **properties}}
        return self.score("POST", "jobs", body, deployment="dep-1")


def endpoint_body(**properties: object) -> dict[str, Any]:
    return {"location": "eastus", "properties": {"authMode": "aadToken", **properties}}


def deployment_body(**properties: object) -> dict[str, Any]:
    return {
        "location": "eastus",
        "properties": {
            "compute": f"{WS}/computes/cpu",
            "model": {"referenceType": "Id", "assetId": f"{WS}/models/model/versions/1"},
            "environmentId": f"{WS}/environments/env/versions/1",
            "codeConfiguration": {"codeId": f"{WS}/codes/code/versions/1", "scoringScript": "score.py"},
            **properties,
        },
    }


def datastore(path: str) -> str:
    return f"azureml://datastores/workspaceblobstore/paths/{path}"


def blob(path: str) -> str:
    return f"https://labstore.blob.core.windows.net/{identity.DEFAULT_CONTAINER}/{path}"
