"""Ending a lab: its jobs, its daemon, its Azurite; what it keeps on disk stays."""

from __future__ import annotations

import psutil

from lab.azurite import end_orphan
from lab.home import Home
from lab.lock import holder, locked
from lab.processes import end
from lab.scoring_drivers import end_drivers

_OTHER_SECONDS = 30.0
DAEMON_STOP_SECONDS = 20.0
"""Longer than the daemon gives the emulator's open requests and Azurite together."""


def stop(home: Home) -> list[str]:
    """End every process of the lab in `home`; returns what was ended, in words, nothing when nothing ran.

    Raises LabError: a start is at work there.
    """
    if not home.root.is_dir():
        return []
    with locked(home.start_lock, wait_seconds=_OTHER_SECONDS, what="a start of this lab"):
        # First the jobs: they end as cancelled ones do, with their logs, while there is a place to put these.
        drivers = end_drivers(home)
        daemon = _end_daemon(home)
        drivers += end_drivers(home)
        orphan = end_orphan(home)
        home.facts_file.unlink(missing_ok=True)
    ended = []
    if daemon is not None:
        ended.append(f"the lab (pid {daemon})")
    if drivers:
        ended.append(f"{drivers} scoring job{'s' if drivers > 1 else ''}")
    if orphan is not None:
        ended.append(f"an Azurite without a lab (pid {orphan})")
    return ended


def _end_daemon(home: Home) -> int | None:
    pid = holder(home.daemon_lock)
    if pid is None:
        return None
    try:
        end([psutil.Process(pid)], DAEMON_STOP_SECONDS)
    except psutil.NoSuchProcess:
        return pid  # it ended by itself meanwhile
    return pid
