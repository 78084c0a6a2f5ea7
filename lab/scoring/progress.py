"""`logs/job_progress_overview.<yyyymmddhh>.txt`: how far a job is, in lines that are added while it runs.

The service's own lines, as people quoted them (MachineLearningNotebooks#1429 of 2021, azure-sdk-for-python#30421 of
2023):

    2021-04-15T22:03:54.767763 Scheduling finished. Scheduled 276 mini batches in 22 seconds. There are 276 tasks with 551 items.
    2021-04-15T22:03:54.899666 No task has been processed yet.
    2023-05-16T22:20:53.233813 Processed 4117 of 20000 mini batches in 5:02:14. Estimated remaining time 19:25:59.
    2023-05-16T22:22:08.962071 The overviewer on 7 stopped.

No line of its with failures is known, so each `Processed` line is followed by one of the lab's own:

    2026-11-23T10:00:00.000000 Mini batches: 400 total, 39 done, 2 failed. Items: 4000 total, 390 succeeded, 20 failed. Rows: 390.
"""  # noqa: E501  (quotations)

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from lab.scoring.mini_batches import Tally

_OFTEN_SECONDS, _SELDOM_SECONDS = 1.0, 10.0
"""Between two looks: so often in the first minute, when people watch, and as the service does from then on."""


class ProgressOverview:
    """Says how far a tally is, as often as it is asked but not more often than the file can bear."""

    def __init__(
        self,
        append: Callable[[str, str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        """`append` adds text to the log of a name."""
        self._append = append
        self._clock = clock
        self._now = now
        self._began = clock()
        self._told_at = self._began
        self.name = file_name(now())
        """Of the newest file: a job that runs on into another day begins another one, as the service does."""

    def begin(self, tally: Tally, seconds: float) -> None:
        """Scheduling, that is reading the input and preparing, took so many seconds."""
        self._began = self._told_at = self._clock()
        self._say("The overviewer on 0 started.")
        self._say(
            f"Scheduling finished. Scheduled {tally.total_mini_batches} mini batches in {seconds:.0f} seconds. "
            f"There are {tally.total_mini_batches} tasks with {tally.total_items} items."
        )
        self._tell(tally)

    def look(self, tally: Tally) -> None:
        """To be called often while the job runs."""
        now = self._clock()
        if now - self._told_at >= (_OFTEN_SECONDS if now - self._began < 60 else _SELDOM_SECONDS):
            self._tell(tally)

    def end(self, tally: Tally) -> None:
        self._tell(tally)
        self._say("The overviewer on 0 stopped.")

    def _tell(self, tally: Tally) -> None:
        self._told_at = self._clock()
        for line in lines(tally, self._told_at - self._began):
            self._say(line)

    def _say(self, line: str) -> None:
        now = self._now()
        if now.strftime("%Y%m%d") != self.name.split(".")[1][:8]:
            self.name = file_name(now)
        self._append(self.name, f"{now.strftime('%Y-%m-%dT%H:%M:%S.%f')} {line}\n")


def file_name(now: datetime) -> str:
    return f"logs/job_progress_overview.{now:%Y%m%d%H}.txt"


def lines(tally: Tally, seconds: float) -> list[str]:
    """What is said of a tally, `seconds` after scoring began."""
    processed = tally.done_mini_batches + tally.failed_mini_batches
    if not processed:
        return ["No task has been processed yet."]
    remaining = seconds / processed * (tally.total_mini_batches - processed)
    return [
        f"Processed {processed} of {tally.total_mini_batches} mini batches in {_span(seconds)}. "
        f"Estimated remaining time {_span(remaining)}.",
        f"Mini batches: {tally.total_mini_batches} total, {tally.done_mini_batches} done, "
        f"{tally.failed_mini_batches} failed. Items: {tally.total_items} total, {tally.succeeded_items} succeeded, "
        f"{tally.failed_items} failed. Rows: {tally.rows}.",
    ]


def _span(seconds: float) -> str:
    """`5:02:14`, with days before it where there are some."""
    return str(timedelta(seconds=int(seconds)))
