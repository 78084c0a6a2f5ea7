"""Ending processes that may be nobody's children any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import psutil


def gone(process: psutil.Process) -> bool:
    """Whether it has ended; one that only waits for its parent to notice (a zombie) has."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end(processes: Iterable[psutil.Process], seconds: float, asked: Iterable[psutil.Process] | None = None) -> None:
    """SIGTERM to `asked` (by default to all), up to `seconds` for all to end, SIGKILL to what is left."""
    everyone = list(processes)
    for process in everyone if asked is None else asked:
        _tell(process, psutil.Process.terminate)
    if not _all_gone(everyone, seconds):
        for process in everyone:
            if not gone(process):
                _tell(process, psutil.Process.kill)
        _all_gone(everyone, seconds)


def _all_gone(processes: list[psutil.Process], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not all(gone(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _tell(process: psutil.Process, what: Callable[[psutil.Process], None]) -> None:
    try:
        what(process)
    except psutil.NoSuchProcess:
        return  # it ended by itself meanwhile
