"""100 endpoints with 2 deployments each, whose operations take 2 s: how near `up` comes to its longest chain.

The longest chain is 3 operations: an endpoint, and its two deployments one after the other, since writes to one
endpoint are serialised. Beside it: the same with four operations at a time, as Pulumi's own dynamic-provider server has
it.
"""

from __future__ import annotations

import json
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from bench.figure import Figure, Runs
from bench.memory import Peaks
from lab import identity
from lab.testing import LabUnderTest

ENDPOINTS = 100
OPERATION_SECONDS = 2.0
CHAIN = 3 * OPERATION_SECONDS
"""Seconds of the longest chain."""
RESOURCES = ENDPOINTS * 3
LEAST = 3.0
"""Requests for a resource at the very least: the PUT, one question about its operation, and what it is then."""
PARALLEL = 128
STOCK = 4
ROOT = Path(__file__).resolve().parent.parent
_WORKSPACE = (
    f"/subscriptions/{identity.SUBSCRIPTION_ID}/resourceGroups/{identity.RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{identity.WORKSPACE}"
)
_COMPUTE = f"{_WORKSPACE}/computes/many"
_MAKE_COMPUTE = f"""
from providers.arm import client
scale = {{"minNodeCount": 0, "maxNodeCount": 1, "nodeIdleTimeBeforeScaleDown": "PT2M"}}
node = {{"vmSize": "STANDARD_DS3_V2", "scaleSettings": scale}}
body = {{"location": "{identity.LOCATION}", "properties": {{"computeType": "AmlCompute", "properties": node}}}}
client().put("{_COMPUTE}", body, api_version="2025-12-01", deadline=60)
"""


@dataclass(frozen=True)
class Measured:
    """One `up`."""

    seconds: float
    requests: int
    """What Resource Manager was asked."""
    late: tuple[float, ...]
    """Seconds from the end of each operation to the first request that shows that it was noticed."""
    provider_mib: float


def figures(lab: LabUnderTest, folder: Path, engine: str, runs: int) -> list[Figure]:
    """The lab runs; nothing of this is in it before and afterwards."""
    with closing(Many(lab, folder, engine)) as many:
        many.prepare()
        wide = [many.up(PARALLEL) for _ in range(runs)]
        narrow = many.up(STOCK)
    seconds = Runs(tuple(each.seconds for each in wide), "s")
    what = f"up of {ENDPOINTS} endpoints x 2 deployments, {engine}"
    chain = f"its longest chain, 3 operations of {OPERATION_SECONDS:.0f} s"
    here = f"{what}, {PARALLEL} at once"
    late = tuple(sorted(each for one in wide for each in one.late))
    return [
        Figure(here, seconds, chain, Runs((CHAIN,), "s")),
        Figure(f"{what}, the stock {STOCK} at once", Runs((narrow.seconds,), "s"), chain, Runs((CHAIN,), "s")),
        Figure(
            f"requests for each resource, {engine}",
            Runs(tuple(each.requests / RESOURCES for each in wide), "requests"),
            "PUT, operation, resource",
            Runs((LEAST,), "requests"),
        ),
        Figure(
            f"memory: dynamic provider of that, {engine}",
            Runs(tuple(each.provider_mib for each in wide), "MiB"),
            f"{STOCK} at once",
            Runs((narrow.provider_mib,), "MiB"),
        ),
        Figure(
            f"an operation's end noticed after, median of {len(late)}, {engine}",
            Runs((statistics.median(late),), "s"),
            "the operation",
            Runs((OPERATION_SECONDS,), "s"),
        ),
        Figure(
            f"an operation's end noticed after, worst of {len(late)}, {engine}",
            Runs((late[-1],), "s"),
            "the operation",
            Runs((OPERATION_SECONDS,), "s"),
        ),
    ]


