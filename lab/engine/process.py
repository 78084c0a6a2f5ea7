"""Children of the engine: each in a process group of its own (a terminal's Ctrl-C is the engine's to handle), under
a supervisor that ends it with the engine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

_SUPERVISOR = Path(__file__).with_name("child.py")
_PATIENCE = 2.0
"""Seconds between asking a child to end and killing its group."""


class Process:
    """A running child. `on_line` gets every line that it prints, from threads of this class."""

    def __init__(
        self, command: Sequence[str], directory: Path, environment: Mapping[str, str], on_line: Callable[[str], None]
    ) -> None:
        watched, self._leash = os.pipe()
        try:
            self._popen = subprocess.Popen(  # noqa: S603  (the engine's own commands)
                [sys.executable, "-I", "-S", str(_SUPERVISOR), str(watched), *command],
                cwd=directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[watched],
                start_new_session=True,
            )
        finally:
            os.close(watched)
        self._stdout, self._stderr = cast("IO[bytes]", self._popen.stdout), cast("IO[bytes]", self._popen.stderr)
        self._on_line = on_line
        self._stopping = threading.Lock()
        self._readers: list[threading.Thread] = []

    def first_line(self) -> str:
        """Wait for the first line on stdout ("" when the child ends without one)."""
        self._read(self._stderr)
        return self._stdout.readline().decode(errors="replace").strip()

    def follow(self) -> None:
        """Hand on what comes on stdout (and stderr, unless `first_line` did) from now on."""
        if not self._readers:
            self._read(self._stderr)
        self._read(self._stdout)

    def wait(self, timeout: float | None = None) -> int:
        """The child's exit status, its output read to the end. Raises TimeoutError."""
        try:
            status = self._popen.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error
        for reader in self._readers:
            reader.join(_PATIENCE)
        return status

    def stop(self, patience: float = _PATIENCE) -> None:
        """Ask the group to end, then kill what is left of it. Idempotent; safe from several threads."""
        if patience and self._popen.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(patience)
        self._signal(signal.SIGKILL)
        with self._stopping:
            self._popen.wait()
            for reader in self._readers:
                reader.join(_PATIENCE)
            if not any(reader.is_alive() for reader in self._readers):
                self._stdout.close()
                self._stderr.close()
            if self._leash >= 0:
                os.close(self._leash)
                self._leash = -1

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def _read(self, stream: IO[bytes]) -> None:
        def hand_on() -> None:
            for line in iter(stream.readline, b""):
                self._on_line(line.decode(errors="replace").rstrip("\n"))

        reader = threading.Thread(target=hand_on, daemon=True)
        reader.start()
        self._readers.append(reader)
