"""Whether an error means that the disk is full, and how that is said."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def said_of_full_disk(error: OSError | sqlite3.Error, home: Path) -> str | None:
    """One sentence, or None when the error means something else."""
    # SQLite's own words for SQLITE_FULL: its errors have had codes only since Python 3.11.
    full = error.errno in _FULL if isinstance(error, OSError) else "disk is full" in str(error)
    return f"The lab's disk is full: nothing more can be kept in {home}. Make room and try again." if full else None
