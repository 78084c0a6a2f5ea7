"""A desk to type `python -m jobs` at, in this process: emulator and blob service behind the product's own clients.

Time is the lab's: who sleeps lets it pass, and what is scripted for then happens. A kill is an exception that nothing
of ours catches; from then on every request, every line that is written and every note fails, until the desk is revived.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from azure.core.credentials import AccessToken

from jobs.__main__ import main
from jobs.clock import Clock
from jobs.unfinished import Unfinished
from lab import identity
from providers.arm import ArmClient
from providers.arm import client as _client  # noqa: F401  # the module below must be imported before it is changed
from tests.blob.blob_service import BlobService, _Adapter
from tests.emulator.in_process_lab import WS, InProcessLab, ScriptedDriver

ENDPOINT = f"{WS}/batchEndpoints/ept-1"
STORE = f"azureml://subscriptions/{identity.SUBSCRIPTION_ID}/resourcegroups/{identity.RESOURCE_GROUP}/workspaces/{identity.WORKSPACE}/datastores/workspaceblobstore/paths"
CONTAINER = identity.DEFAULT_CONTAINER


class Killed(BaseException):
    """As a kill -9: what runs is not asked."""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """What `--json` said."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass
class Life:
    """Counts what a process does to the world; at step `fatal` it dies, before or after the step is carried out."""

    fatal: float = float("inf")
    step: int = 0
    dead: bool = False

    def carried_out(self, act: Callable[[], Any], *, last: bool = False) -> Any:
        """`last`: what comes after it is the process's own end."""
        self._tick()
        done = act()
        if not last:
            self._tick()
        return done

    def _tick(self) -> None:
        self.step += 1
        self.dead = self.dead or self.step >= self.fatal
        if self.dead:
            raise Killed

    def revive(self, fatal: float = float("inf")) -> None:
        self.fatal, self.step, self.dead = fatal, 0, False


class _Paper(io.StringIO):
    def __init__(self, life: Life) -> None:
        super().__init__()
        self._life = life

    def write(self, text: str) -> int:
        return int(self._life.carried_out(lambda: super(_Paper, self).write(text)))


@dataclass(frozen=True)
class _Notes(Unfinished):
    """The local notes; to write or remove one is a step, too."""

    life: Life = field(default_factory=Life)

    def note(self, key: str, number: int) -> None:
        self.life.carried_out(lambda: super(_Notes, self).note(key, number))

    def forget(self, key: str, number: int | None = None) -> None:
        self.life.carried_out(lambda: super(_Notes, self).forget(key, number), last=True)


