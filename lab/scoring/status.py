"""The job's status file: what the emulator reads while the job runs and after it ended."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from lab.scoring.mini_batches import Tally
from lab.scoring.spec import BlobPath

JobStatus = Literal[
    "NotStarted", "Preparing", "Queued", "Running", "Finalizing", "CancelRequested", "Completed", "Failed", "Canceled"
]
TERMINAL: frozenset[JobStatus] = frozenset({"Completed", "Failed", "Canceled"})


def now() -> str:
    """UTC as ISO 8601 with microseconds and Z, as the service writes times."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass
class Status:
    """status.json, in memory. Its keys are the contract with the emulator."""

    status: JobStatus = "NotStarted"
    started: str | None = None
    ended: str | None = None
    phase: str = ""
    error: tuple[str, str] | None = None
    """Code and message."""
    script_failed: bool = False
    """Whether the error is of the entry script, in the words of the service: its process exited with 42."""
    tally: Tally = field(default_factory=lambda: Tally(0, 0))
    pid: int = field(default_factory=os.getpid)
    process_groups: list[int] = field(default_factory=list)
    """Process groups of the workers alive: what to end when this process was killed."""
    outputs: list[BlobPath] = field(default_factory=list)
    logs: dict[str, BlobPath] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        tally = self.tally
        return {
            "status": self.status,
            "started": self.started,
            "ended": self.ended,
            "phase": self.phase,
            "error": self.error
            and {"code": self.error[0], "message": self.error[1], "script_failed": self.script_failed},
            "mini_batches": {
                "total": tally.total_mini_batches,
                "done": tally.done_mini_batches,
                "failed": tally.failed_mini_batches,
            },
            "items": {
                "total": tally.total_items,
                "succeeded": tally.succeeded_items,
                "failed": tally.failed_items,
            },
            "rows": tally.rows,
            "pid": self.pid,
            "process_groups": self.process_groups,
            "outputs": [{"container": blob.container, "path": blob.path} for blob in self.outputs],
            "logs": {name: {"container": blob.container, "path": blob.path} for name, blob in self.logs.items()},
        }


class StatusFile:
    """Writes a Status to its file: whole or not at all, and small changes at most five times a second."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic, interval_seconds: float = 0.2):
        self.status = Status()
        self._path = path
        self._clock = clock
        self._interval = interval_seconds
        self._written_at: float | None = None
        self._written = ""

    def enter(self, status: JobStatus, phase: str) -> None:
        """Changes the status and writes it at once."""
        self.status.status = status
        self.status.phase = phase
        if status in TERMINAL:
            self.status.ended = now()
            self.status.process_groups = []
        self.write()

    def touch(self) -> None:
        """Writes what changed, unless the last writing is less than the interval ago; call it often."""
        if self._written_at is None or self._clock() - self._written_at >= self._interval:
            self.write()

    def write(self) -> None:
        text = json.dumps(self.status.document(), ensure_ascii=False)
        self._written_at = self._clock()
        if text == self._written:
            return
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self._path)
        self._written = text
