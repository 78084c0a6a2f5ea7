"""`logs/sys/job_report/processed_mini-batches.csv`: one row for each time that a mini-batch was given to a process.

The columns are the service's, from Microsoft's performance guide for parallel runs of 2020. What statuses there are
beside RUN_DONE, RUN_TIMEOUT and RUN_EXCEPTION, and what the last column holds, is not known.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from lab.scoring.mini_batches import MiniBatch

COLUMNS = (
    *("Mini-batch Id", "Picked Count", "Process", "Process Start Time", "Total", "Succeeded", "Failed"),
    *("Elapsed Seconds", "Process Seconds", "Run Method Seconds"),
    *("Status", "Error Category", "Error Message", "Mini-batch Detail"),
)
_TOLD_FILES = 20

AttemptStatus = Literal["RUN_DONE", "RUN_EXCEPTION", "RUN_TIMEOUT", "PROCESS_ENDED"]


@dataclass(frozen=True)
class Attempt:
    """A mini-batch in the hands of one process, and what became of it."""

    mini_batch: MiniBatch
    number: int
    """1 for the first try."""
    node: int
    process: str
    """`processNNN`, as in the names of its logs."""
    began: str
    """UTC, ISO 8601."""
    succeeded: int
    """Items: what run() returned."""
    seconds: float
    """From being handed over to the answer."""
    cpu_seconds: float
    """That the process used meanwhile; 0 where it did not live to tell."""
    run_seconds: float
    """Inside run()."""
    status: AttemptStatus
    error_type: str = ""
    error: str = ""

    def row(self) -> tuple[Any, ...]:
        total = len(self.mini_batch.files)
        detail = {"node": self.node, "count": total, "files": self.mini_batch.files[:_TOLD_FILES]}
        return (
            *(self.mini_batch.index, self.number, self.process, self.began),
            *(total, self.succeeded, max(0, total - self.succeeded)),
            *(f"{seconds:.4f}" for seconds in (self.seconds, self.cpu_seconds, self.run_seconds)),
            *(self.status, self.error_type, self.error, json.dumps(detail, ensure_ascii=False)),
        )


class Report:
    """The file, written as the job goes on; it is whole when it is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def add(self, attempt: Attempt) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
            self._writer = csv.writer(self._file, lineterminator="\n")
            self._writer.writerow(COLUMNS)
        self._writer.writerow(attempt.row())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
