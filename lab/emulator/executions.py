"""Accepted jobs brought to their end: drivers started in turn, watched, cancelled, and adopted after a restart.

A job's record in the store says what was asked for and how far it is; the driver's `status.json` says the rest while it
runs. The record of an ended job is complete, and its driver's files are not read any more.

A job whose driver went with an earlier emulator (an orderly stop, a machine that went down) begins anew. A driver that
dies while an emulator watches it fails its job.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.emulator.config import EmulatorConfig
from lab.emulator.drivers import Driver, Drivers, ProcessDrivers, kill_groups
from lab.emulator.job_spec import storage_section
from lab.emulator.plays import Plays
from lab.emulator.store import Store
from lab.emulator.timestamps import zulu

_log = logging.getLogger("lab.emulator.executions")
TERMINAL = frozenset({"Completed", "Failed", "Canceled"})
_KILL_SECONDS = 5.0
_LAUNCHES = 3
"""So often a job is begun at most: one that takes the machine down with it is not begun for ever."""
_NOT_BEGUN: dict[str, Any] = {
    **{"started": None, "ended": None, "phase": "", "error": None, "outputs": [], "logs": {}},
    **{"mini_batches": None, "items": None, "rows": None},
}
"""What a record takes from the driver's status file, as it is before there is one."""


