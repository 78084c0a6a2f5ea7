"""Digests of local files that were read before, so that a folder of gigabytes is not read again where nothing changed.

A digest is used again only for a file that has the same path, device, inode, size, time of modification and time of
change of its inode: the last cannot be set by a program, so a file whose old date was put back is read again. A file
that changed within the last two seconds is read again too: a later change might leave no other date. Nothing rests on
this alone: what is sent is hashed as it is sent, whatever is kept here.

It is one SQLite file in the virtual environment that runs, `<venv>/cache/digests.sqlite`: no part of the checkout, gone
with `make clean`, readable by its owner. Where there is no virtual environment, or the file cannot be written or read,
every file is hashed each time. Rows that nobody asked for in 60 days go.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

_SECOND = 1_000_000_000  # nanoseconds
_UNSETTLED = 2 * _SECOND
_KEPT = 60 * 24 * 3600  # seconds
_TABLE = """create table if not exists digests (path text primary key, device integer, inode integer, size integer,
modified integer, changed integer, sha256 text, seen integer) without rowid"""
_log = logging.getLogger("providers")

Stamp = tuple[int, int, int, int, int]
"""Device, inode, size in bytes, time of modification and of change in nanoseconds."""


class Digests:
    """The digests that one file keeps. Each call opens it for itself: threads and processes may share it."""

    def __init__(self, file: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self._file = file
        self._clock = clock

    def below(self, root: Path) -> dict[str, tuple[Stamp, str]]:
        """Path -> (stamp, sha256) of what is kept of a folder, or of the file that it is. Empty where nothing is."""
        name = str(root)
        query = "select path, device, inode, size, modified, changed, sha256 from digests where path = ? or "
        try:
            with closing(self._open()) as database:
                found = database.execute(query + "(path > ? and path < ?)", (name, f"{name}/", f"{name}0"))
                return {path: ((device, inode, size, m, c), sha) for path, device, inode, size, m, c, sha in found}
        except (sqlite3.Error, OSError) as error:
            self._forget(error)
            return {}

    def keep(self, root: Path, found: Mapping[str, tuple[Stamp, str]]) -> None:
        """Replace what is kept of a folder; files that changed just now are left out."""
        settled = self._clock() - _UNSETTLED
        now = self._clock() // _SECOND
        rows = [
            (path, *stamp, sha, now)
            for path, (stamp, sha) in found.items()
            if stamp[3] < settled and stamp[4] < settled
        ]
        name = str(root)
        try:
            with closing(self._open()) as database, database:
                database.execute("delete from digests where path > ? and path < ?", (f"{name}/", f"{name}0"))
                database.execute("delete from digests where path = ? or seen < ?", (name, now - _KEPT))
                database.executemany("insert or replace into digests values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        except (sqlite3.Error, OSError) as error:
            self._forget(error)

    def _open(self) -> sqlite3.Connection:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = sqlite3.connect(self._file, timeout=5)
        try:
            database.execute(_TABLE)
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _forget(self, error: Exception) -> None:
        """What cannot be read is no cache; a broken file is taken away, so that the next run has a new one."""
        _log.info("digests in %s are not used: %s", self._file, error)
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self._file.unlink(missing_ok=True)


def kept(environment: Mapping[str, str], prefix: str = sys.prefix, base: str = sys.base_prefix) -> Digests | None:
    """The digests of the virtual environment that runs; None without one, or where AML_BATCH_VERIFY=1 asks to read."""
    if prefix == base or environment.get("AML_BATCH_VERIFY", "") not in ("", "0"):
        return None
    return Digests(Path(prefix) / "cache" / "digests.sqlite")


def stamp_of(status: os.stat_result) -> Stamp:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def known(kept_digests: Mapping[str, tuple[Stamp, str]], path: str, stamp: Stamp) -> str | None:
    """The digest of a file, if it is as it was when it was read."""
    found = kept_digests.get(path)
    return found[1] if found and found[0] == stamp else None
