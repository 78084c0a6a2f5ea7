"""Ending a lab: its jobs, its daemon, its Azurite; what it keeps on disk stays."""

from __future__ import annotations

import psutil

from lab.azurite import end_orphan
from lab.home import Home
from lab.lock import holder, locked
from lab.processes import end
from lab.scoring_drivers import end_drivers, running_drivers

_OTHER_SECONDS = 30.0
DAEMON_STOP_SECONDS = 45.0
"""Longer than the daemon gives open requests, scoring drivers and Azurite, one after the other."""


def stop(home: Home) -> list[str]:
    """End every process of the lab in `home`; returns what was ended, in words, nothing when nothing ran.

    Raises LabError: a start is at work there.
    """
    if not home.root.is_dir():
        return []
    with locked(home.start_lock, wait_seconds=_OTHER_SECONDS, what="a start of this lab"):
        drivers = len(running_drivers(home))
        # The daemon ends its jobs itself, while there is a place to put their logs; drivers without a daemon are ours.
        daemon = _end_daemon(home)
        end_drivers(home)
        orphan = end_orphan(home)
        home.facts_file.unlink(missing_ok=True)
    ended = []
    if daemon is not None:
        ended.append(f"the lab (pid {daemon})")
    if drivers:
        ended.append(f"{drivers} scoring job{'s' if drivers > 1 else ''}, to begin anew with the next start")
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
