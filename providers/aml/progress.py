"""How far a job is, read from the logs that the service keeps of it. Pure.

`logs/job_progress_overview.<yyyymmddhh>.txt` grows while the job runs. Its lines, as people quoted them
(https://github.com/Azure/MachineLearningNotebooks/issues/1429 of 2021,
https://github.com/Azure/azure-sdk-for-python/issues/30421 of 2023):

    2021-04-15T22:03:54.767763 Scheduling finished. Scheduled 276 mini batches in 22 seconds. There are 276 tasks with 551 items.
    2021-04-15T22:03:54.899666 No task has been processed yet.
    2023-05-16T22:20:53.233813 Processed 4117 of 20000 mini batches in 5:02:14. Estimated remaining time 19:25:59.

No line of the service's with failures is known. Failed mini-batches are counted and explained by
`logs/sys/job_report/processed_mini-batches.csv`, one row for each try, whose columns Microsoft's performance guide of 2020
lists; a line `Mini batches: 400 total, 39 done, 2 failed. ...` is taken where there is one (the lab writes it).
"""  # noqa: E501  (quotations)

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

OVERVIEW = re.compile(r"logs/job_progress_overview\..*txt$")
REPORT = re.compile(r"logs/sys/job_report/processed_mini-batches\.csv$")
_SCHEDULED = re.compile(r"Scheduled (\d+) mini batches in .*?There are \d+ tasks with (\d+) items")
_PROCESSED = re.compile(r"Processed (\d+) of (\d+) mini batches in (.+?)\. Estimated remaining time (.+?)\.(\s|$)")
_COUNTED = re.compile(r"Mini batches: (\d+) total, (\d+) done, (\d+) failed\. Items: (\d+) total, \d+ succeeded, (\d+)")
_SPAN = re.compile(r"(?:(?P<days>\d+) days?, )?(?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+)")
_DONE = "RUN_DONE"


@dataclass(frozen=True)
class Progress:
    """Of mini-batches; what the logs do not say is None. Seconds are those of scoring."""

    total: int
    processed: int = 0
    """Done and failed."""
    failed: int | None = None
    items: int | None = None
    failed_items: int | None = None
    seconds: float | None = None
    remaining: float | None = None

    @property
    def per_minute(self) -> float | None:
        """Mini-batches."""
        return self.processed / self.seconds * 60 if self.processed and self.seconds else None


@dataclass(frozen=True)
class FailedMiniBatch:
    """One whose every try failed."""

    id: str
    reason: str
    tries: int
    files: tuple[str, ...]
    """Names of files, as many as the report tells; empty where it tells none."""
    items: int | None

    def __str__(self) -> str:
        shown = ", ".join(self.files[:2])
        rest = (self.items or len(self.files)) - min(2, len(self.files))
        more = f" and {rest} more" if shown and rest > 0 else ""
        return f"mini-batch {self.id}" + (f" ({shown}{more})" if shown else "")


def read_overview(text: str) -> Progress | None:
    """The last word of an overview; None where nothing was scheduled yet."""
    scheduled = _last(_SCHEDULED, text)
    processed = _last(_PROCESSED, text)
    counted = _last(_COUNTED, text)
    if counted:
        total, done, failed, items, failed_items = (int(each) for each in counted.groups())
        found = Progress(total, done + failed, failed, items, failed_items)
    elif processed:
        found = Progress(int(processed[2]), int(processed[1]), items=int(scheduled[2]) if scheduled else None)
    elif scheduled:
        return Progress(int(scheduled[1]), items=int(scheduled[2]))
    else:
        return None
    if not processed:
        return found
    return Progress(
        found.total,
        found.processed,
        found.failed,
        found.items,
        found.failed_items,
        seconds=_seconds(processed[3]),
        remaining=_seconds(processed[4]),
    )


def read_report(text: str) -> list[FailedMiniBatch]:
    """The mini-batches that failed at last, in the order of the report. A report of another form tells of none."""
    tries: dict[str, list[dict[str, str]]] = {}
    for row in csv.DictReader(text.splitlines()):
        if row.get("Mini-batch Id") is not None and row.get("Status") is not None:
            tries.setdefault(str(row["Mini-batch Id"]), []).append(row)
    return [
        FailedMiniBatch(
            id=each,
            reason=rows[-1].get("Error Message") or rows[-1].get("Error Category") or rows[-1]["Status"],
            tries=len(rows),
            files=tuple(_files(rows[-1].get("Mini-batch Detail") or "")),
            items=int(rows[-1]["Total"]) if (rows[-1].get("Total") or "").isdigit() else None,
        )
        for each, rows in tries.items()
        if not any(row["Status"] == _DONE for row in rows)
    ]


def _files(detail: str) -> Iterator[str]:
    """File names in the JSON of the report's last column, whose form is not documented."""
    try:
        found = json.loads(detail)
    except ValueError:
        return
    names = found.get("files") if isinstance(found, dict) else found
    if isinstance(names, list):
        yield from (str(name) for name in names if isinstance(name, str))


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = None
    for found in pattern.finditer(text):  # noqa: B007  # the last one stays
        pass
    return found


def _seconds(span: str) -> float | None:
    """`19:25:59` or `2 days, 3:00:00`."""
    found = _SPAN.search(span)
    if not found:
        return None
    days, hours, minutes, seconds = (int(found[name] or 0) for name in ("days", "hours", "minutes", "seconds"))
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
