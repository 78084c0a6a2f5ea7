"""Azurite's blob service as the daemon's child: started, watched, started again, and never left behind."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
from azure.core.exceptions import AzureError

from lab import identity
from lab.authority import Certificates
from lab.azurite_package import PRELOAD
from lab.errors import LabError
from lab.home import Home, write_private
from lab.processes import end

_log = logging.getLogger("lab.azurite")
_LISTENS = re.compile(r"successfully listens on https://127\.0\.0\.1:(\d+)")
START_SECONDS = 60.0
STOP_SECONDS = 5.0
SERVE_SECONDS = 10.0
HAS_ACCOUNTS = "lab: the accounts are taken over"
"""What preload.js says when Azurite has the accounts that it was told."""
RESTARTS, RESTART_WINDOW_SECONDS = 5, 300.0
"""At most so many restarts in so many seconds; then Azurite stays down and the proxy says so to each client."""
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR")


@dataclass(frozen=True)
class AzuriteCommand:
    """What starts Azurite, but for the port."""

    node: Path
    script: Path
    data: Path
    certificates: Certificates

    def line(self, port: int) -> list[str]:
        """The command; port 0 lets the system choose one, and Azurite says which."""
        return [
            *(str(self.node), "--require", str(PRELOAD), str(self.script)),
            *("--silent", "--disableTelemetry", "--skipApiVersionCheck", "--oauth", "basic"),
            *("--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(self.data)),
            *("--cert", str(self.certificates.server), "--key", str(self.certificates.key)),
        ]


class Azurite:
    """One Azurite process at a time, on one port for as long as this object lives."""

    def __init__(
        self,
        command: AzuriteCommand,
        home: Home,
        *,
        storage_key: str,
        environ: Mapping[str, str],
        prepare: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`prepare` is called with the port each time that it listens."""
        self.port = 0
        self._command = command
        self._home = home
        self._prepare = prepare
        self._environ = {name: environ[name] for name in _PASSED_ON if name in environ}
        self._key = storage_key
        self._accounts: Sequence[str] = (identity.STORAGE_ACCOUNT,)
        self._serving = threading.Lock()
        self._hears = threading.Condition()
        self._said = ""
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None

    def start(self, wanted_port: int = 0) -> int:
        """Start, wait until it listens, and watch from now on; returns the port, `wanted_port` if that is free.

        Raises LabError: it ended or did not listen within a minute; the text has its last words.
        """
        try:
            self.port = self._launch(wanted_port)
        except LabError as problem:
            if wanted_port == 0 or "EADDRINUSE" not in str(problem):
                raise
            self.port = self._launch(0)
        self._watcher = threading.Thread(target=self._watch, name="azurite", daemon=True)
        self._watcher.start()
        return self.port

    def serve(self, accounts: Sequence[str]) -> None:
        """Make these accounts, all with the one key, the ones that Azurite has, without a restart.

        Raises LabError: it did not say within 10 s that it has them.
        """
        with self._serving:
            with self._lock:
                self._accounts = tuple(accounts)
                process = self._process
            if process is not None and process.stdin is not None and self._said != self._accounts_text():
                self._tell(process, process.stdin)

    def stop(self) -> None:
        """End it so that it saves its tables, then for certain."""
        self._stopping.set()
        with self._lock:
            if self._process is not None:
                _end(self._process)
        if self._watcher is not None:
            self._watcher.join(timeout=STOP_SECONDS)
        self._home.azurite_pid_file.unlink(missing_ok=True)

    def _launch(self, port: int) -> int:
        with self._lock:
            if self._stopping.is_set():
                raise LabError("the lab is stopping")
            process = subprocess.Popen(  # noqa: S603 - node and arguments of our own
                self._command.line(port),
                env={**self._environ, "AZURITE_ACCOUNTS": self._accounts_text()},
                cwd=self._command.data,
                stdin=subprocess.PIPE,  # its end tells Azurite that the daemon is gone (preload.js)
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            self._process = process
            record_pid(self._home.azurite_pid_file, process.pid)
        words: deque[str] = deque(maxlen=20)
        listening = threading.Event()
        ports: list[int] = []
        with self._hears:
            self._said = ""
        threading.Thread(
            target=_read_output, args=(process, words, ports, listening, self._hear), name="azurite-output", daemon=True
        ).start()
        if listening.wait(START_SECONDS) and ports:
            self._prepare(ports[0])
            _log.info("prepared on port %d", ports[0])
            return ports[0]
        _end(process)
        raise LabError(f"Azurite did not start: {' '.join(words).strip() or 'it said nothing'}")

    def _tell(self, process: subprocess.Popen[str], stdin: IO[str]) -> None:
        with self._hears:
            try:
                stdin.write(f"{self._accounts_text()}\n")
                stdin.flush()
            except (OSError, ValueError):
                return  # it ended; the one that is started in its place has them from its birth
            heard = self._hears.wait_for(
                lambda: self._said == self._accounts_text() or process.poll() is not None, SERVE_SECONDS
            )
        if not heard:
            raise LabError("Azurite did not take over a new list of storage accounts")

    def _accounts_text(self) -> str:
        return ";".join(f"{account}:{self._key}" for account in self._accounts)

    def _hear(self, line: str) -> bool:
        """Whether a line was Azurite's word that it has the accounts that it was told last."""
        if line != HAS_ACCOUNTS:
            return False
        with self._hears:
            self._said = self._accounts_text()
            self._hears.notify_all()
        return True

    def _watch(self) -> None:
        restarts: deque[float] = deque(maxlen=RESTARTS)
        while self._process is not None:
            code = self._process.wait()
            if self._stopping.is_set():
                return
            now = time.monotonic()
            if len(restarts) == RESTARTS and now - restarts[0] < RESTART_WINDOW_SECONDS:
                _log.error("Azurite ended again (exit %s); it stays down, stop and start the lab to try anew", code)
                return
            restarts.append(now)
            _log.warning("Azurite ended (exit %s); starting it again on port %d", code, self.port)
            try:
                self._launch(self.port)
            except (LabError, OSError, AzureError) as problem:
                _log.warning("%s", problem)


def _read_output(
    process: subprocess.Popen[str],
    words: deque[str],
    ports: list[int],
    listening: threading.Event,
    hear: Callable[[str], bool],
) -> None:
    """Log what Azurite says until it ends; note the port when it says it. `listening` is set then, or at the end."""
    assert process.stdout is not None  # noqa: S101 - given as a pipe above
    with process.stdout:
        for line in process.stdout:
            if hear(line.strip()):
                continue
            words.append(line.strip())
            _log.info("azurite: %s", line.rstrip())
            match = _LISTENS.search(line)
            if match is not None:
                ports.append(int(match[1]))
                listening.set()
    listening.set()


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


def record_pid(path: Path, pid: int) -> None:
    """Note a process so that a later start can tell it from another one with the same number."""
    try:
        created = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return  # it ended at once; who started it sees that
    write_private(path, json.dumps({"pid": pid, "created": created}))


def end_orphan(home: Home) -> int | None:
    """End the Azurite that a killed daemon left; returns its pid, None when there is none.

    It is known by pid, time of creation, and this home's data folder in its command line: a process that merely
    got the number is left alone.
    """
    try:
        noted = json.loads(home.azurite_pid_file.read_text(encoding="utf-8"))
        process = psutil.Process(int(noted["pid"]))
        ours = process.create_time() == noted["created"] and str(home.azurite_data) in process.cmdline()
    except (FileNotFoundError, ValueError, KeyError, TypeError, psutil.Error):
        ours = False
    if not ours:
        home.azurite_pid_file.unlink(missing_ok=True)
        return None
    end([process], STOP_SECONDS)
    home.azurite_pid_file.unlink(missing_ok=True)
    return process.pid