class Many:
    """A Pulumi project of this project's kinds, run by one engine in one lab."""

    def __init__(self, lab: LabUnderTest, folder: Path, engine: str, endpoints: int = ENDPOINTS) -> None:
        self._lab, self._folder, self._engine, self._endpoints = lab, folder, engine, endpoints
        self._control = httpx.Client(
            base_url=f"https://127.0.0.1:{lab.facts.emulator_port}/_lab/",
            headers={"Authorization": f"Bearer {lab.facts.control_token}"},
            verify=ssl.create_default_context(cafile=lab.facts.ca_file),
            trust_env=False,
        )

    def close(self) -> None:
        self._control.close()

    def prepare(self) -> None:
        self._folder.mkdir(parents=True)
        (self._folder / "state").mkdir()
        (self._folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
        manifest = {"name": "many", "runtime": {"name": "python", "options": {"virtualenv": ".venv"}}}
        self._write("Pulumi.yaml", yaml.safe_dump(manifest))
        self._write("__main__.py", (ROOT / "bench" / "many_program.py").read_text(encoding="utf-8"))
        self._configure(PARALLEL)
        if self._engine == "pulumi":
            self._run("stack", "init", "bench")
        settings = {"request_log": 100_000, "endpoints_per_region": self._endpoints * 2, "operation_seconds": 0.05}
        self._control.put("settings", json=settings).raise_for_status()
        self._lab.run([sys.executable, "-c", _MAKE_COMPUTE], cwd=ROOT, check=True)

    def up(self, at_once: int) -> Measured:
        """Bring everything up with so many operations at a time, and take it down again."""
        self._configure(at_once)
        self._control.put("settings", json={"operation_seconds": OPERATION_SECONDS}).raise_for_status()
        self._control.delete("requests").raise_for_status()
        began = time.perf_counter()
        provider_mib = self.verb("up")
        seconds = time.perf_counter() - began
        asked = self._control.get("requests").raise_for_status().json()["requests"]
        self._control.put("settings", json={"operation_seconds": 0.05}).raise_for_status()
        self._configure(PARALLEL)
        self.verb("destroy")
        arm = [each for each in asked if "/batchEndpoints/" in each["url"] or "mfeOperations" in each["url"]]
        return Measured(seconds, len(arm), noticed(arm, OPERATION_SECONDS), provider_mib)

    def state(self) -> dict[str, Any]:
        """The stack's state, as its backend keeps it."""
        file = self._folder / "state" / ".pulumi" / "stacks" / "many" / "bench.json"
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found

    def _configure(self, at_once: int) -> None:
        """The lab's subscription is in it, since the embedded engine serves lab stacks alone."""
        file = self._folder / "Pulumi.bench.yaml"
        salt = yaml.safe_load(file.read_text(encoding="utf-8")).get("encryptionsalt") if file.is_file() else None
        config = {
            "subscription_id": identity.SUBSCRIPTION_ID,
            "workspace": _WORKSPACE,
            "location": identity.LOCATION,
            "compute": _COMPUTE,
            "model": "azureml://registries/bench/models/many/versions/1",
            "endpoints": self._endpoints,
            "operations_at_once": at_once,
        }
        document: dict[str, Any] = {"config": {f"many:{name}": value for name, value in config.items()}}
        self._write("Pulumi.bench.yaml", yaml.safe_dump(document | ({"encryptionsalt": salt} if salt else {})))

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, encoding="utf-8")

    def verb(self, verb: str) -> float:
        """Run `up` or `destroy`; the peak memory of its dynamic provider, in MiB."""
        words = (verb, "--stack", "bench", "--yes", "--skip-preview", "--non-interactive", "--parallel", str(PARALLEL))
        with self._start(*words) as process, Peaks(process.pid) as peaks:
            said, _ = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"{verb} of many endpoints on {self._engine}: {said}")
        return peaks.mib.get("dynamic provider", 0.0)

    def _run(self, *words: str) -> None:
        with self._start(*words) as process:
            said, _ = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(words)} of many endpoints on {self._engine}: {said}")

    def _start(self, *words: str) -> subprocess.Popen[str]:
        command = ["pulumi"] if self._engine == "pulumi" else [sys.executable, "-m", "lab.engine"]
        environment = {
            **self._lab.env,
            "PULUMI_BACKEND_URL": f"file://{self._folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "bench",
            "PULUMI_HOME": str(self._folder / "home"),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PYTHONPATH": str(ROOT),
        }
        return subprocess.Popen(  # noqa: S603  # an engine, and words of ours
            [*command, *words],
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def noticed(requests: Sequence[Mapping[str, Any]], operation_seconds: float) -> tuple[float, ...]:
    """Seconds from the end of each write's operation to when its resource was read, in the order of the writes.

    The resource is read as soon as its operation is known to have ended (providers/arm/operations.py), by nothing else
    meanwhile, and the lab's own clock tells both.
    """
    ends: dict[str, float] = {}
    found: list[float] = []
    for each in sorted(requests, key=lambda request: float(request["time"])):
        path = urlsplit(str(each["url"])).path.lower()
        if each["method"] == "PUT" and each["handled"] in (200, 201):
            ends[path] = float(each["time"]) + operation_seconds
        elif each["method"] == "GET" and path in ends:
            found.append(float(each["time"]) - ends.pop(path))
    return tuple(found)
