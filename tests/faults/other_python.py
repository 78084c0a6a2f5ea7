"""Another Python than the one that runs: found on this machine, in a virtual environment with the same packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.lifecycle.checkout import ROOT

MINORS = (13, 12, 11, 10)
"""Of Python 3, the versions that the lock files are for."""


def found(environment: Mapping[str, str]) -> Path | None:
    """An interpreter of another minor version that really runs, on PATH or of pyenv; None where there is none."""
    for minor in MINORS:
        if minor == sys.version_info.minor:
            continue
        for candidate in _candidates(minor, environment):
            if _minor_of(candidate) == minor:
                return candidate
    return None


def prepared(folder: Path, interpreter: Path) -> Path:
    """The interpreter of a virtual environment in `folder`, with what the lab's lock file names."""
    uv = [sys.executable, "-m", "lab.uv"]
    inside = folder / "bin" / "python"
    _run([str(interpreter), "-m", "venv", str(folder)])  # with pip, by which the CLI looks for packages
    lock = str(ROOT / "requirements" / "lab.txt")
    _run([*uv, "pip", "install", "-q", "--python", str(inside), "--require-hashes", "-r", lock])
    return inside


def _candidates(minor: int, environment: Mapping[str, str]) -> Iterator[Path]:
    on_path = shutil.which(f"python3.{minor}", path=environment.get("PATH"))
    if on_path:
        yield Path(on_path)
    versions = Path(environment.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from sorted(versions.glob(f"3.{minor}.*/bin/python3"))


def _minor_of(interpreter: Path) -> int | None:
    """None for what does not run, as pyenv's shims of versions that are not chosen."""
    asked = subprocess.run(  # an interpreter of this machine
        [str(interpreter), "-c", "import sys; print(sys.version_info.minor)"],
        capture_output=True,
        text=True,
        check=False,
    )
    return int(asked.stdout) if asked.returncode == 0 else None


def _run(command: list[str]) -> None:
    done = subprocess.run(  # uv
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")
