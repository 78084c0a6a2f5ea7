"""A lock that dies with its holder: flock on a file whose text is the holder's pid."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError


class Lock:
    """Held until `release` or the end of the process, also by kill -9; children do not inherit it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)


def try_lock(path: Path) -> Lock | None:
    """The lock, or None when another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
    return Lock(descriptor)


def holder(path: Path) -> int | None:
    """Pid of the process that holds the lock, None when nobody does.

    A recycled pid cannot deceive: the lock itself, not the number, says that the holder lives.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).decode("ascii", "replace")
        return int(text) if text.isdigit() else None
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, *, wait_seconds: float, what: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock inside the block; `waiting` is called once when another process has it.

    Raises LabError, naming `what` the other process is doing, when it is still held after `wait_seconds`.
    """
    deadline = time.monotonic() + wait_seconds
    lock = try_lock(path)
    if lock is None:
        waiting()
    while lock is None:
        if time.monotonic() > deadline:
            raise LabError(f"{what} is at work since more than {wait_seconds:.0f} s (pid {holder(path)}); try later")
        time.sleep(0.05)
        lock = try_lock(path)
    try:
        yield
    finally:
        lock.release()