class Executions:
    """Called from one thread. `step` moves everything on; nothing else starts or ends a process."""

    def __init__(
        self,
        config: EmulatorConfig,
        store: Store,
        plays: Plays,
        *,
        drivers: Drivers | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.plays = plays
        self.woken: Callable[[], None] = lambda: None
        """Called when there is something to do; whoever runs the loop sets it."""
        self._config = config
        self._jobs = config.home / "jobs"
        self._store = store
        self._drivers = drivers or ProcessDrivers()
        self._clock = clock
        self._running: dict[str, Driver] = {}
        self._read: dict[str, tuple[tuple[int, int, int], dict[str, Any]]] = {}

    def submit(self, record: Mapping[str, Any], spec: Mapping[str, Any] | None) -> None:
        """Take a job. Without a spec it cannot run, and `record["impossible"]` says why."""
        self._store.put_job({**record, "spec": spec})
        self.woken()

    def directory(self, name: str) -> Path:
        return self._jobs / name

    def refresh(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record with what the driver says now; an end is stored."""
        if not record["active"] or not record["launched"]:
            return record
        said = self._status_file(record["name"])
        if said is None:
            return record
        record |= {key: said.get(key) for key in _NOT_BEGUN}
        status = str(said.get("status", record["status"]))
        if status in TERMINAL:
            return self._end(record, status, record["error"])
        # The service calls the time before its first answer Preparing; NotStarted is the driver's own word for it.
        record["status"] = "Preparing" if status == "NotStarted" else status
        if record["cancel_requested"] is not None:
            record["status"] = "CancelRequested"
        return record

    def cancel(self, record: dict[str, Any], now: float) -> dict[str, Any]:
        """Ask for the end of a job. One that has not started is over at once; an ended one stays as it is."""
        record = self.refresh(record)
        if not record["active"] or record["cancel_requested"] is not None:
            return record
        record["cancel_requested"] = now
        if not record["launched"]:
            return self._end(record, "Canceled", None)
        record["status"] = "CancelRequested"
        self._store.put_job(record)
        driver = self._driver(record)
        if driver is not None:
            driver.signal(signal.SIGTERM)
        self.woken()
        return record

    def forget(self, name: str) -> None:
        """Remove an ended job's record and files; its outputs and logs in the storage account stay."""
        self._store.delete_job(name)
        shutil.rmtree(self.directory(name), ignore_errors=True)

    def step(self) -> bool:
        """Bring every job one step on. True while there is an active one."""
        now = self._clock()
        running, waiting, active = 0, [], set()
        for record in self._store.active_jobs(limit=self.plays.max_drivers * 2 + 20, ready=now):
            with self._failing(record):
                current = self.refresh(record)
                if not current["active"]:
                    continue
                if not current["launched"]:
                    waiting.append(current)
                elif self._watch(current, now):
                    running += 1
                    active.add(current["name"])
        # Of ended jobs, a driver is remembered until it is gone, so that it is reaped.
        self._running = {name: each for name, each in self._running.items() if name in active or each.alive()}
        for record in waiting:
            with self._failing(record):
                if record["impossible"]:
                    self._end(record, "Failed", {"code": "UserError", "message": record["impossible"]})
                elif running < self.plays.max_drivers:
                    self._launch(record)
                    running += 1
                elif record["status"] != "Queued":
                    record["status"] = "Queued"
                    self._store.put_job(record)
        return bool(self._store.active_jobs(limit=1))

    @contextmanager
    def _failing(self, record: dict[str, Any]) -> Iterator[None]:
        """Whatever goes wrong with one job, but for a disk without room, fails that one and stops no other."""
        try:
            yield
        except (OSError, sqlite3.Error):
            raise
        except Exception as error:  # noqa: BLE001 - told in the job and in the log
            _log.exception("job %s", record["name"])
            text = f"The lab cannot go on with job {record['name']}: {type(error).__name__}: {error}"
            self._end(record, "Failed", {"code": "SystemError", "message": text})

    def stop(self, seconds: float = 10.0) -> None:
        """End every driver; the next `step`, of a later emulator too, starts unfinished jobs anew.

        `seconds`: how long SIGTERM may take before SIGKILL.
        """
        records = [record for record in self._store.active_jobs() if record["launched"]]
        drivers = [driver for record in records if (driver := self._driver(record)) is not None]
        drivers += [driver for driver in self._running.values() if driver not in drivers]
        for driver in drivers:
            driver.signal(signal.SIGTERM)
        _wait(drivers, seconds)
        for driver in drivers:
            driver.signal(signal.SIGKILL)
        _wait(drivers, _KILL_SECONDS)
        for record in records:
            self._kill_workers(record)
            said = self._status_file(record["name"]) or {}
            if said.get("status") in {"Completed", "Failed"}:
                self.refresh(record)  # it came to its own end just then
            elif record["cancel_requested"] is not None:
                self._end(record, "Canceled", None)
            else:
                self._begin_anew(record)
        self._running.clear()

    def _launch(self, record: dict[str, Any]) -> None:
        """Start the job's driver in a folder that holds nothing but its spec."""
        # The job is noted as launched after its driver was started: an emulator killed between the two has left a
        # driver that no record names, and that is the one, then.
        directory = self.directory(record["name"])
        driver = self._unnoted(directory)
        if driver is None:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            spec = directory / "spec.json"
            # The driver removes it: with the storage key in it, it is no business of the job's script.
            with os.fdopen(os.open(spec, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                told = dict(record["spec"])
                json.dump({"storage": storage_section(self._config, told.pop("account")), **told}, file)
            driver = self._drivers.start(spec)
        self._running[record["name"]] = driver
        noted = {"launched": True, "launches": record["launches"] + 1, "pid": driver.pid, "status": "Preparing"}
        self._store.put_job(record | noted)

    def _unnoted(self, directory: Path) -> Driver | None:
        """The driver that is at work in a job's folder, when there is one."""
        try:
            pid = int((directory / "pid").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None
        return self._drivers.find(pid, directory / "spec.json")

    def _watch(self, record: dict[str, Any], now: float) -> bool:
        """Whether the job's driver is alive; the end of a dead one is stored."""
        driver = self._driver(record)
        if driver is None or not driver.alive():
            record = self.refresh(record)  # it may have written its last word just before it ended
            if record["active"]:
                self._kill_workers(record)
                how = driver.ended() if driver else f"begun {record['launches']} times, gone with the lab each time"
                if record["cancel_requested"] is not None:
                    self._end(record, "Canceled", None)
                elif driver is None and record["launches"] < _LAUNCHES:
                    self._begin_anew(record)
                else:
                    text = (
                        f"The scoring driver of job {record['name']} ended without a result ({how}). Its output is in "
                        f"{self.directory(record['name']) / 'driver.log'}."
                    )
                    self._end(record, "Failed", {"code": "SystemError", "message": text})
            return False
        if (
            record["cancel_requested"] is not None
            and now > record["cancel_requested"] + self.plays.cancel_grace_seconds
        ):
            driver.signal(signal.SIGKILL)
        return True

    def _begin_anew(self, record: dict[str, Any]) -> None:
        (self.directory(record["name"]) / "status.json").unlink(missing_ok=True)
        self._read.pop(record["name"], None)
        self._store.put_job(record | _NOT_BEGUN | {"launched": False, "pid": None, "status": "Queued"})

    def _driver(self, record: Mapping[str, Any]) -> Driver | None:
        name = record["name"]
        if name not in self._running and record["pid"] is not None:
            found = self._drivers.find(int(record["pid"]), self.directory(name) / "spec.json")
            if found is not None:
                self._running[name] = found
        return self._running.get(name)

    def _kill_workers(self, record: Mapping[str, Any]) -> None:
        said = self._status_file(record["name"]) or {}
        kill_groups(said.get("process_groups") or [], record["name"])

    def _end(self, record: dict[str, Any], status: str, error: Mapping[str, Any] | None) -> dict[str, Any]:
        record["status"], record["active"], record["error"] = status, False, error
        record.pop("spec", None)
        (self.directory(record["name"]) / "pid").unlink(missing_ok=True)
        record["ended"] = record.get("ended") or zulu(self._clock())
        self._store.put_job(record)
        self._read.pop(record["name"], None)
        return record

    def _status_file(self, name: str) -> dict[str, Any] | None:
        """The driver's status, read again only when the file changed. The driver replaces it whole."""
        path = self.directory(name) / "status.json"
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        # Two writes within a tick of the file system's clock have one time.
        changed = (found.st_mtime_ns, found.st_ino, found.st_size)
        known = self._read.get(name)
        if known is None or known[0] != changed:
            try:
                known = (changed, json.loads(path.read_text(encoding="utf-8")))
            except ValueError:
                return None  # the driver replaces it whole, but a machine that went down may leave it empty
            self._read[name] = known
        return known[1]


def _wait(drivers: Iterable[Driver], seconds: float) -> None:
    """Until all have ended, or for so long."""
    waiting, until = list(drivers), time.monotonic() + seconds
    while any(driver.alive() for driver in waiting) and time.monotonic() < until:
        time.sleep(0.02)
