"""Scoring drivers as processes: started detached, found again after a restart, ended with everything they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import psutil

_CHECKOUT = Path(__file__).resolve().parents[2]
_SECRETS = ("AZURE_CLIENT_SECRET", "ARM_CLIENT_SECRET", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_ACCESS_TOKEN")
"""Of the emulator's environment: no business of a job's."""


class Driver(Protocol):
    """One driver process, the leader of its own process group."""

    @property
    def pid(self) -> int: ...

    def alive(self) -> bool: ...

    def ended(self) -> str:
        """How it ended, in words; for one that is not alive."""
        ...

    def signal(self, number: signal.Signals) -> None:
        """To the whole group; one that is gone is no error."""
        ...


class Drivers(Protocol):
    def start(self, spec: Path) -> Driver: ...

    def find(self, pid: int, spec: Path) -> Driver | None:
        """The driver that an earlier emulator started, while it is still alive."""
        ...


class ProcessDrivers:
    """`python -m lab.scoring <spec.json>`, with its output in `driver.log` beside the spec."""

    def start(self, spec: Path) -> Driver:
        environment = {name: value for name, value in os.environ.items() if name not in _SECRETS}
        with (spec.parent / "driver.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  (our own module, our own spec)
                [sys.executable, "-m", "lab.scoring", str(spec)],
                cwd=_CHECKOUT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return _Child(process)

    def find(self, pid: int, spec: Path) -> Driver | None:
        try:
            process = psutil.Process(pid)
            if str(spec) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                return _Adopted(process)
        except psutil.Error:
            return None
        return None


class _Child:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def ended(self) -> str:
        code = self._process.poll()
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def signal(self, number: signal.Signals) -> None:
        if self.alive():
            _signal_group(self.pid, number)


class _Adopted:
    def __init__(self, process: psutil.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE

    def ended(self) -> str:
        return "an exit code that the restarted emulator could not see"

    def signal(self, number: signal.Signals) -> None:
        if self.alive():
            _signal_group(self.pid, number)


def kill_groups(leaders: Iterable[int], job: str) -> None:
    """Kill what a dead driver left behind: these process groups, where their leader is a worker of this job.

    Ids are used again, after a restart of the machine soon: a worker is known by the run id in its environment.
    """
    for leader in leaders:
        try:
            ours = psutil.Process(leader).environ().get("AZUREML_RUN_ID") == job
        except psutil.Error:
            continue
        if ours:
            _signal_group(leader, signal.SIGKILL)


def _signal_group(leader: int, number: signal.Signals) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return
