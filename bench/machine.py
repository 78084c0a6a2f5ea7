"""The machine that the figures are of, and whether it had other work."""

from __future__ import annotations

import os
import platform

import psutil

_BUSY_PERCENT = 25.0


def line() -> str:
    """Cores, memory, Python, and the load before anything is measured."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"machine: {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, load before {psutil.getloadavg()[0]:.1f}"
    )


class OtherWork:
    """What else kept the processors busy, looked at between measurements, when nothing of ours is at work."""

    def __init__(self) -> None:
        self._seen: list[float] = []

    def look(self) -> None:
        """Takes a second."""
        self._seen.append(psutil.cpu_percent(interval=1.0))

    def note(self) -> str:
        """A sentence, which says so when the figures should not be trusted."""
        return _note(self._seen)


def _note(seen: list[float]) -> str:
    busy = [each for each in seen if each > _BUSY_PERCENT]
    if not busy:
        return f"other work before each section: at most {max(seen, default=0.0):.0f} % of the processors"
    return (
        f"LOADED: before {len(busy)} of {len(seen)} sections other work kept {min(busy):.0f} to {max(busy):.0f} % "
        "of the processors busy; compare ratios, not times"
    )