class Desk:
    def __init__(self, lab: InProcessLab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.blobs = BlobService(page=100, now=lab.clock)
        self.life = Life()
        self.requests: list[tuple[str, str]] = []
        self.before: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
        """Called with each request to ARM and its neighbours; an answer that it gives is the answer."""
        self.after: Callable[[httpx.Request], None] = lambda request: None
        """Called when a request was carried out; what it raises is what became of the answer."""
        self.while_asleep: Callable[[], object] = lambda: None
        self.credential = _Credential(self)
        self._patience = lab.clock() + 7 * 24 * 3600
        self.notes = _Notes(folder / "unfinished", life=self.life)
        self.ahead = 0.0
        """Seconds by which this machine's clock is ahead of Azure's."""
        self.clock = Clock(now=lambda: lab.clock() + self.ahead, monotonic=lab.clock, sleep=self._sleep)

    def run(self, words: str, *more: str, environ: Mapping[str, str] | None = None) -> Ran:
        """Type a command; `--endpoint` is added. `more` are arguments as they are."""
        out, err = _Paper(self.life), io.StringIO()
        arguments = [*shlex.split(words), *more, "--endpoint", ENDPOINT]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _standing_in(self.folder):
            try:
                code, last = main(arguments, environ or {}, clock=self.clock, unfinished=self.notes)
                last()
            except SystemExit as exit_:
                code = int(str(exit_.code))
        return Ran(code, out.getvalue(), err.getvalue())

    def killed_at(self, step: int, words: str, *more: str) -> bool:
        """Type a command that dies at a step; False where it had ended before that."""
        self.life.revive(step)
        try:
            self.run(words, *more)
        except Killed:
            return True
        finally:
            self.life.revive()
        return False

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """All that were ever started, the newest first."""
        return list(self.lab.app.cloud.store.jobs())

    @property
    def drivers(self) -> list[ScriptedDriver]:
        return self.lab.scripted.started

    def file(self, name: str, content: bytes | str = "x") -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def put(self, path: str, content: bytes | str = b"x") -> None:
        """A blob of the default datastore."""
        self.blobs.put(f"{CONTAINER}/{path}", content if isinstance(content, bytes) else content.encode())

    def ends(
        self,
        status: str = "Completed",
        *,
        predictions: str = "",
        logs: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> str:
        """The newest job's driver is started and ends, its output and logs lie where they do; the job's name."""
        self.lab.advance()
        record, driver = self.jobs[0], self.drivers[-1]
        if predictions:
            self.put(str(record["output"]["path"]), predictions)
        driver.finish(status, logs=self.logs(record["name"], logs or {}), **facts)
        self.lab.advance()
        return str(record["name"])

    def logs(self, name: str, texts: Mapping[str, str]) -> dict[str, Any]:
        """Logs of a job as the driver notes them, their content in the logs container."""
        places = {}
        for log, text in texts.items():
            path = f"ExperimentRun/dcid.{name}/{log}"
            self.blobs.put(f"azureml/{path}", text.encode())
            places[log] = {"container": "azureml", "path": path}
        return places

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((request.method, str(request.url)))
        return self.life.carried_out(lambda: self._answer(request))  # type: ignore[no-any-return]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        instead = self.before(request)
        if instead is not None:
            return instead
        if request.url.host.endswith(".blob.core.windows.net"):
            return self._signed_link(request)
        headers = {key: value for key, value in request.headers.items() if key != "host"}
        got = self.lab.request(request.method, str(request.url), content=request.content, headers=headers)
        self.after(request)
        return httpx.Response(got.status_code, headers=dict(got.headers), content=got.content)

    def _signed_link(self, request: httpx.Request) -> httpx.Response:
        """A log by its link: the whole, or from a byte on."""
        blob = self.blobs.blobs.get(request.url.path.lstrip("/"))
        if blob is None:
            return httpx.Response(404)
        start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start and start >= len(blob.content):
            return httpx.Response(416)
        return httpx.Response(206 if start else 200, content=blob.content[start:])

    def _sleep(self, seconds: float) -> None:
        assert self.lab.clock() < self._patience, "who waits for so long in a test waits for what never comes"
        self.lab.advance(seconds)
        self.while_asleep()


class _Credential:
    """The lab's service principal; a token is kept until it is refused."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.renewed = 0
        self.refused = ""
        self.mixed_up = False
        """Whether it gives tokens of another audience than was asked for."""

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        if self.refused:
            from azure.core.exceptions import ClientAuthenticationError

            raise ClientAuthenticationError(self.refused)
        (scope,) = scopes
        if "storage" in scope:
            return AccessToken("token-for-storage", int(time.time()) + 3600)
        given = "https://storage.azure.com/.default" if self.mixed_up else scope
        return AccessToken(self._desk.lab.token(given), int(time.time()) + 3600)

    def renew(self) -> None:
        self.renewed += 1
        self._desk.lab.forget_tokens()


@contextlib.contextmanager
def _standing_in(folder: Path) -> Iterator[None]:
    """contextlib.chdir, which Python 3.10 does not have."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def open_desk(lab: InProcessLab, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk(lab, folder)
    adapter = _Adapter(desk.blobs)

    def send(_self: Any, request: requests.PreparedRequest, **_options: Any) -> requests.Response:
        return desk.life.carried_out(lambda: adapter.send(request))  # type: ignore[no-any-return]

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    monkeypatch.setitem(sys.modules["providers.arm.credentials"]._shared, "public", desk.credential)
    arm = ArmClient(
        transport=httpx.MockTransport(desk.answer),
        credential=desk.credential,
        clock=lab.clock,
        sleep=desk.clock.sleep,
    )
    monkeypatch.setitem(sys.modules["providers.arm.client"]._clients, "public", arm)
    os.environ.pop("COLUMNS", None)
    try:
        yield desk
    finally:
        arm.close()
