"""The end of a process and of everything that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess

import psutil


def end_group(popen: subprocess.Popen[bytes]) -> None:
    """Kills a process that leads its group, the group, and descendants that left the group; then reaps it."""
    descendants: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):  # it ended before; its group is still ended below
        descendants = psutil.Process(popen.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left (macOS says EPERM for zombies)
        os.killpg(popen.pid, signal.SIGKILL)
    for process in descendants:
        try:
            process.kill()
        except psutil.Error:
            continue  # it ended with the group
    popen.wait()


def ending(code: int) -> str:
    """How a process ended, by its return code: the end of a sentence about it."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"was ended by signal {-code}"
