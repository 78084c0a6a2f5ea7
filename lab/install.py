"""Things installed once and shared by labs: whole or not at all, by one process at a time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab.lock import locked

_WAIT_SECONDS = 1200.0


def install_once(
    parent: Path, name: str, fill: Callable[[Path], None], say: Callable[[str], None] = lambda _: None
) -> Path:
    """The folder `parent/name`; when it is not there, `fill` fills an empty folder that then takes the name.

    A start that finds another one installing waits for it. What a killed installation left is cleared.
    `name` says what is in it (a digest), so a folder once there never changes under a running lab.
    """
    done = parent / name
    if done.is_dir():
        return done
    parent.mkdir(parents=True, exist_ok=True)
    with locked(
        parent / ".lock",
        wait_seconds=_WAIT_SECONDS,
        what=f"another installation in {parent}",
        waiting=lambda: say(f"waiting for another start that installs {parent.name}"),
    ):
        if done.is_dir():
            return done
        for left in parent.glob(".new-*"):
            shutil.rmtree(left)
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
        try:
            fill(folder)
            folder.rename(done)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return done
