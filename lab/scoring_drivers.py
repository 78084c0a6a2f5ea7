"""The scoring drivers of a home, seen from outside: who they are, and their end."""

from __future__ import annotations

import json
from pathlib import Path

import psutil

from lab.home import Home
from lab.processes import end

DRIVER_STOP_SECONDS = 10.0


def running_drivers(home: Home) -> list[psutil.Process]:
    """Drivers that live: those whose pid lies in `jobs/<job>/pid` and whose command line names that job's folder."""
    return [*_found(home).values()]


def end_drivers(home: Home) -> int:
    """End all drivers and what they started; returns how many drivers there were.

    Nobody asked for the end of their jobs: what a driver says of its own cancellation is taken back, so that the next
    lab begins the job anew, or calls it cancelled where somebody did.
    """
    found = _found(home)
    drivers = [*found.values()]
    families = [process for driver in drivers for process in (driver, *_children(driver))]
    end(families, DRIVER_STOP_SECONDS, asked=drivers)
    for folder in found:
        if _status(folder) == "Canceled":
            (folder / "status.json").unlink()
    return len(drivers)


def _found(home: Home) -> dict[Path, psutil.Process]:
    """By the folder of the job."""
    files = sorted(home.root.glob("jobs/*/pid"))
    return {file.parent: process for file in files if (process := _driver(file)) is not None}


def _status(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / "status.json").read_text(encoding="utf-8"))["status"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _driver(pid_file: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int(pid_file.read_text(encoding="ascii")))
        words = process.cmdline()
    except (OSError, ValueError, psutil.Error):
        return None  # no pid, no such process, or another user's process with that number
    named = any(word.startswith("lab.scoring") for word in words)
    return process if named and any(str(pid_file.parent) in word for word in words) else None


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
