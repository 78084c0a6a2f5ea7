"""A gate and all that it talks to, in one process: the lab's emulator, blob storage in memory, jobs that end as told.

The kind's client and blob SDK are the product's own; below them `httpx` and `requests` end here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import requests
from azure.core.credentials import AccessToken
from requests.adapters import HTTPAdapter

from lab import identity
from providers import schema
from providers.aml.datastore import datastore_uri
from providers.arm import ArmClient, credentials
from providers.arm import client as _client  # noqa: F401 - the module below must be imported before it is changed
from providers.dynamic_host import InitFailed
from providers.schema import Bag
from providers.scoring_job import ScoringJobKind
from tests.blob.blob_service import BlobService, _Adapter
from tests.emulator.in_process_lab import WS, InProcessLab, ScriptedDriver

ENDPOINT = f"{WS}/batchEndpoints/ept-1"
DATASTORE = f"{WS}/datastores/{identity.DEFAULT_DATASTORE}"
SMOKE = datastore_uri(DATASTORE, "p/s/smoke")
INPUT = datastore_uri(DATASTORE, "p/s/data")

Outcome = Callable[[dict[str, Any], ScriptedDriver], None]
"""What becomes of a started job: its driver's spec, and the driver."""


class LabTokens:
    def __init__(self, lab: InProcessLab) -> None:
        self._lab = lab

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(self._lab.token(scopes[0]), 2**40)


@dataclass
class GateBench:
    lab: InProcessLab
    blobs: BlobService = field(default_factory=lambda: BlobService(page=100))
    outcome: Outcome = lambda spec, driver: None  # it runs on and on
    _ended: int = 0

    def __post_init__(self) -> None:
        self.outcome = self.writes("a.txt 1\nb.txt 2\n")
        self.lab.deployed()
        self.deploy("dep-2")
        for name in ("a.txt", "b.txt"):
            self.put(f"p/s/data/{name}", b"x")

    @contextmanager
    def open(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[GateBench]:
        adapter, real = _Adapter(self.blobs), HTTPAdapter.send

        def send(wire: HTTPAdapter, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            return adapter.send(request) if ".blob." in str(request.url) else real(wire, request, **options)

        arm = ArmClient(credential=LabTokens(self.lab), transport=httpx.MockTransport(self._answer))
        with monkeypatch.context() as patched:
            patched.setattr(HTTPAdapter, "send", send)
            patched.setitem(sys.modules["providers.arm.client"]._clients, "public", arm)
            patched.setitem(credentials._shared, "public", LabTokens(self.lab))
            yield self
        arm.close()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        """The emulator's answer; with each request a second passes, and what was started comes to its end."""
        self.lab.advance(1.0)
        for driver in self.lab.scripted.started[self._ended :]:
            self._ended += 1
            self.outcome(json.loads(driver.spec.read_text(encoding="utf-8")), driver)
        got = self.lab.request(request.method, str(request.url), headers=request.headers, content=request.content)
        return httpx.Response(got.status_code, headers=got.headers, content=got.content)

    # What becomes of jobs

    def writes(self, text: str, **others: str) -> Outcome:
        """It completes with these predictions, and other files by their names (`summary_txt`)."""

        def outcome(spec: dict[str, Any], driver: ScriptedDriver) -> None:
            path = str(spec["output"]["path"])
            files = {path.rpartition("/")[2]: text, **{name.replace("_", "."): each for name, each in others.items()}}
            for name, content in files.items():
                if content:
                    self.put(f"{path.rpartition('/')[0]}/{name}", content.encode())
            driver.finish("Completed")

        return outcome

    @staticmethod
    def fails(message: str) -> Outcome:
        return lambda _, driver: driver.finish("Failed", error={"code": "UserError", "message": message})

    @staticmethod
    def runs_on(_: dict[str, Any], driver: ScriptedDriver) -> None:
        driver.say("Running")

    def obey_signals(self) -> None:
        """Drivers that are told to end do so, with their job cancelled."""
        for driver in self.lab.scripted.started:
            driver.signal = lambda _, driver=driver: driver.finish("Canceled")  # type: ignore[method-assign, misc]
            if driver.signals:  # told before
                driver.finish("Canceled")

    # What there is

    def put(self, path: str, content: bytes) -> None:
        self.blobs.put(f"{identity.DEFAULT_CONTAINER}/{path}", content)

    def below(self, path: str) -> list[str]:
        prefix = f"{identity.DEFAULT_CONTAINER}/{path}"
        return sorted(name.removeprefix(prefix) for name in self.blobs.blobs if name.startswith(prefix))

    def deploy(self, name: str, **properties: Any) -> None:
        self.lab.put_deployment(name, **properties)
        self.lab.advance()

    def jobs(self) -> list[tuple[str, str]]:
        """(deployment, status) of every job that was ever started, oldest first."""
        cloud = self.lab.app.cloud
        records = [cloud.executions.refresh(each) for each in reversed(cloud.store.jobs(limit=100, offset=0))]
        return [(each["deployment"].rpartition("/")[2], each["status"]) for each in records]

    def settings(self, number: int = -1) -> Mapping[str, Any]:
        """What the driver of a job was told, by when it was started."""
        spec: dict[str, Any] = json.loads(self.lab.scripted.started[number].spec.read_text(encoding="utf-8"))
        return dict(spec["settings"])


class Stack:
    """The state of one gate, and `up`: what Pulumi would call, with what it would keep."""

    kind = ScoringJobKind()

    def __init__(self, **inputs: Any) -> None:
        self.inputs = inputs
        self.id: str | None = None
        self.state: Bag = {}
        self.said: list[str] = []

    def wanted(self, **changes: Any) -> Bag:
        given = {
            "api_version": "2025-12-01",
            "workspace_id": WS,
            "endpoint_id": ENDPOINT,
            "deployment_name": "dep-1",
            "key": "1" * 64,
            "input_uri": INPUT,
            "output_uri": SMOKE,
            "deadline": "1s",
            **self.inputs,
            **changes,
        }
        bag, failures = schema.check(self.kind.args, given)
        assert failures == [], [str(failure) for failure in failures]
        return bag

    def up(self, **changes: Any) -> str:
        """What went wrong, empty when nothing did; `changes` stay."""
        self.inputs |= changes
        news = self.wanted()
        try:
            if self.id is None:
                created = self.kind.create(news)
                self.id, self.state = created.id, dict(created.outs or {})
            elif self.kind.diff(self.id, self.state, news).changes:
                self.state = dict(self.kind.update(self.id, self.state, news).outs or {})
        except InitFailed as failed:
            self.id, self.state = self.id or failed.resource_id, dict(failed.outs)
            return str(failed)
        return ""

    def destroy(self) -> None:
        assert self.id is not None
        self.kind.delete(self.id, self.state)
