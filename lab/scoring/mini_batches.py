"""How an input becomes mini-batches, and what their outcomes mean for the job: decisions only, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.scoring.spec import Settings

NO_DATA = (
    "Dataset initialization failed: UserErrorException: Message: Cannot mount Dataset(id='{id}', name='None', "
    "version=None). Source of the dataset is either not accessible or does not contain any data."
)
"""The service's text for an input without files (Microsoft's troubleshooting page for batch endpoints)."""

NO_RESULT = (
    "There is no succeeded mini batch item returned from run(). Please check 'response: run()' in "
    "https://aka.ms/batch-inference-documentation."
)
"""The service's text for append_row with nothing to append (same page); it fails the job at any error threshold."""

NO_PROGRESS = "No progress update in {n} seconds. No progress update in this check. Wait {n} seconds since last update."
"""The service's text for a job whose run() timed out on every try (same page)."""


@dataclass(frozen=True)
class MiniBatch:
    index: int
    """Position in the sorted input, from 0."""
    files: tuple[str, ...]
    """Names relative to the input folder, sorted."""

    def __str__(self) -> str:
        shown = ", ".join(self.files[:2])
        rest = len(self.files) - 2
        return f"mini-batch {self.index} ({shown}{f' and {rest} more' if rest > 0 else ''})"


@dataclass
class Tally:
    """Counts of a job's items and mini-batches.

    Failed items are the items of finished mini-batches minus the succeeded ones, over the whole job, as the service
    counts: an item is a file, a success is an element or row that run() returned, so that a file with many rows can
    hide the failure of others. A mini-batch that fails and then succeeds on a retry has not failed.
    """

    total_items: int
    total_mini_batches: int
    finished_items: int = 0
    succeeded_items: int = 0
    done_mini_batches: int = 0
    """Mini-batches whose run() returned."""
    failed_mini_batches: int = 0
    """Mini-batches of which every try failed."""
    rows: int = 0

    @property
    def failed_items(self) -> int:
        return max(0, self.finished_items - self.succeeded_items)

    @property
    def finished(self) -> bool:
        return self.done_mini_batches + self.failed_mini_batches == self.total_mini_batches

    def succeed(self, mini_batch: MiniBatch, items: int, rows: int) -> None:
        self.done_mini_batches += 1
        self.finished_items += len(mini_batch.files)
        self.succeeded_items += items
        self.rows += rows

    def fail(self, mini_batch: MiniBatch) -> None:
        self.failed_mini_batches += 1
        self.finished_items += len(mini_batch.files)

    def exceeds(self, error_threshold: int) -> bool:
        """Whether so many items failed that the job stops; -1 lets all of them fail."""
        return error_threshold >= 0 and self.failed_items > error_threshold


@dataclass(frozen=True)
class WorkerCount:
    count: int
    wanted: int
    reason: str | None
    """Why there are fewer workers than the deployment asks for; None when there are not."""


def split(files: Sequence[str], size: int) -> list[MiniBatch]:
    """Mini-batches of `size` files in the order given; the last one may be smaller."""
    return [MiniBatch(start // size, tuple(files[start : start + size])) for start in range(0, len(files), size)]


def worker_count(settings: Settings, max_workers: int, mini_batches: int) -> WorkerCount:
    """instance count times concurrency, as far as this machine grants it and there is work."""
    wanted = settings.instance_count * settings.max_concurrency_per_instance
    count = min(wanted, max_workers, mini_batches)
    reason = None
    if count < wanted:
        asked = f"{settings.instance_count} instance(s) x {settings.max_concurrency_per_instance} process(es)"
        why = f"only {mini_batches} mini-batch(es)" if count == mini_batches else f"this lab grants {max_workers}"
        reason = f"{count} worker process(es) instead of {asked} = {wanted}: {why}"
    return WorkerCount(count, wanted, reason)


def init_gives_up(failures_on_node: int, processes_on_node: int, failures: int, processes: int, seconds: float) -> bool:
    """Whether init() failed so often that no further worker is started.

    Documented for the parallel-run driver: 3 failures per process on a node, or 2 per process of the job once it has
    run for more than two minutes (how-to-debug-parallel-run-step).
    """
    return failures_on_node >= 3 * processes_on_node or (seconds > 120 and failures >= 2 * processes)


def patience(settings: Settings) -> float:
    """Seconds without any progress after which a worker in init(), or a job in run(), counts as stuck; same source."""
    return 3 * settings.run_seconds + 30
