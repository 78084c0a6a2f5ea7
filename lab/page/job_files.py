"""What a job has written, as much of it as people look at: the end of a log, the first rows of its results."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.emulator.blobs import BlobStorage
    from lab.emulator.jobs import JobRecord

LOG_BYTES, RESULT_BYTES, ROWS = 32 * 1024, 32 * 1024, 12
MAIN_LOG = "user_logs/std_log_0.txt"
_RESULTS_READABLE = (".csv", ".txt", ".tsv", ".json", ".jsonl")


def log_names(folder: Path) -> list[str]:
    """Logs that are not empty, by the name that the service gives them; the main one first."""
    # No symbolic link: a script could lay one to any file of this machine.
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_size
    }
    return sorted(found, key=lambda name: (name != MAIN_LOG, name))


def log_tail(folder: Path, wanted: str | None) -> dict[str, Any]:
    """`names` of all logs, and the last whole lines of the one that is wanted, else of the main one."""
    names = log_names(folder)
    name = wanted if wanted in names else next(iter(names), None)
    if name is None:
        return {"names": [], "name": None, "text": "", "cut": False}
    with (folder / name).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LOG_BYTES))
        text = file.read().decode("utf-8", "replace")
    cut = size > LOG_BYTES
    return {"names": names, "name": name, "text": text.partition("\n")[2] if cut else text, "cut": cut}


def first_rows(blobs: BlobStorage, account: str, record: JobRecord) -> dict[str, Any] | None:
    """Fields of the first lines of a completed job's output file, None when there is none to read.

    Raises azure.core.exceptions.AzureError: the storage does not answer, or the file is gone.
    """
    outputs = record.get("outputs") or []
    asked = record["output"].get("path")
    chosen = next((each for each in outputs if each["path"] == asked), outputs[0] if outputs else None)
    if record["status"] != "Completed" or chosen is None or not chosen["path"].lower().endswith(_RESULTS_READABLE):
        return None
    head = blobs.head(account, chosen["container"], chosen["path"], RESULT_BYTES)
    return {"file": chosen["path"].rpartition("/")[2], "rows": rows_of(head, chosen["path"])}


def rows_of(head: bytes, path: str) -> list[list[str]]:
    """The first rows of a file that `head` begins. The service separates fields of appended rows by one space."""
    text = head.decode("utf-8", "replace")
    lines = (text if len(head) < RESULT_BYTES else text.rpartition("\n")[0]).splitlines()[:ROWS]
    if not path.lower().endswith(".csv"):
        return [[line] for line in lines]
    separator = "," if all("," in line for line in lines) and lines else " "
    return [row for row in csv.reader(lines, delimiter=separator) if row]
